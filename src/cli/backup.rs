//! `posthaste backup`: a consistent copy of the installation, made while it runs.
//!
//! Attachments are copied before and after the store: what the store's copy names was kept before its row was
//! committed, so it is found by the first round when it is old and by the second when it is new; and what is removed
//! between the two was copied by the first.

use super::Place;
use super::failure::Failure;
use super::output::Format;
use super::progress::Progress;
use crate::app::App;
use crate::blobs::{CopiedBlobs, copy_folder, measure_folder};
use crate::config::BlobSettings;
use clap::Args;
use serde_json::{Value, json};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The copy of an embedded store.
pub const STORE: &str = "store.db";
/// The copy of a store that a server keeps: a directory.
pub const TABLES: &str = "store";
/// The attachments.
pub const BLOBS: &str = "blobs";
/// The secrets that were made in the data directory.
pub const SECRETS: &str = "secrets";
/// What the backup is; written last, so that a backup without it is not whole.
pub const MANIFEST: &str = "backup.json";

#[derive(Args)]
pub struct Backup {
    /// A directory that does not exist yet, or is empty
    path: PathBuf,
    #[command(flatten)]
    format: Format,
}

impl Backup {
    pub fn run(self, place: &Place) -> Result<(), Failure> {
        let manifest = place.with_app(async |app| {
            make_private(&self.path)?;
            let folder = blob_folder(app);
            let bytes =
                folder.map_or(Ok(0), |folder| measure_folder(folder).map(|measured| measured.bytes))?;
            let progress = Progress::bytes(bytes);
            let mut copied = copy(folder, &self.path.join(BLOBS), &progress).await?;
            progress.say("copying the store");
            let is_embedded = app.settings.store.embedded_file().is_some();
            app.store.backup(&self.path.join(if is_embedded { STORE } else { TABLES })).await?;
            let later = copy(folder, &self.path.join(BLOBS), &progress).await?;
            copied.blobs += later.blobs;
            copied.bytes += later.bytes;
            let secrets = copy_files(&app.data.path(SECRETS), &self.path.join(SECRETS))?;
            let manifest = manifest(app, copied, secrets);
            write_private(&self.path.join(MANIFEST), format!("{manifest:#}\n").as_bytes())?;
            sync(&self.path)?;
            progress.done();
            Ok(manifest)
        })?;
        let path = self.path.display().to_string();
        let mut shape = manifest;
        shape["path"] = path.clone().into();
        self.format.print(&shape, || {
            format!(
                "Backup made in {path}: the store, {} attachments, {} secrets. Whoever reads it can read all mail.",
                shape["blobs"], shape["secrets"]
            )
        })
    }
}

fn manifest(app: &App, copied: CopiedBlobs, secrets: usize) -> Value {
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "created_at": app.clock.now(),
        "store": app.store.engine_name(),
        "blobs": copied.blobs,
        "blob_bytes": copied.bytes,
        "secrets": secrets,
    })
}

/// Where attachments lie as files. Those in the store are copied with it; a bucket is copied by its own means.
fn blob_folder(app: &App) -> Option<&Path> {
    match &app.settings.blobs {
        BlobSettings::Files(folder) => Some(folder),
        BlobSettings::Store | BlobSettings::S3(_) => None,
    }
}

async fn copy(from: Option<&Path>, to: &Path, progress: &Progress) -> Result<CopiedBlobs, Failure> {
    let Some(from) = from else { return Ok(CopiedBlobs::default()) };
    let (from, to, progress) = (from.to_owned(), to.to_owned(), progress.clone());
    let copied =
        tokio::task::spawn_blocking(move || copy_folder(&from, &to, &mut |bytes| progress.add(bytes)));
    let copied = copied.await.map_err(|stopped| Failure::Said(format!("the copy was stopped: {stopped}")))?;
    Ok(copied?)
}

/// Makes a directory that only its owner may enter; one that holds something is refused.
fn make_private(path: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::io(format!("{} cannot be made", path.display()), error);
    if let Ok(mut entries) = fs::read_dir(path)
        && entries.next().is_some()
    {
        return Err(Failure::Said(format!("{} is not empty; name a new directory", path.display())));
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    // It may have stood there, empty and open.
    let closed = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o700);
    fs::set_permissions(path, closed).map_err(failed)
}

/// Copies the files of a folder (not those below it) for the owner alone, durably; how many.
pub fn copy_files(from: &Path, to: &Path) -> Result<usize, Failure> {
    let failed = |path: &Path, error| Failure::io(format!("{} cannot be copied", path.display()), error);
    DirBuilder::new().recursive(true).mode(0o700).create(to).map_err(|error| failed(to, error))?;
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other.map_err(|error| failed(from, error))?,
    };
    let mut count = 0;
    for entry in entries {
        let entry = entry.map_err(|error| failed(from, error))?;
        let path = entry.path();
        if path.is_file() {
            let content = fs::read(&path).map_err(|error| failed(&path, error))?;
            write_private(&to.join(entry.file_name()), &content)?;
            count += 1;
        }
    }
    sync(to)?;
    Ok(count)
}

/// Writes a new file for the owner alone, durably.
fn write_private(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().map_err(|error| Failure::io(format!("{} cannot be written", path.display()), error))
}

/// Makes the names in a folder durable.
pub fn sync(folder: &Path) -> Result<(), Failure> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| Failure::io(format!("{} cannot be synced", folder.display()), error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_directory_that_holds_something_is_refused_and_an_empty_one_closed() {
        let home = tempfile::tempdir().unwrap();
        let target = home.path().join("backup");
        fs::create_dir(&target).unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o755)).unwrap();
        make_private(&target).unwrap();
        assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o700);
        write_private(&target.join("x"), b"x").unwrap();
        assert_eq!(fs::metadata(target.join("x")).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(make_private(&target).unwrap_err().to_string().contains("not empty"));
    }
}
