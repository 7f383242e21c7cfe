//! Sending, sending again, filters, data.

use super::organizer::organizer;
use crate::harness::browser::Browser;
use crate::harness::wait::eventually;
use crate::harness::{ObjectStore, Relay, Server, ServerOptions};
use serde_json::{Value, json};

fn deliveries(browser: &Browser, query: &str) -> Vec<Value> {
    let data = browser.get_json(&format!("/eo/email-reports/data{query}")).expect(200).json();
    data["deliveries"].as_array().expect("a list").clone()
}

#[test]
fn a_report_is_sent_and_seen() {
    let relay = Relay::accepting();
    let server = Server::to_relay(&relay);
    let (browser, event) = organizer(&server, "Nama Event");
    let number = event.to_string();
    let made =
        browser.ajax("/eo/email-reports/send", &[("event_id", &number), ("to_email", "ann@client.com")]);
    let made = made.expect(200).json();
    let id = made["delivery_id"].as_i64().expect("a number");
    assert_eq!(made, json!({"ok": true, "delivery_id": id}));
    let sent = eventually("the report is sent", || {
        deliveries(&browser, "").into_iter().find(|one| one["status"] == "sent")
    });
    assert_eq!(relay.only_message().recipients, ["ann@client.com"]);
    let keys: Vec<&String> = sent.as_object().expect("an object").keys().collect();
    assert_eq!(
        keys,
        [
            "id",
            "event_id",
            "event_name",
            "to_email",
            "subject",
            "status",
            "attempts",
            "created_at",
            "first_attempt_at",
            "last_attempt_at",
            "sent_at",
            "failure_code",
            "failure_message"
        ]
    );
    assert_eq!(sent["id"], id);
    assert_eq!(sent["event_id"], event);
    assert_eq!(sent["event_name"], "Nama Event");
    assert_eq!(sent["subject"], "Laporan Event: Nama Event");
    assert_eq!(sent["attempts"], 1);
    assert_eq!((&sent["failure_code"], &sent["failure_message"]), (&Value::Null, &Value::Null));
    for field in ["created_at", "first_attempt_at", "last_attempt_at", "sent_at"] {
        let at = sent[field].as_str().expect("a time");
        assert!(at.len() == 27 && at.ends_with('Z') && at.as_bytes()[19] == b'.', "{field} {at}");
    }

    let again = browser.ajax(&format!("/eo/email-reports/{id}/resend"), &[]).expect(200).json();
    let second = again["delivery_id"].as_i64().expect("a number");
    assert_ne!(second, id);
    let changed = [("to_email", "bob@client.com")];
    browser.ajax(&format!("/eo/email-reports/{id}/resend"), &changed).expect(200);
    let to: Vec<Value> = deliveries(&browser, "").iter().map(|one| one["to_email"].clone()).collect();
    assert_eq!(to, ["bob@client.com", "ann@client.com", "ann@client.com"]);
    browser.ajax("/eo/email-reports/99999/resend", &[]).expect(404);
    browser.ajax("/eo/email-reports/x/resend", &[]).expect(404);
}

#[test]
fn faults_are_named_by_field() {
    let server = Server::inbox();
    let (browser, event) = organizer(&server, "Nama Event");
    let event = event.to_string();
    for (fields, wrong) in [
        (vec![], vec!["event_id", "to_email"]),
        (vec![("event_id", "x"), ("to_email", "a@b.com")], vec!["event_id"]),
        (vec![("event_id", event.as_str()), ("to_email", "nonsense")], vec!["to_email"]),
        (vec![("event_id", event.as_str()), ("to_email", "a@b.com\r\nBcc: x@y.com")], vec!["to_email"]),
        (vec![("event_id", event.as_str()), ("to_email", "a@b.com\n")], vec!["to_email"]),
        (vec![("event_id", event.as_str()), ("to_email", "a\0@b.com")], vec!["to_email"]),
        (
            vec![("event_id", event.as_str()), ("to_email", "a@b.com"), ("subject", "a\r\nBcc: x")],
            vec!["subject"],
        ),
        (vec![("event_id", event.as_str()), ("to_email", "a@b.com"), ("subject", "a\r\n")], vec!["subject"]),
        (
            vec![("event_id", event.as_str()), ("to_email", "a@b.com"), ("date_from", "2026-02-30")],
            vec!["date_from"],
        ),
        (
            vec![
                ("event_id", event.as_str()),
                ("to_email", "a@b.com"),
                ("date_from", "2026-02-02"),
                ("date_to", "2026-02-01"),
            ],
            vec!["date_to"],
        ),
        (vec![("event_id", event.as_str()), ("to_email", "a@b.com"), ("status", "gone")], vec!["status"]),
    ] {
        let answer = browser.ajax("/eo/email-reports/send", &fields).expect(422).json();
        assert_eq!(answer["ok"], false);
        let named: Vec<&String> = answer["errors"].as_object().expect("an object").keys().collect();
        assert_eq!(named, wrong, "{fields:?}");
        assert!(answer["errors"][wrong[0]][0].is_string());
    }
    assert_eq!(deliveries(&browser, ""), Vec::<Value>::new(), "nothing is stored");
}

