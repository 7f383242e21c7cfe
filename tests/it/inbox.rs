//! The inbox (`/inbox`): caught mail on pages and by its API, and what is let out of it.

use crate::emails_api::{email_to, with};
use crate::harness::browser::{Browser, make_user};
use crate::harness::chromium::{Chromium, Looks};
use crate::harness::relay::Script;
use crate::harness::server::NONE;
use crate::harness::{Relay, Server, ServerOptions};
use serde_json::{Value, json};
use std::net::SocketAddr;

const ROOT: &str = "root@example.com";
const WITHOUT_KEY: (&str, &str) = ("X-Api-Key", NONE);

/// The message of the inbox that was sent to this address, whole.
#[track_caller]
fn caught(server: &Server, to: &str) -> Value {
    let path = format!("/inbox/api/messages/wait?to={to}&timeout=30s");
    server.get_with(&path, &[WITHOUT_KEY]).expect(200).json()
}

fn id_of(value: &Value) -> String {
    value.as_str().expect("an id").to_owned()
}

fn default_client(server: &Server) -> String {
    let clients = server.cli_json(&["client", "list"]);
    let found = clients.as_array().expect("a list").iter().find(|one| one["name"] == "default");
    id_of(&found.expect("the default client")["client_id"])
}

/// A server whose live mail goes to `relay`, and a test key, whose mail is caught.
fn catching(relay: &Relay) -> (Server, String) {
    let server = Server::to_relay(relay);
    let test_key = server.new_key(&["--client", "default", "--mode", "test"]);
    (server, test_key)
}

/// A server with a caught message, its id, and where the relay stands that is not there for now.
fn caught_while_the_relay_is_away() -> (Server, String, SocketAddr) {
    let relay = Relay::accepting();
    let patient = ServerOptions::to_relay(&relay).env("POSTHASTE_DELIVERY__MAX_ATTEMPTS", "50");
    let server = Server::start(patient);
    let test_key = server.new_key(&["--client", "default", "--mode", "test"]);
    send_by(&server, &test_key, &email_to("ann@client.com", "hello"));
    let id = id_of(&caught(&server, "ann@client.com")["id"]);
    (server, id, relay.address())
}

#[track_caller]
fn send_by(server: &Server, key: &str, email: &Value) {
    server.post_with("/api/emails", &[("X-Api-Key", key)], email).expect(202);
}

#[test]
fn each_client_has_an_inbox() {
    let server = Server::inbox();
    let shop = server.new_client("shop");
    send_by(&server, &shop, &with(email_to("ann@client.com", "x"), json!({"from": "a@shop.example"})));
    server.send(&email_to("bob@client.com", "x"));
    let (ann, bob) = (caught(&server, "ann@client.com"), caught(&server, "bob@client.com"));
    assert_eq!(bob["client_id"], json!(default_client(&server)));
    let get = |path: &str| server.get_with(path, &[WITHOUT_KEY]).expect(200);
    let clients = get("/inbox/api/clients").json();
    let names: Vec<&str> =
        clients["data"].as_array().expect("a list").iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["default", "shop"]);
    let own = get("/inbox/api/messages?client=shop").json();
    assert_eq!(own["data"].as_array().map(Vec::len), Some(1), "{own}");
    assert_eq!(own["data"][0]["id"], ann["id"]);
    let page = get("/inbox?client=shop").text();
    assert!(page.contains("ann@client.com") && !page.contains("bob@client.com"), "{page}");
    let by_key = server.get("/inbox/api/messages?client=shop");
    assert_eq!(by_key.status, 404, "a key asks for its own client only");
}

#[test]
fn a_message_is_taken_apart() {
    let server = Server::inbox();
    let email = with(
        email_to("ann@client.com", "Order 20261. Your code is 482-913."),
        json!({
            "html": "<p>Your code is <b>482-913</b>. <a href=\"https://shop.example/in?c=1\">Log in</a></p>",
            "attachments": [{"filename": "a.txt", "content_base64": "SGVsbG8=", "mime": "text/plain"}],
        }),
    );
    server.send(&email);
    let message = caught(&server, "ann@client.com");
    assert_eq!(message["code"], "482913");
    assert_eq!(message["links"], json!(["https://shop.example/in?c=1"]));
    let parts = message["parts"].as_array().expect("a tree").clone();
    let number = parts.iter().position(|part| part["filename"] == "a.txt").expect("the attachment");
    let id = id_of(&message["id"]);
    let at = format!("/inbox/api/messages/{id}/parts");
    let file = server.get_with(&format!("{at}/{number}"), &[WITHOUT_KEY]).expect(200);
    assert_eq!(file.text(), "Hello");
    let page = server.get_with(&format!("/inbox/{id}?view=parts"), &[WITHOUT_KEY]).expect(200).text();
    for index in 0..parts.len() {
        assert!(page.contains(&format!("href=\"{at}/{index}\"")), "{page}");
        server.get_with(&format!("{at}/{index}"), &[WITHOUT_KEY]).expect(200);
    }
    server.get_with(&format!("{at}/{}", parts.len()), &[WITHOUT_KEY]).expect(404);

    make_user(&server, ROOT, "admin");
    let browser = Browser::logged_in(&server, ROOT);
    let email = format!("/admin/emails/{}/{}", default_client(&server), id_of(&message["email_id"]));
    let tree = browser.get(&format!("{email}?view=parts")).expect(200).text();
    assert!(tree.contains(&format!("href=\"{email}/mime/{number}\"")) && tree.contains("a.txt"), "{tree}");
    let file = browser.get(&format!("{email}/mime/{number}")).expect(200);
    assert_eq!(file.text(), "Hello");
    assert!(file.header("content-disposition").is_some_and(|value| value.starts_with("attachment")));
    browser.get(&format!("{email}/mime/{}", parts.len())).expect(404);
}

