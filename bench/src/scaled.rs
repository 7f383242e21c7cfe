//! Nodes of everything on PostgreSQL and RabbitMQ: what they accept and deliver, and what it costs the database.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;

use crate::Fault;
use crate::database::{Counters, Database, variable};
use crate::figures::{median, percentile};
use crate::line::Line;
use crate::load::{self, Door, Load};
use crate::message::Surface;
use crate::node::Node;
use crate::process;
use crate::sink::Sink;

/// The server's processes tell their counters at most once a second.
const UNTIL_COUNTED: Duration = Duration::from_millis(2500);

/// What to measure.
#[derive(Args, Clone, Debug)]
pub struct Plan {
    /// Nodes, each an API and a worker; several are measured in turn.
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    nodes: Vec<usize>,
    /// Rounds; the medians are printed.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Messages of a round.
    #[arg(long, default_value_t = 10_000)]
    messages: usize,
    /// Kept-open connections, spread over the nodes.
    #[arg(long, default_value_t = 50)]
    connections: usize,
}

/// The figures of one round; those of a message are for one.
#[derive(Clone, Debug, Default)]
struct Figures {
    accepted_per_s: f64,
    delivered_per_s: f64,
    accept_p50: f64,
    accept_p99: f64,
    cpu_s_per_1000: f64,
    database_cpu_s_per_1000: f64,
    commits: f64,
    syncs: f64,
    wal_kib: f64,
    round_trips: f64,
    lost: f64,
    doubled: f64,
}

/// Measures and prints a table.
pub async fn measure(plan: &Plan) -> Result<(), Fault> {
    println!(
        "\nPostgreSQL and RabbitMQ: {} messages of 2 KB, {} connections, medians of {} rounds; one more round over a line \
         that counts round trips\n",
        plan.messages, plan.connections, plan.rounds
    );
    println!(
        "| nodes | accepted/s | delivered/s | accept p50 / p99 ms | CPU s per 1,000: nodes / PostgreSQL | commits a message | \
         WAL syncs a message | WAL KiB a message | round trips a message | lost | doubled |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for nodes in &plan.nodes {
        let mut rounds = Vec::new();
        for _ in 0..plan.rounds {
            let figures = round(plan, *nodes, false).await?;
            eprintln!("{nodes} nodes: {figures:?}");
            rounds.push(figures);
        }
        let of = |figure: fn(&Figures) -> f64| median(rounds.iter().map(figure).collect());
        let counted = round(plan, *nodes, true).await?;
        println!(
            "| {nodes} | {:.0} | {:.0} | {:.2} / {:.2} | {:.3} / {:.3} | {:.3} | {:.3} | {:.1} | {:.2} | {} | {} |",
            of(|f| f.accepted_per_s),
            of(|f| f.delivered_per_s),
            of(|f| f.accept_p50),
            of(|f| f.accept_p99),
            of(|f| f.cpu_s_per_1000),
            of(|f| f.database_cpu_s_per_1000),
            of(|f| f.commits),
            of(|f| f.syncs),
            of(|f| f.wal_kib),
            counted.round_trips,
            rounds.iter().map(|f| f.lost).sum::<f64>(),
            rounds.iter().map(|f| f.doubled).sum::<f64>(),
        );
    }
    Ok(())
}

async fn round(plan: &Plan, count: usize, over_line: bool) -> Result<Figures, Fault> {
    let database = Database::make("scaled").await?;
    let sink = Sink::start(0).await?;
    let line = if over_line { Some(Line::to(address_of(&database.url())?).await?) } else { None };
    let url = match &line {
        Some(line) => at(&database.url(), line.address)?,
        None => database.url(),
    };
    let prefix = format!("bench-{}", std::process::id());
    let mut nodes = Vec::new();
    for _ in 0..count {
        let mut node = Node::new(sink.address)?;
        node.set("DATABASE_URL", url.clone());
        node.set("AMQP_URL", variable("POSTHASTE_TEST_AMQP_URL")?);
        node.set("POSTHASTE_QUEUE__PREFIX", prefix.clone());
        node.start().await?;
        nodes.push(node);
    }
    let key = nodes.first().ok_or("no nodes")?.key().await?;
    // What a start does at first belongs to no message.
    tokio::time::sleep(UNTIL_COUNTED).await;
    let result = under_load(plan, &nodes, &key, &sink, &database, line.as_ref()).await;
    for mut node in nodes {
        node.stop().await;
    }
    sink.stop().await;
    database.remove().await?;
    result
}

