//! The data directory: made for its owner alone, with the secrets that nobody gave, made once and kept.

use crate::base::chance::Chance;
use crate::base::vault::Vault;
use posthaste_model::Secret;
use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Only the owner may enter.
const DIRECTORY_MODE: u32 = 0o700;
/// Only the owner may read.
const FILE_MODE: u32 = 0o600;
/// Where made secrets are kept.
const SECRETS: &str = "secrets";
/// Where a running server says how to reach it.
const RUN: &str = "run";
/// Where logs are kept.
const LOGS: &str = "logs";

/// The data directory, ready for use.
#[derive(Clone, Debug)]
pub struct DataDirectory {
    root: PathBuf,
}

/// A file or directory that cannot be made or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}: {source}", path.display())]
pub struct DataError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl DataDirectory {
    /// Makes the directory and those in it where they are missing, closed to others (0700).
    pub fn prepare(root: &Path) -> Result<Self, DataError> {
        let data = Self { root: root.to_owned() };
        for directory in [data.root.clone(), data.path(SECRETS), data.path(RUN), data.path(LOGS)] {
            make_directory(&directory).map_err(|e| failed("make the directory", &directory, e))?;
        }
        Ok(data)
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A place in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The encryption key of this installation: made at the first start, the same ever after.
    pub fn encryption_key(&self, chance: &Chance) -> Result<Secret, DataError> {
        self.secret("encryption.key", || Vault::generate_key(chance))
    }

    /// The secret kept as `name`, made by `make` when there is none yet. Of two processes that make one at the same
    /// moment both get the same.
    pub fn secret(&self, name: &str, make: impl FnOnce() -> Secret) -> Result<Secret, DataError> {
        Self::kept(&self.path(SECRETS).join(name), make)
    }

    fn kept(path: &Path, make: impl FnOnce() -> Secret) -> Result<Secret, DataError> {
        match read_secret(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                keep_secret(path, &make()).map_err(|e| failed("keep the secret", path, e))?;
                read_secret(path).map_err(|e| failed("read the secret", path, e))
            }
            other => other.map_err(|e| failed("read the secret", path, e)),
        }
    }

    /// What tells this data directory from every other: made at the first start, the same ever after. Two machines of
    /// one name whose data lie at the same path are still two. Not copied by a backup: a copy is another installation.
    pub fn node_id(&self, chance: &Chance) -> Result<String, DataError> {
        let path = self.path(RUN).join("node.id");
        let kept = Self::kept(&path, || Secret::new(format!("{:016x}", chance.u64())))?;
        Ok(kept.expose().to_owned())
    }

    /// Says where a listener (`http`, `smtp`) is reached, in `run/<listener>.addr`.
    pub fn write_address(&self, listener: &str, address: SocketAddr) -> Result<(), DataError> {
        let path = self.path(RUN).join(format!("{listener}.addr"));
        replace(&path, format!("{address}\n").as_bytes()).map_err(|e| failed("write", &path, e))
    }

    /// Where a listener says it is reached. A server that was killed leaves its last word behind: ask there.
    pub fn address(root: &Path, listener: &str) -> Option<SocketAddr> {
        let path = root.join(RUN).join(format!("{listener}.addr"));
        std::fs::read_to_string(path).ok()?.trim().parse().ok()
    }

    /// Takes back what `write_address` said; it is no fault if nothing was said.
    pub fn remove_address(&self, listener: &str) {
        let _ = std::fs::remove_file(self.path(RUN).join(format!("{listener}.addr")));
    }
}

fn failed(what: &'static str, path: &Path, source: io::Error) -> DataError {
    DataError { what, path: path.to_owned(), source }
}

/// Makes a directory for its owner alone. One that exists keeps its mode: an operator may have opened it on purpose,
/// except the secrets' own, which is closed again.
fn make_directory(path: &Path) -> io::Result<()> {
    if !path.is_dir() {
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)?;
    }
    if path.ends_with(SECRETS) {
        std::fs::set_permissions(path, Permissions::from_mode(DIRECTORY_MODE))?;
    }
    Ok(())
}

