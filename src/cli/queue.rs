//! `posthaste queue`: what waits, who works it off, and the operator's hand on it.

mod worker;

use super::Place;
use super::failure::Failure;
use super::output::{self, Format, harmless_lines};
use super::progress::Progress;
use crate::app::{self, App};
use crate::health::live_workers;
use clap::{Args, Subcommand};
use posthaste_model::Status;
use posthaste_store::{CancelResult, EmailFilter};
use serde_json::json;
use std::fs;
use std::io::{self, BufRead as _, Write as _};
use std::path::Path;

/// Emails looked at together while clearing.
const PAGE: usize = 100;
/// Lines of the log shown unless told otherwise.
const LOG_LINES: usize = 50;

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
    /// Run one more worker, beside those that servers have
    Start {
        /// In the background
        #[arg(long)]
        daemon: bool,
    },
    /// End the worker that `queue start` began, and wait until it has ended
    Stop,
    /// End it, if it runs, and start it anew
    Restart {
        /// In the background
        #[arg(long)]
        daemon: bool,
    },
    /// Work off what is due, and end
    Process,
    /// Cancel everything that waits; asks first
    Clear {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Show the newest lines of the log
    Logs {
        /// How many
        #[arg(default_value_t = LOG_LINES)]
        lines: usize,
    },
}

impl Queue {
    pub fn run(self, place: &Place) -> Result<(), Failure> {
        match self.command {
            Command::Status => status(place, self.format),
            Command::Start { daemon: false } => worker::start(place, self.format),
            Command::Start { daemon: true } => worker::start_daemon(place, self.format),
            Command::Stop => worker::stop(place, self.format),
            Command::Restart { daemon } => worker::restart(place, self.format, daemon),
            Command::Process => process(place, self.format),
            Command::Clear { yes } => clear(place, self.format, yes),
            Command::Logs { lines } => logs(place, self.format, lines),
        }
    }
}

fn status(place: &Place, format: Format) -> Result<(), Failure> {
    let (counts, bytes, workers) = place.with_app(async |app| {
        let now = app.clock.now();
        let (counts, bytes) = (app.store.queue_counts(now).await?, app.store.queue_bytes().await?);
        Ok((counts, bytes, live_workers(&app.store.workers(now).await?, now)))
    })?;
    let shape = json!({
        "pending": counts.pending,
        "processing": counts.processing,
        "scheduled": counts.scheduled,
        "oldest_due_seconds": counts.oldest_due_seconds,
        "size_bytes": bytes,
        "workers": workers,
    });
    format.print(&shape, || {
        format!(
            "pending     {}\nleased      {}\nscheduled   {}\noldest due  {} s\nsize        {bytes} bytes\nworkers     \
             {workers}",
            counts.pending, counts.processing, counts.scheduled, counts.oldest_due_seconds
        )
    })
}

fn process(place: &Place, format: Format) -> Result<(), Failure> {
    let left = place.with_app(async |app| {
        let mut progress: Option<(Progress, u64)> = None;
        let left = app::work_off(app, |left| {
            // What was due at the start is the whole; mail that comes in meanwhile makes it longer.
            let (bar, whole) = progress.get_or_insert_with(|| (Progress::emails(left), left));
            *whole = left.max(*whole);
            bar.at(*whole - left, *whole);
        });
        let left = left.await?;
        if let Some((bar, _)) = progress {
            bar.done();
        }
        Ok(left)
    })?;
    if format.json {
        output::json(&json!({"left": left}))?;
    }
    let text = worked_off(left)?;
    if format.json { Ok(()) } else { output::line(text) }
}

/// What is said when all is worked off, or why some is not.
fn worked_off(left: u64) -> Result<&'static str, Failure> {
    if left == 0 {
        return Ok("Nothing is due any more.");
    }
    let text = format!("{left} emails stay due: no transport takes them now; see `posthaste doctor`");
    Err(Failure::Said(text))
}

fn clear(place: &Place, format: Format, yes: bool) -> Result<(), Failure> {
    let cancelled = place.with_app(async |app| {
        let counts = app.store.queue_counts(app.clock.now()).await?;
        if !yes && !confirmed(counts.pending + counts.scheduled)? {
            return Err(Failure::Said("nothing was cancelled".into()));
        }
        cancel_all(app).await
    })?;
    format.print(&json!({"cancelled": cancelled}), || format!("{cancelled} emails cancelled."))
}

fn confirmed(waiting: u64) -> Result<bool, Failure> {
    eprint!("Cancel {waiting} emails that wait? They will never be sent. [y/N] ");
    let mut answer = String::new();
    let read = io::stderr()
        .flush()
        .and_then(|()| io::stdin().lock().read_line(&mut answer))
        .map_err(|error| Failure::io("the answer cannot be read", error))?;
    if read == 0 {
        eprintln!();
        return Err(Failure::Usage("nobody answers; where nobody can be asked, give --yes".into()));
    }
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// Cancels what waits, client by client; what a worker has begun meanwhile goes on.
async fn cancel_all(app: &App) -> Result<u64, Failure> {
    let filter = EmailFilter { statuses: vec![Status::Queued, Status::Scheduled], ..EmailFilter::default() };
    let mut cancelled = 0;
    for client in app.admin.clients().await? {
        let mut cursor = None;
        loop {
            let page = app.store.list(client.id, &filter, cursor, PAGE).await?;
            for row in &page.rows {
                let result = app.store.cancel(client.id, row.id, app.clock.now()).await?;
                cancelled += u64::from(matches!(result, CancelResult::Cancelled));
            }
            match page.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
    }
    Ok(cancelled)
}

fn logs(place: &Place, format: Format, lines: usize) -> Result<(), Failure> {
    let settings = place.load()?.settings;
    let directory = settings.log.directory.unwrap_or_else(|| settings.data.dir.join("logs"));
    let lines = newest(&directory, lines)
        .map_err(|error| Failure::io(format!("{} cannot be read", directory.display()), error))?;
    if format.json {
        return output::json(&json!(lines));
    }
    if lines.is_empty() { Ok(()) } else { output::line(&harmless_lines(&lines.join("\n"))) }
}

/// The newest lines over the daily files, oldest first. Their names carry the date, so that they sort by age.
fn newest(directory: &Path, count: usize) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        // The probe of a health check is no log.
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.is_file() && !is_hidden {
            files.push(path);
        }
    }
    files.sort_unstable();
    let mut found: Vec<String> = Vec::new();
    while let Some(path) = files.pop()
        && found.len() < count
    {
        let bytes = fs::read(path)?;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(count - found.len());
        found.splice(0..0, lines[from..].iter().map(|&line| line.to_owned()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_due_only_where_nothing_is_left() {
        assert_eq!(worked_off(0).ok(), Some("Nothing is due any more."));
        let said = worked_off(2).err().map(|failure| failure.to_string());
        assert!(said.is_some_and(|text| text.starts_with("2 emails stay due")));
    }

    #[test]
    fn the_newest_lines_cross_the_daily_files() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("posthaste.2026-11-20.log"), "a\nb\nc\n").unwrap();
        fs::write(home.path().join("posthaste.2026-11-21.log"), "d\ne\n").unwrap();
        fs::write(home.path().join(".probe-1"), "probe").unwrap();
        assert_eq!(newest(home.path(), 3).unwrap(), ["c", "d", "e"]);
        assert_eq!(newest(home.path(), 1).unwrap(), ["e"]);
        assert_eq!(newest(home.path(), 100).unwrap().len(), 5);
        assert!(newest(&home.path().join("none"), 5).unwrap().is_empty());
    }
}
