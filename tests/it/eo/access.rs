//! Who is let in, and how the others are told.

use crate::harness::Server;
use crate::harness::browser::{Browser, make_event, make_user};
use serde_json::json;

#[test]
fn nobody_and_viewers_see_nothing() {
    let server = Server::inbox();
    make_user(&server, "viewer@example.com", "viewer");
    let nobody = Browser::new(&server);
    let page = nobody.get("/eo/email-reports?status=failed").expect(303);
    assert_eq!(page.header("location"), Some("/login?next=%2Feo%2Femail-reports%3Fstatus%3Dfailed"));
    let data = nobody.get("/eo/email-reports/data").expect(401);
    assert_eq!(data.json(), json!({"ok": false, "error": "unauthenticated"}));
    assert_eq!(nobody.get("/eo/").expect(303).header("location"), Some("/login?next=%2Feo%2F"));
    let wrong = nobody.send("PUT", "/eo/email-reports/data", &[], b"").expect(405);
    assert_eq!(wrong.json(), json!({"ok": false, "error": "method_not_allowed"}));
    // The session is looked at before the token.
    let post = nobody.post_form("/eo/email-reports/send", &[("Accept", "application/json")], &[]).expect(401);
    assert_eq!(post.json()["error"], "unauthenticated");

    let viewer = Browser::logged_in(&server, "viewer@example.com");
    viewer.get("/eo/email-reports").expect(403);
    let data = viewer.get_json("/eo/email-reports/data").expect(403);
    assert_eq!(data.json(), json!({"ok": false, "error": "forbidden"}));
    assert_eq!(viewer.ajax("/eo/email-reports/send", &[]).expect(403).json()["error"], "forbidden");
}

#[test]
fn an_organizer_acts_on_its_own_events_and_an_admin_on_all() {
    let server = Server::inbox();
    for (email, role) in [("a@example.com", "eo"), ("b@example.com", "eo"), ("root@example.com", "admin")] {
        make_user(&server, email, role);
    }
    let event = make_event(&server, "Pasar Malam", "a@example.com");
    let number = event.to_string();
    let own = Browser::logged_in(&server, "a@example.com");
    let made = own.ajax("/eo/email-reports/send", &[("event_id", &number), ("to_email", "x@example.com")]);
    let id = made.expect(200).json()["delivery_id"].as_i64().expect("a number");

    let other = Browser::logged_in(&server, "b@example.com");
    assert_eq!(other.get_json("/eo/email-reports/data").expect(200).json()["deliveries"], json!([]));
    let refused = other.ajax(&format!("/eo/email-reports/{id}/resend"), &[]).expect(404);
    assert_eq!(refused.json(), json!({"ok": false, "error": "not_found"}));
    let fields = [("event_id", number.as_str()), ("to_email", "x@example.com")];
    let refused = other.ajax("/eo/email-reports/send", &fields).expect(422).json();
    let unknown = [("event_id", "99999"), ("to_email", "x@example.com")];
    assert_eq!(refused, other.ajax("/eo/email-reports/send", &unknown).expect(422).json());

    let admin = Browser::logged_in(&server, "root@example.com");
    let seen = admin.get_json("/eo/email-reports/data").expect(200).json();
    assert_eq!(seen["deliveries"].as_array().map(Vec::len), Some(1));
    admin.ajax(&format!("/eo/email-reports/{id}/resend"), &[]).expect(200);
}

#[test]
fn every_post_needs_the_token() {
    let server = Server::inbox();
    make_user(&server, "a@example.com", "eo");
    let event = make_event(&server, "Pasar Malam", "a@example.com").to_string();
    let browser = Browser::logged_in(&server, "a@example.com");
    let fields = [("event_id", event.as_str()), ("to_email", "x@example.com")];
    let refused = browser.post_form("/eo/email-reports/send", &[], &fields).expect(419);
    assert_eq!(refused.json(), json!({"ok": false, "error": "csrf_token_mismatch"}));
    let wrong = [("X-CSRF-TOKEN", "wrong")];
    browser.post_form("/eo/email-reports/send", &wrong, &fields).expect(419);
    browser.post_form("/eo/email-reports/1/resend", &[], &[]).expect(419);
    browser.post_form("/logout", &[], &[]).expect(419);
    assert_eq!(browser.get_json("/eo/email-reports/data").json()["deliveries"], json!([]));
}
