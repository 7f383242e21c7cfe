use super::*;
use proptest::prelude::*;

fn mail_of(line: &str) -> MailFrom {
    match parse(line.as_bytes()) {
        Ok(Command::Mail(mail)) => mail,
        other => panic!("{line}: {other:?}"),
    }
}

fn rcpt_of(line: &str) -> RcptTo {
    match parse(line.as_bytes()) {
        Ok(Command::Rcpt(rcpt)) => rcpt,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn verbs_are_read_in_any_case_and_nothing_else_is() {
    for (line, command) in [
        ("EHLO mail.example", Command::Ehlo("mail.example")),
        ("ehlo [127.0.0.1] ", Command::Ehlo("[127.0.0.1]")),
        ("HeLo x", Command::Helo("x")),
        ("DATA", Command::Data),
        ("bdat 0", Command::Bdat(Chunk { size: 0, is_last: false })),
        ("BDAT 86 last", Command::Bdat(Chunk { size: 86, is_last: true })),
        ("AUTH PLAIN", Command::Auth { mechanism: "PLAIN", initial: None }),
        ("AUTH login =", Command::Auth { mechanism: "login", initial: Some("=") }),
        ("STARTTLS", Command::StartTls),
        ("RSET", Command::Rset),
        ("NOOP anything at all", Command::Noop),
        ("QUIT", Command::Quit),
        ("VRFY jörg", Command::Vrfy),
        ("EXPN list", Command::Expn),
        ("HELP", Command::Help),
    ] {
        assert_eq!(parse(line.as_bytes()), Ok(command), "{line}");
    }
    for line in [
        "",
        " ",
        "FOO",
        "DATAX",
        "DATA\u{a0}",
        "MAILFROM:<a@b>",
        "STARTTLSX",
        "PROXY TCP4 1 2 3 4",
        "XCLIENT A=b",
    ] {
        assert_eq!(parse(line.as_bytes()), Err(CommandError::Unknown), "{line:?}");
    }
    for line in
        ["DATA x", "RSET x", "QUIT now", "STARTTLS x", "EHLO", "EHLO a b", "VRFY", "AUTH", "AUTH PLAIN a b"]
    {
        assert!(matches!(parse(line.as_bytes()), Err(CommandError::Syntax(_))), "{line}");
    }
    for line in [
        "BDAT",
        "BDAT x",
        "BDAT -1",
        "BDAT 1 FIRST",
        "BDAT 1 LAST x",
        "BDAT +5",
        "BDAT 123456789012345678901",
    ] {
        assert!(matches!(parse(line.as_bytes()), Err(CommandError::Syntax(_))), "{line}");
    }
}

#[test]
fn web_clients_are_known() {
    for line in
        ["GET / HTTP/1.1", "POST /x HTTP/1.0", "PRI * HTTP/2.0", "CONNECT a:25 HTTP/1.1", "Host: a", "host:a"]
    {
        assert_eq!(parse(line.as_bytes()), Err(CommandError::Http), "{line}");
    }
}

#[test]
fn senders_with_parameters() {
    let mail = mail_of("mail from: <Ann@Example.COM> SIZE=12 BODY=8bitmime RET=HDRS ENVID=QQ+2B1 AUTH=<>");
    assert_eq!(mail.sender.map(|sender| sender.to_string()).as_deref(), Some("Ann@example.com"));
    let expected = MailParameters {
        size: Some(12),
        is_8bit: true,
        smtputf8: false,
        ret: Some(Return::Headers),
        envid: Some("QQ+2B1".into()),
    };
    assert_eq!(mail.parameters, expected);
    assert_eq!(mail_of("MAIL FROM:<>").sender, None);
    let quoted = mail_of("MAIL FROM:<\"a b\"@c.example> SIZE=1");
    assert_eq!(quoted.sender.map(|sender| sender.to_string()).as_deref(), Some("\"a b\"@c.example"));
    assert!(mail_of("MAIL FROM:<jörg@bücher.example> SMTPUTF8").parameters.smtputf8);
}

#[test]
fn recipients_with_parameters() {
    let rcpt = rcpt_of("RCPT TO:<bob@c.example> NOTIFY=SUCCESS,delay ORCPT=rfc822;bob+2Bx@c.example");
    assert_eq!(rcpt.parameters.notify, Some(Notify { success: true, failure: false, delay: true }));
    assert_eq!(rcpt.parameters.orcpt.as_deref(), Some("rfc822;bob+2Bx@c.example"));
    assert_eq!(rcpt_of("RCPT TO:<bob@c.example> NOTIFY=NEVER").parameters.notify, Some(Notify::default()));
    assert!(rcpt_of("RCPT TO:<jörg@c.example>").is_utf8);
}

#[test]
fn wrong_paths_and_parameters_are_named() {
    use CommandError::{BadParameter, Mailbox, NeedsSmtputf8, SourceRoute, Syntax, UnknownParameter};
    let fault = |line: &str| parse(line.as_bytes()).expect_err(line);
    for line in [
        "MAIL",
        "MAIL FROM",
        "MAIL FROM:a@b.c",
        "MAIL FROM:<a@b.c",
        "MAIL FROM:<a@b.c>x",
        "RCPT TO:<\"a@b.c>",
    ] {
        assert!(matches!(fault(line), Syntax(_)), "{line}");
    }
    for line in [
        "MAIL FROM:<a>",
        "RCPT TO:<>",
        "RCPT TO:<a@b@c>",
        "RCPT TO:<a b@c.d>",
        "RCPT TO:<a@[127.0.0.1]>",
        "RCPT TO:<\"a>b\"@c.d>",
    ] {
        assert!(matches!(fault(line), Mailbox(_)), "{line}");
    }
    assert_eq!(fault("RCPT TO:<@a.example,@b.example:c@d.example>"), SourceRoute);
    assert_eq!(fault("MAIL FROM:<jörg@c.example>"), NeedsSmtputf8);
    assert_eq!(fault("MAIL FROM:<a@b.c> XYZ=1"), UnknownParameter);
    assert_eq!(fault("RCPT TO:<a@b.c> SIZE=1"), UnknownParameter);
    for (line, name) in [
        ("MAIL FROM:<a@b.c> SIZE=", "SIZE"),
        ("MAIL FROM:<a@b.c> SIZE=1 SIZE=1", "SIZE"),
        ("MAIL FROM:<a@b.c> SIZE=-1", "SIZE"),
        ("MAIL FROM:<a@b.c> BODY=BINARYMIME", "BODY"),
        ("MAIL FROM:<a@b.c> SMTPUTF8=1", "SMTPUTF8"),
        ("MAIL FROM:<a@b.c> RET=X", "RET"),
        ("MAIL FROM:<a@b.c> ENVID=+zz", "ENVID"),
        ("MAIL FROM:<a@b.c> AUTH=", "AUTH"),
        ("RCPT TO:<a@b.c> NOTIFY=NEVER,SUCCESS", "NOTIFY"),
        ("RCPT TO:<a@b.c> NOTIFY=DELAY,DELAY", "NOTIFY"),
        ("RCPT TO:<a@b.c> ORCPT=x", "ORCPT"),
    ] {
        assert_eq!(fault(line), BadParameter(name), "{line}");
    }
}

#[test]
fn lines_have_limits() {
    let line = |verb: &str, length: usize| format!("{verb}{}", "a".repeat(length - verb.len()));
    assert_eq!(parse(line("NOOP ", 510).as_bytes()), Ok(Command::Noop));
    assert_eq!(parse(line("NOOP ", 511).as_bytes()), Err(CommandError::TooLong));
    assert_eq!(parse(line("AUTH PLAIN ", 12_287).as_bytes()), Err(CommandError::AuthTooLong));
    assert!(parse(line("AUTH PLAIN ", 12_286).as_bytes()).is_ok());
    let long_path = format!("MAIL FROM:<{}@b.example>", "a".repeat(600));
    assert_eq!(parse(long_path.as_bytes()), Err(CommandError::TooLong));
    let parameters = format!("RCPT TO:<a@b.example> ORCPT=rfc822;{}", "a".repeat(480));
    assert!(parse(parameters.as_bytes()).is_ok());
    assert_eq!(parse(line("RCPT TO:<a@b.example> X=", 2047).as_bytes()), Err(CommandError::TooLong));
}

#[test]
fn bytes_that_are_no_text_are_no_command() {
    assert_eq!(parse(b"MAIL FROM:<\xff@b.c>"), Err(CommandError::NotUtf8));
    assert_eq!(parse(b"NOOP \xc3"), Err(CommandError::NotUtf8));
    for line in
        [&b"NOOP \0"[..], b"MAIL FROM:<a@b.c>\0", b"RCPT\tTO:<a@b.c>", b"NOOP \x7f", "NOOP \u{85}".as_bytes()]
    {
        assert_eq!(parse(line), Err(CommandError::Control), "{line:?}");
    }
}

proptest! {
    #[test]
    fn no_line_is_a_panic(line in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = parse(&line);
    }

    #[test]
    fn an_address_that_is_taken_is_the_one_between_the_brackets(
        verb in "(MAIL FROM|RCPT TO):",
        path in "[ -~]{0,40}",
        rest in "( [A-Z=;0-9a-z]{0,12}){0,3}",
    ) {
        let line = format!("{verb}<{path}>{rest}");
        let address = match parse(line.as_bytes()) {
            Ok(Command::Mail(MailFrom { sender: Some(address), .. })) => address,
            Ok(Command::Rcpt(rcpt)) => rcpt.address,
            _ => return Ok(()),
        };
        let inside = &line[verb.len() + 1..];
        let taken = format!("{address}>").to_ascii_lowercase();
        prop_assert!(inside.to_ascii_lowercase().starts_with(&taken), "{}", line);
    }
}
