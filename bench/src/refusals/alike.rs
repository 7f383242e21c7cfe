//! Whether the time of a refusal tells that somebody exists: those who do and those who do not are asked for in turns.

use std::time::Duration;

use posthaste_model::credential::{ApiKey, KeyMode};
use serde_json::json;

use super::caller::{Caller, Request};
use crate::Fault;
use crate::node::{ADMIN, Node};

/// An OAuth client that exists.
pub const CLIENT: &str = "myawesomeapp";

/// Prints a row for each kind of credential.
pub async fn measure(node: &Node, key: &str, samples: usize) -> Result<(), Fault> {
    let by_secret = |id: &str| {
        let body = json!({"grant_type": "client_credentials", "client_id": id, "client_secret": "wrong!"});
        Request::json("/authorize", &[], &body)
    };
    let by_key = |path: &str, key: &str| Request::json(path, &[("X-Api-Key", key)], &json!({}));
    let (same, other) = (of_the_same_prefix(key)?, of_no_prefix(key)?);
    for (whose, requests) in [
        ("OAuth client", [by_secret(CLIENT), by_secret("yourotherapp")]),
        ("API key, by its first characters", [&same, &other].map(|key| by_key("/api/emails", key))),
        ("Aegis key, by its first characters", [&same, &other].map(|key| by_key("/send", key))),
    ] {
        let mut caller = Caller::new(node.address()?).await?;
        let mut times = [Vec::with_capacity(samples), Vec::with_capacity(samples)];
        for sample in 0..samples {
            for place in turns(sample) {
                times[place].push(caller.time(&requests[place], 401).await?);
            }
        }
        row(whose, times);
    }
    row("user", users(node, samples).await?);
    Ok(())
}

/// Wrong passwords of a user and of nobody. Each wrong one of an account makes its next answer slower, so a right one
/// follows where there is one, and nobody is somebody else each time.
async fn users(node: &Node, samples: usize) -> Result<[Vec<Duration>; 2], Fault> {
    let (cookie, token) = node.login_page().await?;
    let cookie = format!("posthaste_session={cookie}");
    let by_password = |email: &str| {
        let form = format!("_token={token}&email={email}&password=wrong!");
        let kind = ("Content-Type", "application/x-www-form-urlencoded");
        Request::new("POST", "/login", &[("Cookie", &cookie), kind], &form)
    };
    let mut caller = Caller::new(node.address()?).await?;
    let mut times = [Vec::with_capacity(samples), Vec::with_capacity(samples)];
    for sample in 0..samples {
        let requests = [by_password(ADMIN), by_password(&format!("{sample:05}@example.com"))];
        for place in turns(sample) {
            times[place].push(caller.time(&requests[place], 422).await?);
        }
        node.log_in().await?;
    }
    Ok(times)
}

/// Whoever comes first must not be the same each time.
fn turns(sample: usize) -> [usize; 2] {
    if sample.is_multiple_of(2) { [0, 1] } else { [1, 0] }
}

fn row(whose: &str, times: [Vec<Duration>; 2]) {
    let [known, unknown] = times.map(middle);
    println!("| {whose} | {known:.3} | {unknown:.3} | {:.3} |", known / unknown);
}

fn middle(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}

/// A key with a right checksum that nobody has, and that begins as `known` does up to what lists of keys show of it.
fn of_the_same_prefix(known: &str) -> Result<String, Fault> {
    let with = |bytes: &[u8; 64]| ApiKey::new(KeyMode::Live, bytes).expose().to_owned();
    let mut bytes = [7; 64];
    for (place, byte) in bytes.iter_mut().enumerate().take(4) {
        let wanted = &known[8 + place..9 + place];
        *byte = (0..62_u8).find(|byte| &with(&[*byte; 64])[8..9] == wanted).ok_or("no such character")?;
    }
    Ok(with(&bytes))
}

/// A key with a right checksum and a prefix that nobody has.
fn of_no_prefix(known: &str) -> Result<String, Fault> {
    let mut keys = (0..62_u8).map(|byte| ApiKey::new(KeyMode::Live, &[byte; 64]).expose().to_owned());
    Ok(keys.find(|key| key[..12] != known[..12]).ok_or("no other key")?)
}
