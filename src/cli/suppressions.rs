//! `posthaste suppression`.

use super::Place;
use super::failure::Failure;
use super::installation::actor;
use super::output::{Format, line, or_dash, table};
use super::templates::chosen;
use crate::admin::NewSuppression;
use crate::app::App;
use crate::surfaces::emails_api::suppression_shape;
use clap::{Args, Subcommand, ValueEnum};
use posthaste_model::suppression::Suppression;
use posthaste_model::{ClientId, Timestamp};
use posthaste_store::SuppressionFilter;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Entries read from the store at once.
const PAGE: usize = 1000;
/// The longest file that is read, in bytes.
const LONGEST_FILE: u64 = 256 * 1024 * 1024;
/// The columns of the file; a file to be read needs the first one only.
const COLUMNS: &str = "email,reason,stream,expires_at";

#[derive(Args)]
pub struct Suppressions {
    #[command(subcommand)]
    command: Command,
    /// Whose list, by name or id [default: the first client]
    #[arg(long, global = true, value_name = "NAME|ID")]
    client: Option<String>,
    #[command(flatten)]
    format: Format,
}

#[derive(Subcommand)]
enum Command {
    /// Show the addresses that are not written to, newest first
    List {
        /// Only this address
        #[arg(long)]
        email: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Enter an address
    Add {
        /// The address
        email: String,
        /// Why
        #[arg(long)]
        reason: Option<String>,
        /// Only mail with this tag
        #[arg(long)]
        stream: Option<String>,
        /// Until when (RFC 3339)
        #[arg(long, value_name = "TIME")]
        expires_at: Option<String>,
    },
    /// Take an address off
    Remove {
        /// The address
        email: String,
        /// Of this stream only
        #[arg(long)]
        stream: Option<String>,
    },
    /// Enter the addresses of a CSV file (email, reason, stream, expires_at)
    Import {
        /// The file; `-` is standard input
        file: PathBuf,
    },
    /// Print the whole list as CSV, with --json as JSON
    Export,
}

impl Suppressions {
    pub fn run(self, place: &Place) -> Result<(), Failure> {
        let format = self.format;
        place.with_app(async |app| {
            let client = chosen(app, self.client.as_deref()).await?.id;
            match self.command {
                Command::List { email, limit } => {
                    let filter = SuppressionFilter::default();
                    let found = app.admin.suppressions(client, email.as_deref(), filter, limit).await?;
                    let found: Vec<Suppression> = found.into_iter().map(|(_, entry)| entry).collect();
                    format
                        .print(&found.iter().map(suppression_shape).collect(), || table(HEAD, &rows(&found)))
                }
                Command::Add { email, reason, stream, expires_at } => {
                    let expires_at = expires_at.map(|text| moment(&text)).transpose()?;
                    let new = NewSuppression { email, reason, stream, expires_at };
                    let (entry, _) = app.admin.suppress(client, &new, &actor()).await?;
                    format.print(&suppression_shape(&entry), || {
                        format!("{} is not written to any more.", or_dash(entry.email.as_ref()))
                    })
                }
                Command::Remove { email, stream } => {
                    app.admin.unsuppress(client, &email, stream.as_deref(), &actor()).await?;
                    format.print(&json!({"email": email, "removed": true}), || {
                        format!("{email} is written to again.")
                    })
                }
                Command::Import { file } => import(app, client, &file, format).await,
                Command::Export => export(app, client, format).await,
            }
        })
    }
}

/// Takes over what another service knew: the addresses that it did not write to.
#[derive(Args)]
pub struct Import {
    /// How the file is written
    #[arg(long, value_name = "KIND")]
    from: Kind,
    /// The file (email, reason, stream, expires_at); `-` is standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Whose list, by name or id [default: the first client]
    #[arg(long, value_name = "NAME|ID")]
    client: Option<String>,
    #[command(flatten)]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Csv,
}

impl Import {
    pub fn run(self, place: &Place) -> Result<(), Failure> {
        let Kind::Csv = self.from;
        place.with_app(async |app| {
            let client = chosen(app, self.client.as_deref()).await?.id;
            import(app, client, &self.file, self.format).await
        })
    }
}

fn moment(text: &str) -> Result<Timestamp, Failure> {
    Timestamp::parse(text).map_err(|_| Failure::Said(format!("{text} is no RFC 3339 timestamp")))
}

/// All lines are judged before the first is entered.
async fn import(app: &App, client: ClientId, file: &Path, format: Format) -> Result<(), Failure> {
    let text = read(file)?;
    let now = app.clock.now();
    let (mut entries, mut faults) = (Vec::new(), Vec::new());
    let mut order = vec!["email", "reason", "stream", "expires_at"];
    for (number, record) in csv_records(&text).into_iter().enumerate() {
        if number == 0 && record.iter().any(|cell| known(cell) == "email") {
            order = record.iter().map(|cell| known(cell)).collect();
            continue;
        }
        let cell = |name| {
            let place = order.iter().position(|column| *column == name)?;
            record.get(place).map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty())
        };
        let Some(email) = cell("email") else { continue };
        let Ok(expires_at) = cell("expires_at").map(|text| moment(&text)).transpose() else {
            faults.push(format!("record {}: expires_at is no RFC 3339 timestamp", number + 1));
            continue;
        };
        if expires_at.is_some_and(|at| at <= now) {
            // It has ended already: there is nothing to enter.
            continue;
        }
        let new = NewSuppression { email, reason: cell("reason"), stream: cell("stream"), expires_at };
        match app.admin.suppression(client, &new) {
            Ok(entry) => entries.push(entry),
            Err(found) => {
                faults.extend(found.iter().map(|fault| format!("record {}: {}", number + 1, fault.message)));
            }
        }
    }
    if !faults.is_empty() {
        faults.truncate(20);
        return Err(Failure::Said(format!("nothing was entered:\n{}", faults.join("\n"))));
    }
    let added = app.admin.suppress_many(client, &entries, &actor()).await?;
    format.print(&json!({"read": entries.len(), "added": added}), || {
        format!("{} addresses read, {added} of them new.", entries.len())
    })
}

