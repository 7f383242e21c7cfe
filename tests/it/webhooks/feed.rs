//! `GET /api/events`: what a webhook is told, fetched behind a cursor.

use serde_json::{Value, json};

use crate::emails_api::email_to;
use crate::harness::Server;

#[test]
fn events_are_fetched_behind_a_cursor_once_each() {
    let server = Server::inbox();
    let other = server.new_client("other");
    let ids: Vec<String> = (0..3).map(|n| server.send(&email_to(&format!("u{n}@client.com"), "x"))).collect();
    for id in &ids {
        server.wait_status(id, "sent");
    }
    let (mut after, mut seen) = (0, Vec::<Value>::new());
    loop {
        let page = server.get(&format!("/api/events?after={after}&limit=2")).expect(200).json();
        let next = page["next_after"].as_i64().expect("a cursor");
        let data = page["data"].as_array().expect("a list");
        assert!(data.len() <= 2);
        seen.extend(data.iter().cloned());
        if next == after {
            break;
        }
        after = next;
    }
    let numbers: Vec<i64> = seen.iter().map(|one| one["id"].as_i64().expect("a number")).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    for id in &ids {
        let of_it = seen.iter().filter(|one| one["data"]["email_id"] == id.as_str());
        let types: Vec<&Value> = of_it.map(|one| &one["type"]).collect();
        assert_eq!(types, [&json!("email.queued"), &json!("email.sent")]);
    }
    let foreign = server.get_with("/api/events", &[("X-Api-Key", &other)]).expect(200).json();
    assert_eq!(foreign["data"], json!([]));
    server.get("/api/events?after=x").expect(422);
    server.get("/api/events?after=").expect(200);
    server.get("/api/events?limit=501").expect(422);
}
