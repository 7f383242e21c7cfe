//! How long a login holds: a page that is only open does not use it, and a store that is away ends none.

use crate::harness::browser::{Browser, PASSWORD, make_event, make_user};
use crate::harness::proxy::{Line, Proxy};
use crate::harness::{Connection, Postgres, Server, ServerOptions, eventually, scaled_only};
use posthaste_model::Timestamp;
use std::fs;
use std::path::Path;
use std::time::Duration;

const ANN: &str = "ann@example.com";
const LIST: &str = "/eo/email-reports";
const HOUR: Duration = Duration::from_secs(3600);

/// Writes how far the servers' clock is ahead, in one step.
fn write_ahead(file: &Path, ahead: Duration) {
    let fresh = file.with_extension("fresh");
    fs::write(&fresh, ahead.as_millis().to_string()).expect("a file");
    fs::rename(fresh, file).expect("its name");
}

/// Puts the server's clock from one place to another, and waits until it goes by it.
fn put_ahead(server: &Server, file: &Path, from: Duration, to: Duration) {
    let told = || {
        let health = server.get("/health").json();
        Timestamp::parse(health["timestamp"].as_str().expect("a time")).expect("RFC 3339")
    };
    let before = told();
    write_ahead(file, to);
    eventually("the clock is ahead", || (from + told().since(before) >= to).then_some(()));
}

/// What an open page of this browser hears from.
fn stream(server: &Server, browser: &Browser) -> Connection {
    let cookie = browser.cookie("posthaste_session").expect("a login");
    let mut stream = server.connect();
    let request = format!(
        "GET {LIST}/live HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\nCookie: posthaste_session={cookie}\r\n\r\n",
        server.address()
    );
    stream.write(request.as_bytes()).expect("written");
    stream.read_until("retry:");
    stream
}

#[test]
fn an_open_page_does_not_keep_its_login() {
    let folder = tempfile::tempdir().expect("a directory");
    let shift = folder.path().join("shift");
    write_ahead(&shift, Duration::ZERO);
    let server = Server::start(ServerOptions::default().env("POSTHASTE_CLOCK_SHIFT", &shift));
    make_user(&server, ANN, "admin");
    make_event(&server, "Konser", ANN);
    let (left, used) = (Browser::logged_in(&server, ANN), Browser::logged_in(&server, ANN));
    let mut open = stream(&server, &left);

    put_ahead(&server, &shift, Duration::ZERO, 7 * HOUR);
    let by_itself = [("Accept", "text/html"), ("X-Refresh", "1")];
    for path in [LIST, "/admin", "/inbox"] {
        left.send("GET", path, &by_itself, b"").expect(200);
    }
    // The browser comes back by itself after a break of the line.
    drop(stream(&server, &left));
    used.get(LIST).expect(200);

    put_ahead(&server, &shift, 7 * HOUR, 13 * HOUR);
    used.get(LIST).expect(200);
    let told = left.get(LIST).expect(303);
    assert!(told.header("location").is_some_and(|to| to.starts_with("/login?next=")));
    // What was open ends too: with the last chunk, of length 0.
    open.read_until("\n0\n");
}

#[test]
fn a_store_that_is_away_ends_no_login_and_counts_no_wrong_try() {
    scaled_only!("it brings a database of its own");
    let postgres = Postgres::start();
    let line = Proxy::to(postgres.address(), Line::Open);
    let options =
        ServerOptions::default().on_parts_of_its_own().env("DATABASE_URL", Postgres::url_at(line.address()));
    let server = Server::start(options);
    make_user(&server, ANN, "eo");
    let browser = Browser::logged_in(&server, ANN);
    let fields = [("current_password", PASSWORD), ("password", "new password")];
    let token = browser.token();
    let fields = [&[("_token", token.as_str())], &fields[..]].concat();
    line.set(Line::Cut);
    for accept in ["text/html", "application/json", "text/html", "text/html", "text/html", "text/html"] {
        let refused = browser.post_form("/account/password", &[("Accept", accept)], &fields).expect(503);
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
        let is_page = refused.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
        assert_eq!(is_page, accept == "text/html", "{}", refused.text());
    }
    line.set(Line::Open);
    eventually("it is ready again", || (server.get("/readyz").status == 200).then_some(()));
    browser.post_form("/account/password", &[], &fields).expect(200);
}
