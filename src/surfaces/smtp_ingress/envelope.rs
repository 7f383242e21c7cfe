//! What the envelope leaves in the message and in explain.

use posthaste_mail::raw::Hop;
use posthaste_smtp::command::{Notify, Return};
use posthaste_smtp::server::{Facts, Transaction};
use std::fmt::Write as _;

/// The hop as a `Received` line tells it (RFC 5321 section 4.4). The peer's name is its own word: what could be read
/// as more than a name is left out.
pub(super) fn hop(facts: &Facts, hostname: &str, is_utf8: bool) -> Hop {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'[' | b']' | b':');
    let name = facts.hello.as_deref().filter(|name| name.len() <= 200 && name.bytes().all(is_plain));
    let address = match facts.peer.ip().to_canonical() {
        std::net::IpAddr::V4(v4) => v4.to_string(),
        std::net::IpAddr::V6(v6) => format!("IPv6:{v6}"),
    };
    Hop {
        from: format!("{} ([{address}])", name.unwrap_or("unknown")),
        by: hostname.to_owned(),
        with: protocol(facts, is_utf8),
    }
}

/// RFC 3848 and RFC 6531 section 4.3.
fn protocol(facts: &Facts, is_utf8: bool) -> &'static str {
    match (facts.is_extended, is_utf8, facts.is_tls, facts.is_authenticated) {
        (false, ..) => "SMTP",
        (true, false, false, false) => "ESMTP",
        (true, false, true, false) => "ESMTPS",
        (true, false, false, true) => "ESMTPA",
        (true, false, true, true) => "ESMTPSA",
        (true, true, false, false) => "UTF8SMTP",
        (true, true, true, false) => "UTF8SMTPS",
        (true, true, false, true) => "UTF8SMTPA",
        (true, true, true, true) => "UTF8SMTPSA",
    }
}

/// What was asked for with the parameters of RFC 3461, as they are written.
pub(super) fn wishes(envelope: &Transaction) -> Option<String> {
    let mut text = String::new();
    let mail = &envelope.mail.parameters;
    // Writing into a String cannot fail.
    if let Some(ret) = mail.ret {
        let _ = write!(text, "RET={} ", if ret == Return::Full { "FULL" } else { "HDRS" });
    }
    if let Some(envid) = &mail.envid {
        let _ = write!(text, "ENVID={envid} ");
    }
    for rcpt in &envelope.recipients {
        let (notify, orcpt) = (rcpt.parameters.notify, &rcpt.parameters.orcpt);
        if notify.is_none() && orcpt.is_none() {
            continue;
        }
        let _ = write!(text, "<{}> ", rcpt.address);
        if let Some(notify) = notify {
            let _ = write!(text, "NOTIFY={} ", words(notify));
        }
        if let Some(orcpt) = orcpt {
            let _ = write!(text, "ORCPT={orcpt} ");
        }
    }
    let text = text.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

fn words(notify: Notify) -> String {
    let named = [(notify.success, "SUCCESS"), (notify.failure, "FAILURE"), (notify.delay, "DELAY")];
    let words: Vec<&str> = named.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
    if words.is_empty() { "NEVER".to_owned() } else { words.join(",") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_smtp::command::{Command, MailParameters, RcptParameters, parse};

    fn facts(hello: &str, peer: &str) -> Facts {
        Facts {
            peer: peer.parse().unwrap(),
            hello: Some(hello.to_owned()),
            is_extended: true,
            is_tls: true,
            is_authenticated: true,
        }
    }

    #[test]
    fn a_name_cannot_forge_the_line() {
        let hop = hop(&facts("evil(by", "[::ffff:192.0.2.1]:5"), "mx.example", false);
        assert_eq!((hop.from.as_str(), hop.with), ("unknown ([192.0.2.1])", "ESMTPSA"));
        let hop = super::hop(&facts("[127.0.0.1]", "[2001:db8::1]:5"), "mx.example", true);
        assert_eq!((hop.from.as_str(), hop.with), ("[127.0.0.1] ([IPv6:2001:db8::1])", "UTF8SMTPSA"));
    }

    #[test]
    fn wishes_are_kept_as_written() {
        let Ok(Command::Mail(mail)) = parse(b"MAIL FROM:<a@b.example> RET=HDRS ENVID=x1") else { panic!() };
        let Ok(Command::Rcpt(rcpt)) =
            parse(b"RCPT TO:<c@d.example> NOTIFY=DELAY,FAILURE ORCPT=rfc822;c@d.example")
        else {
            panic!()
        };
        let mut envelope = Transaction { mail, recipients: vec![rcpt] };
        let expected = "RET=HDRS ENVID=x1 <c@d.example> NOTIFY=FAILURE,DELAY ORCPT=rfc822;c@d.example";
        assert_eq!(wishes(&envelope).as_deref(), Some(expected));
        envelope.mail.parameters = MailParameters::default();
        envelope.recipients[0].parameters = RcptParameters::default();
        assert_eq!(wishes(&envelope), None);
    }
}
