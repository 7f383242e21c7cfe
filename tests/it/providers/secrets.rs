//! G63: secrets in the shared store: their key is rotated while two nodes run, and what was changed in the database, or
//! moved within it, opens nowhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::graph::start_with;
use super::options;
use crate::harness::provider::Provider;
use crate::harness::{Postgres, Server, ServerOptions, eventually, scaled_only};
use crate::mail_proxy::{self, Token};
use crate::oauth;

/// The one secret that this Microsoft takes, and how it is shown.
const SECRET: &str = "client-own-secret";
const SHOWN: &str = "clie****cret";

/// Two nodes, each of which takes and delivers, and the clients' own Microsoft applications.
struct Stage {
    nodes: [Server; 2],
    admin: Token,
    provider: Provider,
    // Behind the servers: dropped after them.
    postgres: Postgres,
}

impl Stage {
    fn start() -> Self {
        let (postgres, provider) = (Postgres::start(), start_with(vec!["Mail.Send"]).0);
        let options: ServerOptions = options()
            .on_parts_of_its_own()
            .env("DATABASE_URL", Postgres::url_at(postgres.address()))
            .env("ENCRYPTION_KEY", key(1))
            .env("ORG_DOMAINS", "example.com")
            .env("MICROSOFT_LOGIN_URL", provider.url())
            .env("MICROSOFT_GRAPH_URL", provider.url());
        let nodes = [Server::start(options.clone()), Server::start_bare(options)];
        let admin = mail_proxy::token(&nodes[0], "default", &["admin"]);
        Self { nodes, admin, provider, postgres }
    }

    /// Makes a sender config; its path.
    #[track_caller]
    fn config(&self, sender: &str, secret: &str) -> String {
        let config = json!({
            "sender_email": sender, "ms_tenant_id": "theirs", "ms_client_id": sender, "ms_client_secret": secret,
        });
        let made = mail_proxy::post(&self.nodes[0], &self.admin, "/auth/sender-config", &config).expect(201);
        format!("/auth/sender-config/{}", made.json()["data"]["id"].as_str().expect("an id"))
    }

    /// What each node shows of a config's secret.
    #[track_caller]
    fn shown(&self, path: &str) -> [Value; 2] {
        self.nodes.each_ref().map(|node| {
            let found = mail_proxy::get(node, &self.admin, path).expect(200).json();
            found["data"]["ms_client_secret_masked"].clone()
        })
    }

    /// Runs the node with these keys from now on.
    fn restart(&mut self, node: usize, keys: &str) {
        self.nodes[node].restart_with(|options| options.env("ENCRYPTION_KEY", keys));
    }

    /// Hands in a mail at a node; its id.
    #[track_caller]
    fn send(&self, node: usize, from: &str) -> String {
        let mail = crate::emails_api::with(mail_proxy::mail(), json!({ "from": from }));
        mail_proxy::sent(&self.nodes[node], &self.admin, &mail)
    }

    #[track_caller]
    fn wait_sent(&self, id: &str) {
        eventually("the mail is sent", || {
            let path = format!("/mail/status/{id}");
            let status = mail_proxy::get(&self.nodes[0], &self.admin, &path).expect(200).json();
            (status["status"] == "sent").then_some(())
        });
    }
}

/// A key of 32 bytes.
fn key(number: u8) -> String {
    BASE64.encode([number; 32])
}

#[test]
fn g63_the_encryption_key_is_rotated_while_two_nodes_run() {
    scaled_only!("nodes with keys of their own share a store");
    let mut stage = Stage::start();
    let (old, new) = (key(1), key(2));
    let config = stage.config("noreply@example.com", SECRET);
    let bearer = oauth::token(&stage.nodes[0]);
    let tokens_hold = |stage: &Stage| {
        for node in &stage.nodes {
            oauth::get(node, &bearer, "/emails").expect(200);
        }
    };
    // As the manual says: first every node knows the new key, then each seals with it. Nothing is unreadable meanwhile.
    let (both, turned) = (format!("{old},{new}"), format!("{new},{old}"));
    for (node, keys) in [(0, &both), (1, &both), (0, &turned)] {
        stage.restart(node, keys);
        assert_eq!(stage.shown(&config), [SHOWN, SHOWN]);
        tokens_hold(&stage);
    }
    let id = stage.send(0, "noreply@example.com");
    stage.wait_sent(&id);
    // One node seals with the new key already, the other one with the old: each reads what either wrote.
    let put = |stage: &Stage, node: usize, secret: &str| {
        let body = json!({ "ms_client_secret": secret });
        mail_proxy::call(&stage.nodes[node], "PUT", &config, &stage.admin.bearer, &[], Some(&body))
            .expect(200);
    };
    put(&stage, 0, "by-the-new-key");
    assert_eq!(stage.shown(&config), ["by-t****-key", "by-t****-key"]);
    put(&stage, 1, "by-an-older-key");
    assert_eq!(stage.shown(&config), ["by-a****-key", "by-a****-key"]);
    stage.restart(1, &turned);
    assert_eq!(stage.shown(&config), ["by-a****-key", "by-a****-key"]);
    tokens_hold(&stage);
    put(&stage, 1, "by-the-new-key");

    // In haste: a node that was never told of the new key reads what is old, and says why it cannot read the rest.
    let haste = stage.config("haste@example.com", SECRET);
    stage.restart(1, &old);
    assert_eq!(stage.shown(&haste), [SHOWN, "****"]);
    assert!(stage.nodes[1].stderr().contains("was sealed under another encryption key"));
    let id = stage.send(1, "haste@example.com");
    stage.restart(1, &turned);
    assert_eq!(stage.shown(&haste), [SHOWN, SHOWN]);
    stage.wait_sent(&id);
}

#[test]
fn g63_what_was_changed_or_moved_in_the_database_opens_nowhere_and_says_so() {
    scaled_only!("it changes rows of the shared store");
    let stage = Stage::start();
    let senders = ["moved@example.com", "swapped@example.com", "flipped@example.com"];
    let configs = senders.map(|sender| stage.config(sender, SECRET));
    let swap = "UPDATE sender_configs a SET sealed_secret = b.sealed_secret FROM sender_configs b
        WHERE a.id <> b.id AND 'flipped@example.com' NOT IN (a.sender_key, b.sender_key)";
    // Behind the header, in the sealed text itself.
    let flip = "UPDATE sender_configs SET sealed_secret = set_bit(sealed_secret, 200, 1 - get_bit(sealed_secret, 200))
        WHERE sender_key = 'flipped@example.com'";
    let damage = || [swap, flip].map(|sql| stage.postgres.sql(sql));
    damage();
    for config in &configs {
        assert_eq!(stage.shown(config), ["****", "****"]);
    }
    let ids = [0, 1, 2].map(|n| stage.send(n % 2, senders[n]));
    for id in &ids {
        eventually("the email says why it waits", || {
            let email = stage.nodes[0].email(id);
            let why = email["error"].as_str().unwrap_or_default();
            why.contains("is damaged, or was moved from another place").then_some(())
        });
    }
    assert_eq!(stage.provider.requests().len(), 0, "somebody logged in");
    // Done twice it is undone, and nothing is lost: what waited goes out.
    damage();
    for config in &configs {
        assert_eq!(stage.shown(config), [SHOWN, SHOWN]);
    }
    for id in &ids {
        stage.wait_sent(id);
    }
    for node in &stage.nodes {
        let log = node.stderr();
        assert!(log.contains("is damaged, or was moved from another place"));
        assert!(!log.contains(SECRET));
    }
}
