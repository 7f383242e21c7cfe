//! A44 at every door: what a request was answered is answered again, whatever became of its email meanwhile.

use serde_json::{Value, json};

use super::{email_to, with};
use crate::harness::relay::{Action, Relay, Script, Step};
use crate::harness::server::NONE;
use crate::harness::{Response, Server, ServerOptions, eventually};
use crate::{mail_proxy, oauth};

/// Two doors take the same key for different things.
const KEY: &str = "of-a-failure";

/// One way in: its path, its credential, a good request and one that has a fault.
struct Door {
    path: &'static str,
    credential: (&'static str, String),
    good: Value,
    bad: Value,
    /// What a fault, and another request under a key, are answered with.
    refusals: [u16; 2],
}

impl Door {
    fn all(server: &Server) -> [Self; 4] {
        let key = ("X-Api-Key", server.key().to_owned());
        let aegis = json!({"to": "gone@client.com", "subject": "Hello", "body": "x"});
        let proxied = with(mail_proxy::mail(), json!({"to": ["gone@client.com"]}));
        let by_oauth = with(oauth::email(), json!({"to_email": "gone@client.com"}));
        [
            Self {
                path: "/api/emails",
                credential: key.clone(),
                bad: with(email_to("gone@client.com", "x"), json!({"to": "nobody"})),
                good: email_to("gone@client.com", "x"),
                refusals: [422, 422],
            },
            Self {
                path: "/send",
                credential: key,
                bad: with(aegis.clone(), json!({"to": "nobody"})),
                good: aegis,
                refusals: [400, 409],
            },
            Self {
                path: "/api/v1/mail/send",
                credential: ("Authorization", mail_proxy::sender(server).bearer),
                bad: with(proxied.clone(), json!({"to": ["nobody"]})),
                good: proxied,
                refusals: [400, 409],
            },
            Self {
                path: "/send",
                credential: ("Authorization", oauth::token(server)),
                bad: with(by_oauth.clone(), json!({"to_email": "nobody"})),
                good: by_oauth,
                refusals: [422, 409],
            },
        ]
    }

    /// How many emails the client of this door has that failed.
    fn failed(&self, server: &Server) -> usize {
        if self.path == "/send" && self.credential.0 == "Authorization" {
            let page = oauth::get(server, &self.credential.1, "/emails").expect(200).json();
            let data = page["data"].as_array().cloned().unwrap_or_default();
            return data.iter().filter(|one| one["status"] == "failed").count();
        }
        let page = server.get("/api/emails?status=failed&count=true").expect(200).json();
        page["total"].as_u64().and_then(|total| usize::try_from(total).ok()).unwrap_or(0)
    }

    fn ask(&self, server: &Server, body: &Value) -> Response {
        let (name, value) = (self.credential.0, self.credential.1.as_str());
        let nothing = ("X-Api-Key", NONE);
        let headers = [if name == "X-Api-Key" { (name, value) } else { nothing }, ("Idempotency-Key", KEY)];
        let bearer = if name == "Authorization" { vec![(name, value)] } else { Vec::new() };
        server.post_with(self.path, &[&headers[..], &bearer[..]].concat(), body)
    }
}

#[test]
fn a44_a_failed_delivery_changes_no_replay_and_a_fault_keeps_no_key() {
    let relay = Relay::start(Script::accepting().on(Step::Rcpt, Action::reply("550 5.1.1 no such user")));
    let options = ServerOptions::to_relay(&relay).env("MAIL_FROM_ADDRESS", "noreply@example.com");
    let server = Server::start(options);
    for door in &Door::all(&server) {
        let before = door.failed(&server);
        let [fault, reused] = door.refusals;
        let refused = door.ask(&server, &door.bad).expect(fault);
        assert_eq!(refused.header("idempotency-replayed"), None, "{}", door.path);
        // The fault kept no key: the mended request is the first.
        let first = door.ask(&server, &door.good);
        assert!(matches!(first.status, 200 | 202), "{}: {}", door.path, first.text());
        assert_eq!(first.header("idempotency-replayed"), None, "{}", door.path);
        eventually("it failed", || (door.failed(&server) == before + 1).then_some(()));
        let again = door.ask(&server, &door.good);
        assert_eq!(again.header("idempotency-replayed"), Some("true"), "{}", door.path);
        assert_eq!((again.status, again.text()), (first.status, first.text()), "{}", door.path);
        for name in ["location", "x-email-id", "content-type"] {
            assert_eq!(again.header(name), first.header(name), "{} {name}", door.path);
        }
        // What was kept is kept: a faulty request under it is another request, or a fault.
        let other = door.ask(&server, &door.bad);
        assert!([fault, reused].contains(&other.status), "{}: {}", door.path, other.text());
        assert_eq!(other.header("idempotency-replayed"), None);
    }
    // The client of the OAuth API is another.
    assert_eq!(server.get("/api/emails?count=true").expect(200).json()["total"], 3);
    assert!(relay.messages().is_empty());
}
