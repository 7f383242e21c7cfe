//! The house plan, enforced: reads the table of layers in ARCHITECTURE.md and every path in the code, and fails with
//! the line that looks sideways or up. The rules stand in `architecture/rules.rs`, the reading of Rust in
//! `architecture/scan.rs`; both are tried on small made-up sources, so that a check that checks nothing is noticed.

#[path = "architecture/layers.rs"]
mod layers;
#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/scan.rs"]
mod scan;

use std::fs;
use std::path::{Path, PathBuf};

use layers::Layers;
use rules::Source;

/// Every `.rs` file below `dir`, in a fixed order.
fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(dir)
        .unwrap_or_else(|fault| panic!("{}: {fault}", dir.display()))
        .map(|entry| entry.expect("a readable entry").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn sources(root: &Path) -> Vec<Source> {
    let mut files = Vec::new();
    rust_files(&root.join("src"), &mut files);
    rust_files(&root.join("crates"), &mut files);
    files
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(root).expect("found below the root").to_string_lossy().into_owned();
            let text = fs::read_to_string(&path).unwrap_or_else(|fault| panic!("{name}: {fault}"));
            Source { path: name, text }
        })
        .collect()
}

#[test]
fn the_code_keeps_to_the_layers_and_rules_of_the_architecture() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let layers = Layers::parse(&table).expect("a table of layers");
    let sources = sources(root);
    assert!(sources.len() > 40, "only {} files were found: the search is broken", sources.len());
    let breaches: Vec<String> = sources
        .iter()
        .flat_map(|source| rules::breaches(&layers, source))
        .map(|breach| breach.to_string())
        .collect();
    assert!(breaches.is_empty(), "{} breaches of ARCHITECTURE.md:\n{}", breaches.len(), breaches.join("\n"));
}

#[test]
fn the_architecture_names_no_module_that_is_gone() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let layers = Layers::parse(&table).expect("a table of layers");
    let gone: Vec<&str> = layers
        .modules()
        .filter(|module| {
            let places = [format!("src/{module}"), format!("src/{module}.rs"), format!("crates/{module}")];
            !places.iter().any(|place| root.join(place).exists())
        })
        .collect();
    assert!(gone.is_empty(), "ARCHITECTURE.md names modules that are gone: {gone:?}");
}
