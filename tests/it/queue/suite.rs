//! What every kind of queue promises.

use std::time::Duration;

use serde_json::json;

use super::{Installation, Kind, at};
use crate::harness::Relay;
use crate::harness::relay::{Action, Script, Step};
use crate::harness::{Server, eventually};

macro_rules! on_every_kind {
    ($($test:ident),* $(,)?) => {
        mod in_process { $( #[test] fn $test() { super::$test(super::Kind::InProcess); } )* }
        mod store { $( #[test] fn $test() { super::$test(super::Kind::Store); } )* }
        mod rabbit_mq { $( #[test] fn $test() { super::$test(super::Kind::RabbitMq); } )* }
    };
}

on_every_kind!(
    a3_each_email_goes_out_once,
    scheduled_mail_goes_out_at_its_time_and_not_before,
    a_deferred_email_is_tried_again,
    what_a_killed_process_held_goes_out_all_the_same,
    mail_that_nobody_delivered_goes_out_when_somebody_comes,
);

fn a3_each_email_goes_out_once(kind: Kind) {
    let Some(installation) = Installation::start(kind, Relay::accepting()) else { return };
    for number in 0..20 {
        installation.accept(number..number + 1, json!({}));
    }
    installation.accept(20..620, json!({}));
    installation.accept(620..660, json!({"priority": 1}));
    installation.accept(660..700, json!({"priority": 5}));
    installation.each_went_out_once(700);
}

fn scheduled_mail_goes_out_at_its_time_and_not_before(kind: Kind) {
    let Some(installation) = Installation::start(kind, Relay::accepting()) else { return };
    installation.accept(0..50, at(Duration::from_secs(2)));
    installation.each_went_out_once(50);
    let list = installation.api.get("/api/emails?limit=50").expect(200).json();
    for email in list["data"].as_array().expect("a list") {
        let id = email["id"].as_str().expect("an id");
        let email = installation.api.email(id);
        let moment =
            |name: &str| email[name].as_str().expect("a time").parse::<jiff::Timestamp>().expect("RFC 3339");
        assert!(moment("sent_at") >= moment("scheduled_at"), "{email:#}");
    }
}

fn a_deferred_email_is_tried_again(kind: Kind) {
    let script = Script::accepting().without("PIPELINING").first(
        2,
        Step::Rcpt,
        Action::Reply("451 4.3.0 later".into()),
    );
    let Some(installation) = Installation::start(kind, Relay::start(script)) else { return };
    installation.accept(0..3, json!({}));
    installation.each_went_out_once(3);
}

fn what_a_killed_process_held_goes_out_all_the_same(kind: Kind) {
    let Some(mut installation) = Installation::start(kind, Relay::accepting()) else { return };
    installation.accept(0..1000, at(Duration::from_secs(1)));
    eventually("mail is under way", || (installation.relay.messages().len() >= 20).then_some(()));
    installation.kill_one_that_delivers();
    installation.wait_for(1000);
}

fn mail_that_nobody_delivered_goes_out_when_somebody_comes(kind: Kind) {
    let Some(mut installation) = Installation::start(kind, Relay::accepting()) else { return };
    if kind == Kind::InProcess {
        installation.accept(0..40, at(Duration::from_secs(1)));
        installation.api.sigterm();
        installation.api.spawn();
        installation.api.wait_ready();
    } else {
        installation.workers.iter_mut().for_each(|worker| assert!(worker.sigterm().success()));
        installation.accept(0..40, json!({}));
        installation.workers.iter_mut().for_each(|worker| {
            worker.spawn();
            worker.wait_ready();
        });
    }
    installation.each_went_out_once(40);
    let workers = if kind == Kind::InProcess { 1 } else { 2 };
    assert_eq!(live(&installation.api), workers);
}

fn live(server: &Server) -> u64 {
    server.cli_json(&["queue", "status"])["workers"].as_u64().expect("a number")
}
