//! Logging in and out, wrong tries, forged forms, the change of a password, one-time codes, the first admin.

use crate::harness::browser::{Browser, PASSWORD, make_user};
use crate::harness::{Server, ServerOptions};

const ANN: &str = "ann@example.com";

#[test]
fn a_login_gets_a_new_cookie_and_ends_at_logout() {
    let server = Server::inbox();
    make_user(&server, ANN, "eo");
    let browser = Browser::new(&server);
    let page = browser.get("/login").expect(200);
    let before = browser.cookie("posthaste_session").expect("a cookie");
    assert!(page.text().contains("Kata sandi"), "Indonesian by default");
    let answer = browser.post("/login", &[("email", "Ann@Example.com "), ("password", PASSWORD)]).expect(303);
    assert_eq!(answer.header("location"), Some("/eo/email-reports"));
    let cookie = answer.header("set-cookie").expect("a cookie");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    assert!(!cookie.contains("Secure"), "not behind HTTPS");
    let after = browser.cookie("posthaste_session").expect("a cookie");
    assert_ne!(before, after, "a new id at login");

    browser.get("/eo/email-reports").expect(200);
    let stolen = Browser::new(&server);
    stolen.put_cookie("posthaste_session", &after);
    stolen.get("/eo/email-reports").expect(200);
    let out = browser.post("/logout", &[]).expect(303);
    assert_eq!(out.header("location"), Some("/login"));
    let again = stolen.get("/eo/email-reports").expect(303);
    assert!(again.header("location").is_some_and(|to| to.starts_with("/login")), "ended everywhere");
}

#[test]
fn a_cookie_is_secure_behind_https() {
    let server = Server::start(ServerOptions::default().env("TRUSTED_PROXIES", "127.0.0.1"));
    let browser = Browser::new(&server);
    let page = browser.send("GET", "/login", &[("X-Forwarded-Proto", "https")], b"").expect(200);
    assert!(page.header("set-cookie").is_some_and(|cookie| cookie.contains("; Secure")));
}

#[test]
fn wrong_logins_are_told_alike_and_then_refused() {
    let server = Server::inbox();
    make_user(&server, ANN, "eo");
    let browser = Browser::new(&server);
    browser.get("/login").expect(200);
    let unknown = browser.post("/login", &[("email", "nobody@example.com"), ("password", "x")]).expect(422);
    let wrong = browser.post("/login", &[("email", ANN), ("password", "x")]).expect(422);
    let told =
        |answer: &crate::harness::Response| answer.text().contains("Alamat, kata sandi, atau kode salah");
    assert!(told(&unknown) && told(&wrong));
    for _ in 0..4 {
        browser.post("/login", &[("email", ANN), ("password", "x")]).expect(422);
    }
    let refused = browser.post("/login", &[("email", ANN), ("password", PASSWORD)]).expect(429);
    assert!(refused.header("retry-after").is_some(), "also with the right password");
    browser.post("/login", &[("email", "other@example.com"), ("password", "x")]).expect(422);
}

#[test]
fn an_address_has_its_own_limit() {
    let server = Server::start(ServerOptions::default().env("POSTHASTE_LIMITS__LOGIN_ATTEMPTS", "1/15min"));
    make_user(&server, ANN, "eo");
    let browser = Browser::new(&server);
    browser.get("/login").expect(200);
    for number in 0..4 {
        let email = format!("user{number}@example.com");
        browser.post("/login", &[("email", &email), ("password", "x")]).expect(422);
    }
    browser.post("/login", &[("email", ANN), ("password", PASSWORD)]).expect(429);
}

#[test]
fn a_form_without_its_token_is_refused() {
    let server = Server::inbox();
    make_user(&server, ANN, "eo");
    let browser = Browser::new(&server);
    let fields = [("email", ANN), ("password", PASSWORD)];
    let refused = browser.post_form("/login", &[], &fields).expect(419);
    assert_eq!(refused.text(), r#"{"ok":false,"error":"csrf_token_mismatch"}"#);
    browser.get("/login").expect(200);
    browser.post_form("/login", &[], &[&fields[..], &[("_token", "AAAA")]].concat()).expect(419);
    let other = Browser::new(&server);
    other.get("/login").expect(200);
    let token = other.token();
    browser.post_form("/login", &[], &[&fields[..], &[("_token", token.as_str())]].concat()).expect(419);
    browser.post("/login", &fields).expect(303);
}

#[test]
fn a_new_password_ends_the_other_logins() {
    let server = Server::inbox();
    make_user(&server, ANN, "eo");
    let (here, there) = (Browser::logged_in(&server, ANN), Browser::logged_in(&server, ANN));
    let wrong = [("current_password", "x"), ("password", "new password")];
    here.post("/account/password", &wrong).expect(422);
    let short = [("current_password", PASSWORD), ("password", "short")];
    let told = here.post("/account/password", &short).expect(422).text();
    assert!(told.contains("Kata sandi terdiri dari 6 sampai 512 karakter."), "{told}");
    let right = [("current_password", PASSWORD), ("password", "new password")];
    here.post("/account/password", &right).expect(200);
    here.get("/eo/email-reports").expect(200);
    there.get("/eo/email-reports").expect(303);
    let fresh = Browser::new(&server);
    fresh.get("/login").expect(200);
    fresh.post("/login", &[("email", ANN), ("password", PASSWORD)]).expect(422);
    fresh.post("/login", &[("email", ANN), ("password", "new password")]).expect(303);
}

#[test]
fn the_first_admin_is_made_by_the_link_once() {
    let server = Server::inbox();
    let banner = server.stdout();
    let at = banner.find("/setup?token=").expect("a link in the banner");
    let link: String = banner[at..].chars().take_while(|c| !c.is_whitespace()).collect();
    let browser = Browser::new(&server);
    browser.get("/setup?token=wrong").expect(404);
    browser.get(&link).expect(200);
    let token = link.split_once('=').map_or("", |(_, token)| token);
    let fields = [("token", token), ("email", "root@example.com"), ("name", "Root"), ("password", PASSWORD)];
    let made = browser.post("/setup", &fields).expect(303);
    assert_eq!(made.header("location"), Some("/admin"));
    let late = Browser::new(&server);
    late.get(&link).expect(404);
    let users = server.cli_json(&["user", "list"]);
    assert_eq!(users[0]["role"], "admin");
    late.get("/inbox").expect(401);
    browser.get("/inbox").expect(200);
}

#[test]
fn the_language_is_remembered() {
    let server = Server::inbox();
    make_user(&server, ANN, "eo");
    let browser = Browser::logged_in(&server, ANN);
    assert!(browser.get("/eo/email-reports?lang=en").expect(200).text().contains("Email reports"));
    assert!(browser.get("/eo/email-reports").expect(200).text().contains("<html lang=\"en\">"));
    let elsewhere = Browser::logged_in(&server, ANN);
    assert!(elsewhere.get("/eo/email-reports").expect(200).text().contains("Email reports"));
}