#[test]
fn a_caught_message_is_released_by_program() {
    let relay = Relay::accepting();
    let (server, test_key) = catching(&relay);
    let email = with(email_to("ann@client.com", "hello"), json!({"bcc": ["eve@client.com"]}));
    send_by(&server, &test_key, &email);
    let message = caught(&server, "ann@client.com");
    assert!(relay.messages().is_empty(), "mail of a test key stays");
    let source = format!("/inbox/api/messages/{}/source", id_of(&message["id"]));
    let source = server.get_with(&source, &[WITHOUT_KEY]).expect(200).body;

    let path = format!("/inbox/api/messages/{}/release", id_of(&message["id"]));
    server.post_with(&path, &[("X-Api-Key", &test_key)], &json!({})).expect(409);
    let told = server.post_with(&path, &[WITHOUT_KEY], &json!({})).expect(202).json();
    let released = server.wait_status(&id_of(&told["email_id"]), "sent");
    assert_ne!(released["provider"], "inbox");
    let taken = relay.only_message();
    assert_eq!(taken.recipients.len(), 2, "everyone on the envelope");
    assert_eq!(taken.content, source, "byte for byte");
    assert_eq!(server.email(&id_of(&message["email_id"]))["status"], "sent", "the original is as it was");

    let told =
        server.post_with(&path, &[WITHOUT_KEY], &json!({"to": ["me@office.example"]})).expect(202).json();
    server.wait_status(&id_of(&told["email_id"]), "sent");
    let taken = relay.wait_for(2).pop().expect("a second message");
    assert_eq!(taken.recipients, ["me@office.example"]);
    assert_eq!(taken.content, source);
}

