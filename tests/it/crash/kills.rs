//! A1: killed again and again at no particular place, under load.

use super::count::{Load, WORKERS, few_at_once};
use crate::harness::{Relay, Server};

/// As many as a run of all tests has the time for.
const KILLS: usize = 100;
/// Set to another number of kills for the long run.
const KILLS_VARIABLE: &str = "POSTHASTE_TEST_KILLS";

#[test]
fn a1_killed_at_random_under_load_nothing_is_lost() {
    survives(KILLS);
}

#[test]
#[ignore = "takes many minutes; CONTRIBUTING.md says how to run it"]
fn a1_killed_a_thousand_times_nothing_is_lost() {
    let chosen = std::env::var_os(KILLS_VARIABLE).map(|text| {
        let number = text.to_string_lossy().parse();
        number.unwrap_or_else(|_| panic!("{KILLS_VARIABLE} is a number of kills"))
    });
    survives(chosen.unwrap_or(1000));
}

#[track_caller]
fn survives(kills: usize) {
    let relay = Relay::accepting();
    let mut server = Server::start(few_at_once(&relay).env("POSTHASTE_DELIVERY__LEASE", "5s"));
    let load = Load::default();
    load.during(&mut server, 8, |server, address| {
        for kill in 0..kills {
            // A different amount of work each time, so that the kill meets different moments.
            load.goes_on(5 + kill * 7 % 60);
            address.away(server, Server::restart);
        }
    });
    let doubles = load.settle(&server, &relay);
    println!("{kills} kills, {} acknowledged, none lost, {doubles} sent twice", load.count());
    assert!(doubles <= kills * WORKERS, "{doubles} sent twice in {kills} kills");
    // The doctor reads the whole store, every index included.
    let examined = server.cli(&["doctor"]);
    assert_eq!(examined.status.code(), Some(0), "{}", String::from_utf8_lossy(&examined.stdout));
}
