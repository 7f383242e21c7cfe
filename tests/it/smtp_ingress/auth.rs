//! A27, A35: logins.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::{MESSAGE, session};
use crate::harness::{Server, ServerOptions};

#[test]
fn a35_every_wrong_login_is_refused_in_its_own_way() {
    let server = Server::inbox();
    let reader = server.new_key(&["--client", "default", "--permission", "emails:read"]);
    let key = server.key();
    let plain = |text: String| format!("AUTH PLAIN {}", BASE64.encode(text));
    for (line, expected) in [
        (plain(format!("\0default\0{key}")), "235 2.7.0"),
        (plain(format!("default\0default\0{key}")), "235 2.7.0"),
        (plain(format!("other\0default\0{key}")), "535 5.7.8"),
        (plain(format!("\0other\0{key}")), "535 5.7.8"),
        (plain(format!("\0default\0{key}x")), "535 5.7.8"),
        (plain(format!("\0default\0{reader}")), "535 5.7.8"),
        (plain("\0default\0".into()), "535 5.7.8"),
        (plain("no parts".into()), "501 5.5.2"),
        ("AUTH PLAIN %%%".into(), "501 5.5.2"),
        (format!("AUTH PLAIN {}", "A".repeat(100_000)), "500 5.5.6"),
        ("AUTH CRAM-MD5".into(), "504 5.5.4"),
    ] {
        session(&server).say(&line).expect(expected);
    }
    let id = server.cli_json(&["client", "list"])[0]["client_id"].as_str().map(str::to_owned);
    if let Some(id) = id {
        session(&server).login(&id, key).expect("235");
    }
    let mut session = session(&server);
    session.say("AUTH LOGIN").expect("334 VXNlcm5hbWU6");
    session.say(&BASE64.encode("default")).expect("334 UGFzc3dvcmQ6");
    session.say(&BASE64.encode(key)).expect("235");
    session.say("AUTH PLAIN").expect("503 5.5.1");
    session.envelope("ann@example.com", "bob@client.com");
    session.data(MESSAGE).id();
}

#[test]
fn a35_five_failed_logins_end_the_connection() {
    let server = Server::inbox();
    let mut session = session(&server);
    for _ in 0..4 {
        session.login("default", "wrong").expect("535 5.7.8");
    }
    session.login("default", "wrong").expect("421 4.7.0");
    assert_eq!(session.rest(), "");
}

#[test]
fn a27_a_revoked_key_is_refused_at_the_next_message() {
    let server = Server::start(ServerOptions::default().env("POSTHASTE_SMTP__AUTH_REQUIRED", "true"));
    let made = server.cli_json(&["key", "create", "--client", "default"]);
    let (id, key) = (made["id"].as_str().expect("an id"), made["key"].as_str().expect("a key"));
    let mut session = session(&server);
    session.login("default", key).expect("235");
    session.envelope("ann@example.com", "bob@client.com");
    session.data(MESSAGE).id();
    // Between RCPT and DATA too: nothing is stored on a dead key.
    session.envelope("ann@example.com", "bob@client.com");
    assert!(server.cli(&["key", "revoke", id]).status.success());
    session.data(MESSAGE).expect("535 5.7.8");
    session.say("MAIL FROM:<ann@example.com>").expect("535 5.7.8");
    assert_eq!(server.get("/api/emails?count=true").expect(200).json()["total"], 1);
}

#[test]
fn a60_a_password_stands_in_no_log() {
    let server = Server::start(ServerOptions::default().env("LOG_LEVEL", "trace"));
    let key = server.new_key(&["--client", "default"]);
    let plain = BASE64.encode(format!("\0default\0{key}"));
    session(&server).say(&format!("AUTH PLAIN {plain}")).expect("235");
    let mut login = session(&server);
    login.say("AUTH LOGIN").expect("334");
    login.say(&BASE64.encode("default")).expect("334");
    login.say(&BASE64.encode(&key)).expect("235");
    login.say(&format!("MAIL FROM:<{key}@example.com> XX=1")).expect("555");
    let log = server.stderr();
    for secret in [&key, &plain, &BASE64.encode(&key)] {
        assert!(!log.contains(secret.as_str()), "a secret stands in the log");
    }
}

#[test]
fn a35_a_mail_proxy_token_is_a_password_too() {
    let server = Server::start(ServerOptions::default().env("POSTHASTE_SMTP__AUTH_REQUIRED", "true"));
    let make = |name: &str, permission: &str| {
        let made = server.cli_json(&["token", "create", "--name", name, "--permission", permission]);
        let text = |field: &str| made[field].as_str().expect("a text").to_owned();
        (text("token"), text("id"), text("client_id"))
    };
    let (token, id, client) = make("default", "mail:send");
    let (reader, _, _) = make("default", "mail:read");
    let (foreign, _, _) = make("other", "mail:send");
    session(&server).login("default", &reader).expect("535 5.7.8");
    session(&server).login("default", &foreign).expect("535 5.7.8");
    session(&server).login("default", &format!("{token}x")).expect("535 5.7.8");
    session(&server).login("default", "a.b.c").expect("535 5.7.8");
    session(&server).login("other", &token).expect("535 5.7.8");
    session(&server).login(&client, &token).expect("235");
    let mut session = session(&server);
    session.login("default", &token).expect("235");
    session.envelope("ann@example.com", "bob@client.com");
    session.data(MESSAGE).id();
    assert!(server.cli(&["token", "revoke", &id]).status.success());
    session.say("MAIL FROM:<ann@example.com>").expect("535 5.7.8");
}
