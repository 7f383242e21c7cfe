//! What a page of history costs when there is little and when there is much: the same requests over a store that was
//! filled with copies of a thousand real emails.

mod copies_postgres;
mod copies_sqlite;
mod people;

use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::Fault;
use crate::database::Database;
use crate::figures::percentile;
use crate::load::{self, Door, Load};
use crate::message::Surface;
use crate::node::Node;
use crate::sink::Sink;

/// Real emails that everything else is copied from.
const ORIGINALS: usize = 1000;

/// What to measure.
#[derive(Args, Clone, Debug)]
pub struct Plan {
    /// The stores.
    #[arg(long, value_delimiter = ',', default_value = "sqlite,postgres")]
    stores: Vec<StoreKind>,
    /// Emails in the store, at least; each is measured after the one before.
    #[arg(long, value_delimiter = ',', default_value = "10000,1000000")]
    rows: Vec<u64>,
    /// Requests of each kind; the median is printed.
    #[arg(long, default_value_t = 200)]
    requests: usize,
    /// Bytes of text and html of each email. No page reads them; less leaves room for more emails on the disk.
    #[arg(long, default_value_t = 2048)]
    size: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum StoreKind {
    /// In the server's directory.
    Sqlite,
    /// A database of its own on the server that `POSTHASTE_TEST_POSTGRES_URL` names.
    Postgres,
}

/// Measures all sizes on all stores and prints a table.
pub async fn measure(plan: &Plan) -> Result<(), Fault> {
    println!("\nA page of 50 by GET /api/emails, median / p99 of {} requests in ms\n", plan.requests);
    println!(
        "| store | emails | newest | far back | of a recipient | of a status | of a word | KiB stored an email |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut shown = Vec::new();
    for kind in &plan.stores {
        store(plan, *kind, &mut shown).await?;
    }
    println!("\nThe pages for people, median / p99 of {} requests in ms\n", plan.requests);
    println!("| store | emails | {} |", people::PAGES.map(|(name, _)| name).join(" | "));
    println!("| --- | --- |{}", " --- |".repeat(people::PAGES.len()));
    for line in shown {
        println!("{line}");
    }
    Ok(())
}

async fn store(plan: &Plan, kind: StoreKind, shown: &mut Vec<String>) -> Result<(), Fault> {
    let database = if kind == StoreKind::Postgres { Some(Database::make("pages").await?) } else { None };
    let sink = Sink::start(0).await?;
    let mut node = Node::new(sink.address)?;
    if let Some(database) = &database {
        node.set("DATABASE_URL", database.url());
    }
    node.start().await?;
    let key = node.key().await?;
    node.admin().await?;
    originals(&node, &sink, &key, plan.size).await?;
    let mut sizes = plan.rows.clone();
    sizes.sort_unstable();
    for size in sizes {
        // Nobody else may work on the store while it is filled.
        node.stop().await;
        let began = Instant::now();
        let filled = match &database {
            Some(database) => copies_postgres::fill(database, size).await?,
            None => copies_sqlite::fill(&node.data().join("posthaste.db"), size)?,
        };
        eprintln!("{kind:?}: {filled} emails after {:.0} s", began.elapsed().as_secs_f64());
        node.start().await?;
        let row = row(plan, &node, &key).await?;
        let bytes = match &database {
            Some(database) => database.bytes().await?,
            None => std::fs::metadata(node.data().join("posthaste.db"))?.len(),
        };
        println!("| {kind:?} | {filled} | {row} | {:.1} |", bytes as f64 / 1024.0 / filled as f64);
        shown.push(format!("| {kind:?} | {filled} | {} |", people::row(plan, &node, &key).await?));
    }
    node.stop().await;
    sink.stop().await;
    if let Some(database) = database {
        database.remove().await?;
    }
    Ok(())
}

/// Has the emails accepted and delivered that all others are copies of.
async fn originals(node: &Node, sink: &Sink, key: &str, size: usize) -> Result<(), Fault> {
    let load = Load {
        addresses: vec![node.address()?],
        door: Door::Http(Surface::Emails, key.to_owned()),
        first: 0,
        messages: ORIGINALS,
        connections: 20,
        size,
    };
    load::run(&load).await?;
    sink.wait_for(ORIGINALS as u64, Duration::from_secs(300)).await?;
    let began = Instant::now();
    loop {
        let all: Value = serde_json::from_str(&node.ask("/api/emails?status=sent&count=true", key).await?)?;
        if all["total"] == ORIGINALS {
            // The embedded store's index follows when its writer is idle.
            tokio::time::sleep(Duration::from_secs(2)).await;
            return Ok(());
        }
        if began.elapsed() > Duration::from_secs(60) {
            return Err(format!("not all emails became sent: {all}").into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn row(plan: &Plan, node: &Node, key: &str) -> Result<String, Fault> {
    // As far back as a person goes on turning pages, and then some.
    let mut far = String::from("/api/emails?limit=50");
    for _ in 0..100 {
        let page: Value = serde_json::from_str(&node.ask(&far, key).await?)?;
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        far = format!("/api/emails?limit=50&cursor={cursor}");
    }
    let mut cells = Vec::new();
    for path in [
        "/api/emails?limit=50",
        &far,
        "/api/emails?limit=50&recipient=customer@example.org",
        "/api/emails?limit=50&status=sent",
        "/api/emails?limit=50&q=order",
    ] {
        cells.push(
            cell(plan, async |is_first| {
                let answer = node.ask(path, key).await?;
                let is_full = !is_first || answer.contains("\"subject\"");
                if is_full { Ok(()) } else { Err(format!("{path}: {answer}").into()) }
            })
            .await?,
        );
    }
    Ok(cells.join(" | "))
}

/// Median and 99th percentile of a request, in ms. It is told whether it is the first one, and is to look at its answer.
async fn cell(plan: &Plan, ask: impl AsyncFn(bool) -> Result<(), Fault>) -> Result<String, Fault> {
    let mut times = Vec::with_capacity(plan.requests);
    // The first ones warm the caches.
    for number in 0..plan.requests + 20 {
        let began = Instant::now();
        ask(number == 0).await?;
        if number >= 20 {
            times.push(began.elapsed().as_micros() as u32);
        }
    }
    times.sort_unstable();
    Ok(format!("{:.2} / {:.2}", percentile(&times, 0.5), percentile(&times, 0.99)))
}
