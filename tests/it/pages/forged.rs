//! Forged forms: no page of the dashboard changes anything without the token of the very login (31).

use super::admin;
use crate::harness::browser::Browser;
use serde_json::Value;

const ID: &str = "01990000-0000-7000-8000-000000000000";

/// Everything that changes something, and whether its path shows a page too.
fn forms() -> Vec<(String, bool)> {
    let both = ["/admin/clients", "/admin/domains", "/account/password", "/account/codes"];
    let more = [
        format!("/admin/templates/{ID}"),
        format!("/eo/email-reports/{ID}/resend"),
        // Below `/inbox` any word might be a message.
        "/inbox/delete".into(),
    ];
    let posts = [
        "/admin/keys".to_owned(),
        format!("/admin/keys/{ID}/revoke"),
        "/admin/tokens".into(),
        format!("/admin/tokens/{ID}/revoke"),
        format!("/admin/emails/{ID}/{ID}/resend"),
        format!("/admin/emails/{ID}/{ID}/cancel"),
        format!("/admin/templates/{ID}/preview"),
        format!("/admin/templates/{ID}/delete"),
        "/admin/domains/example.com/keys".into(),
        "/admin/users".into(),
        format!("/admin/users/{ID}/revoke"),
        "/admin/eo-events".into(),
        format!("/admin/webhooks/{ID}"),
        format!("/admin/webhooks/{ID}/{ID}/test"),
        format!("/admin/webhooks/{ID}/{ID}/delete"),
        format!("/admin/webhooks/{ID}/{ID}/replay/{ID}"),
        format!("/admin/suppressions/{ID}"),
        format!("/admin/suppressions/{ID}/remove"),
        "/eo/email-reports/send".into(),
        format!("/eo/email-reports/{ID}/dismiss"),
        "/logout".into(),
        format!("/inbox/{ID}/delete"),
        format!("/inbox/{ID}/release"),
    ];
    let pages = both.into_iter().map(str::to_owned).chain(more).map(|path| (path, true));
    pages.chain(posts.into_iter().map(|path| (path, false))).collect()
}

#[test]
fn a31_a_form_without_the_token_of_its_login_changes_nothing() {
    let (server, browser) = admin();
    let other = Browser::logged_in(&server, super::ROOT);
    let foreign = other.token();
    let state = || -> Vec<Value> {
        [
            &["client", "list"][..],
            &["key", "list"],
            &["user", "list"],
            &["domain", "list"],
            &["event", "list"],
        ]
        .into_iter()
        .map(|command| server.cli_json(command))
        .collect()
    };
    let before = state();
    let name = [
        ("name", "forged"),
        ("email", "forged@example.com"),
        ("role", "admin"),
        ("password", "forged forged"),
    ];
    for (path, has_page) in forms() {
        browser.post_form(&path, &[], &name).expect(419);
        browser.post_form(&path, &[], &[&name[..], &[("_token", "AAAA")]].concat()).expect(419);
        browser.post_form(&path, &[], &[&name[..], &[("_token", &foreign)]].concat()).expect(419);
        browser.post_form(&path, &[("X-CSRF-TOKEN", &foreign)], &name).expect(419);
        browser.send("POST", &path, &[("Content-Type", "text/plain")], b"name=forged").expect(419);
        if !has_page {
            let got = browser.get(&format!("{path}?name=forged&email=forged@example.com"));
            assert!(matches!(got.status, 404 | 405), "GET {path}: {}", got.status);
        }
    }
    assert_eq!(state(), before);
    browser.get("/admin").expect(200);
}