fn known(cell: &str) -> &'static str {
    match cell.trim().to_ascii_lowercase().as_str() {
        "email" | "address" => "email",
        "reason" => "reason",
        "stream" | "tag" => "stream",
        "expires_at" => "expires_at",
        _ => "",
    }
}

fn read(file: &Path) -> Result<String, Failure> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let taken = if file == Path::new("-") {
        std::io::stdin().lock().take(LONGEST_FILE + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|open| open.take(LONGEST_FILE + 1).read_to_end(&mut bytes))
    };
    taken.map_err(|error| Failure::io(format!("{} cannot be read", file.display()), error))?;
    if bytes.len() as u64 > LONGEST_FILE {
        return Err(Failure::Said("the file is longer than 256 MB".to_owned()));
    }
    String::from_utf8(bytes).map_err(|_| Failure::Said("the file is not UTF-8".to_owned()))
}

/// The records of a CSV text (RFC 4180), quotes read, empty lines and the byte order mark of spreadsheets left out.
fn csv_records(text: &str) -> Vec<Vec<String>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut records, mut record, mut cell) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut chars) = (false, text.chars().peekable());
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut cell)),
            '\n' | '\r' if !quoted => {
                record.push(std::mem::take(&mut cell));
                records.push(std::mem::take(&mut record));
            }
            other => cell.push(other),
        }
    }
    record.push(cell);
    records.push(record);
    records.retain(|record| record.iter().any(|cell| !cell.trim().is_empty()));
    records
}

fn csv_cell(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

async fn export(app: &App, client: ClientId, format: Format) -> Result<(), Failure> {
    if !format.json {
        line(COLUMNS)?;
    }
    let (mut filter, mut listed) = (SuppressionFilter::default(), Vec::new());
    loop {
        let page = app.admin.suppressions(client, None, filter.clone(), PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        filter.before = Some(*last);
        for (_, entry) in &page {
            // An erased address has nothing to show.
            let Some(email) = &entry.email else { continue };
            if format.json {
                listed.push(suppression_shape(entry));
                continue;
            }
            let expires_at = entry.expires_at.map(|at| at.to_string()).unwrap_or_default();
            let cells = [email, &entry.reason, entry.stream.as_deref().unwrap_or_default(), &expires_at]
                .map(csv_cell);
            line(&cells.join(","))?;
        }
    }
    if format.json { format.print(&listed.into(), String::new) } else { Ok(()) }
}

const HEAD: &[&str] = &["EMAIL", "REASON", "STREAM", "SINCE", "UNTIL"];

fn rows(entries: &[Suppression]) -> Vec<Vec<String>> {
    let row = |entry: &Suppression| {
        vec![
            or_dash(entry.email.as_ref()),
            entry.reason.clone(),
            or_dash(entry.stream.as_ref()),
            entry.created_at.to_string(),
            or_dash(entry.expires_at),
        ]
    };
    entries.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_line_ends_and_empty_lines_are_read() {
        let text = "email,reason\r\n\r\n\"a,b@c.example\",\"said \"\"no\"\"\"\nd@e.example";
        let expected =
            vec![vec!["email", "reason"], vec!["a,b@c.example", "said \"no\""], vec!["d@e.example"]];
        assert_eq!(csv_records(text), expected);
        assert_eq!(csv_records(&format!("\u{feff}{text}")), expected);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(cells in proptest::collection::vec("[a-z,\"\n é]{1,8}x", 1..5)) {
            let line = cells.iter().map(|cell| csv_cell(cell)).collect::<Vec<_>>().join(",");
            prop_assert_eq!(csv_records(&line), vec![cells]);
        }
    }
}
