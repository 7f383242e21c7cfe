//! What is never called: private addresses however they are written, redirects, proxies of the environment.

use serde_json::json;

use super::{deliveries, options, text, wait_newest, webhook};
use crate::emails_api::email_to;
use crate::harness::receiver::status;
use crate::harness::{Receiver, Server, ServerOptions};

#[test]
fn a54_addresses_inside_are_refused_as_they_are_saved() {
    let server = Server::inbox();
    for host in [
        "127.1",
        "0x7f.1",
        "2130706433",
        "[::]",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "[fe80::1]",
        "10.0.0.1",
        "192.168.1.1",
        "localhost",
    ] {
        let body = json!({"url": format!("http://{host}/hook"), "events": ["*"]});
        let problem = server.post("/api/webhooks", &body).expect(422).json();
        assert_eq!(problem["errors"][0]["field"], "/url", "{host}: {problem:#}");
    }
    for url in [
        "http://[fe80::1%eth0]/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "https://u:p@example.com/",
        "http://example.com:25/",
        "http://example.com:6379/",
    ] {
        server.post("/api/webhooks", &json!({"url": url, "events": ["*"]})).expect(422);
    }
    let made = webhook(&server, "https://example.com/hook", &["*"]);
    let path = format!("/api/webhooks/{}", text(&made, "id"));
    let patch = br#"{"url":"http://127.0.0.1:8000/"}"#;
    let refused = server.try_request("PATCH", &path, &[("Content-Type", "application/json")], patch);
    assert_eq!(refused.expect("an answer").status, 422);
}

#[test]
fn a54_a_name_that_leads_inside_is_not_connected_to() {
    // The machine's own name leads to itself.
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    let leads_inside = std::net::ToSocketAddrs::to_socket_addrs(&(name, 0)).is_ok_and(|mut found| {
        found.all(|address| match address.ip() {
            std::net::IpAddr::V4(ip) => ip.is_loopback() || ip.is_private(),
            std::net::IpAddr::V6(ip) => ip.is_loopback(),
        })
    });
    if name.is_empty() || name == "localhost" || !leads_inside {
        eprintln!("skipped: this machine's name does not lead to itself");
        return;
    }
    let receiver = Receiver::start();
    let server = Server::inbox();
    let url = format!("http://{name}:{}/hook", receiver.address().port());
    let made = webhook(&server, &url, &["*"]);
    let id = text(&made, "id");
    server.post(&format!("/api/webhooks/{id}/test"), &json!({})).expect(202);
    let failed = wait_newest(&server, id, "failed");
    assert_eq!(failed["attempts"][0]["error"], "address_not_allowed", "{failed:#}");
    assert!(!failed.to_string().contains("127."), "the address is told: {failed:#}");
    assert_eq!(receiver.calls(), []);
}

#[test]
fn a54_what_was_allowed_once_is_judged_at_each_call() {
    let receiver = Receiver::start();
    let mut server = Server::start(options());
    let made = webhook(&server, &receiver.url(), &["*"]);
    let id = text(&made, "id");
    server.restart_with(|options| options.env("WEBHOOKS_ALLOW_PRIVATE", "false"));
    server.post(&format!("/api/webhooks/{id}/test"), &json!({})).expect(202);
    let failed = wait_newest(&server, id, "failed");
    assert_eq!(failed["attempts"][0]["error"], "address_not_allowed");
    assert_eq!(receiver.calls(), []);
}

#[test]
fn a54_no_proxy_of_the_environment_is_used_and_no_answer_is_shown() {
    let (proxy, receiver) = (
        Receiver::start(),
        Receiver::answering(|_, _| {
            Some("HTTP/1.1 500 x\r\nContent-Length: 15\r\n\r\nprivate-secret!".to_owned())
        }),
    );
    let through = format!("http://{}", proxy.address());
    let options = ["http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"]
        .into_iter()
        .fold(options(), |options: ServerOptions, name| options.env(name, &through))
        // For the object storage, whose client does go by a proxy; the receiver is called by another name.
        .env("no_proxy", "127.0.0.1");
    let server = Server::start(options);
    let url = receiver.url().replace("127.0.0.1", "localhost");
    let made = webhook(&server, &url, &["email.sent"]);
    let id = text(&made, "id");
    server.post(&format!("/api/webhooks/{id}/test"), &json!({})).expect(202);
    wait_newest(&server, id, "failed");
    assert_eq!((proxy.calls().len(), receiver.calls().len()), (0, 1));
    let shown = server.get(&format!("/api/webhooks/{id}/deliveries")).expect(200).text();
    assert!(!shown.contains("private-secret"), "{shown}");
    receiver.answer(|_, _| Some(status(200)));
    server.send(&email_to("user@client.com", "x"));
    wait_newest(&server, id, "delivered");
    assert_eq!(deliveries(&server, id).len(), 2);
}
