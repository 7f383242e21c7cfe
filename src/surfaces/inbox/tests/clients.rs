//! One inbox for each client, in the page and in the API.

use super::PLAIN;
use super::desk::desk;
use posthaste_model::credential::Permission;
use serde_json::json;

#[tokio::test]
async fn each_client_has_an_inbox_of_its_own() {
    let desk = desk().await;
    desk.keep(0, "ann@example.com", "For the first", PLAIN).await;
    desk.keep(1, "ann@example.com", "For the second", PLAIN).await;
    desk.keep(1, "bob@example.com", "For the second again", PLAIN).await;
    let [first, second] = desk.clients;
    let clients = desk.get("/inbox/api/clients").await.json();
    assert_eq!(
        clients,
        json!({"data": [
            {"id": first, "name": "client 0", "messages": 1},
            {"id": second, "name": "client 1", "messages": 2},
        ]})
    );
    let subjects = async |query: &str| -> Vec<String> {
        let got = desk.get(&format!("/inbox/api/messages{query}")).await.json();
        let data = got["data"].as_array().expect("a list").iter();
        data.map(|line| line["subject"].as_str().expect("a subject").to_owned()).collect()
    };
    assert_eq!(subjects("").await.len(), 3);
    assert_eq!(subjects(&format!("?client={first}")).await, ["For the first"]);
    assert_eq!(subjects("?client=client%201&to=bob@example.com").await, ["For the second again"]);
    let waited = desk.get(&format!("/inbox/api/messages/wait?client={first}&timeout=1s")).await.json();
    assert_eq!(waited["subject"], "For the first");
    let none = desk.get("/inbox/api/messages/wait?client=client%200&to=bob@example.com&timeout=10ms").await;
    assert_eq!(none.status, 404);
    for nobody in ["nobody", "01a22f1d-a268-7ddd-9b32-e2fdd6826fcd"] {
        for place in ["/inbox", "/inbox/api/messages"] {
            let got = desk.get(&format!("{place}?client={nobody}")).await;
            assert_eq!(got.status, 404, "{place} {nobody}");
        }
    }
}

#[tokio::test]
async fn the_page_leads_from_inbox_to_inbox() {
    let desk = desk().await;
    desk.keep(0, "ann@example.com", "For the first", PLAIN).await;
    assert!(!desk.get("/inbox").await.body.contains("class=\"number\""), "one client needs no choice");
    desk.keep(1, "ann@example.com", "For the second", PLAIN).await;
    let [first, second] = desk.clients;
    let all = desk.get("/inbox").await.body;
    assert!(all.contains("For the first") && all.contains("For the second"), "{all}");
    for (id, name) in [(first, "client 0"), (second, "client 1")] {
        let link = format!("<a href=\"/inbox?client={id}\">{name} <span class=\"number\">1</span></a>");
        assert!(all.contains(&link), "{all}");
        assert!(all.contains(&format!("<span class=\"owner\">{name}</span>")), "{all}");
    }
    let own = desk.get(&format!("/inbox?client={second}&q=for")).await.body;
    assert!(own.contains("For the second") && !own.contains("For the first"), "{own}");
    for part in [
        format!("<a href=\"/inbox?client={second}&#38;q=for\" aria-current=\"page\">client 1"),
        "<a href=\"/inbox?q=for\">All <span class=\"number\">2</span></a>".to_owned(),
        format!("data-wait=\"/inbox/api/messages/wait?client={second}&#38;q=for&#38;timeout=50s\""),
        format!("<input type=\"hidden\" name=\"client\" value=\"{second}\">"),
        format!("action=\"/inbox/delete?client={second}\""),
    ] {
        assert!(own.contains(&part), "{part}: {own}");
    }
}

#[tokio::test]
async fn a_clients_inbox_is_emptied_alone() {
    let desk = desk().await;
    for client in [0, 1, 1] {
        desk.keep(client, "ann@example.com", "x", PLAIN).await;
    }
    let [first, second] = desk.clients;
    let got = desk.send("127.0.0.1", "DELETE", &format!("/inbox/api/messages?client={second}"), &[]).await;
    assert_eq!(got.json(), json!({"deleted": 2}));
    assert_eq!(desk.store.inbox_count(Some(first)).await, Ok(1));
    desk.keep(1, "ann@example.com", "x", PLAIN).await;
    assert_eq!(desk.post(&format!("/inbox/delete?client={first}"), "").await.status, 303);
    assert_eq!(desk.store.inbox_count(None).await, Ok(1));
}

#[tokio::test]
async fn a_key_cannot_ask_for_another_clients_inbox() {
    let desk = desk().await;
    for client in [0, 1] {
        desk.keep(client, "ann@example.com", "x", PLAIN).await;
    }
    let key = desk.key(0, &[Permission::EmailsRead]).await;
    let by_key = [("x-api-key", &*key), ("host", "anything.example")];
    let [own, other] = desk.clients;
    let clients = desk.send("192.0.2.7", "GET", "/inbox/api/clients", &by_key).await.json();
    assert_eq!(clients, json!({"data": [{"id": own, "name": "client 0", "messages": 1}]}));
    for (method, client, status) in [
        ("GET", own.to_string(), 200),
        ("GET", other.to_string(), 404),
        ("GET", "client%201".to_owned(), 404),
        ("DELETE", other.to_string(), 404),
    ] {
        let uri = format!("/inbox/api/messages?client={client}");
        assert_eq!(desk.send("192.0.2.7", method, &uri, &by_key).await.status, status, "{method} {client}");
    }
    assert_eq!(desk.store.inbox_count(None).await, Ok(2));
}
