//! `posthaste restore`: puts a backup where nothing is yet.
//!
//! The store's file comes last and gets its name only when everything else lies on the disk: a restore that was
//! interrupted leaves no installation that looks whole.

use super::Place;
use super::backup::{BLOBS, MANIFEST, SECRETS, STORE, TABLES, copy_files, sync};
use super::failure::Failure;
use super::installation::block_on;
use super::output::Format;
use super::progress::Progress;
use crate::blobs::{copy_folder, measure_folder};
use crate::config::{BlobSettings, DataDirectory, Settings, StoreSettings};
use clap::Args;
use posthaste_store::Store;
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub struct Restore {
    /// The directory that `posthaste backup` made
    path: PathBuf,
    #[command(flatten)]
    format: Format,
}

/// Where the parts go.
struct Target {
    store: StoreSettings,
    blobs: Option<PathBuf>,
    data: PathBuf,
}

impl Restore {
    pub fn run(self, place: &Place) -> Result<(), Failure> {
        let settings = place.load()?.settings;
        let manifest = manifest(&self.path)?;
        let target = Target::of(&settings);
        target.refuse_other_kind(&self.path)?;
        target.refuse_if_occupied()?;
        let data = DataDirectory::prepare(&target.data).map_err(crate::app::StartError::from)?;
        let progress = Progress::bytes(measure_folder(&self.path.join(BLOBS))?.bytes);
        let blobs = match &target.blobs {
            Some(folder) => {
                copy_folder(&self.path.join(BLOBS), folder, &mut |bytes| progress.add(bytes))?.blobs
            }
            None => 0,
        };
        copy_files(&self.path.join(SECRETS), &data.path(SECRETS))?;
        progress.say("checking the store");
        match target.store.embedded_file() {
            Some(file) => {
                let draft = file.with_extension("restoring");
                copy_file(&self.path.join(STORE), &draft)?;
                check(&draft)?;
                rename_whole(&draft, file)?;
            }
            None => fill(target.store.to_open(), &self.path.join(TABLES))?,
        }
        progress.done();
        let shape = json!({
            "restored": true,
            "data_dir": target.data.display().to_string(),
            "created_at": manifest["created_at"],
            "blobs": blobs,
        });
        self.format.print(&shape, || {
            format!("Restored into {}; start it with `posthaste serve`.", target.data.display())
        })
    }
}

/// What the backup says of itself; one that was not finished says nothing.
fn manifest(backup: &Path) -> Result<Value, Failure> {
    let path = backup.join(MANIFEST);
    let text = fs::read_to_string(&path).map_err(|error| {
        Failure::io(format!("{} is no whole backup: {MANIFEST} cannot be read", backup.display()), error)
    })?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::Said(format!("{} is no backup: {error}", path.display())))
}

impl Target {
    fn of(settings: &Settings) -> Self {
        let blobs = match &settings.blobs {
            BlobSettings::Files(folder) => Some(folder.clone()),
            // With the store, or in a bucket that has its own means.
            BlobSettings::Store | BlobSettings::S3(_) => None,
        };
        Self { store: settings.store.clone(), blobs, data: settings.data.dir.clone() }
    }

    /// A server that runs has its files there, so that it is refused with the rest; it is named all the same.
    fn refuse_if_occupied(&self) -> Result<(), Failure> {
        if let Some(address) = DataDirectory::address(&self.data, "http")
            && std::net::TcpStream::connect(address).is_ok()
        {
            return Err(Failure::Said(format!(
                "a server runs on {} ({address}); stop it first",
                self.data.display()
            )));
        }
        for place in [Some(&self.data), self.blobs.as_ref()].into_iter().flatten() {
            if holds_a_file(place)
                .map_err(|error| Failure::io(format!("{} cannot be read", place.display()), error))?
            {
                return Err(Failure::Said(format!(
                    "{} is not empty; move it away, or name another with --data-dir",
                    place.display()
                )));
            }
        }
        match self.store.embedded_file() {
            Some(file) if file.exists() => {
                Err(Failure::Said(format!("{} is there already; move it away", file.display())))
            }
            _ => Ok(()),
        }
    }

    /// A copy of one kind of store cannot become the other.
    fn refuse_other_kind(&self, backup: &Path) -> Result<(), Failure> {
        let (wanted, other) = if self.store.embedded_file().is_some() {
            (STORE, "a store that a server keeps; set DATABASE_URL to an empty database")
        } else {
            (TABLES, "an embedded store; restore it without DATABASE_URL, then `posthaste migrate-store`")
        };
        if backup.join(wanted).exists() {
            return Ok(());
        }
        Err(Failure::Said(format!("{} was made from {other}", backup.display())))
    }
}

/// Whether there is a file in the folder or below it; a tree of empty folders is as good as none.
fn holds_a_file(folder: &Path) -> io::Result<bool> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        if !entry.file_type()?.is_dir() || holds_a_file(&entry.path())? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn copy_file(from: &Path, to: &Path) -> Result<(), Failure> {
    let copy = || {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
        io::copy(&mut File::open(from)?, &mut target)?;
        target.sync_all()
    };
    copy().map_err(|error| {
        Failure::io(format!("{} cannot be copied to {}", from.display(), to.display()), error)
    })
}

/// Opens the copy, which runs missing migrations, and reads it whole.
fn check(store: &Path) -> Result<(), Failure> {
    block_on(async {
        let opened = Store::open(posthaste_store::StoreSettings::new(store)).await?;
        let checked = opened.check_integrity().await;
        opened.close().await;
        Ok(checked?)
    })
}

/// Fills the empty store of a server, and checks it.
fn fill(store: posthaste_store::StoreSettings, from: &Path) -> Result<(), Failure> {
    block_on(async {
        let opened = Store::open(store).await?;
        let mut filled = opened.restore(from).await;
        if filled.is_ok() {
            filled = opened.check_integrity().await;
        }
        opened.close().await;
        Ok(filled?)
    })
}

/// Gives the store its name. A log beside it would hold commits that are not in the file: closing moved them there.
fn rename_whole(draft: &Path, store: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::io(format!("{} cannot be put in place", store.display()), error);
    for suffix in ["-wal", "-shm"] {
        let mut beside = draft.as_os_str().to_owned();
        beside.push(suffix);
        match fs::metadata(&beside) {
            Ok(left) if suffix == "-wal" && left.len() > 0 => {
                let said = format!("{} could not be closed; remove it and restore again", draft.display());
                return Err(Failure::Said(said));
            }
            Ok(_) => fs::remove_file(&beside).map_err(failed)?,
            Err(_) => {}
        }
    }
    fs::rename(draft, store).map_err(failed)?;
    store.parent().map_or(Ok(()), sync)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_folders_count_as_nothing() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("a/b");
        assert!(!holds_a_file(&home.path().join("none")).unwrap());
        fs::create_dir_all(&deep).unwrap();
        assert!(!holds_a_file(home.path()).unwrap());
        fs::write(deep.join("file"), "").unwrap();
        assert!(holds_a_file(home.path()).unwrap());
    }

    #[test]
    fn an_unfinished_backup_is_refused() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(STORE), "x").unwrap();
        let said = manifest(home.path()).unwrap_err().to_string();
        assert!(said.contains("no whole backup"), "{said}");
    }
}
