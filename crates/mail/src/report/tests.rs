//! Reports as Postfix, Exchange and feedback loops write them, and what is none.

use super::*;
use proptest::prelude::*;

fn bounce(status: &str) -> String {
    format!(
        "From: MAILER-DAEMON@mx.example\r\nTo: b@return.example\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"B1\"\r\n\r\n\
         --B1\r\nContent-Type: text/plain\r\n\r\nIt did not arrive.\r\n\r\n--B1\r\n\
         Content-Type: message/delivery-status\r\n\r\n{status}\r\n--B1\r\nContent-Type: message/rfc822\r\n\r\n\
         Subject: the mail\r\n\r\ntext\r\n--B1--\r\n"
    )
}

#[test]
fn a_bounce_of_two_recipients_is_read() {
    let status = "Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; new@client.com\r\n\
        Original-Recipient: rfc822;gone@client.com\r\nAction: failed\r\nStatus: 5.1.1\r\n\
        Diagnostic-Code: smtp; 550 5.1.1\r\n    no such user\r\n\r\n\
        Final-Recipient: RFC822; <slow@client.com>\r\nAction: Delayed\r\nStatus: 4.4.1 (timeout)\r\n\r\n";
    let Some(Report::Delivery(found)) = read(bounce(status).as_bytes()) else { panic!("no bounce") };
    assert_eq!(
        found[0],
        RecipientReport {
            original: Some("gone@client.com".into()),
            last: "new@client.com".into(),
            action: Action::Failed,
            status: "5.1.1".into(),
            diagnostic: Some("smtp; 550 5.1.1 no such user".into()),
        }
    );
    assert_eq!((found[1].last.as_str(), found[1].action), ("slow@client.com", Action::Delayed));
    assert_eq!(found[1].status, "4.4.1");
}

#[test]
fn a_bounce_without_status_or_action_is_none() {
    for status in [
        "Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; a@b.example\r\nAction: failed\r\n",
        "Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; a@b.example\r\nStatus: 5.1.1\r\n",
        "Reporting-MTA: dns; mx.example\r\n\r\nAction: failed\r\nStatus: 9.9\r\n",
        "Action: failed\r\nStatus: 5.1.1\r\n",
        "",
    ] {
        assert_eq!(read(bounce(status).as_bytes()), None, "{status}");
    }
    assert_eq!(read(b"Subject: out of office\r\n\r\nStatus: 5.1.1\r\nAction: failed\r\n"), None);
}

#[test]
fn a_complaint_is_read() {
    let mail = "From: fbl@isp.example\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=x\r\n\r\n\
        --x\r\nContent-Type: text/plain\r\n\r\nA complaint.\r\n--x\r\nContent-Type: message/feedback-report\r\n\r\n\
        Feedback-Type: Abuse\r\nUser-Agent: x/1\r\nVersion: 1\r\nOriginal-Mail-From: <b-xyz@return.example>\r\n\
        Original-Rcpt-To: <user@client.com>\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nFrom: a@b.example\r\n\r\n\
        text\r\n--x--\r\n";
    let expected = Complaint {
        kind: "abuse".into(),
        return_path: Some("b-xyz@return.example".into()),
        recipients: vec!["user@client.com".into()],
    };
    assert_eq!(read(mail.as_bytes()), Some(Report::Complaint(expected)));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = read(&bytes);
        let _ = read(bounce(&String::from_utf8_lossy(&bytes)).as_bytes());
    }

    #[test]
    fn what_is_read_is_bounded(fields in "(Action: failed\r\n|Status: 5.1.1\r\n|Final-Recipient: rfc822;a@b\r\n|\r\n| x\r\n){0,800}") {
        if let Some(Report::Delivery(found)) = read(bounce(&fields).as_bytes()) {
            prop_assert!(found.len() <= MOST_RECIPIENTS);
        }
    }
}