fn read_secret(path: &Path) -> io::Result<Secret> {
    let text = std::fs::read_to_string(path)?;
    let text = text.trim();
    if text.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is empty"));
    }
    Ok(Secret::new(text))
}

/// Writes the whole secret under another name, makes it durable, and then links it to its own: a crash leaves either
/// no secret or a whole one, and whoever comes second keeps the first one's.
fn keep_secret(path: &Path, secret: &Secret) -> io::Result<()> {
    let draft = path.with_extension(format!("{}.{:x}.new", std::process::id(), Chance::new().u64()));
    write_durably(&draft, format!("{}\n", secret.expose()).as_bytes())?;
    let linked = match std::fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    };
    std::fs::remove_file(&draft)?;
    linked?;
    sync_directory_of(path)
}

/// Replaces a file at once: a reader sees the old content or the new.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let draft = path.with_extension(format!("{}.{:x}.new", std::process::id(), Chance::new().u64()));
    write_durably(&draft, content)?;
    std::fs::rename(&draft, path)?;
    sync_directory_of(path)
}

fn write_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// A name is durable only when its directory is.
fn sync_directory_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_directory_is_closed_and_its_key_made_once() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("deep/data");
        let data = DataDirectory::prepare(&root).unwrap();
        for directory in [root.clone(), root.join("secrets"), root.join("run"), root.join("logs")] {
            assert_eq!(mode(&directory), 0o700, "{}", directory.display());
        }
        let chance = Chance::new();
        let key = data.encryption_key(&chance).unwrap();
        assert!(Vault::new(&key, chance.clone()).is_ok());
        assert_eq!(mode(&root.join("secrets/encryption.key")), 0o600);
        let again = DataDirectory::prepare(&root).unwrap().encryption_key(&chance).unwrap();
        assert_eq!(key.expose(), again.expose());
        let left: Vec<_> = std::fs::read_dir(root.join("secrets")).unwrap().collect();
        assert_eq!(left.len(), 1, "a draft was left behind: {left:?}");
    }

    #[test]
    fn every_data_directory_is_a_node_of_its_own_and_stays_it() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let chance = Chance::new();
        let id = |root: &Path| DataDirectory::prepare(root).unwrap().node_id(&chance).unwrap();
        let first = id(one.path());
        assert_ne!(first, id(other.path()), "two machines may have one name and keep their data at one path");
        assert_eq!(first, id(one.path()));
    }

    #[test]
    fn all_who_start_at_once_get_the_same_secret() {
        let parent = tempfile::tempdir().unwrap();
        let data = DataDirectory::prepare(parent.path()).unwrap();
        let chance = Chance::new();
        let keys: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| data.encryption_key(&chance).unwrap().expose().to_owned()))
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    }

    #[test]
    fn a_damaged_secret_is_not_replaced() {
        let parent = tempfile::tempdir().unwrap();
        let data = DataDirectory::prepare(parent.path()).unwrap();
        let path = parent.path().join("secrets/encryption.key");
        std::fs::write(&path, "\n").unwrap();
        let error = data.encryption_key(&Chance::new()).unwrap_err();
        assert!(error.to_string().contains("encryption.key"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "\n");
    }

    #[test]
    fn addresses_are_written_and_taken_back() {
        let parent = tempfile::tempdir().unwrap();
        let data = DataDirectory::prepare(parent.path()).unwrap();
        let path = parent.path().join("run/http.addr");
        for address in ["127.0.0.1:8000", "[::1]:25"] {
            data.write_address("http", address.parse().unwrap()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap().trim(), address);
            assert_eq!(DataDirectory::address(parent.path(), "http"), address.parse().ok());
        }
        data.remove_address("http");
        data.remove_address("http");
        assert!(!path.exists());
    }

    #[test]
    fn a_place_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = DataDirectory::prepare(&file.path().join("data")).unwrap_err();
        assert!(error.to_string().contains("data"), "{error}");
    }
}
