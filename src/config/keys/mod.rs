//! One table of every key: its name, type, default and meaning, and the older variables that set it. Unknown keys
//! are found with it, and the manual is made from it, so that neither can disagree with the other.

mod table;
mod variables;

pub use table::KEYS;
pub use variables::PLAIN_VARIABLES;

/// The section whose members are named tables, one a transport.
pub const TRANSPORTS: &str = "transports";
/// The section that is a list of tables.
pub const ROUTES: &str = "routes";
/// What every variable of ours starts with.
pub const PREFIX: &str = "POSTHASTE_";

/// A key of the configuration.
#[derive(Debug)]
pub struct Key {
    /// The section it stands in.
    pub section: &'static str,
    /// Its name.
    pub name: &'static str,
    /// How its value is written.
    pub kind: Kind,
    /// What holds when it is not written, as it would be written; empty when nothing does.
    pub default: &'static str,
    /// What it means, as a sentence.
    pub doc: &'static str,
    /// The kinds of transport it belongs to; empty: all of them.
    pub only: &'static [&'static str],
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// Text that is never shown.
    Secret,
    /// A URL whose password is never shown.
    SecretUrl,
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Number,
    /// `500ms`, `30s`, `5m`, `1h`, `30d`.
    Duration,
    /// A list of durations.
    Durations,
    /// `512KB`, `25MB`, `1GB`, in 1,024s.
    Size,
    /// `10/s`, `60/min`, `5/15min`, `100/h`.
    Rate,
    /// An IP address and port; port 0 takes a free one.
    Listen,
    /// A file or directory.
    Path,
    /// A list of texts.
    List,
    /// One of a few words.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// How the manual names it.
    pub fn describe(self) -> String {
        match self {
            Self::Text => "text".into(),
            Self::Secret => "secret text".into(),
            Self::SecretUrl => "URL".into(),
            Self::Flag => "true or false".into(),
            Self::Number => "number".into(),
            Self::Duration => "duration".into(),
            Self::Durations => "list of durations".into(),
            Self::Size => "size".into(),
            Self::Rate => "rate".into(),
            Self::Listen => "address:port".into(),
            Self::Path => "path".into(),
            Self::List => "list".into(),
            Self::Choice(words) => words.join(", "),
        }
    }
}

impl Key {
    /// The key as a path with `name` in place of a transport's name or a route's number.
    pub fn path(&self, name: &str) -> String {
        match self.section {
            TRANSPORTS | ROUTES => format!("{}.{name}.{}", self.section, self.name),
            section => format!("{section}.{}", self.name),
        }
    }

    /// The variable that sets it.
    pub fn variable(&self) -> String {
        let middle = match self.section {
            TRANSPORTS => "__<NAME>",
            ROUTES => "__<NUMBER>",
            _ => "",
        };
        format!("{PREFIX}{}{middle}__{}", self.section.to_uppercase(), self.name.to_uppercase())
    }

    /// Does it belong to transports of this kind?
    pub fn suits(&self, transport_kind: &str) -> bool {
        self.only.is_empty() || self.only.contains(&transport_kind)
    }
}

/// The key of a path such as `delivery.lease`, `transports.main.host` or `routes.0.client`.
pub fn find(path: &str) -> Option<&'static Key> {
    let parts: Vec<&str> = path.split('.').collect();
    let (section, name) = match parts[..] {
        [TRANSPORTS, transport, name] if is_transport_name(transport) => (TRANSPORTS, name),
        [ROUTES, number, name] if number.parse::<usize>().is_ok() => (ROUTES, name),
        [section, name] if section != TRANSPORTS && section != ROUTES => (section, name),
        _ => return None,
    };
    KEYS.iter().find(|key| key.section == section && key.name == name)
}

/// A transport's name can stand in a variable, a label and a log line: lower-case letters, digits, `_` and `-`.
pub fn is_transport_name(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

/// The sections, in the order of the table.
pub fn sections() -> Vec<&'static str> {
    let mut sections: Vec<&str> = KEYS.iter().map(|key| key.section).collect();
    sections.dedup();
    sections
}

/// What an unknown path most likely meant: the nearest known one, if it is near.
pub fn nearest(path: &str) -> Option<String> {
    let place = path.split('.').nth(1).unwrap_or_default();
    KEYS.iter()
        .map(|key| key.path(place))
        .map(|known| (distance(path, &known), known))
        .min()
        .filter(|(distance, known)| *distance <= 2.max(known.len() / 4))
        .map(|(_, known)| known)
}

/// The number of letters to insert, remove or change to get from one word to the other (Levenshtein).
pub fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let change = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_key_stands_twice_and_every_one_has_a_sentence() {
        let mut seen = HashSet::new();
        for key in KEYS {
            assert!(seen.insert((key.section, key.name)), "{}.{}", key.section, key.name);
            assert!(
                key.doc.ends_with('.') && key.doc.len() > 10,
                "{}.{}: {}",
                key.section,
                key.name,
                key.doc
            );
            assert!(!key.doc.contains('|'), "{}.{} would break the manual's table", key.section, key.name);
            assert!(find(&key.path("0")).is_some_and(|found| std::ptr::eq(found, key)));
        }
        let sections = sections();
        assert_eq!(
            sections.len(),
            sections.iter().collect::<HashSet<_>>().len(),
            "a section is split: {sections:?}"
        );
    }

    #[test]
    fn every_plain_variable_sets_a_known_key() {
        let mut seen = HashSet::new();
        for variable in PLAIN_VARIABLES {
            assert!(seen.insert(variable.name), "{} stands twice", variable.name);
            assert!(find(variable.path).is_some(), "{} sets the unknown {}", variable.name, variable.path);
        }
    }

    #[test]
    fn the_nearest_key_is_named() {
        for (wrong, right) in [
            ("delivery.leese", Some("delivery.lease")),
            ("delivry.lease", Some("delivery.lease")),
            ("transports.main.hosts", Some("transports.main.host")),
            ("routes.3.to_domian", Some("routes.3.to_domain")),
            ("kitchen.sink", None),
        ] {
            assert_eq!(nearest(wrong).as_deref(), right, "{wrong}");
        }
    }

    #[test]
    fn distances_are_counted() {
        for (a, b, n) in
            [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("lease", "leese", 1), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(a, b), n, "{a} {b}");
        }
    }
}
