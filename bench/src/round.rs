//! The plan of a comparison and one round of it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;

use crate::Fault;
use crate::figures::{self, Figures, percentile};
use crate::load::{self, Connection, Load};
use crate::message::token;
use crate::process::{self, Usage};
use crate::sink::Sink;
use crate::system::{Dkim, Running, System};

/// What to measure.
#[derive(Args, Clone, Debug)]
pub struct Plan {
    /// The systems, in the order of each round.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "ceiling,posthaste,posthaste-smtp,oauth,mail-proxy,aegis,postfix"
    )]
    systems: Vec<System>,
    /// Rounds; the medians are printed.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Messages of a round.
    #[arg(long, default_value_t = 20_000)]
    messages: usize,
    /// Kept-open connections; several are measured one after the other.
    #[arg(long, value_delimiter = ',', default_value = "50")]
    connections: Vec<usize>,
    /// Bytes of text and html together (`2K`, `5M`); several are measured one after the other.
    #[arg(long, value_delimiter = ',', default_value = "2K", value_parser = parse_size)]
    size: Vec<usize>,
    /// Messages sent one at a time afterwards.
    #[arg(long, default_value_t = 200)]
    singles: usize,
    /// The relay answers so late.
    #[arg(long, default_value_t = 0)]
    relay_delay_ms: u64,
    /// Sign with DKIM (Posthaste only).
    #[arg(long)]
    dkim: Option<Dkim>,
}

fn parse_size(text: &str) -> Result<usize, String> {
    let (digits, unit) = match text.strip_suffix(['K', 'k']) {
        Some(digits) => (digits, 1024),
        None => text.strip_suffix(['M', 'm']).map_or((text, 1), |digits| (digits, 1024 * 1024)),
    };
    digits.parse::<usize>().map(|size| size * unit).map_err(|_| format!("{text} is no size; write 2K or 5M"))
}

/// Measures everything and prints it.
pub async fn compare(plan: &Plan) -> Result<(), Fault> {
    for size in &plan.size {
        for connections in &plan.connections {
            let dkim = plan.dkim.map_or_else(String::new, |dkim| format!(", DKIM {dkim:?}"));
            println!(
                "\n{} messages of {size} bytes, {connections} connections, relay answers after {} ms{dkim}, medians of \
                 {} rounds\n",
                plan.messages, plan.relay_delay_ms, plan.rounds
            );
            let mut all: Vec<(System, Vec<Figures>)> =
                plan.systems.iter().map(|system| (*system, Vec::new())).collect();
            for number in 0..plan.rounds {
                for (system, rounds) in &mut all {
                    let figures = round(plan, *system, *connections, *size).await?;
                    eprintln!("{}", figures::row(&format!("{system:?}, round {}", number + 1), &figures));
                    rounds.push(figures);
                }
            }
            let all: Vec<(System, Figures)> =
                all.into_iter().map(|(system, rounds)| (system, figures::medians(&rounds))).collect();
            println!("{}", figures::HEAD);
            for (system, medians) in &all {
                println!("{}", figures::row(&format!("{system:?}"), medians));
            }
            for ratio in figures::ratios(&all) {
                println!("{ratio}");
            }
        }
    }
    Ok(())
}

async fn round(plan: &Plan, system: System, connections: usize, size: usize) -> Result<Figures, Fault> {
    let sink = Sink::start(plan.relay_delay_ms).await?;
    let running = system.start(sink.address, plan.dkim).await?;
    // What a start does at first is not the idle state.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let result = measure(plan, &running, &sink, connections, size).await;
    running.stop().await;
    sink.stop().await;
    result
}

async fn measure(
    plan: &Plan,
    running: &Running,
    sink: &Sink,
    connections: usize,
    size: usize,
) -> Result<Figures, Fault> {
    let idle = process::usage(running.process);
    let commits = running.commits().await;
    let load = Load {
        addresses: vec![running.address],
        door: running.door.clone(),
        first: 0,
        messages: plan.messages,
        connections,
        size,
    };
    let (began, began_ms) = (Instant::now(), now_micros() / 1000);
    let mut times = load::run(&load).await?;
    let accepting = began.elapsed();
    let wanted = plan.messages as u64;
    sink.wait_for(wanted, Duration::from_secs(600)).await?;
    let summary = sink.summary().await?;
    let arrived_ms = summary["last_ms"].as_u64().unwrap_or(0).saturating_sub(began_ms);
    // The outcomes of the last messages are written down after the relay has them.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let after = process::usage(running.process);
    let commits = commits.zip(running.commits().await).map(|(before, after)| after - before);
    times.sort_unstable();
    let distinct = summary["distinct_tokens"].as_u64().unwrap_or(0);
    let messages = plan.messages as f64;
    let mut singles = singles(plan, &load, sink).await?;
    singles.sort_unstable();
    Ok(Figures {
        accepted_per_s: messages / accepting.as_secs_f64(),
        end_to_end_per_s: messages / (arrived_ms.max(1) as f64 / 1000.0),
        accept_p50: percentile(&times, 0.5),
        accept_p99: percentile(&times, 0.99),
        single_p50: percentile(&singles, 0.5),
        single_p99: percentile(&singles, 0.99),
        syncs_per_message: commits.map(|commits| commits / messages),
        lost: wanted.saturating_sub(distinct) as f64,
        duplicates: summary["duplicates"].as_f64().unwrap_or(0.0),
        ..costs(&idle, &after, messages)
    })
}

fn costs(idle: &Usage, after: &Usage, messages: f64) -> Figures {
    Figures {
        cpu_s_per_1000: (after.cpu_seconds - idle.cpu_seconds) / messages * 1000.0,
        idle_mib: idle.resident_mib,
        peak_mib: after.peak_mib,
        written_kib_per_message: (after.written_kib - idle.written_kib) / messages,
        ..Figures::default()
    }
}

/// One message at a time, from the request to the sink, in microseconds.
async fn singles(plan: &Plan, load: &Load, sink: &Sink) -> Result<Vec<u32>, Fault> {
    let mut sent = Vec::with_capacity(plan.singles);
    let mut connection = Connection::open(load, 0).await?;
    for number in plan.messages..plan.messages + plan.singles {
        sent.push((token(number), now_micros()));
        connection.send(number).await?;
        // The next one meets an idle system again.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let all = (plan.messages + plan.singles) as u64;
    sink.wait_for(all, Duration::from_secs(60)).await?;
    let stamps = sink.stamps().await?;
    let time =
        |(token, at): &(String, u64)| stamps.get(token).map(|arrived| arrived.saturating_sub(*at) as u32);
    Ok(sent.iter().filter_map(time).collect())
}

#[expect(clippy::disallowed_methods, reason = "measured against the sink's stamps: the machine's clock")]
fn now_micros() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(parse_size("2K"), Ok(2048));
        assert_eq!(parse_size("5M"), Ok(5 * 1024 * 1024));
        assert_eq!(parse_size("77"), Ok(77));
        assert!(parse_size("K").is_err());
    }
}