#[test]
fn an_admin_releases_on_the_page_and_the_audit_says_so() {
    let relay = Relay::accepting();
    let (server, test_key) = catching(&relay);
    send_by(&server, &test_key, &email_to("ann@client.com", "hello"));
    let message = caught(&server, "ann@client.com");
    make_user(&server, ROOT, "admin");
    make_user(&server, "viewer@example.com", "viewer");
    let at = format!("/inbox/{}", id_of(&message["id"]));
    server.post_with(&format!("{at}/release"), &[WITHOUT_KEY], &json!({})).expect(401);
    let viewer = Browser::logged_in(&server, "viewer@example.com");
    viewer.post(&format!("{at}/release"), &[("to", "")]).expect(403);
    let browser = Browser::logged_in(&server, ROOT);
    let foreign = [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")];
    let token = browser.token();
    let form = [("to", ""), ("_token", token.as_str())];
    browser.post_form(&format!("{at}/release"), &foreign, &form).expect(403);
    browser.post_form(&format!("{at}/release"), &[], &[("to", "")]).expect(419);
    browser.post_form(&format!("{at}/delete"), &[], &[]).expect(419);
    browser.post_form("/inbox/delete", &[], &[]).expect(419);
    let page = browser.get(&at).expect(200).text();
    assert!(page.contains(&format!("action=\"{at}/release\"")), "{page}");
    assert!(relay.messages().is_empty());
    let done = browser.post(&format!("{at}/release"), &[("to", "me@office.example")]).expect(303);
    let place = done.header("location").expect("a place").to_owned();
    assert_eq!(relay.only_message().recipients, ["me@office.example"]);
    let told = browser.get(&place).expect(200).text();
    assert!(told.contains("Released to me@office.example") && told.contains("Follow it"), "{told}");
    let (_, email) = place.rsplit_once('=').expect("an id");
    let followed =
        browser.get(&format!("/admin/emails/{}/{email}", default_client(&server))).expect(200).text();
    assert!(followed.contains("it was released from the inbox to this transport"), "{followed}");
    let audit = browser.get("/admin/audit").expect(200).text();
    assert!(audit.contains("inbox.release") && audit.contains(ROOT), "{audit}");
}

#[test]
fn without_a_transport_a_release_is_refused_clearly() {
    let server = Server::inbox();
    server.send(&email_to("ann@client.com", "hello"));
    let id = id_of(&caught(&server, "ann@client.com")["id"]);
    let path = format!("/inbox/api/messages/{id}/release");
    let refused = server.post_with(&path, &[WITHOUT_KEY], &json!({})).expect(409).json();
    assert_eq!(refused["code"], "no_transport");
    let page = server.get_with(&format!("/inbox/{id}"), &[WITHOUT_KEY]).expect(200).text();
    assert!(page.contains("No transport leads out of this machine"), "{page}");
}

#[test]
fn a_released_message_comes_again_until_the_relay_takes_it() {
    let (server, id, address) = caught_while_the_relay_is_away();
    let told = server.post_with(&format!("/inbox/api/messages/{id}/release"), &[WITHOUT_KEY], &json!({}));
    let email = id_of(&told.expect(202).json()["email_id"]);
    let relay = Relay::start_at(address, Script::accepting());
    server.wait_status(&email, "sent");
    assert_eq!(relay.only_message().recipients, ["ann@client.com"]);
}

#[test]
fn the_page_says_what_becomes_of_a_release() {
    let (server, id, address) = caught_while_the_relay_is_away();
    let browser = Chromium::start(Looks::default());
    browser.open(&format!("http://{}/inbox/{id}", server.address()));
    browser.click("[data-release] summary");
    browser.click("[data-release] form button");
    browser.wait_for("it is released", "return !!document.querySelector('[data-released][data-open]')");
    browser.ask("window.isTheSamePage = true");
    let relay = Relay::start_at(address, Script::accepting());
    browser.wait_for(
        "the page says that it is out",
        "return document.querySelector('[data-released]:not([data-open])')?.textContent.includes('is sent')",
    );
    assert_eq!(browser.ask("return window.isTheSamePage"), json!(true), "nothing was loaded again");
    assert_eq!(relay.only_message().recipients, ["ann@client.com"]);
    browser.click("[data-delete]");
    browser.wait_for("the list is shown", "return location.pathname === '/inbox'");
    let left = server.get_with("/inbox/api/messages", &[WITHOUT_KEY]).expect(200).json();
    assert_eq!(left["data"], json!([]));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn the_list_lives_and_the_width_changes() {
    let server = Server::inbox();
    let browser = Chromium::start(Looks::default());
    let at = |path: &str| format!("http://{}{path}", server.address());
    browser.open(&at("/inbox"));
    assert!(browser.text(".empty").contains("No mail yet"));
    let html = json!({"html": "<p>hello</p>"});
    server.send(&with(email_to("ann@client.com", "x"), html.clone()));
    browser
        .wait_for("the first message appears", "return document.querySelectorAll('[data-id]').length === 1");
    browser.ask("document.querySelector('[data-id] a').focus(); window.isTheSamePage = true");
    server.send(&with(email_to("bob@client.com", "x"), html));
    browser.wait_for("the second appears", "return document.querySelectorAll('[data-id]').length === 2");
    let kept = "return window.isTheSamePage && document.activeElement.textContent.includes('ann@client.com')";
    assert_eq!(browser.ask(kept), json!(true), "nothing was loaded again, and the focus stayed");
    let first = "return document.querySelector('[data-id]').textContent.includes('bob@client.com')";
    assert_eq!(browser.ask(first), json!(true), "the newest is first");

    browser.click("[data-id] a");
    let width = "return Math.round(document.querySelector('iframe').getBoundingClientRect().width)";
    for (choice, pixels) in [("phone", 375), ("tablet", 768), ("desktop", 1024)] {
        browser.click(&format!("[name=width][value={choice}]"));
        assert_eq!(browser.ask(width), json!(pixels), "{choice}");
        assert!(browser.fits(), "{choice}");
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());

    let id = id_of(&caught(&server, "bob@client.com")["id"]);
    let phone = Chromium::start(Looks { phone: true });
    for path in ["/inbox".to_owned(), format!("/inbox/{id}"), format!("/inbox/{id}?view=parts")] {
        phone.open(&at(&path));
        assert!(phone.fits(), "{path}");
    }
    phone.open(&at(&format!("/inbox/{id}")));
    phone.click("[name=width][value=desktop]");
    assert_eq!(phone.ask(width), json!(1024), "as on a desktop, to be moved about");
    assert!(phone.fits(), "inside its frame");
    phone.click("[data-release] summary");
    assert!(phone.fits(), "the release sheet stays on the screen");
    assert_eq!(phone.complaints(), Vec::<String>::new());
}
