//! What the report itself says: the figures of the event's mail, the chart, the rows.

use super::organizer::{organizer, refusing};
use crate::emails_api::email_to;
use crate::harness::wait::eventually;
use crate::harness::{Relay, Server, ServerOptions};
use serde_json::{Value, json};

fn mail(event: i64, to: &str, subject: &str) -> Value {
    let mut email = email_to(to, "hello");
    email["subject"] = json!(subject);
    email["event_id"] = json!(event);
    email
}

/// The newest message of the inbox to this address: subject, HTML, text and attachments.
fn report(server: &Server, to: &str) -> Value {
    eventually("the report comes", || {
        let list = server.get("/inbox/api/messages").expect(200).json();
        let found = list["data"].as_array()?.iter().find(|one| one["to"].to_string().contains(to))?;
        let id = found["id"].as_str()?.to_owned();
        Some(server.get(&format!("/inbox/api/messages/{id}")).expect(200).json())
    })
}

#[test]
fn a_report_holds_real_figures() {
    let server = Server::inbox();
    let (browser, event) = organizer(&server, "Konser");
    for number in 0..3 {
        let id = server.send(&mail(event, &format!("guest{number}@client.com"), "Tiket, \"baris 1\""));
        server.wait_status(&id, "sent");
    }
    server.send(&email_to("stranger@client.com", "not of the event"));
    let number = event.to_string();
    let fields = [("event_id", number.as_str()), ("to_email", "boss@client.com")];
    browser.get("/eo/email-reports?lang=en").expect(200);
    browser.ajax("/eo/email-reports/send", &fields).expect(200);
    let report = report(&server, "boss@client.com");
    assert_eq!(report["subject"], "Laporan Event: Konser");
    let metrics = server.get("/metrics").text();
    assert!(metrics.contains("posthaste_accepted_total{surface=\"eo\"} 1"), "{metrics}");
    let text = report["text"].as_str().expect("text");
    assert!(
        text.contains("Sent: 3") && text.contains("Total: 3") && text.contains("Delivery rate: 100.0%"),
        "{text}"
    );
    assert!(text.contains(&format!("/eo/email-reports?event_id={event}")), "{text}");
    let html = report["html"].as_str().expect("html");
    assert!(html.contains("cid:chart") && html.contains("lang=\"en\""), "{html}");
    let files = report["attachments"].as_array().expect("a list");
    let names: Vec<&str> = files.iter().filter_map(|file| file["filename"].as_str()).collect();
    assert_eq!(names, ["chart.png", &format!("report-event-{event}.csv")]);

    let id = report["id"].as_str().expect("an id");
    let csv = server.get(&format!("/inbox/api/messages/{id}/attachments/1")).expect(200).text();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], "id,requested_at,to,subject,status,failure_code,failure_message,sent_at");
    assert_eq!(lines.len(), 4, "{csv}");
    assert!(lines[1].contains("guest0@client.com,\"Tiket, \"\"baris 1\"\"\",sent,,,"), "{csv}");
    let png = server.get(&format!("/inbox/api/messages/{id}/attachments/0")).expect(200);
    assert!(png.body.starts_with(b"\x89PNG\r\n\x1a\n"));
}

#[test]
fn only_its_own_client_names_an_event() {
    let server = Server::inbox();
    let (_, event) = organizer(&server, "Konser");
    let key = server.new_client("rival");
    let mut email = mail(event, "a@client.com", "x");
    email["from"] = json!("x@rival.example");
    let refused = server.post_with("/api/emails", &[("X-Api-Key", &key)], &email).expect(422).json();
    assert_eq!(refused["errors"][0]["code"], "unknown_event", "{refused}");
    server.send(&mail(event, "a@client.com", "x"));
}

#[test]
fn a_report_is_from_the_operator_whatever_domains_its_client_has() {
    let options = ServerOptions::default().env("MAIL_FROM_ADDRESS", "noreply@operator.example");
    let server = Server::start(options);
    let (browser, event) = organizer(&server, "Konser");
    server.cli_json(&["domain", "create", "shop.example", "--client", "default"]);
    let event = event.to_string();
    browser
        .ajax("/eo/email-reports/send", &[("event_id", &event), ("to_email", "boss@client.com")])
        .expect(200);
    let report = report(&server, "boss@client.com");
    assert!(report["from"].to_string().contains("noreply@operator.example"), "{report}");
}

#[test]
fn an_erased_recipient_of_a_report_is_in_no_file() {
    let server = Server::inbox();
    let (browser, event) = organizer(&server, "Konser");
    let event = event.to_string();
    let fields = [("event_id", event.as_str()), ("to_email", "\u{c4}canary77@client.com")];
    browser.ajax("/eo/email-reports/send", &fields).expect(200);
    eventually("it is sent", || {
        let data = browser.get_json("/eo/email-reports/data?status=sent").expect(200).json();
        data["deliveries"].as_array().is_some_and(|list| !list.is_empty()).then_some(())
    });
    report(&server, "canary77@client.com");
    let admin = server.new_key(&["--client", "default", "--permission", "admin"]);
    let asked = [("X-Api-Key", admin.as_str())];
    let path = "/api/recipients/%C3%84canary77@client.com";
    let erased = server.try_request("DELETE", path, &asked, b"").expect("an answer").expect(200).json();
    assert_eq!(erased["inbox_messages"], 1, "{erased}");
    let data = browser.get_json("/eo/email-reports/data").expect(200).json();
    assert_eq!(data["deliveries"][0]["to_email"], "erased@erased.invalid", "{data}");
    for entry in std::fs::read_dir(server.data()).expect("the data") {
        let path = entry.expect("an entry").path();
        let bytes = std::fs::read(&path).unwrap_or_default();
        assert!(!bytes.windows(8).any(|window| window == b"canary77"), "{}", path.display());
    }
}

#[test]
fn failures_are_told_with_their_reasons() {
    let relay = Relay::start(refusing());
    let server = Server::to_relay(&relay);
    let (browser, event) = organizer(&server, "Konser");
    let event = event.to_string();
    browser
        .ajax("/eo/email-reports/send", &[("event_id", &event), ("to_email", "bad@client.com")])
        .expect(200);
    let failed = eventually("the report fails", || {
        let data = browser.get_json("/eo/email-reports/data?status=failed").expect(200).json();
        data["deliveries"].as_array().and_then(|list| list.first().cloned())
    });
    assert_eq!(failed["failure_code"], "invalid_email", "{failed}");
    assert!(failed["failure_message"].as_str().is_some_and(|said| said.contains("no such user")), "{failed}");
    let page = browser.get("/eo/email-reports").expect(200).text();
    assert!(page.contains("no such user"), "{page}");
}
