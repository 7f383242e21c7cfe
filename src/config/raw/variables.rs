//! Variables, of the environment and of `.env`: `POSTHASTE_<SECTION>__<KEY>` and the plain ones.

use super::{Entry, Origin, Written};
use crate::config::fault::Fault;
use crate::config::keys::{self, KEYS, PLAIN_VARIABLES, PREFIX};
use std::collections::BTreeMap;
use std::path::Path;

/// Reads `.env` in `directory`, if there is one, without touching the process's environment.
pub(super) fn read_dotenv(directory: &Path, faults: &mut Vec<Fault>) -> Vec<(String, String)> {
    let whole = || Origin::DotEnv { variable: String::new() };
    let text = match std::fs::read_to_string(directory.join(".env")) {
        Ok(text) => super::dotenv::as_meant(&text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            faults.push(Fault::new(whole(), "", format!("cannot be read: {error}")));
            return Vec::new();
        }
    };
    let mut variables = Vec::new();
    for item in dotenvy::Iter::new(text.as_bytes()) {
        match item {
            Ok(variable) => variables.push(variable),
            // Not what the parser says: it repeats the line, which may hold a secret.
            Err(dotenvy::Error::LineParse(..)) => {
                faults.push(Fault::new(whole(), "", unreadable(&variables)));
            }
            Err(error) => faults.push(Fault::new(whole(), "", format!("cannot be read: {error}"))),
        }
    }
    variables
}

fn unreadable(before: &[(String, String)]) -> String {
    let place = before.last().map_or("at the top".to_owned(), |(name, _)| format!("after {name}"));
    format!(
        "a line {place} cannot be read; write NAME=value, with a quote at both ends of the value or at none"
    )
}

/// The keys that variables of one layer set. Two that set one key to different values contradict each other.
pub(super) fn read(
    variables: Vec<(String, String)>,
    origin: impl Fn(String) -> Origin,
    faults: &mut Vec<Fault>,
) -> BTreeMap<String, Entry> {
    let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
    // Sorted, so that messages do not depend on the order of the environment; within `.env` the last one counts.
    let variables: BTreeMap<String, String> = variables.into_iter().collect();
    for (name, value) in variables {
        let Some((path, value)) = meaning(&name, &value, &origin, faults) else { continue };
        let entry = Entry { written: Written::Text(value), origin: origin(name.clone()) };
        match entries.get(&path) {
            Some(earlier) if earlier.written != entry.written => {
                let problem = format!("contradicts {}: both set {path}, to different values", earlier.origin);
                faults.push(Fault::new(entry.origin, "", problem));
            }
            Some(_) => {}
            None => {
                entries.insert(path, entry);
            }
        }
    }
    entries
}

/// The key and value of a variable; nothing when it is not ours, or not set.
fn meaning(
    name: &str,
    value: &str,
    origin: impl Fn(String) -> Origin,
    faults: &mut Vec<Fault>,
) -> Option<(String, String)> {
    if let Some(plain) = PLAIN_VARIABLES.iter().find(|plain| plain.name == name) {
        return Some((plain.path.to_owned(), plain.reading.apply(value)?));
    }
    let rest = name.strip_prefix(PREFIX)?;
    let path = rest.to_lowercase().replace("__", ".");
    if keys::find(&path).is_some() {
        let value = value.trim();
        return (!value.is_empty()).then(|| (path, value.to_owned()));
    }
    if rest.contains("__") {
        let nearest = keys::nearest(&path).map(|known| variable_of(&known));
        let problem = match nearest {
            Some(known) => format!("is unknown; did you mean {known}?"),
            None => super::unknown(Origin::Default, &path).problem,
        };
        faults.push(Fault::new(origin(name.to_owned()), "", problem));
    } else if let Some(meant) = misspelt(rest) {
        faults.push(Fault::new(origin(name.to_owned()), "", format!("is unknown; did you mean {meant}?")));
    }
    None
}

fn variable_of(path: &str) -> String {
    format!("{PREFIX}{}", path.to_uppercase().replace('.', "__"))
}

/// What a variable without `__` most likely meant. One that resembles no key is left alone: Kubernetes sets
/// `POSTHASTE_PORT`, `POSTHASTE_SERVICE_HOST` and the like for a service of our name.
fn misspelt(rest: &str) -> Option<String> {
    let candidates = KEYS.iter().filter(|key| key.section != keys::TRANSPORTS && key.section != keys::ROUTES);
    if let Some(plain) = PLAIN_VARIABLES.iter().find(|plain| plain.name == rest) {
        return Some(plain.name.to_owned());
    }
    let (distance, variable) = candidates
        .map(|key| {
            let single = format!("{}_{}", key.section, key.name).to_uppercase();
            let alone = if key.name.to_uppercase() == rest { 0 } else { usize::MAX };
            (keys::distance(rest, &single).min(alone), key.variable())
        })
        .min()?;
    (distance <= 2).then_some(variable)
}
