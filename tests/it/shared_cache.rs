//! Several nodes on one cache, and what holds when it is away (A9, 27, 58).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::emails_api::email_to;
use crate::harness::server::NONE;
use crate::harness::{Redis, Relay, Response, Server, ServerOptions, eventually};

/// Limits as they are when nothing is set, and a cache.
fn limited(redis: &Redis) -> ServerOptions {
    ServerOptions::default().without("POSTHASTE_LIMITS__PER_KEY").env("REDIS_URL", redis.url())
}

/// A server and a further API node on its data.
fn two_nodes(options: &ServerOptions) -> [Server; 2] {
    let first = Server::start(options.clone());
    let second = Server::start_bare(options.clone().api_only().data_at(&first.data()));
    [first, second]
}

/// `count` requests at once, spread over `nodes`; answers how many came to `status`.
fn crowd(
    nodes: &[Server],
    count: usize,
    status: u16,
    request: impl Fn(&Server, usize) -> Response + Sync,
) -> usize {
    let found = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for n in 0..count {
            let (found, request) = (&found, &request);
            scope.spawn(move || {
                let answer = request(&nodes[n % nodes.len()], n);
                if answer.status == status {
                    found.fetch_add(1, Ordering::SeqCst);
                } else {
                    assert_eq!(answer.status, 429, "{}", answer.text());
                    let wait = answer.header("retry-after").and_then(|text| text.parse::<u64>().ok());
                    assert!(wait.is_some_and(|seconds| (1..=60).contains(&seconds)), "{wait:?}");
                }
            });
        }
    });
    found.load(Ordering::SeqCst)
}

fn health(server: &Server) -> Value {
    server.get_with("/health", &[("X-Api-Key", NONE)]).json()
}

#[track_caller]
fn wait_health(server: &Server, status: &str) -> Value {
    eventually(&format!("the health becomes {status}"), || {
        let found = health(server);
        (found["status"] == status).then_some(found)
    })
}

/// What a transport may carry is counted over nodes and restarts; what is over it waits.
#[test]
fn a_rate_of_a_transport_holds_after_a_restart() {
    // As above: a cache that did not answer in time proves nothing.
    let proved = (0..5).any(|_| {
        let (redis, relay) = (Redis::start(), Relay::accepting());
        let options = ServerOptions::to_relay(&relay).env("REDIS_URL", redis.url());
        let mut server = Server::start(options.env("POSTHASTE_TRANSPORTS__SMTP__RATE", "2/h"));
        let send = |server: &Server| {
            let id = server.send(&email_to("user@client.com", "x"));
            eventually("it is sent, or waits", || {
                let email = server.email(&id);
                let waits = email["error"].as_str().is_some_and(|error| {
                    assert_eq!(error, "the rate of transport smtp is reached");
                    true
                });
                (waits || email["status"] == "sent").then_some(email)
            })
        };
        let sent: Vec<Value> = (0..3).map(|_| send(&server)["status"].clone()).collect();
        assert_eq!(sent, ["sent", "sent", "queued"]);
        let mut missed_by = missed(std::slice::from_ref(&server));
        server.restart();
        let last = send(&server);
        missed_by += missed(std::slice::from_ref(&server));
        let has_held = last["status"] == "queued" && last["retries"] == 0 && relay.messages().len() == 2;
        assert!(has_held || missed_by > 0, "{last:#}");
        missed_by == 0
    });
    assert!(proved, "the cache was late in each of five rounds");
}

fn is_limited_together(nodes: &[Server; 2]) -> bool {
    let key = nodes[0].new_key(&["--client", "default", "--rate-limit", "3/min"]);
    let ask = |n: usize| nodes[n % 2].get_with("/api/emails", &[("X-Api-Key", key.as_str())]).status;
    (0..6).map(ask).filter(|status| *status == 200).count() == 3
}

#[test]
fn f58_three_hundred_at_once_over_two_nodes_are_exactly_sixty() {
    let redis = Redis::start();
    let nodes = two_nodes(&limited(&redis));
    let email = email_to("user@client.com", "x");
    // A machine so busy that the cache did not answer in time proves nothing about the window that nodes share.
    let proved = (0..5).any(|_| {
        let key = nodes[0].new_key(&["--client", "default"]);
        let missed_before = missed(&nodes);
        let accepted = crowd(&nodes, 300, 202, |node, n| {
            // Made up: no proxy is trusted, so it moves nobody to another window.
            let forged = format!("198.51.100.{}", n % 250);
            node.post_with("/api/emails", &[("X-Api-Key", &key), ("X-Forwarded-For", &forged)], &email)
        });
        let has_answered = missed(&nodes) == missed_before;
        assert!(accepted == 60 || !has_answered, "{accepted} accepted");
        has_answered
    });
    assert!(proved, "the cache was late in each of five rounds");
    let metrics = nodes[0].get_with("/metrics", &[("X-Api-Key", NONE)]).text();
    assert!(metrics.contains("posthaste_cache_up 1"), "{metrics}");
}

/// How often the nodes went on without the cache so far.
fn missed(nodes: &[Server]) -> u64 {
    let of = |node: &Server| -> u64 {
        let metrics = node.get_with("/metrics", &[("X-Api-Key", NONE)]).text();
        let counted = metrics.lines().filter(|line| line.starts_with("posthaste_cache_missed_total{"));
        counted.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    };
    nodes.iter().map(of).sum()
}

