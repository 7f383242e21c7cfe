//! The measurements of Posthaste: a load generator as cheap as it can be, the systems to compare, and their account.
//!
//! `compare` runs everything embedded; `ceiling` is the least a durable SMTP relay can do, a system to compare with;
//! `scaled` measures nodes on PostgreSQL and RabbitMQ; `pages` what a page of history costs, `refusals` what saying no costs and whether its time tells anything.

mod ceiling;
mod database;
mod figures;
mod line;
mod load;
mod message;
mod node;
mod pages;
mod process;
mod refusals;
mod round;
mod scaled;
mod sink;
mod system;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What can go wrong ends the measurement with a sentence.
type Fault = Box<dyn Error + Send + Sync>;

#[derive(Parser)]
#[command(about = "Measures Posthaste beside Postfix and the least a durable relay can do")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures the systems in interleaved rounds and prints medians and ratios.
    Compare(round::Plan),
    /// Measures nodes on PostgreSQL and RabbitMQ; needs the servers that `bench/run` starts.
    Scaled(scaled::Plan),
    /// Measures a page of history over little and much mail; needs the servers that `bench/run` starts.
    Pages(pages::Plan),
    /// Measures how long hostile requests keep the server busy, and whether the time of a refusal tells who exists.
    Refusals(refusals::Plan),
    /// Serves the ceiling relay: appends to a log, one sync for all that waits, answers, passes on.
    Ceiling {
        /// Where the log goes.
        #[arg(long)]
        log: PathBuf,
        /// The relay behind it.
        #[arg(long)]
        relay: SocketAddr,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // One thread: the generator must leave the processors to the system under test.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.map_err(Fault::from).and_then(|runtime| {
        runtime.block_on(async {
            match arguments.command {
                Command::Compare(plan) => round::compare(&plan).await,
                Command::Scaled(plan) => scaled::measure(&plan).await,
                Command::Pages(plan) => pages::measure(&plan).await,
                Command::Refusals(plan) => refusals::measure(&plan).await,
                Command::Ceiling { log, relay } => ceiling::serve(&log, relay).await,
            }
        })
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("posthaste-bench: {fault}");
            ExitCode::FAILURE
        }
    }
}
