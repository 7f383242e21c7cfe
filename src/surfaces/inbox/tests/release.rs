//! Messages that are let out: who may, whereto, and what is refused.

use super::super::release::Ways;
use super::PLAIN;
use super::desk::{Desk, Got, desk, desk_with_ways};
use posthaste_model::credential::{KeyMode, Permission};
use posthaste_model::email::{Content, RecipientKind};
use posthaste_model::{EmailId, InboxId};
use posthaste_store::{AuditFilter, EmailRecord};
use serde_json::{Value, json};

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn ways(names: &[&str], default: Option<&str>) -> Ways {
    Ways { names: names.iter().map(|&name| name.to_owned()).collect(), default: default.map(str::to_owned) }
}

async fn release(desk: &Desk, id: impl std::fmt::Display, body: &Value) -> Got {
    let uri = format!("/inbox/api/messages/{id}/release");
    desk.submit("127.0.0.1", ("POST", &uri), &[JSON], &body.to_string()).await
}

async fn email(desk: &Desk, client: usize, id: &Value) -> EmailRecord {
    let id: EmailId = id.as_str().expect("an id").parse().expect("an id");
    desk.store.email(desk.clients[client], id).await.expect("a store").expect("an email")
}

#[tokio::test]
async fn a_message_goes_out_as_it_was_caught() {
    let desk = desk_with_ways(ways(&["relay"], Some("relay"))).await;
    let id = desk.keep(0, "ann@example.com", "Welcome", PLAIN).await;
    let kept = desk.store.inbox_get(None, id).await.expect("a store").expect("a message");
    let got = desk.send("127.0.0.1", "POST", &format!("/inbox/api/messages/{id}/release"), &[]).await;
    assert_eq!(got.status, 202, "{}", got.body);
    let told = got.json();
    assert_eq!((&told["transport"], &told["to"]), (&json!("relay"), &json!(["ann@example.com"])));
    assert_eq!(told["status"], "queued");
    let record = email(&desk, 0, &told["email_id"]).await;
    let Content::Raw { sha256, size, released_to } = &record.email.content else { panic!("{record:?}") };
    assert_eq!((*sha256, *size, released_to.as_deref()), (kept.sha256, kept.size, Some("relay")));
    assert_eq!(record.email.from.address.as_str(), "bounce@example.com");
    assert_eq!((record.email.test_mode, record.email.resent_from), (false, Some(kept.email_id)));
    assert_eq!(record.email.subject, "Welcome");
    assert!(desk.store.inbox_get(None, id).await.expect("a store").is_some(), "it stays in the inbox");
    let filter = AuditFilter { action: Some("inbox.release".into()), ..AuditFilter::default() };
    let audit = desk.store.audit(None, 10, &filter).await.expect("an audit");
    assert_eq!(audit.len(), 1);
    assert_eq!(json!(audit[0].target), told["email_id"]);
    assert_eq!((&*audit[0].actor.kind, audit[0].actor.address.as_deref()), ("local", Some("127.0.0.1")));
}

#[tokio::test]
async fn another_recipient_and_transport_can_be_chosen() {
    let desk = desk_with_ways(ways(&["relay", "sendgrid"], None)).await;
    let id = desk.keep(1, "ann@example.com", "Welcome", &format!("To: ann@example.com\n{PLAIN}")).await;
    let got = release(&desk, id, &json!({"to": ["me@example.org"], "transport": "sendgrid"})).await;
    assert_eq!(got.status, 202, "{}", got.body);
    let record = email(&desk, 1, &got.json()["email_id"]).await;
    assert_eq!(record.email.recipients.len(), 1);
    assert_eq!(record.email.recipients[0].mailbox.address.as_str(), "me@example.org");
    assert_eq!(record.email.recipients[0].kind, RecipientKind::Bcc, "no header names it");
    for (wish, code, field) in [
        (json!({}), "required", "/transport"),
        (json!({"transport": "inbox"}), "invalid_value", "/transport"),
        (json!({"transport": "relay", "to": ["me@example.org", "nobody"]}), "invalid_email", "/to/1"),
        (json!({"transport": "relay", "to": [""]}), "invalid_email", "/to/0"),
        (
            json!({"transport": "relay", "to": ["a@b.example\r\nRCPT TO:<c@d.example>"]}),
            "invalid_email",
            "/to/0",
        ),
        (json!({"transport": "relay", "to": []}), "required", "/to"),
        (json!({"transport": "relay", "to": "me@example.org"}), "invalid_type", "/to"),
        (json!({"transport": "relay", "colour": "red"}), "unknown_field", "/colour"),
        (
            json!({"transport": "relay", "to": ["a@a.example", "b@a.example", "c@a.example", "d@a.example"]}),
            "too_many_recipients",
            "/to",
        ),
    ] {
        let got = release(&desk, id, &wish).await;
        assert_eq!((got.status, &got.json()["code"]), (422, &json!(code)), "{wish}: {}", got.body);
        assert_eq!(got.json()["errors"][0]["field"], field, "{wish}");
    }
    let uri = format!("/inbox/api/messages/{id}/release");
    for (headers, body, status) in
        [(vec![JSON], "{", 400), (vec![FORM], "to=x", 415), (vec![JSON, ("idempotency-key", "")], "{}", 422)]
    {
        let got = desk.submit("127.0.0.1", ("POST", &uri), &headers, body).await;
        assert_eq!(got.status, status, "{body}: {}", got.body);
    }
    assert_eq!(release(&desk, EmailId::from_bytes([9; 16]), &json!({})).await.status, 404);
}

