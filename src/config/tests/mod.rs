//! The configuration through its front door: files, variables and flags in, settings or faults out.

mod faults;
mod layers;
mod otel;
mod variables;

use super::*;
use tempfile::TempDir;

/// A working directory with a configuration in it.
struct Place {
    directory: TempDir,
    overrides: Overrides,
    environment: Vec<(String, String)>,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory, overrides: Overrides::default(), environment: Vec::new() }
    }

    fn file(self, name: &str, text: &str) -> Self {
        std::fs::write(self.directory.path().join(name), text).unwrap();
        self
    }

    fn toml(self, text: &str) -> Self {
        self.file("posthaste.toml", text)
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    fn variables(self, variables: &[(&str, &str)]) -> Self {
        variables.iter().fold(self, |place, (name, value)| place.variable(name, value))
    }

    fn flag(mut self, path: &'static str, flag: &'static str, value: &str) -> Self {
        self.overrides.values.push(FlagValue { path, flag, value: value.into() });
        self
    }

    fn load(&self) -> Result<Loaded, ConfigErrors> {
        load_from(&self.overrides, self.directory.path(), self.environment.clone())
    }

    fn settings(&self) -> Settings {
        self.load().unwrap_or_else(|faults| panic!("{faults}")).settings
    }

    fn faults(&self) -> Vec<String> {
        let faults = self.load().err().map(|errors| errors.0).unwrap_or_default();
        faults.iter().map(ToString::to_string).collect()
    }
}

/// The value that `config show` gives for a key.
fn shown(place: &Place, key: &str) -> (Option<String>, String) {
    let loaded = place.load().unwrap_or_else(|faults| panic!("{faults}"));
    let line = show(&loaded.raw).into_iter().find(|line| line.key == key);
    line.map(|line| (line.value, line.origin)).unwrap_or_default()
}
