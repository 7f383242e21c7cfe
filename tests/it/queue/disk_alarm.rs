//! A4: RabbitMQ's own disk alarm. It takes no ring then, and the mail goes out all the same.

use serde_json::json;

use super::{Installation, Kind, metric};
use crate::harness::broker::DiskAlarm;
use crate::harness::{Relay, Server, eventually, scaled_only};

const CONFIRMED: &str = "posthaste_rings_total{result=\"confirmed\"}";

/// Whether the broker takes rings, as `/health` says it.
fn takes_rings(server: &Server) -> bool {
    server.get("/health").json()["services"]["rabbitmq"] == "ok"
}

#[test]
fn a4_a_disk_alarm_delays_no_answer_and_the_mail_goes_out_once() {
    scaled_only!("it is about the broker, whichever store stands beside it");
    let Some(installation) = Installation::start(Kind::RabbitMq, Relay::accepting()) else { return };
    eventually("the broker is connected", || takes_rings(&installation.api).then_some(()));
    installation.accept(0..50, json!({}));
    installation.each_went_out_once(50);
    let Some(alarm) = DiskAlarm::raise() else { return };
    // RabbitMQ says so at the first ring after it.
    installation.accept(50..51, json!({}));
    eventually("the alarm is noticed", || (!takes_rings(&installation.api)).then_some(()));
    assert_eq!(installation.api.get("/health").json()["status"], "degraded");
    installation.api.get("/readyz").expect(200);
    let confirmed = metric(&installation.api, CONFIRMED);
    for number in 51..151 {
        // Each must be answered 202.
        installation.accept(number..number + 1, json!({}));
    }
    installation.accept(151..351, json!({}));
    installation.each_went_out_once(351);
    assert!(!takes_rings(&installation.api), "the alarm was over before the mail was out");
    assert_eq!(metric(&installation.api, CONFIRMED), confirmed, "a ring was taken under the alarm");
    drop(alarm);
    eventually("the broker takes rings again", || takes_rings(&installation.api).then_some(()));
    installation.accept(351..401, json!({}));
    installation.each_went_out_once(401);
    eventually("rings are confirmed again", || {
        (metric(&installation.api, CONFIRMED) > confirmed).then_some(())
    });
}
