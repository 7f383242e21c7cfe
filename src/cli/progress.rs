//! A bar for long work, on a terminal only: a log or a pipe gets none.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;

/// How far the work is. Clones move the same bar.
#[derive(Clone)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar over so many bytes.
    pub fn bytes(total: u64) -> Self {
        Self::new(total, "{msg:22} [{bar:30}] {bytes}/{total_bytes} {eta}", "copying attachments")
    }

    /// A bar over so many emails.
    pub fn emails(total: u64) -> Self {
        Self::new(total, "{msg:22} [{bar:30}] {pos}/{len} {eta}", "working off")
    }

    /// A count of rows, however many there will be.
    pub fn rows() -> Self {
        Self::new(0, "{msg:22} {pos} rows {elapsed}", "reading")
    }

    fn new(total: u64, template: &str, message: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(message);
        if std::io::stderr().is_terminal() {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        Self(bar)
    }

    /// So many more are done.
    pub fn add(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    /// So much of so much is done.
    pub fn at(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }

    /// What is being done now.
    pub fn say(&self, what: &'static str) {
        self.0.set_message(what);
    }

    /// Takes the bar away.
    pub fn done(&self) {
        self.0.finish_and_clear();
    }
}
