//! The inbox through its door: who gets in, what is answered, and that hostile mail stays text.

mod clients;
mod desk;
mod forms;
mod release;

use desk::{HOSTILE, START, desk};
use posthaste_model::credential::Permission;
use posthaste_model::{EmailId, Timestamp};
use serde_json::{Value, json};

const PLAIN: &str =
    "Subject: Welcome\nContent-Type: text/plain\n\nYour code is 482913\nhttps://shop.example/x\n";

#[tokio::test]
async fn a_message_as_json() {
    let desk = desk().await;
    let id = desk.keep(0, "ann@example.com", "Welcome", PLAIN).await;
    let email_id = EmailId::new(desk.clock.now(), [3; 10]);
    let list = desk.get("/inbox/api/messages").await;
    assert_eq!(list.status, 200);
    let line = json!({
        "id": id, "email_id": email_id, "client_id": desk.clients[0], "from": "Shop <shop@example.com>", "to": ["ann@example.com"],
        "subject": "Welcome", "size": 91, "received_at": "2026-12-01T01:00:01.000Z",
    });
    assert_eq!(list.json(), json!({"data": [line], "next": null}));
    let full = desk.get(&format!("/inbox/api/messages/{id}")).await;
    let mut wanted = line;
    for (name, value) in [
        ("envelope", json!({"from": "bounce@example.com", "to": ["ann@example.com"]})),
        (
            "headers",
            json!([
                {"name": "Subject", "value": "Welcome"}, {"name": "Content-Type", "value": "text/plain"},
            ]),
        ),
        ("text", json!("Your code is 482913\nhttps://shop.example/x\n")),
        ("html", Value::Null),
        ("attachments", json!([])),
        ("parts", json!([{"index": 0, "depth": 0, "mime": "text/plain", "size": 45, "filename": null}])),
        ("links", json!(["https://shop.example/x"])),
        ("code", json!("482913")),
        ("truncated", json!(false)),
    ] {
        wanted[name] = value;
    }
    assert_eq!(full.json(), wanted);
    let source = desk.get(&format!("/inbox/api/messages/{id}/source")).await;
    assert_eq!(source.header("content-type"), "message/rfc822");
    assert_eq!(source.body, PLAIN.replace('\n', "\r\n"));
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let desk = desk().await;
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(desk.keep(0, &format!("u{}@example.com", number % 2), &format!("No {number}"), PLAIN).await);
    }
    let subjects = async |query: &str| {
        let got = desk.get(&format!("/inbox/api/messages?{query}")).await.json();
        let data = got["data"].as_array().expect("a list").clone();
        let subjects: Vec<String> =
            data.iter().map(|line| line["subject"].as_str().unwrap().into()).collect();
        (subjects.join(" "), got["next"].as_str().map(str::to_owned))
    };
    let (first, next) = subjects("limit=2").await;
    assert_eq!((&*first, next.as_deref()), ("No 4 No 3", Some(&*ids[3].to_string())));
    assert_eq!(subjects(&format!("limit=3&before={}", ids[3])).await, ("No 2 No 1 No 0".into(), None));
    assert_eq!(subjects("to=U1@EXAMPLE.com").await.0, "No 3 No 1");
    assert_eq!(subjects("q=no%202").await.0, "No 2");
    assert_eq!(subjects("q=%25").await.0, "");
    for query in ["limit=0", "before=x", "colour=red"] {
        let got = desk.get(&format!("/inbox/api/messages?{query}")).await;
        assert_eq!((got.status, &got.json()["code"]), (400, &json!("bad_request")), "{query}");
    }
}

#[tokio::test]
async fn a_wait_ends_when_the_message_comes() {
    let desk = desk().await;
    desk.keep(0, "ann@example.com", "A new one of yesterday", PLAIN).await;
    let old = desk.keep(0, "zoe@example.com", "Old", PLAIN).await;
    let uri = format!("/inbox/api/messages/wait?to=ann@example.com&subject=new&after={old}&timeout=30s");
    let (got, ()) = tokio::join!(desk.get(&uri), async {
        desk.keep(0, "bob@example.com", "New for Bob", PLAIN).await;
        desk.keep(0, "ann@example.com", "Another", PLAIN).await;
        desk.keep(0, "ann@example.com", "A new one", PLAIN).await;
        desk.keep(0, "ann@example.com", "A newer one", PLAIN).await;
    });
    assert_eq!((got.status, &got.json()["subject"]), (200, &json!("A new one")));
    let newest = desk.get("/inbox/api/messages/wait?to=ann@example.com").await;
    assert_eq!(newest.json()["subject"], "A newer one");
    let since = Timestamp::from_millis(START + 3_000);
    let first = desk.get(&format!("/inbox/api/messages/wait?after={since}")).await;
    assert_eq!(first.json()["subject"], "New for Bob");
    let never = desk.get("/inbox/api/messages/wait?to=eve@example.com&timeout=50ms").await;
    assert_eq!((never.status, &never.json()["code"]), (404, &json!("timeout")));
    let too_long = desk.get("/inbox/api/messages/wait?timeout=61s").await;
    assert_eq!(too_long.status, 400);
}

