//! A report that is not out in time is told to its organizer, once; changes are told to whoever looks.

use super::organizer::{OWNER, organizer, refusing};
use crate::harness::wait::eventually;
use crate::harness::{Relay, Server, ServerOptions};

#[test]
fn a_report_that_failed_raises_one_notice() {
    let relay = Relay::start(refusing());
    let server = Server::start(ServerOptions::to_relay(&relay).env("POSTHASTE_EO__ATTENTION_AFTER", "1s"));
    let (browser, event) = organizer(&server, "Konser");
    let event = event.to_string();
    browser
        .ajax("/eo/email-reports/send", &[("event_id", &event), ("to_email", "bad@client.com")])
        .expect(200);
    eventually("the page tells of it", || {
        browser.get("/eo/email-reports").expect(200).text().contains("Perlu perhatian").then_some(())
    });
    let told = || relay.messages().iter().filter(|taken| taken.recipients == [OWNER]).count();
    eventually("the organizer is told by email", || (told() == 1).then_some(()));
    let data = browser.get_json("/eo/email-reports/data").expect(200).json();
    let id = data["deliveries"][0]["id"].clone();
    browser.post(&format!("/eo/email-reports/{id}/dismiss"), &[]).expect(303);
    assert!(!browser.get("/eo/email-reports").expect(200).text().contains("Perlu perhatian"));
    assert_eq!(told(), 1);
}

#[test]
fn whoever_looks_is_told_of_changes() {
    let server = Server::inbox();
    let (browser, event) = organizer(&server, "Konser");
    let event = event.to_string();
    let mut stream = server.connect();
    let cookie = browser.cookie("posthaste_session").expect("a cookie");
    let head = format!(
        "GET /eo/email-reports/live HTTP/1.1\r\nHost: x\r\nCookie: posthaste_session={cookie}\r\n\r\n"
    );
    stream.write(head.as_bytes()).expect("taken");
    let begun = stream.read_until("retry: 1000");
    assert!(begun.contains("text/event-stream"), "{begun}");
    browser.ajax("/eo/email-reports/send", &[("event_id", &event), ("to_email", "a@client.com")]).expect(200);
    stream.read_until("event: changed");
}
