//! Configuration in two steps: *raw*, as it was written and where; *resolved*, as it is used. Whoever starts the
//! server calls [`load`], hands each part its own settings, and forgets the rest.

mod document;
mod fault;
mod keys;
mod raw;
mod resolve;
mod secrets;
mod settings;
mod show;
mod value;

#[cfg(test)]
mod tests;

pub use document::document;
pub use fault::{ConfigErrors, Fault};
pub use raw::{Origin, Raw};
pub use secrets::{DataDirectory, DataError};
pub use settings::*;
pub use show::{Shown, show, show_text};

use crate::base::clock::Clock;
use posthaste_model::fault::{FaultSpecError, Faults};
use std::path::{Path, PathBuf};

/// Reads a duration as the configuration writes it: `30s`, `5m`, `24h`; nothing when it is none.
pub fn parse_duration(text: &str) -> Option<std::time::Duration> {
    <std::time::Duration as value::Setting>::read_text(text.trim())
}

/// Writes a duration as [`parse_duration`] reads it, in the largest unit that leaves nothing over.
pub fn duration_text(duration: std::time::Duration) -> String {
    let millis = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let fits = units.iter().find(|(each, _)| millis > 0 && millis.is_multiple_of(*each));
    fits.map_or_else(|| format!("{millis}ms"), |(each, unit)| format!("{}{unit}", millis / each))
}

/// What the command line says about the configuration.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--config`: a file that must exist. Without it `posthaste.toml` is read if it is there.
    pub file: Option<PathBuf>,
    /// Flags that set a key.
    pub values: Vec<FlagValue>,
}

/// A flag that sets a key.
#[derive(Clone, Debug)]
pub struct FlagValue {
    /// The key, such as `http.listen`.
    pub path: &'static str,
    /// The flag, for messages: `--listen`.
    pub flag: &'static str,
    /// What was given.
    pub value: String,
}

/// A configuration without faults.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// As it is used.
    pub settings: Settings,
    /// As it was written, for [`show`].
    pub raw: Raw,
}

/// Reads the configuration of this process: file, `.env`, environment and flags; `directory` is where relative
/// paths, `posthaste.toml` and `.env` are looked for. Finds every fault before it gives up.
pub fn load(overrides: &Overrides, directory: &Path) -> Result<Loaded, ConfigErrors> {
    // A variable that is not UTF-8 is none of ours.
    let environment =
        std::env::vars_os().filter_map(|(n, v)| Some((n.into_string().ok()?, v.into_string().ok()?)));
    load_from(overrides, directory, environment.collect())
}

/// The crash point that a test armed with `POSTHASTE_FAULT`. A release build knows no such variable.
pub fn faults() -> Result<Faults, FaultSpecError> {
    #[cfg(debug_assertions)]
    if let Some(spec) = std::env::var_os("POSTHASTE_FAULT") {
        return Faults::parse(&spec.to_string_lossy());
    }
    Ok(Faults::none())
}

/// The server's clock: the machine's, or, in a debug build, one that is as wrong as the file in `POSTHASTE_CLOCK_SHIFT`
/// says. A release build knows no such variable.
pub fn clock() -> Clock {
    #[cfg(debug_assertions)]
    if let Some(file) = std::env::var_os("POSTHASTE_CLOCK_SHIFT") {
        return Clock::shifted_by(file.into());
    }
    Clock::system()
}

/// As [`load`], with the environment given.
pub fn load_from(
    overrides: &Overrides,
    directory: &Path,
    environment: Vec<(String, String)>,
) -> Result<Loaded, ConfigErrors> {
    let mut faults = Vec::new();
    let raw = Raw::gather(overrides, directory, environment, &mut faults);
    let settings = resolve::resolve(&raw, directory, &mut faults);
    if faults.is_empty() { Ok(Loaded { settings, raw }) } else { Err(ConfigErrors(faults)) }
}