async fn under_load(
    plan: &Plan,
    nodes: &[Node],
    key: &str,
    sink: &Sink,
    database: &Database,
    line: Option<&Line>,
) -> Result<Figures, Fault> {
    let addresses = nodes.iter().map(Node::address).collect::<Result<Vec<_>, _>>()?;
    let load = Load {
        addresses,
        door: Door::Http(Surface::Emails, key.to_owned()),
        first: 0,
        messages: plan.messages,
        connections: plan.connections,
        size: 2048,
    };
    let before = Costs::read(nodes, database, line).await?;
    let (began, began_ms) = (Instant::now(), now_ms());
    let mut times = load::run(&load).await?;
    let accepting = began.elapsed();
    sink.wait_for(plan.messages as u64, Duration::from_secs(600)).await?;
    let summary = sink.summary().await?;
    let delivering = summary["last_ms"].as_u64().unwrap_or(0).saturating_sub(began_ms).max(1) as f64 / 1000.0;
    tokio::time::sleep(UNTIL_COUNTED).await;
    let after = Costs::read(nodes, database, line).await?;
    times.sort_unstable();
    let messages = plan.messages as f64;
    let distinct = summary["distinct_tokens"].as_f64().unwrap_or(0.0);
    Ok(Figures {
        accepted_per_s: messages / accepting.as_secs_f64(),
        delivered_per_s: messages / delivering,
        accept_p50: percentile(&times, 0.5),
        accept_p99: percentile(&times, 0.99),
        cpu_s_per_1000: (after.cpu - before.cpu) / messages * 1000.0,
        database_cpu_s_per_1000: (after.database_cpu - before.database_cpu) / messages * 1000.0,
        commits: (after.counters.commits - before.counters.commits) / messages,
        syncs: (after.counters.syncs - before.counters.syncs) / messages,
        wal_kib: (after.counters.wal_bytes - before.counters.wal_bytes) / messages / 1024.0,
        round_trips: (after.round_trips - before.round_trips) / messages,
        lost: messages - distinct,
        doubled: summary["duplicates"].as_f64().unwrap_or(0.0),
    })
}

/// Everything that is counted, at one moment.
struct Costs {
    cpu: f64,
    database_cpu: f64,
    counters: Counters,
    round_trips: f64,
}

impl Costs {
    async fn read(nodes: &[Node], database: &Database, line: Option<&Line>) -> Result<Self, Fault> {
        let mut cpu = 0.0;
        for node in nodes {
            cpu += process::usage(node.process()?).cpu_seconds;
        }
        let database_cpu = process::named("postgres").map_or(0.0, |root| process::usage(root).cpu_seconds);
        let round_trips = line.map_or(0.0, |line| line.round_trips() as f64);
        Ok(Self { cpu, database_cpu, counters: database.counters().await?, round_trips })
    }
}

/// Host and port of a URL.
fn address_of(url: &str) -> Result<SocketAddr, Fault> {
    let (_, rest) = url.split_once('@').ok_or("a URL with a user")?;
    let (host, _) = rest.split_once('/').ok_or("a URL with a database")?;
    Ok(host.to_socket_addrs()?.next().ok_or("no address")?)
}

/// The URL with another host and port.
fn at(url: &str, address: SocketAddr) -> Result<String, Fault> {
    let (user, rest) = url.split_once('@').ok_or("a URL with a user")?;
    let (_, name) = rest.split_once('/').ok_or("a URL with a database")?;
    Ok(format!("{user}@{address}/{name}"))
}

#[expect(clippy::disallowed_methods, reason = "measured against the sink's stamps: the machine's clock")]
fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_takes_the_place_of_the_server() {
        let url = "postgres://posthaste@127.0.0.1:5433/bench";
        assert_eq!(address_of(url).map(|address| address.port()).ok(), Some(5433));
        let other = SocketAddr::from(([127, 0, 0, 1], 9));
        assert_eq!(at(url, other).ok().as_deref(), Some("postgres://posthaste@127.0.0.1:9/bench"));
    }
}
