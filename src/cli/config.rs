//! `posthaste config`: looks at the configuration without starting anything.

use super::Place;
use super::failure::Failure;
use super::output::{self, Format};
use crate::config;
use clap::{Args, Subcommand};
use serde_json::json;

#[derive(Args)]
pub struct Config {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    format: Format,
}

#[derive(Subcommand)]
enum Command {
    /// Find every fault
    Check,
    /// Show every value and where it comes from, secrets masked
    Show,
    /// Print the manual of the configuration
    Docs,
}

impl Config {
    pub fn run(self, place: &Place) -> Result<(), Failure> {
        match self.command {
            Command::Check => {
                place.load()?;
                self.format.print(&json!({"ok": true}), || "The configuration has no faults.".to_owned())
            }
            Command::Show => {
                let shown = config::show(&place.load()?.raw);
                self.format.print(&json!(shown), || output::harmless_lines(&config::show_text(&shown)))
            }
            Command::Docs => output::line(&config::document()),
        }
    }
}
