//! Chromium with JavaScript switched off: links and forms alone are enough.

use super::browser::at;
use super::{ROOT, default_client};
use crate::emails_api::email_to;
use crate::harness::Server;
use crate::harness::browser::{PASSWORD, make_event, make_user};
use crate::harness::chromium::Looks;
use crate::harness::scriptless::Scriptless;
use serde_json::json;

const OWNER: &str = "eo@example.com";

fn log_in(browser: &Scriptless, server: &Server, email: &str) {
    browser.open(&at(server, "/login?lang=en"));
    browser.fill("#email", email);
    browser.fill("#password", PASSWORD);
    browser.click("form .primary");
    browser.wait_for("form[action='/logout']");
}

fn log_out(browser: &Scriptless) {
    browser.click(".self summary");
    browser.click("form[action='/logout'] button");
    browser.wait_for("#password");
}

#[test]
fn an_organizer_needs_no_script() {
    let server = Server::inbox();
    make_user(&server, OWNER, "eo");
    make_event(&server, "Konser", OWNER);
    let browser = Scriptless::start(Looks::default());
    log_in(&browser, &server, OWNER);
    assert!(browser.html("[data-live-state]").contains("hidden"), "no script runs");
    browser.fill("#send-to", "boss@client.com");
    browser.click("form[data-send] .primary");
    browser.wait_for_url("said=sent");
    assert!(browser.html("[data-said]").contains("The report is on its way."));
    assert!(browser.html("#deliveries").contains("boss@client.com"));

    browser.click("[data-resend]");
    browser.wait_for_url("/resend");
    assert!(browser.html("#to_email").contains("boss@client.com"));
    browser.click(".choices .primary");
    browser.wait_for_url("said=sent");
    browser.wait_for("#deliveries tbody tr + tr");

    browser.click("#count-failed");
    browser.wait_for_url("status=failed");
    browser.wait_for("#deliveries .empty");
    assert!(browser.html("[name=status] option[selected]").contains("failed"));
    log_out(&browser);
}

#[test]
fn an_operator_needs_no_script() {
    let server = Server::inbox();
    make_user(&server, ROOT, "admin");
    server.send(&email_to("ann@client.com", "x"));
    let mut other = email_to("bob@client.com", "x");
    other["subject"] = json!("Something else");
    server.wait_status(&server.send(&other), "sent");
    let browser = Scriptless::start(Looks { phone: true });
    log_in(&browser, &server, ROOT);
    browser.click(".places a[href='/admin/emails']");
    browser.wait_for("[name=q]");
    browser.fill("[name=q]", "to:bob@client.com");
    browser.click("form.filters button");
    browser.wait_for_url("q=to");
    assert!(!browser.html("#emails").contains("ann@client.com"));
    browser.click("#emails a");
    browser.wait_for("#timeline");
    assert!(browser.html("h1").contains("Something else"));

    browser.open(&at(&server, &format!("/admin/templates/{}", default_client(&server))));
    browser.fill("#code", "welcome");
    browser.fill("#subject", "Hi {{ name }}");
    browser.fill("#html", "<p>Hi {{ name }}</p>");
    browser.click("form[data-preview] .primary");
    browser.wait_for_url("code=welcome");
    assert!(browser.html("#html").contains("Hi {{ name }}"));
    assert!(browser.html(".heading").contains("version 1 of 1"));
    log_out(&browser);
}
