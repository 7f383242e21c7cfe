//! What ARCHITECTURE.md forbids, one function a rule.

use std::fmt;

use super::layers::Layers;
use super::scan::{self, Placed, Token, Use};

/// One file, its path from the root of the repository.
pub struct Source {
    pub path: String,
    pub text: String,
}

/// A rule broken, and where.
pub struct Breach {
    path: String,
    line: usize,
    what: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Lines a file may have; the house rule is 400, the rest is for what is one thing all the same.
const MOST_LINES: usize = 500;
/// Databases' names, and where they may be spoken: the store itself, and the reading of `DATABASE_URL`.
const DATABASES: [&str; 2] = ["sqlite", "postgres"];
const MAY_NAME_A_DATABASE: [&str; 2] = ["store", "config"];
/// Words of the web's edge.
const EDGE_WORDS: [&str; 2] = ["axum", "StatusCode"];

/// Where a file stands: the module of the table, its path of modules inside its crate, and whether it is of a library.
struct Place {
    module: String,
    path: Vec<String>,
    is_library: bool,
}

fn place(path: &str) -> Place {
    let parts: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    let is_library = parts[0] == "crates";
    let inside = if is_library { parts.get(3..) } else { parts.get(1..) }.unwrap_or_default();
    let path: Vec<String> = inside
        .iter()
        .filter(|part| !matches!(**part, "mod" | "lib" | "main"))
        .map(|&part| part.to_owned())
        .collect();
    let module =
        if is_library { parts[1].to_owned() } else { path.first().map_or("main", |part| part).to_owned() };
    Place { module, path, is_library }
}

/// Everything that is wrong with one file.
pub fn breaches(layers: &Layers, source: &Source) -> Vec<Breach> {
    let place = place(&source.path);
    let Some(row) = layers.row(&place.module) else {
        return vec![breach(source, 1, format!("the table of layers does not name `{}`", place.module))];
    };
    let tokens = scan::tokens(&source.text);
    let mut found = Vec::new();
    sideways_or_up(layers, source, &place, row, &tokens, &mut found);
    edge_words(layers, source, row, &tokens, &mut found);
    database_words(source, &place, &tokens, &mut found);
    length(source, &mut found);
    found
}

fn breach(source: &Source, line: usize, what: String) -> Breach {
    Breach { path: source.path.clone(), line, what }
}

fn sideways_or_up(
    layers: &Layers,
    source: &Source,
    place: &Place,
    row: usize,
    tokens: &[Placed],
    found: &mut Vec<Breach>,
) {
    for Use { module, line, is_crate } in scan::uses(tokens, &place.path) {
        let inside_library = place.is_library && !is_crate;
        if module == place.module || place.module == "main" || inside_library {
            continue;
        }
        // A crate that is only named like ours in an identifier (a metric, a function) is not in the table.
        match layers.row(&module) {
            Some(other) if other > row => {}
            Some(_) => found.push(breach(
                source,
                line,
                format!("`{}` uses `{module}`, which does not stand below it", place.module),
            )),
            None if is_crate || starts_upper(&module) => {}
            None => found.push(breach(source, line, format!("the table of layers does not name `{module}`"))),
        }
    }
}

/// An item of the crate's root (`crate::Error`) is no module.
fn starts_upper(name: &str) -> bool {
    name.chars().next().is_some_and(char::is_uppercase)
}

fn edge_words(layers: &Layers, source: &Source, row: usize, tokens: &[Placed], found: &mut Vec<Breach>) {
    if layers.row("surfaces").is_some_and(|surfaces| row <= surfaces) {
        return;
    }
    for placed in tokens {
        if let Token::Word(word) = &placed.token
            && EDGE_WORDS.contains(&word.as_str())
        {
            found.push(breach(source, placed.line, format!("`{word}` below the surfaces")));
        }
    }
}

fn database_words(source: &Source, place: &Place, tokens: &[Placed], found: &mut Vec<Breach>) {
    if MAY_NAME_A_DATABASE.contains(&place.module.as_str()) {
        return;
    }
    for placed in tokens {
        if let Token::Word(text) | Token::Text(text) = &placed.token {
            let text = text.to_ascii_lowercase();
            for database in DATABASES.iter().filter(|database| text.contains(**database)) {
                found.push(breach(source, placed.line, format!("`{database}` outside the store")));
            }
        }
    }
}

fn length(source: &Source, found: &mut Vec<Breach>) {
    let lines = source.text.lines().count();
    let is_test = source.path.ends_with("/tests.rs") || source.path.contains("/tests/");
    if lines > MOST_LINES && !is_test && !source.path.contains("/migrations/") {
        found.push(breach(source, lines, format!("{lines} lines, more than {MOST_LINES}: split it")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "| modules | why |\n| --- | --- |\n| `main` | |\n| `surfaces` | |\n| `intake` `dispatch` | |\n\
                         | `queue` `config` | |\n| `store`* | |\n| `base` | |\n| `mail`* | |\n";

    fn judge(path: &str, text: &str) -> Vec<String> {
        let layers = Layers::parse(TABLE).expect("a table");
        let source = Source { path: path.to_owned(), text: text.to_owned() };
        breaches(&layers, &source).into_iter().map(|breach| breach.to_string()).collect()
    }

    #[test]
    fn looking_down_is_allowed() {
        assert_eq!(
            judge("src/intake/mod.rs", "use crate::queue::Queue;\nuse posthaste_store::Store;"),
            [""; 0]
        );
        assert_eq!(judge("src/main.rs", "use crate::surfaces; use crate::store;"), [""; 0]);
        assert_eq!(
            judge("crates/store/src/engine/mod.rs", "use crate::accept::X; use posthaste_mail::A;"),
            [""; 0]
        );
        assert_eq!(judge("src/intake/accept.rs", "use super::sender; use crate::intake::batch;"), [""; 0]);
    }

    #[test]
    fn looking_sideways_or_up_is_found_with_its_line() {
        assert_eq!(
            judge("src/intake/accept.rs", "\nuse crate::dispatch::X;\nuse super::super::surfaces;"),
            [
                "src/intake/accept.rs:2: `intake` uses `dispatch`, which does not stand below it",
                "src/intake/accept.rs:3: `intake` uses `surfaces`, which does not stand below it",
            ]
        );
        assert_eq!(
            judge("crates/mail/src/lib.rs", "use posthaste_store::Store;"),
            ["crates/mail/src/lib.rs:1: `mail` uses `store`, which does not stand below it"]
        );
    }

    #[test]
    fn a_module_that_the_table_does_not_name_is_found() {
        assert_eq!(
            judge("src/helpers.rs", ""),
            ["src/helpers.rs:1: the table of layers does not name `helpers`"]
        );
        assert_eq!(
            judge("src/intake/mod.rs", "use crate::helpers::x;"),
            ["src/intake/mod.rs:1: the table of layers does not name `helpers`"]
        );
    }

    #[test]
    fn the_edge_is_found_below_the_surfaces_only() {
        assert_eq!(judge("src/surfaces/a/mod.rs", "use axum::Router; use http::StatusCode;"), [""; 0]);
        assert_eq!(judge("src/intake/mod.rs", "// axum\nuse http::StatusCode;").len(), 1);
        assert_eq!(judge("src/dispatch/mod.rs", "use axum::Router;").len(), 1);
    }

    #[test]
    fn databases_are_named_in_the_store_and_the_configuration_only() {
        assert_eq!(judge("src/config/url.rs", "let x = \"sqlite://\";"), [""; 0]);
        assert_eq!(judge("crates/store/src/lib.rs", "use rusqlite::Connection;"), [""; 0]);
        assert_eq!(judge("src/queue/mod.rs", "use rusqlite::Connection;\n// SQLite").len(), 1);
        assert_eq!(judge("src/queue/mod.rs", "let x = \"posthaste.sqlite3\";").len(), 1);
    }

    #[test]
    fn a_long_file_is_found_unless_it_is_a_test() {
        let long = "\n".repeat(501);
        assert_eq!(judge("src/queue/mod.rs", &long).len(), 1);
        assert_eq!(judge("src/queue/tests.rs", &long), [""; 0]);
        assert_eq!(judge("src/queue/mod.rs", &"\n".repeat(500)), [""; 0]);
    }
}