#[tokio::test]
async fn a_wait_does_not_hold_up_the_end() {
    let desk = desk().await;
    let (got, ()) = tokio::join!(desk.get("/inbox/api/messages/wait?timeout=60s"), async {
        desk.stopping.cancel();
    });
    assert_eq!((got.status, got.header("retry-after")), (503, "1"));
}

#[tokio::test]
async fn without_a_key_only_this_machine_gets_in() {
    let desk = desk().await;
    desk.keep(0, "ann@example.com", "Secret", PLAIN).await;
    for (peer, headers, status) in [
        ("127.0.0.1", vec![], 200),
        ("[::1]", vec![("host", "[::1]:8000")], 200),
        ("127.0.0.1", vec![("host", "localhost:8000")], 200),
        ("127.0.0.1", vec![("host", "Mail.Example.com")], 200),
        ("192.0.2.7", vec![], 401),
        // A proxy on this machine, trusted or not, speaks for others.
        ("127.0.0.1", vec![("x-forwarded-for", "203.0.113.5")], 401),
        ("127.0.0.1", vec![("x-forwarded-for", "127.0.0.1")], 401),
        ("127.0.0.1", vec![("forwarded", "for=203.0.113.5")], 401),
        ("127.0.0.1", vec![("via", "1.1 proxy")], 401),
        ("127.0.0.2", vec![("x-forwarded-for", "203.0.113.5")], 401),
        // Another name that was pointed at us.
        ("127.0.0.1", vec![("host", "evil.example")], 403),
        ("127.0.0.1", vec![("host", "127.0.0.1.evil.example")], 403),
        ("127.0.0.1", vec![("host", "mail.example.com.evil.example")], 403),
        ("127.0.0.1", vec![("x-api-key", "ph_live_wrong")], 401),
    ] {
        for uri in ["/inbox/api/messages", "/inbox"] {
            let got = desk.send(peer, "GET", uri, &headers).await;
            assert_eq!(got.status, status, "{uri} {peer} {headers:?}: {}", got.body);
            assert_eq!(got.body.contains("Secret"), status == 200, "{uri} {peer} {headers:?}");
        }
    }
}

#[tokio::test]
async fn a_key_sees_and_deletes_its_own_mail_only() {
    let desk = desk().await;
    let own = desk.keep(0, "ann@example.com", "Mine", PLAIN).await;
    let others = desk.keep(1, "ann@example.com", "Theirs", PLAIN).await;
    let key = desk.key(0, &[Permission::EmailsRead]).await;
    let by_key = [("x-api-key", &*key), ("host", "anything.example")];
    let ask = async |method: &str, uri: &str| desk.send("192.0.2.7", method, uri, &by_key).await;
    let list = ask("GET", "/inbox/api/messages").await.json();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(list["data"][0]["id"], json!(own));
    for path in ["", "/source", "/attachments/0"] {
        assert_eq!(ask("GET", &format!("/inbox/api/messages/{others}{path}")).await.status, 404, "{path}");
    }
    assert_eq!(ask("GET", &format!("/inbox/{others}")).await.status, 404);
    assert_eq!(ask("DELETE", &format!("/inbox/api/messages/{others}")).await.status, 404);
    let waited = ask("GET", "/inbox/api/messages/wait?subject=Theirs&timeout=10ms").await;
    assert_eq!(waited.status, 404);
    assert_eq!(ask("DELETE", "/inbox/api/messages").await.json(), json!({"deleted": 1}));
    assert_eq!(desk.store.inbox_count(None).await.expect("a count"), 1);
    let sender = desk.key(0, &[Permission::EmailsSend]).await;
    let got = desk.send("127.0.0.1", "GET", "/inbox/api/messages", &[("x-api-key", &sender)]).await;
    assert_eq!((got.status, &got.json()["code"]), (403, &json!("forbidden")));
}

