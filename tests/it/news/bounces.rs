//! Bounce messages and complaints by SMTP, to return paths that name their email.

use super::{sent, server_with, suppressed};
use crate::harness::smtp::Session;
use crate::harness::{Relay, Server};
use crate::smtp_ingress::address_of;
use serde_json::json;

const DOMAIN: &str = "return.example";

fn server(relay: &Relay) -> Server {
    server_with(
        relay,
        &[("POSTHASTE_SMTP__RETURN_PATH_DOMAIN", DOMAIN), ("POSTHASTE_SMTP__AUTH_REQUIRED", "true")],
    )
}

fn bounce(recipient: &str, action: &str, status: &str) -> String {
    format!(
        "From: MAILER-DAEMON@mx.client.com\r\nSubject: Undelivered Mail\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"B\"\r\n\r\n--B\r\n\
         Content-Type: text/plain\r\n\r\nSorry.\r\n--B\r\nContent-Type: message/delivery-status\r\n\r\n\
         Reporting-MTA: dns; mx.client.com\r\n\r\nFinal-Recipient: rfc822; {recipient}\r\nAction: {action}\r\n\
         Status: {status}\r\nDiagnostic-Code: smtp; 550 {status} no such user\r\n\r\n--B--\r\n"
    )
}

fn complaint(return_path: &str) -> String {
    format!(
        "From: fbl@isp.example\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=feedback-report; boundary=\"B\"\r\n\r\n--B\r\n\
         Content-Type: text/plain\r\n\r\nA complaint.\r\n--B\r\nContent-Type: message/feedback-report\r\n\r\n\
         Feedback-Type: abuse\r\nUser-Agent: isp/1\r\nVersion: 1\r\nOriginal-Mail-From: <{return_path}>\r\n\r\n--B--\r\n"
    )
}

/// Brings a message without a login; the reply to the first command that is refused, or to the content.
fn bring(server: &Server, from: &str, to: &[&str], message: &str) -> String {
    let mut session = Session::open(address_of(server, "smtp"));
    let mut commands = vec![format!("MAIL FROM:<{from}>")];
    commands.extend(to.iter().map(|to| format!("RCPT TO:<{to}>")));
    for command in commands {
        let reply = session.say(&command);
        if reply.code != 250 {
            return reply.to_string();
        }
    }
    session.data(message.as_bytes()).to_string()
}

#[test]
fn a_bounce_comes_back_to_its_email_and_suppresses_the_address() {
    let relay = Relay::accepting();
    let server = server(&relay);
    let id = sent(&server, "gone@client.com");
    let path = relay.only_message().sender;
    assert!(path.ends_with("@return.example") && path.starts_with("b-"), "{path}");
    let bad = format!("{}@{DOMAIN}", path.split('@').next().expect("a local part").replace('a', "b"));
    assert!(bring(&server, "", &[&format!("x{path}")], "").starts_with("550"), "forged");
    if bad != path {
        assert!(bring(&server, "", &[&bad], "").starts_with("550"), "forged");
    }
    assert!(bring(&server, "", &["somebody@else.example"], "").starts_with('5'), "no relaying");
    assert!(bring(&server, "", &[&path, "somebody@else.example"], "").starts_with("452"), "no relaying");
    assert_eq!(server.email(&id)["status"], "sent");

    let reply = bring(&server, "", &[&path], &bounce("gone@client.com", "delayed", "4.4.1"));
    assert!(reply.starts_with("250"), "{reply}");
    assert_eq!(server.email(&id)["status"], "sent");
    for _ in 0..2 {
        let reply =
            bring(&server, "", &[&path.to_uppercase()], &bounce("gone@client.com", "failed", "5.1.1"));
        assert!(reply.starts_with("250"), "{reply}");
    }
    let shown = server.email(&id);
    assert_eq!(
        (&shown["status"], &shown["failure_code"]),
        (&json!("bounced"), &json!("bounce")),
        "{shown:#}"
    );
    let reply = shown["recipients"][0]["last_reply"].as_str().expect("a reply");
    assert!(reply.contains("5.1.1") && reply.contains("no such user"), "{reply}");
    assert_eq!(suppressed(&server)[0]["email"], "gone@client.com");
    assert_eq!(relay.messages().len(), 1, "nothing was passed on");
}

#[test]
fn a_full_mailbox_bounces_without_suppressing_and_answers_of_people_change_nothing() {
    let relay = Relay::accepting();
    let server = server(&relay);
    let id = sent(&server, "full@client.com");
    let path = relay.only_message().sender;
    let holiday =
        "From: full@client.com\r\nSubject: Out of office\r\n\r\nStatus: 5.1.1\r\nAction: failed\r\n";
    assert!(bring(&server, "full@client.com", &[&path], holiday).starts_with("250"));
    assert_eq!(server.email(&id)["status"], "sent");
    assert!(bring(&server, "", &[&path], &bounce("full@client.com", "failed", "5.2.2")).starts_with("250"));
    assert_eq!(server.email(&id)["status"], "bounced");
    assert!(suppressed(&server).is_empty());
}

#[test]
fn a_complaint_is_believed_by_the_signed_return_path_inside() {
    let relay = Relay::accepting();
    let server = server(&relay);
    let id = sent(&server, "angry@client.com");
    let path = relay.only_message().sender;
    let common = "complaints@return.example";
    assert!(
        bring(&server, "fbl@isp.example", &[common], &complaint("b-aaaa@return.example")).starts_with("250")
    );
    assert_eq!(server.email(&id)["status"], "sent", "forged");
    assert!(bring(&server, "fbl@isp.example", &[common], &complaint(&path)).starts_with("250"));
    assert_eq!(server.email(&id)["status"], "complained");
    assert_eq!(suppressed(&server)[0]["reason"], "complaint");
}
