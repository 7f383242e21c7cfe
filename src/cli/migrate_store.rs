//! `posthaste migrate-store`: moves an embedded store into an empty PostgreSQL database while nobody uses it.

use super::Place;
use super::failure::Failure;
use super::installation::block_on;
use super::output::{Format, table};
use super::progress::Progress;
use crate::app::hold_data_directory;
use clap::Args;
use posthaste_model::Secret;
use posthaste_store::{MovedTable, Store, StoreSettings};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[derive(Args)]
pub struct MigrateStore {
    /// The embedded store, `sqlite://PATH` [default: the one in the data directory]
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// An empty PostgreSQL database, `postgres://USER@HOST/NAME` [default: the configured one, DATABASE_URL]
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    #[command(flatten)]
    format: Format,
}

impl MigrateStore {
    pub fn run(self, place: &Place) -> Result<(), Failure> {
        let settings = place.load()?.settings;
        let from = match &self.from {
            Some(url) => sqlite_path(url)?,
            None => settings.data.dir.join("posthaste.db"),
        };
        let to = match (self.to, settings.store) {
            (Some(url), _) => Secret::new(url),
            (None, crate::config::StoreSettings::Postgres(url)) => url,
            (None, crate::config::StoreSettings::Sqlite(_)) => {
                return Err(Failure::Usage(
                    "say where to with --to postgres://..., or set DATABASE_URL".into(),
                ));
            }
        };
        if !["postgres://", "postgresql://"].iter().any(|scheme| to.expose().starts_with(scheme)) {
            return Err(Failure::Usage("--to: write postgres://USER@HOST/NAME".into()));
        }
        if !from.is_file() {
            return Err(Failure::Said(format!("{} is no store: there is no such file", from.display())));
        }
        // Held to the end: nobody may start on it meanwhile.
        let _seats = hold_data_directory(&run_folder(&from))?;
        let moved = block_on(take_over(&from, to))?;
        self.format.print(&shape(&from, &moved), || said(&from, &moved))
    }
}

/// The path in `sqlite://PATH`.
fn sqlite_path(url: &str) -> Result<PathBuf, Failure> {
    let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:"));
    match path.map(|path| path.split('?').next().unwrap_or(path)) {
        Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
        _ => Err(Failure::Usage("--from: write sqlite://PATH".into())),
    }
}

/// Where the processes that use a store lock their seats.
fn run_folder(store: &Path) -> PathBuf {
    let folder = store.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).join("run")
}

async fn take_over(from: &Path, to: Secret) -> Result<Vec<MovedTable>, Failure> {
    let source = Store::open(StoreSettings::new(from)).await?;
    let moved = async {
        source.check_integrity().await?;
        let target = Store::open(StoreSettings::postgres(to)).await?;
        let progress = Progress::rows();
        let bar = progress.clone();
        let observer = Arc::new(move |table, rows| {
            bar.say(table);
            bar.at(rows, rows);
        });
        let moved = target.take_over(&source, observer).await;
        let moved = match moved {
            Ok(moved) => {
                progress.say("checking the store");
                target.check_integrity().await.map(|()| moved)
            }
            refused => refused,
        };
        progress.done();
        target.close().await;
        Ok(moved?)
    }
    .await;
    source.close().await;
    moved
}

fn shape(from: &Path, moved: &[MovedTable]) -> Value {
    let tables: Vec<Value> = moved
        .iter()
        .map(|one| json!({"table": one.table, "rows": one.rows, "checksum": one.checksum, "same": true}))
        .collect();
    json!({
        "moved": true,
        "from": from.display().to_string(),
        "rows": moved.iter().map(|one| one.rows).sum::<u64>(),
        "tables": tables,
    })
}

fn said(from: &Path, moved: &[MovedTable]) -> String {
    let rows: Vec<Vec<String>> = moved
        .iter()
        .map(|one| vec![one.table.to_owned(), one.rows.to_string(), one.checksum.clone()])
        .collect();
    format!(
        "{}\nMoved, and the same in both stores. Set DATABASE_URL, ENCRYPTION_KEY and JWT_SECRET before you start; {} is \
         unchanged and no longer used.",
        table(&["TABLE", "ROWS", "CHECKSUM"], &rows).trim_end(),
        from.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_is_a_file() {
        assert_eq!(sqlite_path("sqlite:///var/lib/p.db").unwrap(), PathBuf::from("/var/lib/p.db"));
        assert_eq!(sqlite_path("sqlite://data/p.db?mode=ro").unwrap(), PathBuf::from("data/p.db"));
        for bad in ["postgres://h/d", "sqlite://", "p.db"] {
            assert!(sqlite_path(bad).is_err(), "{bad}");
        }
        assert_eq!(run_folder(Path::new("p.db")), PathBuf::from("./run"));
    }
}
