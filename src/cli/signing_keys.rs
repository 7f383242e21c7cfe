//! `posthaste keys`: the keys that sign access tokens.

use super::Place;
use super::failure::Failure;
use super::installation::actor;
use super::output::Format;
use clap::{Args, Subcommand};
use serde_json::json;

#[derive(Args)]
pub struct SigningKeys {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    format: Format,
}

#[derive(Subcommand)]
enum Command {
    /// Sign access tokens with a new key from now on; live tokens stay good
    Rotate,
}

impl SigningKeys {
    pub fn run(self, place: &Place) -> Result<(), Failure> {
        let (Command::Rotate, format) = (self.command, self.format);
        place.with_app(async |app| {
            let kid = app.admin.rotate_signing_key(&actor()).await?;
            format.print(&json!({"kid": kid}), || format!("Access tokens are signed with the key {kid} now."))
        })
    }
}