#[tokio::test]
async fn other_sites_cannot_delete() {
    let desk = desk().await;
    let id = desk.keep(0, "ann@example.com", "Keep me", PLAIN).await;
    for (method, uri) in [
        ("POST", format!("/inbox/{id}/delete")),
        ("POST", "/inbox/delete".to_owned()),
        ("POST", format!("/inbox/{id}/release")),
        ("POST", format!("/inbox/api/messages/{id}/release")),
        ("DELETE", format!("/inbox/api/messages/{id}")),
        ("DELETE", "/inbox/api/messages".to_owned()),
    ] {
        for header in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("origin", "http://127.0.0.1:9000"),
            ("origin", "null"),
        ] {
            let got = desk.send("127.0.0.1", method, &uri, &[header]).await;
            assert_eq!(got.status, 403, "{method} {uri} {header:?}");
        }
    }
    assert_eq!(desk.store.inbox_count(None).await.expect("a count"), 1);
    let got = desk.post(&format!("/inbox/{id}/delete"), "").await;
    assert_eq!((got.status, got.header("location")), (303, "/inbox"));
    desk.keep(0, "ann@example.com", "Two", PLAIN).await;
    let third = desk.keep(0, "ann@example.com", "Three", PLAIN).await;
    let got = desk.send("127.0.0.1", "DELETE", &format!("/inbox/api/messages/{third}"), &[]).await;
    assert_eq!(got.status, 204);
    assert_eq!(desk.send("127.0.0.1", "DELETE", "/inbox/api/messages?to=x", &[]).await.status, 400);
    assert_eq!(desk.post("/inbox/delete", "").await.status, 303);
    assert_eq!(desk.store.inbox_count(None).await.expect("a count"), 0);
}

#[tokio::test]
async fn pages_show_hostile_mail_as_text() {
    let desk = desk().await;
    let evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    let id = desk.keep(0, "\"<b>\"@example.com", evil, HOSTILE).await;
    let mut uris: Vec<String> = ["html", "text", "headers", "files", "parts", "links", "source"]
        .iter()
        .map(|view| format!("/inbox/{id}?view={view}"))
        .collect();
    uris.extend(["/inbox".to_owned(), format!("/inbox?q={}", "%3Cscript%3E"), "/inbox/nothing".to_owned()]);
    for uri in uris {
        let got = desk.get(&uri).await;
        assert!(got.status == 200 || uri.ends_with("nothing"), "{uri}: {}", got.status);
        let policy = got.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{uri}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{uri}: {policy}");
        let body = got.body.to_lowercase();
        for mark in ["<script>", "onerror=alert(1)>", "<b>", "javascript:alert", "style=\""] {
            let is_text = uri.contains("view=source") || uri.contains("view=text");
            // In text such words may stand, but never as a tag.
            assert!(!body.contains(mark) || (is_text && !mark.starts_with('<')), "{uri}: {mark}");
        }
        assert!(got.body.len() < 100_000, "{uri}: {}", got.body.len());
    }
}

#[tokio::test]
async fn the_frame_lets_nothing_run_or_load() {
    let desk = desk().await;
    let id = desk.keep(0, "ann@example.com", "Hostile", HOSTILE).await;
    let page = desk.get(&format!("/inbox/{id}")).await.body;
    assert!(
        page.contains(&format!("<iframe sandbox title=\"The message's HTML\" src=\"/inbox/{id}/html\"")),
        "{page}"
    );
    let frame = desk.get(&format!("/inbox/{id}/html")).await;
    let policy = frame.header("content-security-policy");
    for part in
        ["default-src 'none'", "script-src 'none'", "form-action 'none'", "base-uri 'none'", "; sandbox"]
    {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("http") && !policy.contains('*'), "{policy}");
    assert_eq!(frame.header("x-content-type-options"), "nosniff");
    assert_eq!(frame.header("referrer-policy"), "no-referrer");
    assert_eq!(frame.header("content-type"), "text/html; charset=utf-8");
    assert!(
        frame.body.contains(&format!("src=\"/inbox/api/messages/{id}/attachments/0\"")),
        "{}",
        frame.body
    );
    assert!(!frame.body.contains("<link") && !frame.body.contains("<meta"), "{}", frame.body);
}

