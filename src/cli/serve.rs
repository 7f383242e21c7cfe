//! `posthaste serve`.

use super::Place;
use super::failure::Failure;
use crate::app::{self, BuildOptions, Roles};
use crate::base::log;
use crate::config;
use clap::Args;

#[derive(Args)]
pub struct Serve {
    /// What this process does: all, api, worker; several with commas or repeated
    #[arg(long, value_name = "ROLE", value_delimiter = ',', default_value = "all")]
    role: Vec<String>,
    /// Refuse to start when migrations are missing, instead of running them
    #[arg(long)]
    no_migrate: bool,
}

impl Serve {
    pub fn run(self, place: &Place) -> Result<(), Failure> {
        let roles = Roles::parse(&self.role)?;
        let settings = place.load()?.settings;
        let faults = config::faults().map_err(|error| Failure::Usage(format!("POSTHASTE_FAULT {error}")))?;
        // The data directory first: the log is written in it.
        config::DataDirectory::prepare(&settings.data.dir).map_err(app::StartError::from)?;
        let guard = log::init(&settings.log)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::io("the runtime cannot be started", error))?;
        let options = BuildOptions { migrate: !self.no_migrate, faults };
        let served = runtime.block_on(app::serve(settings, roles, options));
        drop(runtime);
        // Writes what still waits, so that the last line is there when the process is gone.
        drop(guard);
        Ok(served?)
    }
}
