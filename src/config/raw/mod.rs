//! The configuration as it was written: for each key the value that wins, and where it stands. Built-in defaults
//! are not in here; they belong to the table of keys.

mod dotenv;
mod file;
mod variables;

use super::Overrides;
use super::fault::Fault;
use super::keys;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

/// The file read when none is named.
const DEFAULT_FILE: &str = "posthaste.toml";

/// Every key that was written.
#[derive(Clone, Debug, Default)]
pub struct Raw {
    entries: BTreeMap<String, Entry>,
}

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub written: Written,
    /// Where it stands.
    pub origin: Origin,
}

/// A value as it was written.
#[derive(Clone, PartialEq, Eq)]
pub enum Written {
    /// Text, a number, true or false.
    Text(String),
    /// A list of these.
    List(Vec<String>),
}

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nowhere: the built-in default.
    Default,
    /// In the configuration file, at a line (from 1).
    File {
        /// The file as it was named.
        path: String,
        /// The line; 0 when the whole file is meant.
        line: usize,
    },
    /// In the `.env` file of the working directory.
    DotEnv {
        /// The variable.
        variable: String,
    },
    /// In the environment.
    Environment {
        /// The variable.
        variable: String,
    },
    /// On the command line.
    Flag {
        /// The flag.
        flag: String,
    },
}

impl Origin {
    /// Whether it is a variable under a name of its own, which other programs may use too.
    pub fn is_plain_variable(&self) -> bool {
        match self {
            Self::DotEnv { variable } | Self::Environment { variable } => !variable.starts_with(keys::PREFIX),
            Self::Default | Self::File { .. } | Self::Flag { .. } => false,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: 0 } => f.write_str(path),
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::DotEnv { variable } if variable.is_empty() => f.write_str(".env"),
            Self::DotEnv { variable } => write!(f, ".env {variable}"),
            Self::Environment { variable } => write!(f, "environment {variable}"),
            Self::Flag { flag } => write!(f, "flag {flag}"),
        }
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::List(items) => f.write_str(&items.join(",")),
        }
    }
}

/// A value may be a secret.
impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("****")
    }
}

impl Raw {
    /// Reads all layers: file < `.env` < environment < flags. Unknown keys and contradictions go to `faults`.
    pub(super) fn gather(
        overrides: &Overrides,
        directory: &Path,
        environment: Vec<(String, String)>,
        faults: &mut Vec<Fault>,
    ) -> Self {
        let mut raw = Self::default();
        let named = overrides.file.as_deref();
        raw.put(file::read(named.unwrap_or(Path::new(DEFAULT_FILE)), directory, named.is_some(), faults));
        let dotenv = variables::read_dotenv(directory, faults);
        raw.put(variables::read(dotenv, |variable| Origin::DotEnv { variable }, faults));
        raw.put(variables::read(environment, |variable| Origin::Environment { variable }, faults));
        raw.put(
            overrides
                .values
                .iter()
                .map(|flag| {
                    let origin = Origin::Flag { flag: flag.flag.to_owned() };
                    (flag.path.to_owned(), Entry { written: Written::Text(flag.value.clone()), origin })
                })
                .collect(),
        );
        raw
    }

    fn put(&mut self, layer: BTreeMap<String, Entry>) {
        self.entries.extend(layer);
    }

    /// What was written for a key.
    pub fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// Where a key stands.
    pub fn origin(&self, path: &str) -> Origin {
        self.get(path).map_or(Origin::Default, |entry| entry.origin.clone())
    }

    /// The keys written under a prefix such as `transports.main.`, without it.
    pub fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Entry)> {
        self.entries.iter().filter_map(move |(path, entry)| Some((path.strip_prefix(prefix)?, entry)))
    }

    /// The transports that something was written for, by name.
    pub fn transports(&self) -> BTreeSet<&str> {
        self.under("transports.").filter_map(|(rest, _)| Some(rest.split_once('.')?.0)).collect()
    }

    /// The numbers of the routes that something was written for.
    pub fn routes(&self) -> BTreeSet<usize> {
        self.under("routes.").filter_map(|(rest, _)| rest.split_once('.')?.0.parse().ok()).collect()
    }
}

/// The fault of a key that does not exist.
fn unknown(origin: Origin, path: &str) -> Fault {
    let mut parts = path.split('.');
    let section = parts.next().unwrap_or_default();
    if section == keys::TRANSPORTS && parts.next().is_some_and(|name| !keys::is_transport_name(name)) {
        let problem = "a transport's name is made of lower-case letters, digits, _ and -";
        return Fault::new(origin, path, problem);
    }
    let problem = match keys::nearest(path) {
        Some(known) => format!("is unknown; did you mean {known}?"),
        None if keys::sections().contains(&section) => {
            let names: Vec<&str> =
                keys::KEYS.iter().filter(|key| key.section == section).map(|key| key.name).collect();
            format!("is unknown; {section} has the keys {}", names.join(", "))
        }
        None => format!("is unknown; the sections are {}", keys::sections().join(", ")),
    };
    Fault::new(origin, path, problem)
}