/// Such a body is no empty form: that would send the report once more to the old address.
#[test]
fn a_body_that_is_no_form_sends_nothing() {
    let server = Server::inbox();
    let (browser, event) = organizer(&server, "Nama Event");
    let number = event.to_string();
    let fields = [("event_id", number.as_str()), ("to_email", "a@client.com")];
    let made = browser.ajax("/eo/email-reports/send", &fields).expect(200).json();
    let again = format!("/eo/email-reports/{}/resend", made["delivery_id"]);
    let token = browser.token();
    let said = |kind: &str, body: &[u8]| {
        let headers = [("X-CSRF-TOKEN", token.as_str()), ("Content-Type", kind)];
        let answer = browser.send("POST", &again, &headers, body);
        (answer.status, answer.json())
    };
    let form = "application/x-www-form-urlencoded";
    for (body, field) in
        [("to_email=b%00@client.com", "to_email"), ("to_email=b%zz", "to_email"), ("x=%zz", "form")]
    {
        let (status, answer) = said(form, body.as_bytes());
        assert_eq!(status, 422, "{body}");
        assert!(answer["errors"][field][0].is_string(), "{body}: {answer}");
    }
    let refused = json!({"ok": false, "error": "unsupported_media_type"});
    for kind in ["application/json", "text/plain", "multipart/form-data"] {
        assert_eq!(said(kind, br#"{"to_email": "b@client.com"}"#), (415, refused.clone()), "{kind}");
    }
    assert_eq!(deliveries(&browser, "").len(), 1, "nothing was sent again");
    assert_eq!(said(form, b"").0, 200);
}

#[test]
fn filters_are_applied_and_echoed() {
    let server = Server::inbox();
    let (browser, event) = organizer(&server, "Nama Event");
    let number = event.to_string();
    for _ in 0..3 {
        let fields = [("event_id", number.as_str()), ("to_email", "a@client.com"), ("subject", "Mine")];
        browser.ajax("/eo/email-reports/send", &fields).expect(200);
    }
    let query = format!("?event_id={event}&status=failed&date_from=2026-01-01&date_to=2026-01-31");
    let data = browser.get_json(&format!("/eo/email-reports/data{query}")).expect(200).json();
    let filters =
        json!({"event_id": event, "status": "failed", "date_from": "2026-01-01", "date_to": "2026-01-31"});
    assert_eq!(data, json!({"ok": true, "filters": filters, "deliveries": []}));
    let all = eventually("all three are sent", || {
        let all = deliveries(&browser, "");
        all.iter().all(|delivery| delivery["status"] == "sent").then_some(all)
    });
    assert_eq!(all.len(), 3);
    assert_eq!(deliveries(&browser, "?limit=2"), all[..2]);
    assert_eq!(deliveries(&browser, &format!("?before_id={}", all[1]["id"])), all[2..]);
    assert_eq!(deliveries(&browser, &format!("?event_id={}", event + 1)), Vec::<Value>::new());
    for bad in
        ["date_from=31-01-2026", "limit=201", "limit=0", "status=delivered", "event_id=abc", "before_id=x"]
    {
        let answer = browser.get_json(&format!("/eo/email-reports/data?{bad}")).expect(422).json();
        let field = bad.split('=').next().unwrap_or_default();
        assert!(answer["errors"][field][0].is_string(), "{bad}: {answer}");
    }
}

#[test]
fn the_page_tells_faults_in_its_language() {
    let server = Server::inbox();
    let (browser, _) = organizer(&server, "Nama Event");
    let page = |query: &str| browser.get(&format!("/eo/email-reports?{query}")).expect(422).text();
    assert!(page("lang=id&date_from=kemarin").contains("Tanggal awal ditulis seperti"), "in Indonesian");
    assert!(page("lang=en&date_from=yesterday").contains("date_from is a date"), "in English");
}

#[test]
fn forms_without_a_script_lead_back_with_a_message() {
    let server = Server::inbox();
    let (browser, event) = organizer(&server, "Nama Event");
    let number = event.to_string();
    let page = browser.get("/eo/email-reports").expect(200).text();
    assert!(page.contains("action=\"/eo/email-reports/send\"") && page.contains("Nama Event"));
    assert!(page.len() < 100_000);
    let fields = [("event_id", number.as_str()), ("to_email", "a@client.com")];
    let back = browser.post("/eo/email-reports/send", &fields).expect(303);
    assert_eq!(back.header("location"), Some("/eo/email-reports?said=sent"));
    let page = browser.get("/eo/email-reports?said=sent").expect(200).text();
    assert!(page.contains("Laporan sedang dikirim."), "{page}");
    let id = deliveries(&browser, "")[0]["id"].clone();
    let question = browser.get(&format!("/eo/email-reports/{id}/resend")).expect(200).text();
    assert!(question.contains("value=\"a@client.com\""), "{question}");
    let back =
        browser.post(&format!("/eo/email-reports/{id}/resend"), &[("to_email", "nonsense")]).expect(303);
    assert_eq!(back.header("location"), Some("/eo/email-reports?said=bad_to_email"));
    browser.get("/eo/email-reports?status=nonsense").expect(422);
}

#[test]
fn multipart_forms_are_taken() {
    let server = Server::inbox();
    let (browser, event) = organizer(&server, "Nama Event");
    let body = format!(
        "--B\r\nContent-Disposition: form-data; name=\"event_id\"\r\n\r\n{event}\r\n--B\r\n\
         Content-Disposition: form-data; name=\"to_email\"\r\n\r\na@client.com\r\n--B--\r\n"
    );
    let token = browser.token();
    let headers = [("X-CSRF-TOKEN", token.as_str()), ("Content-Type", "multipart/form-data; boundary=B")];
    browser.send("POST", "/eo/email-reports/send", &headers, body.as_bytes()).expect(200);
}

#[test]
fn thirty_reports_a_minute_and_no_more() {
    let server = Server::inbox();
    let (browser, event) = organizer(&server, "Nama Event");
    let number = event.to_string();
    for _ in 0..30 {
        let refused = browser.ajax("/eo/email-reports/send", &[("event_id", &number)]).status;
        assert_eq!(refused, 422);
    }
    let fields = [("event_id", number.as_str()), ("to_email", "a@client.com")];
    let refused = browser.ajax("/eo/email-reports/send", &fields).expect(429);
    assert_eq!(refused.json(), json!({"ok": false, "error": "too_many_requests"}));
    assert!(refused.header("retry-after").is_some());
}

#[test]
fn the_same_key_sends_once() {
    let server = Server::inbox();
    let (browser, event) = organizer(&server, "Nama Event");
    let number = event.to_string();
    let token = browser.token();
    let headers = [("X-CSRF-TOKEN", token.as_str()), ("Idempotency-Key", "k1")];
    let fields = [("event_id", number.as_str()), ("to_email", "a@client.com")];
    let first = browser.post_form("/eo/email-reports/send", &headers, &fields).expect(200);
    let second = browser.post_form("/eo/email-reports/send", &headers, &fields).expect(200);
    assert_eq!(first.text(), second.text());
    assert_eq!(second.header("idempotency-replayed"), Some("true"));
    assert_eq!(deliveries(&browser, "").len(), 1);
    let other = [("event_id", number.as_str()), ("to_email", "b@client.com")];
    let refused = browser.post_form("/eo/email-reports/send", &headers, &other).expect(409);
    assert_eq!(refused.json()["error"], "idempotency_key_reused");
}

#[test]
fn a_report_that_could_not_be_taken_is_not_sent_later_beside_the_next_try() {
    // A report has attachments, and nowhere to put them.
    let (mut store, relay) = (ObjectStore::start(), Relay::accepting());
    let server = Server::start(store.used_by(ServerOptions::to_relay(&relay)));
    let (browser, event) = organizer(&server, "Nama Event");
    let number = event.to_string();
    let token = browser.token();
    let headers = [("X-CSRF-TOKEN", token.as_str()), ("Idempotency-Key", "k1")];
    let fields = [("event_id", number.as_str()), ("to_email", "ann@client.com")];
    store.stop();
    let refused = browser.post_form("/eo/email-reports/send", &headers, &fields).expect(503);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(deliveries(&browser, ""), Vec::<Value>::new(), "what was refused waits all the same");
    store.begin();
    server.wait_healthy();
    let made = browser.post_form("/eo/email-reports/send", &headers, &fields).expect(200);
    assert_eq!(made.header("idempotency-replayed"), None, "the refusal was kept");
    eventually("the report is sent", || {
        deliveries(&browser, "").iter().all(|one| one["status"] == "sent").then_some(())
    });
    assert_eq!(deliveries(&browser, "").len(), 1);
    assert_eq!(relay.only_message().recipients, ["ann@client.com"]);
}

#[test]
fn names_of_strangers_stay_text() {
    let server = Server::inbox();
    let (browser, event) = organizer(&server, "<script>alert(1)</script>");
    let event = event.to_string();
    let fields =
        [("event_id", event.as_str()), ("to_email", "a@client.com"), ("subject", "<img src=x onerror=1>")];
    browser.ajax("/eo/email-reports/send", &fields).expect(200);
    let page = browser.get("/eo/email-reports").expect(200);
    let policy = page.header("content-security-policy").expect("a policy").to_owned();
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    let text = page.text();
    assert!(!text.contains("<script>alert") && !text.contains("<img src=x"), "{text}");
    assert!(text.contains("&#60;script&#62;alert(1)"), "{text}");
}
