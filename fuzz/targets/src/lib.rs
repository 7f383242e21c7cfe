//! What must hold for any input, one function a parser; each panics where it does not hold. Run by libFuzzer from
//! `fuzz/fuzz_targets`, and on mutated seeds by the tests below.

mod news;
mod signed;
mod written;

pub use news::{mailgun, sendgrid, sns};
pub use signed::{jwt, sigv4};
pub use written::{message, mime};

use posthaste::render::template::{self, Escape, OUTPUT_BYTES_MAX};
use posthaste::surfaces::http::json;
use posthaste_mail::raw::{Hop, RawMessage, address_list, domains_shown};
use posthaste_mail::report::{self, Report};
use posthaste_mail::view::read_message;
use posthaste_mail::{Address, Mailbox};
use posthaste_smtp::reply::ReplyParser;
use posthaste_smtp::server::{Content, ContentFault, Frame, MAX_LINE_BYTES};

/// An address that was taken means the same when it is read again, and cannot leave its place in a command.
pub fn address(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(address) = Address::parse(&text) {
        let shown = address.as_str();
        assert!(!shown.contains(['\r', '\n', '\0', '<', '>']), "{shown:?}");
        assert!(address.domain().is_ascii(), "{shown:?}");
        let again = Address::parse(shown).expect("an address that was taken once");
        assert_eq!((again.as_str(), again.canonical()), (shown, address.canonical()));
    }
    if let Ok(mailbox) = Mailbox::parse(&text) {
        let shown = mailbox.to_string();
        assert!(!shown.contains(['\r', '\n', '\0']), "{shown:?}");
        let again = Mailbox::parse(&shown).expect("a mailbox that was taken once");
        assert_eq!(again.address, mailbox.address, "{shown:?}");
    }
}

/// Any octets can be shown as a message.
pub fn mail_view(data: &[u8]) {
    let view = read_message(data);
    for attachment in &view.attachments {
        assert!(attachment.content(data).len() <= data.len());
    }
}

/// A bounce message or complaint tells of few recipients, each with a status that is one, on one line each; and nothing is
/// one that does not call itself a report.
pub fn report(data: &[u8]) {
    let Some(found) = report::read(data) else { return };
    let lower = data.to_ascii_lowercase();
    assert!(
        lower.windows(9).any(|word| word == b"multipart") && lower.windows(6).any(|word| word == b"report")
    );
    let is_line = |text: &str| !text.contains(['\r', '\n']);
    match found {
        Report::Delivery(recipients) => {
            assert!((1..=100).contains(&recipients.len()), "{}", recipients.len());
            for one in recipients {
                let parts: Vec<&str> = one.status.split('.').collect();
                assert!(
                    matches!(parts[..], ["2" | "4" | "5", subject, detail] if number(subject) && number(detail))
                );
                let texts = [one.original.as_deref(), Some(one.last.as_str()), one.diagnostic.as_deref()];
                assert!(texts.into_iter().flatten().all(is_line), "{one:?}");
            }
        }
        Report::Complaint(complaint) => {
            assert!(!complaint.kind.is_empty() && is_line(&complaint.kind), "{complaint:?}");
            assert!(complaint.recipients.len() <= 100);
            assert!(complaint.recipients.iter().chain(&complaint.return_path).all(|text| is_line(text)));
        }
    }
}

