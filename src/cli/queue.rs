//! `posthaste queue`: what waits, and who works it off.

use super::Place;
use super::failure::Failure;
use super::output::Format;
use crate::health::live_workers;
use clap::{Args, Subcommand};
use serde_json::json;

#[derive(Args)]
pub struct Queue {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    format: Format,
}

#[derive(Subcommand)]
enum Command {
    /// Show what waits and how many workers are alive, wherever they run
    Status,
}

impl Queue {
    pub fn run(self, place: &Place) -> Result<(), Failure> {
        let Command::Status = self.command;
        let (counts, workers) = place.with_app(async |app| {
            let now = app.clock.now();
            let counts = app.store.queue_counts(now).await?;
            Ok((counts, live_workers(&app.store.workers(now).await?, now)))
        })?;
        let shape = json!({
            "pending": counts.pending,
            "processing": counts.processing,
            "scheduled": counts.scheduled,
            "oldest_due_seconds": counts.oldest_due_seconds,
            "workers": workers,
        });
        self.format.print(&shape, || {
            format!(
                "pending     {}\nprocessing  {}\nscheduled   {}\noldest due  {} s\nworkers     {workers}",
                counts.pending, counts.processing, counts.scheduled, counts.oldest_due_seconds
            )
        })
    }
}
