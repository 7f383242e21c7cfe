//! A6: what PostgreSQL does to its clients beside dying: it undoes transactions that lost against others, and hands over
//! to a standby.

use crate::crash::count::{Load, few_at_once, seen};
use crate::emails_api::email_to;
use crate::harness::proxy::{Line, Proxy};
use crate::harness::{Postgres, Relay, Server, ServerOptions, eventually, scaled_only};
use crate::smtp_ingress;

/// Senders under way while the primary dies.
const SENDERS: usize = 6;
/// So many emails more say that the installation works.
const ENOUGH: usize = 100;

/// Every transaction that stores an email is undone, as long as `losses` is below zero.
const LOSE: &str = "CREATE SEQUENCE losses MINVALUE -1000000 START -1000000;
    CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF nextval('losses') < 0 THEN
            RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001';
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER loses BEFORE INSERT ON emails FOR EACH STATEMENT EXECUTE FUNCTION lose()";

#[test]
fn a6_what_loses_against_others_runs_again_and_is_refused_for_now_when_it_always_does() {
    scaled_only!("it brings a database of its own");
    let (postgres, relay) = (Postgres::start(), Relay::accepting());
    let options = ServerOptions::to_relay(&relay)
        .on_parts_of_its_own()
        .env("DATABASE_URL", Postgres::url_at(postgres.address()));
    let server = Server::start(options);
    let mut session = smtp_ingress::session(&server);
    session.envelope("ann@example.com", "bob@client.com");
    let headers = [("Idempotency-Key", "the-same")];
    let ask = || server.post_with("/api/emails", &headers, &email_to("user@client.com", "token-0."));
    postgres.sql(LOSE);
    let refused = ask().expect(503);
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    session.data(smtp_ingress::MESSAGE).expect("451 4.3.0");
    assert_eq!(postgres.sql("SELECT count(*) FROM emails"), "0");
    assert_eq!(postgres.sql("SELECT count(*) FROM idempotency"), "0");
    // From here on a transaction loses twice and then wins: nobody hears of it.
    let lose_twice = || postgres.sql("SELECT setval('losses', -3)");
    lose_twice();
    let accepted = ask().expect(202);
    assert_eq!(accepted.header("idempotency-replayed"), None);
    assert_eq!(postgres.sql("SELECT last_value FROM losses"), "0", "two tries were undone");
    let again = ask().expect(202);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.json()["email_id"], accepted.json()["email_id"]);
    lose_twice();
    session.envelope("ann@example.com", "bob@client.com");
    session.data(smtp_ingress::MESSAGE).id();
    relay.wait_for(2);
    assert_eq!(postgres.sql("SELECT count(*) FROM emails"), "2");
    assert_eq!((relay.messages().len(), seen(&relay).get("token-0.")), (2, Some(&1)));
}

#[test]
fn a6_a_standby_takes_over_at_the_same_address() {
    scaled_only!("it brings databases of its own");
    let primary = Postgres::start();
    let standby = primary.standby();
    let line = Proxy::to(primary.address(), Line::Open);
    fails_over(primary, &standby, &Postgres::url_at(line.address()), || line.lead_to(standby.address()));
}

#[test]
fn a6_a_standby_takes_over_that_the_url_names_beside_the_primary() {
    scaled_only!("it brings databases of its own");
    let primary = Postgres::start();
    let standby = primary.standby();
    let url = format!("postgres://posthaste@{},{}/postgres", primary.address(), standby.address());
    fails_over(primary, &standby, &url, || ());
}

/// Two nodes under load lose the primary. What it acknowledged the standby has; until that has taken over no door
/// acknowledges anything; then both go on, without a restart.
#[track_caller]
fn fails_over(mut primary: Postgres, standby: &Postgres, url: &str, switch: impl FnOnce()) {
    let relay = Relay::accepting();
    let options = few_at_once(&relay).on_parts_of_its_own().env("DATABASE_URL", url);
    let mut nodes = [Server::start(options.clone()), Server::start_bare(options)];
    let key = nodes[0].key().to_owned();
    let mut session = smtp_ingress::session(&nodes[1]);
    session.envelope("ann@example.com", "bob@client.com");
    let load = Load::default();
    std::thread::scope(|scope| {
        let _ends = load.ends();
        for sender in 0..SENDERS {
            let (load, key, address) = (&load, &key, nodes[sender % nodes.len()].address());
            scope.spawn(move || load.run(|| Some(address), key));
        }
        load.goes_on(ENOUGH);
        primary.kill9();
        let enough = load.refusals() + SENDERS as u64;
        eventually("requests are refused", || (load.refusals() >= enough).then_some(()));
        for node in &nodes {
            let email = email_to("user@client.com", "refused");
            let refused = node.post_with("/api/emails", &[("X-Api-Key", &key)], &email).expect(503);
            assert!(refused.header("retry-after").is_some(), "{refused:?}");
        }
        session.data(smtp_ingress::MESSAGE).expect("451 4.3.0");
        standby.promote();
        switch();
        load.goes_on(ENOUGH);
    });
    let surplus = load.settle(&nodes[0], &relay);
    eprintln!("{} accepted, {surplus} copies too many, each of which says so", load.count());
    assert!(
        !relay.messages().iter().any(|taken| String::from_utf8_lossy(&taken.content).contains("refused"))
    );
    session.envelope("ann@example.com", "bob@client.com");
    nodes[0].wait_status(&session.data(smtp_ingress::MESSAGE).id(), "sent");
    assert!(nodes.iter_mut().all(|node| node.exited().is_none()), "a node ended");
}