fn number(text: &str) -> bool {
    (1..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What we take as JSON, everybody takes as JSON and reads the same.
pub fn json(data: &[u8]) {
    let Ok(ours) = json::parse(data) else { return };
    if data.windows(2).any(|pair| pair == b"-0") {
        // An integer to us, a float to the other.
        return;
    }
    let theirs: serde_json::Value = serde_json::from_slice(data).expect("JSON that only we understand");
    assert_eq!(ours.to_value(), theirs);
}

/// A template ends, in time and in size, and writes no tag that its source does not hold.
pub fn template(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let variables = serde_json::json!({"name": "<script>&\"'", "items": [1, 2.5, null, "x", {"a": true}], "map": {"k": "v"}});
    let variables = variables.as_object().expect("an object");
    for escape in [Escape::Html, Escape::None] {
        if let Ok(written) = template::render(&text, variables, escape) {
            assert!(written.len() <= OUTPUT_BYTES_MAX.max(text.len()));
            if escape == Escape::Html && !text.contains("<script") {
                assert!(!written.contains("<script"), "{written}");
            }
        }
    }
}

/// A reply reads the same in one piece and byte by byte, and carries no control character to a log.
pub fn smtp_reply(data: &[u8]) {
    let whole = ReplyParser::new().feed(data);
    if let Ok(fed) = &whole {
        assert!(fed.consumed <= data.len());
        if let Some(reply) = &fed.reply {
            assert!((200..600).contains(&reply.code), "{reply:?}");
            assert!(reply.lines().all(|line| !line.chars().any(char::is_control)), "{reply:?}");
            assert_eq!(byte_by_byte(data), Some(reply.clone()));
        }
    }
}

/// The first reply of `data`, offered one more byte at a time.
fn byte_by_byte(data: &[u8]) -> Option<posthaste_smtp::reply::Reply> {
    let mut parser = ReplyParser::new();
    let mut begin = 0;
    for end in 1..=data.len() {
        let fed = parser.feed(&data[begin..end]).ok()?;
        begin += fed.consumed;
        if fed.reply.is_some() {
            return fed.reply;
        }
    }
    None
}

/// A client's lines are commands or not; whichever, what was read of them cannot leave its place.
pub fn smtp_command(data: &[u8]) {
    use posthaste_smtp::command::{Command, parse};
    let address = match parse(data) {
        Ok(Command::Mail(mail)) => mail.sender,
        Ok(Command::Rcpt(rcpt)) => Some(rcpt.address),
        _ => None,
    };
    if let Some(address) = address {
        assert!(!address.as_str().contains(['\r', '\n', '\0', '<', '>']), "{address:?}");
    }
}

/// Content ends at the same octet however it is cut, and what is taken has no stray line end, NUL or long line.
pub fn smtp_content(data: &[u8]) {
    let whole = content_of(data, data.len());
    assert_eq!(whole, content_of(data, 1));
    assert_eq!(whole, content_of(data, 3));
    let (Some(Ok(content)), _) = whole else { return };
    let clean = String::from_utf8_lossy(&content).replace("\r\n", "");
    assert!(!clean.contains(['\r', '\n', '\0']), "{content:?}");
    assert!(content.split(|octet| *octet == b'\n').all(|line| line.len() <= MAX_LINE_BYTES + 1));
    let Ok(raw) = RawMessage::read(content.into()) else { return };
    let hop = Hop { from: "a".into(), by: "b".into(), with: "SMTP" };
    let passed = raw.passed_on(&hop, "id", 0);
    let again = RawMessage::read(passed.into()).expect("a header that was taken once");
    assert_eq!(again.all("bcc").count() + again.all("resent-bcc").count(), 0);
    for value in raw.all("from") {
        // A word that is encoded, or in another script, is shown in other characters.
        if !value.is_ascii() || value.windows(2).any(|pair| pair == b"=?") {
            continue;
        }
        let shown = domains_shown(value);
        for address in address_list(value).unwrap_or_default() {
            let domain = address.domain();
            assert!(!domain.contains('.') || shown.iter().any(|one| one == domain), "{domain}");
        }
    }
}

/// Content that was taken or refused; `None`: it has no end.
type TakenContent = Option<Result<Vec<u8>, ContentFault>>;

/// The content of `data`, which comes in pieces, and how much of it that took.
fn content_of(data: &[u8], piece: usize) -> (TakenContent, usize) {
    let (mut frame, mut content, mut at) = (Frame::default(), Content::new(1 << 20), 0);
    for piece in data.chunks(piece.max(1)) {
        let (used, ended) = frame.feed(piece, &mut content);
        at += used;
        if ended {
            return (Some(content.finish()), at);
        }
    }
    (None, at)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Inputs a target sees in `./test`.
    const RUNS: usize = 20_000;

    /// Runs a target on its seeds and on mutations of them: the same ones each time.
    pub(crate) fn smoke(target: fn(&[u8]), seeds: &[&str]) {
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        let mut next = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below.max(1) as u64) as usize
        };
        for seed in seeds {
            target(seed.as_bytes());
        }
        for _ in 0..RUNS {
            let mut input = seeds[next(seeds.len())].as_bytes().to_vec();
            for _ in 0..=next(4) {
                let other = seeds[next(seeds.len())].as_bytes();
                let at = next(input.len() + 1);
                match next(5) {
                    0 => input.insert(at, next(256) as u8),
                    1 if at < input.len() => drop(input.remove(at)),
                    2 if at < input.len() => input[at] ^= 1 << next(8),
                    3 => input.truncate(at),
                    _ => drop(input.splice(at..at, other[next(other.len() + 1)..].iter().copied())),
                }
            }
            target(&input);
        }
    }

    #[test]
    fn addresses() {
        smoke(
            address,
            &[
                "a@b.com",
                "\"a b\"@c.org",
                "Ann <a@b.com>",
                "jörg@bücher.example",
                "=?utf-8?q?a?= <a@b.c>",
                "a@[127.0.0.1]",
                "(comment) a@b.com",
                "\"Ann \\\"x\\\"\" <a@b.com>",
                "a@b\u{ff0e}com",
                "\u{0}\r\n<>@,;:",
            ],
        );
    }

    #[test]
    fn messages() {
        smoke(
            message,
            &[
                "Hello\u{1}A\u{1}value\u{1}body\n.\nend",
                "Größe €\u{1}A-B\u{1}ünï\u{1}=\r\n.\r\n\ttab  \nFrom x",
                "a\u{1}\u{1}\u{1}\r\r\n\n",
                "=?utf-8?q?x?=\u{1}A\u{1}=?utf-8?b?eA==?=\u{1}=20",
                "日本語 😀 \u{2028}\u{1}Z\u{1} \u{1} ",
            ],
        );
    }

    #[test]
    fn mail_views() {
        smoke(
            mail_view,
            &[
                "Subject: a\r\n\r\nbody",
                "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>\r\n--b\r\n\
                 Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nx\r\n--b--\r\n",
                "Content-Type: text/plain; charset*=utf-8''latin1\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ==\r\n",
                "Content-Disposition: attachment; filename*0*=utf-8''%c3; filename*1=\"b\"\r\n\r\n=3D=\r\n",
            ],
        );
    }

    #[test]
    fn reports() {
        smoke(
            report,
            &[
                "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\n\
                 Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n\
                 Final-Recipient: rfc822; new@client.com\r\nOriginal-Recipient: rfc822;<gone@client.com>\r\n\
                 Action: failed\r\nStatus: 5.1.1 (gone)\r\nDiagnostic-Code: smtp; 550 5.1.1\r\n  no such user\r\n\r\n\
                 Final-Recipient: utf-8; s@client.com\r\nAction: Delayed\r\nStatus: 4.4.1\r\n\r\n--b--\r\n",
                "Content-Type: multipart/report; report-type=feedback-report; boundary=\"b\"\r\n\r\n--b\r\n\
                 Content-Type: message/feedback-report\r\n\r\nFeedback-Type: abuse\r\nUser-Agent: x/1\r\nVersion: 1\r\n\
                 Original-Mail-From: <b-1@return.example>\r\nOriginal-Rcpt-To: <user@client.com>\r\n\r\n--b\r\n\
                 Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nx\r\n--b--\r\n",
                "Content-Type: MULTIPART/REPORT; boundary=b\n\n--b\nContent-Type: message/global-delivery-status\n\
                 Content-Transfer-Encoding: base64\n\nQWN0aW9uOiBmYWlsZWQKU3RhdHVzOiA1LjEuMQo=\n--b--",
                "Status: 5.1.1\r\n\r\nAction: failed\r\n\r\nAction: expanded\r\nStatus: 2.0.0\r\n",
            ],
        );
    }

    #[test]
    fn json_texts() {
        smoke(
            json,
            &[
                r#"{"a":[1,2.5e3,0,"x\n\u00e9\ud83d\ude00",null,true]}"#,
                "[]",
                "\"\u{7f}\"",
                "1e308",
                "-12345678901234567890",
                "{\"a\":{\"a\":{\"b\":[[[]]]}}}",
                " \t\r\n0 ",
            ],
        );
    }

    #[test]
    fn templates() {
        smoke(
            template,
            &[
                "Hi {{ name }}!",
                "{% for i in items %}{{ i }}{% if loop.last %}.{% endif %}{% else %}none{% endfor %}",
                "{{ map.k | upper | default('x') }}",
                "{% raw %}{{ x }}{% endraw %}{# c #}",
                "{{- items[4].a -}}",
                "{% if name == 1 and not map %}a{% elif 'k' in map %}b{% else %}c{% endif %}",
                "{% for a in items %}{% for b in items %}{{ name }}{% endfor %}{% endfor %}",
                "{{ name|replace('<', '<<') }}",
            ],
        );
    }

    #[test]
    fn smtp_commands() {
        smoke(
            smtp_command,
            &[
                "MAIL FROM:<a@b.com> SIZE=12 BODY=8BITMIME RET=HDRS ENVID=a+2B",
                "RCPT TO:<\"a b\"@c.org> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a@b.c",
                "EHLO [127.0.0.1]",
                "BDAT 123 LAST",
                "AUTH PLAIN AGEAYg==",
                "GET / HTTP/1.1",
                "mail from: <jörg@bücher.example> SMTPUTF8",
                "\r\n\0<>\u{7f}",
            ],
        );
    }

    #[test]
    fn smtp_contents() {
        smoke(
            smtp_content,
            &[
                "From: a@b.com\r\nBcc: c@d.e,\r\n f@g.h\r\n\r\nbody\r\n.\r\n",
                "..\r\n.a\r\n\r\n.\r\nQUIT\r\n",
                "\n.\r\n",
                "\r\n.\r\r\n",
                "\r.\r\n",
                "From: \"x@y.z\" <a@b.c>, (c) d@e.f, g: h@i.j;\r\n\r\n.\r\n",
                "Resent-Bcc : x\r\n\ty\r\n.\r\n",
                ".\r\n",
            ],
        );
    }

    #[test]
    fn smtp_replies() {
        smoke(
            smtp_reply,
            &[
                "250 2.1.0 ok\r\n",
                "250-a\r\n250-PIPELINING\r\n250 SIZE 5\r\n",
                "550 5.1.1 <x> no\r\n",
                "354\r\n",
                "421-\r\n421 \r\n",
                "250 \u{1b}[31m\u{7f}\r\n",
                "999 x\r\n",
                "250-a\r\n251 b\r\n",
                "2500 x\n",
                "5.1.1 550\n",
            ],
        );
    }
}
