//! What holds across nodes whichever of them is asked, with the shared cache and without (A44, C27).

use std::collections::HashSet;
use std::sync::Barrier;
use std::time::Duration;

use serde_json::json;

use crate::emails_api::email_to;
use crate::emails_api::stream::Stream;
use crate::harness::server::NONE;
use crate::harness::{
    Postgres, Redis, Relay, Server, ServerOptions, eventually, eventually_within, scaled_only,
};
use crate::{mail_proxy, oauth, smtp_ingress};

/// A server of everything, and a further API node beside it.
fn two_nodes(options: &ServerOptions) -> [Server; 2] {
    let first = Server::start(options.clone());
    let second = Server::start_bare(options.clone().api_only().data_at(&first.data()));
    [first, second]
}

/// Both ways to run: with a cache, and with none (empty counts as not set).
fn with_and_without_cache(journey: impl Fn(ServerOptions)) {
    let redis = Redis::start();
    journey(ServerOptions::default().env("REDIS_URL", redis.url()));
    journey(ServerOptions::default().env("REDIS_URL", ""));
}

#[test]
fn a44_one_key_at_a_hundred_callers_of_two_nodes_is_one_email() {
    with_and_without_cache(|options| {
        let relay = Relay::accepting();
        let options = options
            .env("SMTP_HOST", "127.0.0.1")
            .env("SMTP_PORT", relay.port().to_string())
            .env("SMTP_ENCRYPTION", "none")
            .env("SMTP_AUTH", "false");
        let mut nodes = two_nodes(&options);
        let key = nodes[0].key().to_owned();
        let email = email_to("user@client.com", "once");
        let headers = [("X-Api-Key", key.as_str()), ("Idempotency-Key", "once")];
        let ask = |node: &Server| node.post_with("/api/emails", &headers, &email);
        let barrier = Barrier::new(100);
        let ids: HashSet<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..100)
                .map(|n| {
                    let (node, barrier, ask) = (&nodes[n % 2], &barrier, &ask);
                    scope.spawn(move || {
                        barrier.wait();
                        let answer = ask(node);
                        assert!(matches!(answer.status, 202 | 409), "{} {}", answer.status, answer.text());
                        (answer.status == 202).then(|| answer.json()["email_id"].to_string())
                    })
                })
                .collect();
            threads.into_iter().filter_map(|thread| thread.join().expect("no panic")).collect()
        });
        assert_eq!(ids.len(), 1, "{ids:?}");
        // Whichever node took it: the other answers for it after its death, and it does itself after its return.
        for node in [1, 0] {
            nodes[1 - node].kill9();
            let again = ask(&nodes[node]).expect(202);
            assert_eq!(again.header("idempotency-replayed"), Some("true"));
            assert!(ids.contains(&again.json()["email_id"].to_string()));
            nodes[1 - node].spawn();
            nodes[1 - node].wait_ready();
        }
        assert_eq!(nodes[0].get("/api/emails?count=true").expect(200).json()["total"], 1);
        relay.wait_for(1);
        assert_eq!(relay.messages().len(), 1);
    });
}

#[test]
fn c27_what_is_revoked_is_refused_by_every_node_at_its_next_request() {
    with_and_without_cache(|options| {
        let nodes = two_nodes(&options.env("POSTHASTE_SMTP__AUTH_REQUIRED", "true"));
        let [first, second] = &nodes;
        let made = first.cli_json(&["key", "create", "--client", "default"]);
        let (key, id) = (made["key"].as_str().expect("a key"), made["id"].as_str().expect("an id"));
        let mut stream = Stream::open(second, key, "");
        let mut session = smtp_ingress::session(first);
        session.login("default", key).expect("235");
        session.envelope("ann@example.com", "bob@client.com");
        session.data(smtp_ingress::MESSAGE).id();
        let mail_proxy = mail_proxy::sender(first);
        let bearer = oauth::token(first);
        let ask = |node: &Server| {
            [
                node.get_with("/api/emails", &[("X-Api-Key", key)]).status,
                mail_proxy::get(node, &mail_proxy, "/mail/history").status,
                oauth::get(node, &bearer, "/emails").status,
            ]
        };
        for node in &nodes {
            assert_eq!(ask(node), [200; 3]);
        }
        assert!(first.cli(&["key", "revoke", id]).status.success());
        first.cli_json(&["token", "revoke", &mail_proxy.id]);
        first.cli_json(&["oauth-client", "revoke", "myawesomeapp"]);
        for node in &nodes {
            assert_eq!(ask(node), [401; 3]);
            let refused = node.post_with("/api/emails", &[("X-Api-Key", key)], &json!({}));
            refused.expect(401);
        }
        let refused = mail_proxy::get(second, &mail_proxy, "/mail/history");
        assert_eq!(mail_proxy::error(&refused), (401, "token_revoked".to_owned()));
        session.say("MAIL FROM:<ann@example.com>").expect("535 5.7.8");
        eventually_within(Duration::from_secs(10), "the stream closes", || {
            stream.read();
            stream.is_closed.then_some(())
        });
        second.wait_healthy();
        second.get_with("/health", &[("X-Api-Key", NONE)]).expect(200);
    });
}

#[test]
fn nodes_that_start_at_once_on_an_empty_database_make_and_show_one_key() {
    scaled_only!("it brings a database of its own");
    let postgres = Postgres::start();
    let options = ServerOptions::default()
        .on_parts_of_its_own()
        .env("DATABASE_URL", Postgres::url_at(postgres.address()))
        .api_only();
    let mut nodes: Vec<Server> = (0..4).map(|_| Server::prepare(options.clone())).collect();
    nodes.iter_mut().for_each(Server::spawn);
    nodes.iter_mut().for_each(Server::wait_ready);
    // The key, where there is one, stands at the end.
    for node in &nodes {
        eventually("it has said where it listens", || node.stdout().ends_with("\n\n").then_some(()));
    }
    let shown: Vec<String> = nodes.iter().filter_map(Server::key_in_banner).collect();
    let kept = nodes[0].cli_json(&["key", "list"]);
    assert_eq!((shown.len(), kept.as_array().map(Vec::len)), (1, Some(1)), "{kept}");
    for node in &nodes {
        node.get_with("/api/emails", &[("X-Api-Key", &shown[0])]).expect(200);
    }
}
