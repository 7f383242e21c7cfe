//! `posthaste migrate-store`: moves an embedded store into an empty PostgreSQL database while nobody uses it.

use super::Place;
use super::failure::Failure;
use super::installation::block_on;
use super::output::{Format, table};
use super::progress::Progress;
use crate::app::hold_data_directory;
use crate::config::StoreSettings;
use clap::Args;
use posthaste_store::{MovedTable, Store};
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
        let from = self.from.as_deref().map_or_else(
            || Some(settings.data.dir.join("posthaste.db")),
            |url| StoreSettings::of_url(url)?.embedded_file().map(Path::to_owned),
        );
        let from = from.ok_or_else(|| Failure::Usage("--from: name the file of an embedded store".into()))?;
        let to = self.to.as_deref().map_or(Some(settings.store), StoreSettings::of_url);
        let to = to.filter(|to| to.embedded_file().is_none()).ok_or_else(|| {
            Failure::Usage("--to: write the URL of a server's database, or set DATABASE_URL to it".into())
        })?;
        if !from.is_file() {
            return Err(Failure::Said(format!("{} is no store: there is no such file", from.display())));
        }
        // Held to the end: nobody may start on it meanwhile.
        let _seats = hold_data_directory(&run_folder(&from))?;
        let moved = block_on(take_over(&from, &to))?;
        self.format.print(&shape(&from, &moved), || said(&from, &moved))
    }
}

/// Where the processes that use a store lock their seats.
fn run_folder(store: &Path) -> PathBuf {
    let folder = store.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).join("run")
}

async fn take_over(from: &Path, to: &StoreSettings) -> Result<Vec<MovedTable>, Failure> {
    let source = Store::open(posthaste_store::StoreSettings::new(from)).await?;
    let moved = async {
        source.check_integrity().await?;
        let target = Store::open(to.to_open()).await?;
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
    fn seats_lie_beside_the_store() {
        assert_eq!(run_folder(Path::new("p.db")), PathBuf::from("./run"));
        assert_eq!(run_folder(Path::new("/data/p.db")), PathBuf::from("/data/run"));
    }
}