#[tokio::test]
async fn without_a_transport_that_leads_out_nothing_is_released() {
    let desk = desk().await;
    let id = desk.keep(0, "ann@example.com", "Welcome", PLAIN).await;
    let got = release(&desk, id, &json!({})).await;
    assert_eq!((got.status, &got.json()["code"]), (409, &json!("no_transport")));
    let page = desk.get(&format!("/inbox/{id}")).await.body;
    assert!(
        page.contains("No transport leads out of this machine") && !page.contains("/release\""),
        "{page}"
    );
    let got = desk.post(&format!("/inbox/{id}/release"), "to=").await;
    assert_eq!(got.status, 409);
    assert!(got.body.contains("no transport leads out of this machine"), "{}", got.body);
}

#[tokio::test]
async fn a_key_releases_only_what_it_may_send() {
    let desk = desk_with_ways(ways(&["relay"], Some("relay"))).await;
    let own = desk.keep(0, "ann@example.com", "Mine", PLAIN).await;
    let other = desk.keep(1, "ann@example.com", "Theirs", PLAIN).await;
    let both = [Permission::EmailsRead, Permission::EmailsSend];
    let reader = desk.key(0, &[Permission::EmailsRead]).await;
    let test = desk.key_of(KeyMode::Test, 0, &both).await;
    let live = desk.key(0, &both).await;
    let ask = async |key: &str, id: InboxId| {
        let headers = [("x-api-key", key), ("host", "anything.example")];
        desk.send("192.0.2.7", "POST", &format!("/inbox/api/messages/{id}/release"), &headers).await
    };
    assert_eq!(ask(&reader, own).await.status, 403);
    let refused = ask(&test, own).await;
    assert_eq!(refused.status, 409);
    assert!(refused.body.contains("test key"), "{}", refused.body);
    assert_eq!(ask(&live, other).await.status, 404);
    let got = ask(&live, own).await;
    assert_eq!(got.status, 202, "{}", got.body);
    let record = email(&desk, 0, &got.json()["email_id"]).await;
    assert!(record.email.credential_id.is_some());
    // The key's limit holds here too: three in a minute.
    assert_eq!((ask(&live, own).await.status, ask(&live, own).await.status), (202, 202));
    let limited = ask(&live, own).await;
    assert_eq!((limited.status, &limited.json()["code"]), (429, &json!("rate_limited")));
    assert!(!limited.header("retry-after").is_empty());
    let nobody = desk.send("192.0.2.7", "POST", &format!("/inbox/{own}/release"), &[]).await;
    assert_eq!(nobody.status, 401);
}

#[tokio::test]
async fn the_same_release_happens_once() {
    let desk = desk_with_ways(ways(&["relay"], Some("relay"))).await;
    let id = desk.keep(0, "ann@example.com", "Welcome", PLAIN).await;
    let uri = format!("/inbox/api/messages/{id}/release");
    let keyed = [JSON, ("idempotency-key", "k-1")];
    let first = desk.submit("127.0.0.1", ("POST", &uri), &keyed, "{}").await;
    let again = desk.submit("127.0.0.1", ("POST", &uri), &keyed, "{}").await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (202, "true"));
    assert_eq!(again.json(), first.json());
    let other = desk.submit("127.0.0.1", ("POST", &uri), &keyed, r#"{"to":["b@c.example"]}"#).await;
    assert_eq!((other.status, &other.json()["code"]), (422, &json!("idempotency_key_reused")));
}

#[tokio::test]
async fn the_form_of_the_page_releases_and_says_so() {
    let desk = desk_with_ways(ways(&["relay", "backup"], Some("relay"))).await;
    let id = desk.keep(0, "ann@example.com", "Welcome", PLAIN).await;
    let page = desk.get(&format!("/inbox/{id}")).await.body;
    for part in [
        format!("<form method=\"post\" action=\"/inbox/{id}/release\">"),
        "<option value=\"relay\" selected>relay</option><option value=\"backup\">backup</option>".to_owned(),
        "placeholder=\"ann@example.com\"".to_owned(),
    ] {
        assert!(page.contains(&part), "{part}: {page}");
    }
    let (_, rest) = page.split_once("name=\"once\" value=\"").expect("a word of its own");
    let once = rest.split('"').next().expect("a word");
    let uri = format!("/inbox/{id}/release");
    let body = format!("once={once}&to=me%40example.org,+you%40example.org&transport=backup");
    let done = desk.post(&uri, &body).await;
    assert_eq!(done.status, 303, "{}", done.body);
    let to = done.header("location").to_owned();
    assert!(to.starts_with(&format!("/inbox/{id}?released=")), "{to}");
    let twice = desk.post(&uri, &body).await;
    assert_eq!((twice.status, twice.header("location")), (303, &*to), "a form sent twice releases once");
    let told = desk.get(&to).await.body;
    assert!(told.contains("Released to me@example.org, you@example.org: the new email is queued."), "{told}");
    let (_, email_id) = to.rsplit_once('=').expect("an id");
    let record = email(&desk, 0, &json!(email_id)).await;
    let Content::Raw { released_to, .. } = &record.email.content else { panic!("{record:?}") };
    assert_eq!(released_to.as_deref(), Some("backup"));
    let other = desk.keep(0, "ann@example.com", "Another", PLAIN).await;
    let page = desk.get(&format!("/inbox/{other}?released={email_id}")).await;
    assert!(page.status == 200 && !page.body.contains("Released to"), "{}", page.body);
    assert_eq!(desk.get(&format!("/inbox/{id}?released=x")).await.status, 400);
    let wrong = desk.post(&uri, "to=nobody").await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.body.contains("That did not work"), "{}", wrong.body);
}
