//! `posthaste serve`.

use super::Place;
use super::failure::Failure;
use crate::app::{self, BuildOptions, Roles};
use crate::base::log;
use crate::config;
use clap::Args;

#[derive(Args)]
pub struct Serve {
    /// What this process does: all, api, worker, smtp; several with commas or repeated
    #[arg(long, value_name = "ROLE", value_delimiter = ',', default_value = "all")]
    role: Vec<String>,
    /// Refuse to start when migrations are missing, instead of running them
    #[arg(long)]
    no_migrate: bool,
}

impl Serve {
    pub fn run(self, place: &Place) -> Result<(), Failure> {
        let roles = Roles::parse(&self.role).map_err(|error| Failure::Usage(error.to_string()))?;
        serve(place.load()?, roles, !self.no_migrate)
    }
}

/// Runs a server in these roles until a signal ends it.
pub(super) fn serve(loaded: config::Loaded, roles: Roles, migrate: bool) -> Result<(), Failure> {
    let settings = loaded.settings;
    let faults = config::faults().map_err(|error| Failure::Usage(format!("POSTHASTE_FAULT {error}")))?;
    // The data directory first: the log is written in it.
    config::DataDirectory::prepare(&settings.data.dir).map_err(app::StartError::from)?;
    let guard = log::init(&settings.log)?;
    raise_the_open_file_limit(settings.http.max_connections + settings.smtp.max_connections);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("the runtime cannot be started", error))?;
    let served = runtime.block_on(app::serve(
        settings,
        roles,
        BuildOptions { migrate, faults, clock: config::clock() },
    ));
    drop(runtime);
    // Writes what still waits, so that the last line is there when the process is gone.
    drop(guard);
    Ok(served?)
}

/// Files and connections that a server needs beside those it accepts: the store, the transports, attachments.
const OTHER_FILES: u64 = 1024;

/// Takes as many open files as the system lets this process have without asking anybody: the usual soft limit of 1,024
/// is less than the connections that the settings promise.
fn raise_the_open_file_limit(connections: usize) {
    let wanted = OTHER_FILES.saturating_add(connections as u64);
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if limit < wanted => tracing::warn!(
            limit,
            wanted,
            "too few open files are allowed for the connections in the settings; raise the hard limit (LimitNOFILE=)"
        ),
        Ok(limit) => tracing::debug!(limit, "open files allowed"),
        Err(error) => tracing::warn!(%error, "the limit of open files could not be raised"),
    }
}
