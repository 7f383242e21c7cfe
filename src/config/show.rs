//! `config show`: every key, the value that holds, and where it comes from. Secrets are masked.

use super::keys::{self, KEYS, Key, Kind};
use super::raw::{Origin, Raw};
use std::fmt::Write as _;

/// What stands in place of a secret.
const MASK: &str = "****";

/// A key and the value that holds.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Shown {
    /// The key.
    pub key: String,
    /// The value, masked when it is a secret; `null` when nothing is set and nothing holds by default.
    pub value: Option<String>,
    /// Where it comes from: `default`, `posthaste.toml:12`, `environment SMTP_HOST`, ...
    pub origin: String,
}

/// Every key that holds a value or could, in the order of the manual.
pub fn show(raw: &Raw) -> Vec<Shown> {
    let plain = KEYS.iter().filter(|key| key.section != keys::TRANSPORTS && key.section != keys::ROUTES);
    let mut shown: Vec<Shown> = plain.map(|key| shown(raw, key, &key.path(""))).collect();
    for name in raw.transports() {
        shown.extend(written_under(raw, keys::TRANSPORTS, name));
    }
    for number in raw.routes() {
        shown.extend(written_under(raw, keys::ROUTES, &number.to_string()));
    }
    shown
}

/// The same as lines of text.
pub fn show_text(shown: &[Shown]) -> String {
    let mut text = String::new();
    for line in shown {
        let value = line.value.as_deref().unwrap_or("(not set)");
        let _ = writeln!(text, "{} = {value}  # {}", line.key, line.origin);
    }
    text
}

fn written_under(raw: &Raw, section: &str, name: &str) -> Vec<Shown> {
    let keys = KEYS.iter().filter(|key| key.section == section);
    keys.map(|key| (key, key.path(name)))
        .filter(|(_, path)| raw.get(path).is_some())
        .map(|(key, path)| shown(raw, key, &path))
        .collect()
}

fn shown(raw: &Raw, key: &Key, path: &str) -> Shown {
    let (value, origin) = match raw.get(path) {
        Some(entry) => (Some(mask(key.kind, &entry.written.to_string())), entry.origin.clone()),
        None => ((!key.default.is_empty()).then(|| key.default.to_owned()), Origin::Default),
    };
    Shown { key: path.to_owned(), value, origin: origin.to_string() }
}

fn mask(kind: Kind, value: &str) -> String {
    match kind {
        Kind::Secret => MASK.to_owned(),
        Kind::SecretUrl => mask_url(value),
        _ => value.to_owned(),
    }
}

/// Hides what stands before the host's `@`, and parameters, which may hold a password too.
fn mask_url(url: &str) -> String {
    let (url, parameters) = url.split_once('?').map_or((url, ""), |(url, _)| (url, "?****"));
    let masked = match (url.split_once("://"), url.rfind('@')) {
        (Some((scheme, _)), Some(at)) => format!("{scheme}://{MASK}{}", &url[at..]),
        (None, Some(_)) => MASK.to_owned(),
        _ => url.to_owned(),
    };
    masked + parameters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_urls_are_masked() {
        for (url, masked) in [
            ("postgres://u:p@db/x", "postgres://****@db/x"),
            ("postgres://u:p%40@q@db/x", "postgres://****@db/x"),
            ("postgres://db/x?password=p", "postgres://db/x?****"),
            ("redis://:p@cache:6379", "redis://****@cache:6379"),
            ("sqlite://./mail.db", "sqlite://./mail.db"),
            ("u:p@db", "****"),
        ] {
            assert_eq!(mask_url(url), masked, "{url}");
        }
    }
}
