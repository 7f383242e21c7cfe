//! Routes: what is tested before, what a dry run says, and what waits.

use serde_json::json;

use super::{options, sendgrid, small};
use crate::harness::{Relay, Server, eventually};
use crate::mail_proxy;

fn two_relays(rest: &str) -> (Relay, Relay, Server) {
    let (main, other) = (Relay::accepting(), Relay::accepting());
    let table = |name: &str, relay: &Relay| {
        format!(
            "[transports.{name}]\nkind = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\nencryption = \"none\"\n",
            relay.port()
        )
    };
    let toml = format!(
        "[mail]\ndefault_transport = \"main\"\n{}{}{rest}",
        table("main", &main),
        table("other", &other)
    );
    let server = Server::start(options().toml(&toml));
    (main, other, server)
}

#[test]
fn a_test_and_a_dry_run_say_which_route_and_why() {
    let (_main, other, server) = two_relays(
        "[[routes]]\ntag = \"bulk\"\ntransports = [\"other\", \"main\"]\n\
         [[routes]]\npriority = [1, 2]\nto_domain = \"client.com\"\ntransports = [\"other\"]\n",
    );
    let test = |more: &[&str]| {
        let arguments =
            [&["route", "test", "--from", "noreply@example.com", "--to", "ann@client.com"], more].concat();
        server.cli_json(&arguments)
    };
    assert_eq!(test(&[])["transports"], json!(["main"]));
    assert_eq!(test(&[])["rule"], json!(null));
    let bulk = test(&["--tag", "bulk"]);
    assert_eq!((&bulk["rule"], &bulk["transports"]), (&json!(1), &json!(["other", "main"])));
    assert_eq!(test(&["--priority", "2"])["rule"], 2);
    let mut email = small();
    email["tags"] = json!(["bulk"]);
    let dry = server.post("/api/emails?dry_run=true", &email);
    assert!(dry.text().contains("route 1 matched"), "{}", dry.text());
    let id = server.send(&email);
    server.wait_status(&id, "sent");
    assert_eq!(other.wait_for(1).len(), 1);
}

#[test]
fn over_a_routes_rate_mail_waits_and_none_is_dropped() {
    let (main, _other, server) =
        two_relays("[[routes]]\ntag = \"slow\"\ntransports = [\"main\"]\nrate = \"2/3s\"\n");
    let mut email = small();
    email["tags"] = json!(["slow"]);
    let began = std::time::Instant::now();
    let ids: Vec<String> = (0..5).map(|_| server.send(&email)).collect();
    for id in &ids {
        assert_eq!(server.wait_status(id, "sent")["retries"], 0);
    }
    assert!(began.elapsed() >= std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(main.messages().len(), 5);
}

#[test]
fn the_mail_proxys_other_mail_goes_by_sendgrid() {
    let provider = sendgrid::start();
    let relay = Relay::accepting();
    let server = Server::start(
        sendgrid::options_for(&provider)
            .env("SMTP_HOST", "127.0.0.1")
            .env("SMTP_PORT", relay.port().to_string())
            .env("SMTP_ENCRYPTION", "none")
            .env("SMTP_AUTH", "false"),
    );
    let token = mail_proxy::sender(&server);
    let id = mail_proxy::sent(&server, &token, &mail_proxy::mail());
    eventually("the mail is sent", || {
        let status = mail_proxy::get(&server, &token, &format!("/mail/status/{id}")).expect(200).json();
        (status["status"] == "sent").then_some(())
    });
    assert_eq!(provider.taken().len(), 1);
    let other = server.send(&small());
    server.wait_status(&other, "sent");
    assert_eq!(relay.messages().len(), 1, "the other surfaces take the default");
}
