//! Opens the installation that a command works on: configuration, data directory, store, and what stands on them.

use super::Place;
use super::failure::Failure;
use crate::admin::Actor;
use crate::app::{App, BuildOptions};
use crate::config::{self, FlagValue, Loaded, Overrides};

impl Place {
    /// The configuration of this place.
    pub fn load(&self) -> Result<Loaded, Failure> {
        let directory = std::env::current_dir()
            .map_err(|error| Failure::io("the working directory cannot be found", error))?;
        let data_dir = self.data_dir.as_ref().map(|path| FlagValue {
            path: "data.dir",
            flag: "--data-dir",
            value: path.display().to_string(),
        });
        let overrides = Overrides { file: self.config.clone(), values: data_dir.into_iter().collect() };
        Ok(config::load(&overrides, &directory)?)
    }

    /// Runs `work` on the opened installation, which is made and migrated where needed, and closes it again.
    pub fn with_app<T>(&self, work: impl AsyncFnOnce(&App) -> Result<T, Failure>) -> Result<T, Failure> {
        let settings = self.load()?.settings;
        block_on(async {
            let app = App::build(settings, BuildOptions::default()).await?;
            let done = work(&app).await;
            app.store.close().await;
            done
        })
    }
}

/// Runs a command's work to its end. One thread is enough: files and the store have threads of their own.
pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| Failure::io("the runtime cannot be started", error))?.block_on(work)
}

/// Who makes a change from the command line, for the audit: the account of the system.
pub fn actor() -> Actor {
    Actor { kind: "cli".to_owned(), id: user_id(), address: None }
}

/// The number of the user that runs this process: the owner of its own entry in `/proc`.
fn user_id() -> Option<String> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata("/proc/self").ok()?;
    Some(format!("uid:{}", metadata.uid()))
}
