//! Domains: the records to publish, what DNS answers now, and the switch to a new signing key.

use crate::harness::name_server::NameServer;
use crate::harness::{Relay, Response, Server, ServerOptions, eventually};
use serde_json::{Value, json};

fn server(relay: &Relay, names: &NameServer) -> Server {
    let options = ServerOptions::to_relay(relay)
        .env("POSTHASTE_DNS__NAME_SERVERS", names.address().to_string())
        .env("POSTHASTE_DNS__CHECK_EVERY", "1s")
        .env("POSTHASTE_SMTP__HOSTNAME", "mx.example.net")
        .env("POSTHASTE_SMTP__RETURN_PATH_DOMAIN", "return.example.com");
    Server::start(options)
}

struct Admin<'s> {
    server: &'s Server,
    key: String,
}

impl Admin<'_> {
    fn get(&self) -> Response {
        self.server.get_with("/api/domains/example.com/dns", &[("X-Api-Key", &self.key)])
    }

    /// The records by purpose (and selector).
    fn records(&self) -> Vec<Value> {
        self.get().expect(200).json()["records"].as_array().expect("records").clone()
    }

    fn states(&self) -> Vec<String> {
        self.records()
            .iter()
            .map(|record| format!("{} {}", text(record, "purpose"), text(record, "state")))
            .collect()
    }
}

fn text(record: &Value, name: &str) -> String {
    record[name].as_str().expect("a text").to_owned()
}

#[test]
fn each_record_is_told_with_what_dns_answers() {
    let (relay, names) = (Relay::accepting(), NameServer::start());
    let server = server(&relay, &names);
    server.cli_json(&["domain", "dkim", "example.com"]);
    let key = server.new_key(&["--client", "default", "--permission", "admin"]);
    let admin = Admin { server: &server, key };
    let purposes = ["spf", "dkim", "dkim", "dmarc", "return_path", "return_path_spf"];
    assert_eq!(admin.states(), purposes.map(|purpose| format!("{purpose} missing")));
    let records = admin.records();
    assert_eq!(text(&records[0], "value"), "v=spf1 ip4:127.0.0.1 ~all");
    assert_eq!(text(&records[4], "value"), "10 mx.example.net");
    for record in &records {
        match text(record, "type").as_str() {
            "MX" => names.mx(&text(record, "name"), "mx.example.net"),
            _ => names.txt(&text(record, "name"), &text(record, "value")),
        }
    }
    names.txt("example.com", "google-site-verification=x");
    assert_eq!(admin.states(), purposes.map(|purpose| format!("{purpose} ok")));
    names.clear("example.com");
    names.txt("example.com", "v=spf1 -all");
    names.clear(&text(&records[1], "name"));
    names.txt(&text(&records[1], "name"), "v=DKIM1; p=AAAA");
    let states = admin.states();
    assert_eq!(states[..2], ["spf mismatch", "dkim mismatch"]);
    assert_eq!(admin.records()[0]["found"], json!(["v=spf1 -all"]));
    let shown = server.cli_json(&["domain", "dns", "example.com"]);
    assert_eq!(shown["records"].as_array().map(Vec::len), Some(6));
    server.get("/api/domains/example.com/dns").expect(403);
    server.get_with("/api/domains/nowhere.example/dns", &[("X-Api-Key", &admin.key)]).expect(404);
}

#[test]
fn a_new_key_waits_until_dns_shows_it_and_then_signs() {
    let (relay, names) = (Relay::accepting(), NameServer::start());
    let server = server(&relay, &names);
    server.cli_json(&["domain", "dkim", "example.com", "--new", "ed25519"]);
    let records = server.cli_json(&["domain", "dkim", "example.com", "--new", "ed25519"]);
    let of = |active: bool| {
        let records = records.as_array().expect("records");
        let found = records.iter().find(|record| record["active"] == active).expect("one of each");
        (text(found, "selector"), text(found, "name"), text(found, "value"))
    };
    let ((old, ..), (new, name, value)) = (of(true), of(false));
    let signed_by = || {
        let before = relay.messages().len();
        server.send(&json!({"from": "a@example.com", "to": "b@client.com", "subject": "s", "text": "t"}));
        let taken = relay.wait_for(before + 1).pop().expect("a message");
        String::from_utf8_lossy(&taken.content).into_owned()
    };
    let first = signed_by();
    assert!(first.contains(&format!("s={old};")) && !first.contains(&format!("s={new};")), "{first}");
    names.txt(&name, &value);
    eventually("the new key signs", || {
        let records = server.cli_json(&["domain", "dkim", "example.com"]);
        let records = records.as_array().expect("records").clone();
        let now = records.iter().find(|record| record["active"] == true)?;
        (now["selector"] == new.as_str()).then_some(())
    });
    let later = signed_by();
    assert!(later.contains(&format!("s={new};")) && !later.contains(&format!("s={old};")), "{later}");
}