#[tokio::test]
async fn attachments_are_files_of_a_safe_type() {
    let desk = desk().await;
    let id = desk.keep(0, "ann@example.com", "Hostile", HOSTILE).await;
    let full = desk.get(&format!("/inbox/api/messages/{id}")).await.json();
    let files = full["attachments"].as_array().expect("a list");
    assert_eq!(files.len(), 3, "{files:?}");
    for (index, media_type) in
        ["image/png", "application/octet-stream", "application/octet-stream"].iter().enumerate()
    {
        let got = desk.get(&format!("/inbox/api/messages/{id}/attachments/{index}")).await;
        assert_eq!((got.status, got.header("content-type")), (200, *media_type));
        assert!(got.header("content-disposition").starts_with("attachment; filename=\""));
        assert!(!got.header("content-disposition").contains(".."));
        assert_eq!(got.header("x-content-type-options"), "nosniff");
        assert!(got.header("content-security-policy").contains("sandbox"));
    }
    for index in ["3", "-1", "x", "99999999999999999999"] {
        assert_eq!(desk.get(&format!("/inbox/api/messages/{id}/attachments/{index}")).await.status, 404);
        let part = index.replace('3', "8");
        assert_eq!(desk.get(&format!("/inbox/api/messages/{id}/parts/{part}")).await.status, 404);
    }
    let parts = full["parts"].as_array().expect("a list");
    let page = desk.get(&format!("/inbox/{id}?view=parts")).await.body;
    for (index, part) in parts.iter().enumerate() {
        let at = format!("/inbox/api/messages/{id}/parts/{index}");
        let got = desk.get(&at).await;
        assert!(got.header("content-disposition").starts_with("attachment; filename=\""), "{part}");
        assert!(got.header("content-security-policy").contains("sandbox"));
        assert!(matches!(
            got.header("content-type"),
            "image/png" | "text/plain" | "application/octet-stream"
        ));
        assert!(page.contains(&format!("href=\"{at}\" download")), "{page}");
    }
    assert_eq!(parts.len(), 7, "{parts:?}");
}

#[tokio::test]
async fn the_list_works_by_its_links_alone() {
    let desk = desk().await;
    assert!(desk.get("/inbox").await.body.contains("No mail yet"));
    for number in 0..60 {
        desk.keep(0, "ann@example.com", &format!("No {number} of 60"), PLAIN).await;
    }
    let first = desk.get("/inbox?q=of+60").await.body;
    assert!(first.contains("No 59 of 60") && !first.contains("No 9 of 60"), "{first}");
    assert!(first.contains("data-wait=\"/inbox/api/messages/wait?q=of%2060&#38;timeout=50s\""), "{first}");
    let (_, rest) = first.split_once("rel=\"next\" href=\"").expect("a link to older mail");
    let older = rest.split('"').next().expect("an address").replace("&#38;", "&");
    let second = desk.get(&older).await.body;
    assert!(second.contains("No 9 of 60") && second.contains("href=\"/inbox?q=of%2060\""), "{second}");
    assert!(!second.contains("data-wait"));
    assert!(desk.get("/inbox?q=nobody").await.body.contains("No message matches"));
}

#[tokio::test]
async fn a_source_that_is_gone_is_told() {
    let desk = desk().await;
    let id = desk.keep(0, "ann@example.com", "Gone", PLAIN).await;
    let message = desk.store.inbox_get(None, id).await.expect("a store").expect("a message");
    desk.blobs.remove(&message.sha256, Timestamp::from_millis(i64::MAX)).await.expect("removed");
    let got = desk.get(&format!("/inbox/api/messages/{id}")).await;
    assert_eq!((got.status, &got.json()["detail"]), (404, &json!("the message's source is gone")));
    assert_eq!(desk.get(&format!("/inbox/{id}")).await.status, 404);
    assert_eq!(desk.get("/inbox/api/nothing").await.status, 404);
}

#[tokio::test]
async fn large_and_deep_messages_are_cut() {
    let desk = desk().await;
    let large = format!("Content-Type: text/html\n\n{}", "<p>x\n".repeat(800_000));
    let id = desk.keep(0, "ann@example.com", "Large", &large).await;
    let page = desk.get(&format!("/inbox/{id}")).await.body;
    assert!(page.contains("beginning of a very large HTML"), "{page}");
    assert!(desk.get(&format!("/inbox/{id}/html")).await.body.len() < 2_200_000);
    let source = desk.get(&format!("/inbox/{id}?view=source")).await.body;
    assert!(source.contains("Only the beginning") && source.len() < 1_600_000);
    let deep = (0..300).fold(String::new(), |deep, number| {
        format!("{deep}Content-Type: multipart/mixed; boundary=b{number}\n\n--b{number}\n")
    });
    let id = desk.keep(0, "ann@example.com", "Deep", &deep).await;
    assert_eq!(desk.get(&format!("/inbox/{id}?view=files")).await.status, 200);
    assert_eq!(desk.get(&format!("/inbox/api/messages/{id}")).await.json()["truncated"], json!(true));
}
