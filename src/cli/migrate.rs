//! `posthaste migrate`: opening the store runs what is missing; a server may run meanwhile.

use super::Place;
use super::failure::Failure;
use super::output::Format;
use clap::Args;
use serde_json::json;

#[derive(Args)]
pub struct Migrate {
    #[command(flatten)]
    format: Format,
}

impl Migrate {
    pub fn run(self, place: &Place) -> Result<(), Failure> {
        let engine = place.with_app(async |app| Ok(app.store.engine_name()))?;
        self.format
            .print(&json!({"migrated": true, "store": engine}), || "The store is up to date.".to_owned())
    }
}