#[test]
fn f58_a_forged_forwarding_address_is_no_way_around_the_limit_of_an_address() {
    let redis = Redis::start();
    let nodes = two_nodes(&limited(&redis).env("POSTHASTE_LIMITS__PER_IP", "20/min"));
    let refused = crowd(&nodes, 60, 401, |node, n| {
        let forged = format!("198.51.100.{n}");
        let headers = [("X-Api-Key", "ph_live_guess"), ("X-Forwarded-For", &forged), ("Forwarded", &forged)];
        node.get_with("/api/emails", &headers)
    });
    assert_eq!(refused, 20);
}

#[test]
fn a9_without_the_cache_mail_is_taken_limits_hold_per_node_and_it_is_found_when_it_comes() {
    let mut redis = Redis::absent();
    let nodes = two_nodes(&limited(&redis));
    let [first, second] = &nodes;
    let id = first.send(&email_to("user@client.com", "x"));
    first.wait_status(&id, "sent");
    let found = health(first);
    assert_eq!((&found["status"], &found["services"]["keydb"]), (&"degraded".into(), &"error".into()));
    first.get_with("/readyz", &[("X-Api-Key", NONE)]).expect(200);
    let doctor = first.cli(&["doctor"]);
    let told = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert_eq!(doctor.status.code(), Some(1), "{told}");
    assert!(told.contains("cache"), "{told}");
    let key = first.new_key(&["--client", "default", "--rate-limit", "10/min"]);
    let listed = |nodes: &[Server]| {
        crowd(nodes, 40, 200, |node, _| node.get_with("/api/emails", &[("X-Api-Key", &key)]))
    };
    assert_eq!(listed(&nodes), 20, "ten for each node");
    redis.begin();
    let found = wait_health(first, "healthy");
    assert_eq!(found["services"]["keydb"], "ok");
    wait_health(second, "healthy");
    assert!(is_limited_together(&nodes));
    assert_eq!(first.cli(&["doctor"]).status.code(), Some(0));
}

#[test]
fn a9_a_cache_that_hangs_and_dies_takes_nothing_with_it() {
    let mut redis = Redis::start();
    let nodes = two_nodes(&ServerOptions::default().env("REDIS_URL", redis.url()));
    let [first, second] = &nodes;
    let key = first.key().to_owned();
    let email = email_to("user@client.com", "once");
    let once = |node: &Server| {
        let headers = [("X-Api-Key", key.as_str()), ("Idempotency-Key", "the-same")];
        node.post_with("/api/emails", &headers, &email).expect(202)
    };
    let id = once(first).json()["email_id"].clone();
    let before = first.memory_kib("VmRSS");
    for trouble in ["hangs", "is gone"] {
        if trouble == "hangs" {
            redis.signal("STOP");
        } else {
            redis.end();
        }
        let accepted = crowd(&nodes, 200, 202, |node, n| {
            let email = email_to("user@client.com", &format!("while it {trouble} {n}"));
            node.post_with("/api/emails", &[("X-Api-Key", &key)], &email)
        });
        assert_eq!(accepted, 200, "while it {trouble}");
        let found = wait_health(second, "degraded");
        assert_eq!(found["services"]["keydb"], "error");
        let replay = once(second);
        assert_eq!(replay.header("idempotency-replayed"), Some("true"), "while it {trouble}");
        assert_eq!(replay.json()["email_id"], id, "while it {trouble}");
        let made = first.cli_json(&["key", "create", "--client", "default"]);
        let doomed = [("X-Api-Key", made["key"].as_str().expect("a key"))];
        second.get_with("/api/emails", &doomed).expect(200);
        let revoked = first.cli(&["key", "revoke", made["id"].as_str().expect("an id")]);
        assert!(revoked.status.success(), "{}", String::from_utf8_lossy(&revoked.stderr));
        for node in &nodes {
            node.get_with("/api/emails", &doomed).expect(401);
        }
    }
    let grown = first.memory_kib("VmRSS").saturating_sub(before);
    assert!(grown < 128 * 1024, "{grown} KiB more");
    redis.begin();
    wait_health(first, "healthy");
    wait_health(second, "healthy");
    assert!(is_limited_together(&nodes));
}

#[test]
fn who_waits_at_one_node_hears_of_a_delivery_by_another() {
    let redis = Redis::start();
    let [worker, api] = two_nodes(&ServerOptions::default().env("REDIS_URL", redis.url()));
    let headers = [("X-Api-Key", worker.key())];
    let sent = api.post_with("/api/emails", &headers, &email_to("user@client.com", "x")).expect(202).json();
    let id = sent["email_id"].as_str().expect("an id");
    let found = api.get_with(&format!("/api/emails/{id}?wait=60s"), &headers).expect(200).json();
    assert_eq!(found["status"], "sent", "{found:#}");
    worker.wait_healthy();
    assert!(worker.get_with("/health", &[]).expect(200).json()["services"]["keydb"] == "ok");
    // What a reader is told of a change is never what it was before, whichever node made it.
    let later = crate::emails_api::with(
        email_to("user@client.com", "later"),
        serde_json::json!({"send_at": crate::harness::soon(Duration::from_secs(3600))}),
    );
    let id = worker.send(&later);
    worker.post(&format!("/api/emails/{id}/cancel"), &Value::Null).expect(200);
    assert_eq!(
        api.get_with(&format!("/api/emails/{id}"), &headers).expect(200).json()["status"],
        "cancelled"
    );
}
