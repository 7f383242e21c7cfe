//! `GET /api/emails`: filters, order, and pages that stand still while new mail arrives.

use serde_json::{Value, json};

use super::{email_to, with};
use crate::harness::Server;

fn subjects(page: &Value) -> Vec<String> {
    let rows = page["data"].as_array().expect("a list");
    rows.iter().map(|row| row["subject"].as_str().expect("a subject").to_owned()).collect()
}

fn numbered(server: &Server, count: usize) {
    for n in 0..count {
        server.send(&with(email_to("user@client.com", "x"), json!({"subject": format!("n{n}")})));
    }
}

#[test]
fn newest_first_with_the_documented_members() {
    let server = Server::inbox();
    numbered(&server, 3);
    let page = server.get("/api/emails").expect(200).json();
    assert_eq!(subjects(&page), ["n2", "n1", "n0"]);
    assert_eq!(page["next_cursor"], Value::Null);
    assert!(page.get("total").is_none_or(Value::is_null));
    let row = &page["data"][0];
    assert_eq!(row["from"], "Example <noreply@example.com>");
    assert_eq!(row["to"], json!(["user@client.com"]));
    for member in ["id", "status", "requested_at"] {
        assert!(row[member].is_string(), "{member}");
    }
    assert!(row.as_object().is_some_and(|row| row.contains_key("sent_at")));
}

#[test]
fn pages_are_stable_while_new_mail_arrives() {
    let server = Server::inbox();
    numbered(&server, 5);
    let first = server.get("/api/emails?limit=2&count=true").expect(200).json();
    assert_eq!((subjects(&first), &first["total"]), (vec!["n4".to_owned(), "n3".to_owned()], &json!(5)));
    server.send(&email_to("user@client.com", "new"));
    let cursor = first["next_cursor"].as_str().expect("a cursor");
    let second = server.get(&format!("/api/emails?limit=2&cursor={cursor}")).expect(200).json();
    assert_eq!(subjects(&second), ["n2", "n1"]);
    let cursor = second["next_cursor"].as_str().expect("a cursor");
    let third = server.get(&format!("/api/emails?limit=2&cursor={cursor}")).expect(200).json();
    assert_eq!((subjects(&third), &third["next_cursor"]), (vec!["n0".to_owned()], &Value::Null));
}

#[test]
fn each_filter_keeps_what_it_names() {
    let server = Server::inbox();
    server.cli_json(&["domain", "create", "shop.example"]);
    server.send(&with(email_to("a@client.com", "x"), json!({"subject": "autumn sale", "tags": ["news"]})));
    let odd = json!({"subject": "your invoice", "from": "shop@shop.example", "tags": ["billing", "news2"]});
    let id = server.send(&with(email_to("b@client.com", "x"), odd));
    server.wait_status(&id, "sent");
    let matching = |query: &str| subjects(&server.get(&format!("/api/emails?{query}")).expect(200).json());
    assert_eq!(matching("recipient=b@CLIENT.com"), ["your invoice"]);
    assert_eq!(matching("domain=shop.example"), ["your invoice"]);
    assert_eq!(matching("tag=news"), ["autumn sale"]);
    assert_eq!(matching("q=invoice"), ["your invoice"]);
    assert_eq!(matching("q=sale+autumn"), ["autumn sale"]);
    assert_eq!(matching("status=failed"), Vec::<String>::new());
    assert_eq!(matching("status=sent&status=queued&status=processing").len(), 2);
    assert_eq!(matching("date_from=2001-01-01&date_to=2999-01-01").len(), 2);
    assert_eq!(matching("date_from=2999-01-01").len(), 0);
    assert_eq!(matching("date_to=2001-01-01").len(), 0);
}

#[test]
fn a_faulty_query_is_422_and_names_the_parameter() {
    let server = Server::inbox();
    for query in ["limit=0", "limit=101", "limit=x", "status=lost", "date_from=yesterday", "cursor=%21"] {
        let problem = server.get(&format!("/api/emails?{query}")).expect(422).json();
        let name = query.split('=').next().expect("a name");
        assert!(problem["errors"].to_string().contains(name), "{query}: {problem:#}");
    }
}

#[test]
fn statistics_count_by_each_key() {
    let server = Server::inbox();
    let id = server.send(&with(email_to("a@client.com", "x"), json!({"tags": ["news"]})));
    server.wait_status(&id, "sent");
    for (by, key) in [("status", "sent"), ("domain", "example.com"), ("tag", "news")] {
        let stats = server.get(&format!("/api/stats?group_by={by}")).expect(200).json();
        assert_eq!(stats["data"], json!([{"key": key, "count": 1}]), "{by}");
    }
    for by in ["hour", "day"] {
        let stats = server.get(&format!("/api/stats?group_by={by}")).expect(200).json();
        assert_eq!(stats["data"].as_array().map(Vec::len), Some(1), "{by}: {stats}");
    }
    server.get("/api/stats?group_by=colour").expect(422);
}
