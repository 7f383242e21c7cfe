//! `GET /mail/history`.

use super::{error, get, mail, post, sender};
use crate::emails_api::with;
use crate::harness::{Relay, Server, eventually};
use serde_json::{Value, json};

#[test]
fn pages_are_newest_first_and_whole() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let mine = sender(&server);
    let mails: Vec<Value> =
        (0..25).map(|number| with(mail(), json!({"subject": format!("Mail {number}")}))).collect();
    post(&server, &mine, "/mail/send/batch", &json!({"mails": mails})).expect(200);
    let page = |query: &str| get(&server, &mine, &format!("/mail/history{query}")).expect(200).json();
    eventually("all are sent", || (page("?status=sent")["total"] == 25).then_some(()));
    let first = page("?page=1&limit=10&status=sent");
    assert_eq!((&first["total"], &first["page"], &first["limit"]), (&json!(25), &json!(1), &json!(10)));
    let newest = first["data"][0].as_object().expect("an object");
    assert_eq!(
        newest.keys().collect::<Vec<_>>(),
        ["id", "from", "to", "subject", "status", "created_at", "sent_at"]
    );
    assert_eq!((&newest["subject"], &newest["status"]), (&json!("Mail 24"), &json!("sent")));
    assert_eq!((&newest["from"], &newest["to"]), (&json!("noreply@example.com"), &json!(["bob@client.com"])));
    let mut subjects = Vec::new();
    for number in 1..=4 {
        let rows = page(&format!("?page={number}&limit=10"))["data"].clone();
        subjects.extend(rows.as_array().expect("rows").iter().map(|row| row["subject"].clone()));
    }
    let expected: Vec<Value> = (0..25).rev().map(|number| json!(format!("Mail {number}"))).collect();
    assert_eq!(subjects, expected);
    assert_eq!(page("")["data"].as_array().map(Vec::len), Some(20));
    assert_eq!(page("?status=failed"), json!({"total": 0, "page": 1, "limit": 20, "data": []}));
    for bad in ["page=0", "page=x", "limit=0", "limit=101", "status=delivered", "page=1&page=2", "limit=%zz"]
    {
        let answer = get(&server, &mine, &format!("/mail/history?{bad}"));
        assert_eq!(error(&answer), (400, "invalid_request".into()), "{bad}");
    }
}
