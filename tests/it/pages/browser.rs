//! The pages in a real browser: wide and narrow, by keyboard, live.

use super::{PAGES, default_client};
use crate::emails_api::email_to;
use crate::eo::organizer::refusing;
use crate::harness::browser::{Browser, PASSWORD, make_event, make_user};
use crate::harness::chromium::{Chromium, Looks, keys};
use crate::harness::{Relay, Server, ServerOptions, eventually};
use serde_json::json;

const OWNER: &str = "eo@example.com";
const LIST: &str = "/eo/email-reports";

pub(super) fn at(server: &Server, path: &str) -> String {
    format!("http://{}{path}", server.address())
}

pub(super) fn log_in(browser: &Chromium, server: &Server, email: &str) {
    browser.open(&at(server, "/login?lang=en"));
    browser.fill("#email", email);
    browser.fill("#password", PASSWORD);
    browser.click("form .primary");
    browser.wait_for("logged in", "return document.querySelector(\"form[action='/logout']\") !== null");
}

fn installation() -> (Server, String) {
    let server = Server::inbox();
    make_user(&server, OWNER, "eo");
    let event = make_event(&server, "Konser", OWNER).to_string();
    (server, event)
}

#[test]
fn an_organizer_sends_filters_and_sends_again() {
    let (server, event) = installation();
    let browser = Chromium::start(Looks::default());
    log_in(&browser, &server, OWNER);
    browser.wait_for("the list comes first", &format!("return location.pathname === '{LIST}'"));
    browser.fill("#send-to", "boss@client.com");
    browser.click("form[data-send] .primary");
    browser.wait_for(
        "the report stands in the list and is sent",
        "return !!document.querySelector('#deliveries .is-sent')",
    );
    assert_eq!(browser.text("[data-said]"), "The report is on its way.");

    // A change comes in while the dialog is open: the list is fresh, the dialog and what is typed in it stay.
    browser.click("[data-resend]");
    browser.fill("#resend-to", "other@client.com");
    let beside = Browser::logged_in(&server, OWNER);
    beside
        .ajax("/eo/email-reports/send", &[("event_id", &event), ("to_email", "third@client.com")])
        .expect(200);
    browser.wait_for(
        "the list is fresh",
        "return document.querySelectorAll('#deliveries tbody tr').length === 2",
    );
    assert_eq!(browser.ask("return document.getElementById('resend-dialog').open"), json!(true));
    assert_eq!(browser.ask("return document.getElementById('resend-to').value"), json!("other@client.com"));
    assert_eq!(browser.ask("return document.activeElement.id"), json!("resend-to"));
    browser.press(keys::ENTER);
    browser.wait_for(
        "it is sent again",
        "return document.querySelectorAll('#deliveries tbody tr').length === 3",
    );
    browser.wait_for("the dialog is closed", "return !document.getElementById('resend-dialog').open");

    browser.click("#count-failed");
    assert!(browser.url().contains("status=failed"), "{}", browser.url());
    assert_eq!(browser.ask("return document.querySelectorAll('#deliveries tbody tr').length"), json!(0));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn many_notices_leave_the_report_on_a_phones_screen() {
    let relay = Relay::start(refusing());
    let server = Server::start(ServerOptions::to_relay(&relay).env("POSTHASTE_EO__ATTENTION_AFTER", "1s"));
    make_user(&server, OWNER, "eo");
    let event = make_event(&server, "Konser", OWNER).to_string();
    let beside = Browser::logged_in(&server, OWNER);
    let fields = [("event_id", event.as_str()), ("to_email", "bad@client.com")];
    for _ in 0..5 {
        beside.ajax("/eo/email-reports/send", &fields).expect(200);
    }
    eventually("five notices are there", || {
        let page = beside.get("/eo/email-reports?lang=en").expect(200).text();
        (page.matches("Needs attention").count() == 5).then_some(())
    });
    let browser = Chromium::start(Looks { phone: true });
    log_in(&browser, &server, OWNER);
    assert!(browser.text("#more-notices summary").contains("4 more need attention"));
    let begins = "return document.getElementById('send-title').getBoundingClientRect().bottom < innerHeight";
    assert_eq!(browser.ask(begins), json!(true), "the form is on the first screen");
    assert!(browser.fits());
    browser.click("#more-notices summary");
    beside.ajax("/eo/email-reports/send", &[fields[0], ("to_email", "ann@client.com")]).expect(200);
    browser.wait_for(
        "the page is fresh",
        "return document.getElementById('deliveries').textContent.includes('ann@client.com')",
    );
    assert_eq!(
        browser.ask("return document.getElementById('more-notices').open"),
        json!(true),
        "it stays open"
    );
    browser.click("#more-notices .notice:last-of-type button");
    browser.wait_for(
        "one is put away",
        "return document.querySelector('#more-notices summary')?.textContent.includes('3 more')",
    );
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn the_keyboard_alone_is_enough() {
    let (server, event) = installation();
    Browser::logged_in(&server, OWNER)
        .ajax("/eo/email-reports/send", &[("event_id", &event), ("to_email", "a@client.com")])
        .expect(200);
    let browser = Chromium::start(Looks::default());
    log_in(&browser, &server, OWNER);
    for _ in 0..60 {
        if browser.ask("return document.activeElement.matches('[data-resend]')") == json!(true) {
            break;
        }
        browser.press(keys::TAB);
    }
    browser.press(keys::ENTER);
    browser.wait_for("the dialog opens", "return document.getElementById('resend-dialog').open");
    browser.press(keys::ESCAPE);
    browser.wait_for("and closes", "return !document.getElementById('resend-dialog').open");
    browser.wait_for("the focus is where it was", "return document.activeElement.matches('[data-resend]')");
}

#[test]
fn operators_get_along_without_a_mouse() {
    let server = Server::inbox();
    make_user(&server, "root@example.com", "admin");
    server.wait_status(&server.send(&email_to("ann@client.com", "x")), "sent");
    let mut other = email_to("bob@client.com", "x");
    other["subject"] = json!("Something else");
    server.wait_status(&server.send(&other), "sent");
    let browser = Chromium::start(Looks::default());
    let is_at = |selector: &str| {
        browser.ask(&format!("return document.activeElement.matches({selector:?})")) == json!(true)
    };
    let go_to = |selector: &str| {
        let found = (0..80).any(|_| {
            browser.press(keys::TAB);
            is_at(selector)
        });
        assert!(found, "no way to {selector}");
        let seen = "const at = document.activeElement.getBoundingClientRect();
            return at.bottom > 0 && at.top < innerHeight && getComputedStyle(document.activeElement).outlineStyle !== 'none'";
        assert_eq!(browser.ask(seen), json!(true), "{selector} is not seen to have the focus");
    };
    browser.open(&at(&server, "/login?lang=en"));
    assert!(is_at("#email"), "writing begins at once");
    browser.type_in("root@example.com");
    go_to("#password");
    browser.type_in(PASSWORD);
    browser.press(keys::ENTER);
    browser.wait_for("the dashboard is there", "return location.pathname === '/admin'");
    // The first thing a page offers is the way past its menu.
    browser.press(keys::TAB);
    assert!(is_at("a.skip"));
    go_to(".places a[href='/admin/emails']");
    browser.press(keys::ENTER);
    browser.wait_for("the emails are there", "return !!document.querySelector('[name=q]')");
    go_to("[name=q]");
    browser.type_in("to:bob@client.com");
    browser.press(keys::ENTER);
    browser.wait_for("one is found", "return document.querySelectorAll('#emails tbody tr').length === 1");
    go_to("#emails a");
    browser.press(keys::ENTER);
    browser.wait_for("it is shown", "return document.querySelector('h1').textContent === 'Something else'");
    go_to(".self summary");
    browser.press(keys::ENTER);
    go_to("form[action='/logout'] button");
    browser.press(keys::ENTER);
    browser.wait_for("nobody is logged in", "return location.pathname === '/login'");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn every_page_fits_a_phone_and_complains_of_nothing() {
    let server = Server::inbox();
    make_user(&server, "root@example.com", "admin");
    make_user(&server, OWNER, "eo");
    make_event(&server, "Konser dengan nama yang cukup panjang", OWNER);
    let client = default_client(&server);
    let mut email = email_to(&format!("{}@client.com", "x".repeat(60)), "hello");
    email["subject"] = json!("W".repeat(200));
    email["html"] =
        json!("<table width=2000><tr><td>wide</td></tr></table><img src=https://evil.example/x.png>");
    let id = server.send(&email);
    server.wait_status(&id, "sent");
    for phone in [false, true] {
        let browser = Chromium::start(Looks { phone });
        log_in(&browser, &server, "root@example.com");
        let further = [
            LIST.to_owned(),
            "/inbox".into(),
            "/account/password".into(),
            "/account/codes".into(),
            format!("/admin/emails/{client}/{id}"),
            format!("/admin/emails/{client}/{id}?view=source"),
            format!("/admin/templates/{client}"),
        ];
        for path in PAGES.iter().map(|path| (*path).to_owned()).chain(further) {
            browser.open(&at(&server, &path));
            assert!(browser.fits(), "{path} is wider than the window");
            let mut said = browser.complaints();
            // What the message asked for was blocked, as it should be.
            said.retain(|line| !line.contains("evil.example"));
            assert_eq!(said, Vec::<String>::new(), "{path}");
        }
    }
}

#[test]
fn the_overview_counts_while_it_is_looked_at() {
    let server = Server::inbox();
    make_user(&server, "root@example.com", "admin");
    let browser = Chromium::start(Looks::default());
    log_in(&browser, &server, "root@example.com");
    server.send(&email_to("a@client.com", "x"));
    let counted = "return document.querySelector('#figures .tile p').textContent === '1'";
    eventually("the number rises by itself", || (browser.ask(counted) == json!(true)).then_some(()));
}
