//! The TOML file, with the line of each value.

use super::{Entry, Origin, Written, unknown};
use crate::config::fault::Fault;
use crate::config::keys;
use std::collections::BTreeMap;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// Reads the file at `path`, from `directory` when it is relative. A file that does not exist is a fault only when
/// it was `named`.
pub(super) fn read(
    path: &Path,
    directory: &Path,
    named: bool,
    faults: &mut Vec<Fault>,
) -> BTreeMap<String, Entry> {
    let shown = path.display().to_string();
    let whole = Origin::File { path: shown.clone(), line: 0 };
    let text = match std::fs::read_to_string(directory.join(path)) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => return BTreeMap::new(),
        Err(error) => {
            faults.push(Fault::new(whole, "", format!("cannot be read: {error}")));
            return BTreeMap::new();
        }
    };
    let mut reader = Reader { file: shown, text: &text, entries: BTreeMap::new(), faults };
    match DeTable::parse(&text) {
        Ok(table) => reader.table("", table.get_ref()),
        Err(error) => {
            let line = error.span().map_or(0, |span| reader.line(span.start));
            // Only the message: the parser's full text shows the line, which may hold a secret.
            let origin = Origin::File { path: reader.file.clone(), line };
            reader.faults.push(Fault::new(origin, "", format!("is not TOML: {}", error.message())));
        }
    }
    reader.entries
}

struct Reader<'a> {
    file: String,
    text: &'a str,
    entries: BTreeMap<String, Entry>,
    faults: &'a mut Vec<Fault>,
}

impl Reader<'_> {
    fn line(&self, offset: usize) -> usize {
        self.text.as_bytes().iter().take(offset).fold(1, |line, byte| line + usize::from(*byte == b'\n'))
    }

    fn origin(&self, offset: usize) -> Origin {
        Origin::File { path: self.file.clone(), line: self.line(offset) }
    }

    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let path = format!("{prefix}{}", name.get_ref());
            self.value(&path, name.span().start, value.get_ref());
        }
    }

    fn value(&mut self, path: &str, offset: usize, value: &DeValue<'_>) {
        match value {
            DeValue::Table(table) if keys::find(path).is_none() => {
                if table.is_empty() && !known_section(path) {
                    self.faults.push(unknown(self.origin(offset), path));
                }
                self.table(&format!("{path}."), table);
            }
            DeValue::Array(items) if path == keys::ROUTES => {
                for (number, item) in items.iter().enumerate() {
                    match item.get_ref() {
                        DeValue::Table(route) => self.table(&format!("{path}.{number}."), route),
                        _ => self.wrong(path, offset, "is a list of tables; write [[routes]]"),
                    }
                }
            }
            _ if keys::find(path).is_none() => self.faults.push(unknown(self.origin(offset), path)),
            DeValue::Array(items) => {
                let texts: Option<Vec<String>> = items.iter().map(|item| scalar(item.get_ref())).collect();
                match texts {
                    Some(texts) => self.put(path, offset, Written::List(texts)),
                    None => self.wrong(path, offset, "is a list of plain values"),
                }
            }
            other => match scalar(other) {
                Some(text) => self.put(path, offset, Written::Text(text)),
                None => self.wrong(path, offset, "is one value or a list, not a table"),
            },
        }
    }

    fn put(&mut self, path: &str, offset: usize, written: Written) {
        let origin = self.origin(offset);
        self.entries.insert(path.to_owned(), Entry { written, origin });
    }

    fn wrong(&mut self, path: &str, offset: usize, problem: &str) {
        let origin = self.origin(offset);
        self.faults.push(Fault::new(origin, path, problem));
    }
}

fn known_section(path: &str) -> bool {
    keys::sections().contains(&path) || path.strip_prefix("transports.").is_some_and(keys::is_transport_name)
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n.to_string())
        }
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Datetime(time) => Some(time.to_string()),
        DeValue::Array(_) | DeValue::Table(_) => None,
    }
}
