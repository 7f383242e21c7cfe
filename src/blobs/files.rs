//! Blobs as files: `ab/cdef…`, named by nothing but their hash, so that no input can choose a path.
//!
//! A blob appears whole or not at all: temporary file in the same file system, sync, rename, sync of the folder.
//! Two locks (`flock`) close the two races between processes: a temporary file is locked while it is written, so
//! that another process that starts does not sweep it; a blob is locked while it is touched or removed, so that
//! retention cannot take a file from under an email that is just being accepted.

use super::BlobError;
use bytes::Bytes;
use posthaste_model::Timestamp;
use posthaste_model::email::BlobHash;
use posthaste_model::fault::{FaultPoint, Faults};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Semaphore;

/// Calls at work at once; the rest wait. Bounds threads, and the memory held by files being read.
const IN_FLIGHT_MAX: usize = 16;
/// The folder of unfinished files: no two-digit prefix, so it cannot clash with a blob's folder.
const UNFINISHED: &str = "unfinished";

/// Blobs in one folder.
#[derive(Clone, Debug)]
pub struct FileBlobs {
    shared: Arc<Shared>,
    in_flight: Arc<Semaphore>,
}

#[derive(Debug)]
struct Shared {
    folder: PathBuf,
    faults: Faults,
    /// Numbers temporary files.
    next: AtomicU64,
}

impl FileBlobs {
    /// Makes the folders and sweeps the unfinished files of lives that are over.
    pub(super) fn open(folder: &Path, faults: Faults) -> Result<Self, BlobError> {
        let shared = Shared { folder: folder.to_owned(), faults, next: AtomicU64::new(0) };
        shared
            .make_folders()
            .and_then(|()| shared.sweep_unfinished())
            .map_err(|error| unavailable(&error))?;
        Ok(Self { shared: Arc::new(shared), in_flight: Arc::new(Semaphore::new(IN_FLIGHT_MAX)) })
    }

    pub(super) async fn put(&self, content: Bytes) -> Result<BlobHash, BlobError> {
        self.off_the_async_threads(move |shared| shared.put(&content).map_err(|e| unavailable(&e))).await
    }

    pub(super) async fn get(&self, hash: BlobHash) -> Result<Bytes, BlobError> {
        self.off_the_async_threads(move |shared| shared.get(hash)).await
    }

    pub(super) async fn exists(&self, hash: BlobHash) -> Result<bool, BlobError> {
        self.off_the_async_threads(move |shared| {
            shared.path(hash).try_exists().map_err(|error| unavailable(&error))
        })
        .await
    }

    pub(super) async fn remove(&self, hash: BlobHash, unused_since: Timestamp) -> Result<bool, BlobError> {
        self.off_the_async_threads(move |shared| {
            shared.remove(hash, unused_since).map_err(|e| unavailable(&e))
        })
        .await
    }

    pub(super) async fn list(
        &self,
        after: Option<BlobHash>,
        limit: usize,
    ) -> Result<Vec<(BlobHash, Timestamp)>, BlobError> {
        self.off_the_async_threads(move |shared| shared.list(after, limit).map_err(|e| unavailable(&e))).await
    }

    pub(super) async fn ping(&self) -> Result<(), BlobError> {
        self.off_the_async_threads(|shared| {
            shared.write_unfinished(b"ping").map(drop).map_err(|error| unavailable(&error))
        })
        .await
    }

    async fn off_the_async_threads<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, BlobError> + Send + 'static,
    ) -> Result<T, BlobError> {
        let permit = Arc::clone(&self.in_flight).acquire_owned().await;
        let shared = Arc::clone(&self.shared);
        let done = tokio::task::spawn_blocking(move || {
            // Held by the work itself: a caller that gives up does not make room while its file is being written.
            let _permit = permit;
            work(&shared)
        });
        done.await.unwrap_or_else(|stopped| Err(BlobError::Unavailable(stopped.to_string())))
    }
}

/// A temporary file; removed on every way out except the rename.
struct Unfinished {
    path: PathBuf,
    /// Keeps the lock that tells a sweep to leave the file alone.
    _file: File,
    renamed: bool,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.renamed {
            // A file that cannot be removed now is swept at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Shared {
    fn make_folders(&self) -> io::Result<()> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(self.folder.join(UNFINISHED))?;
        // All 256 at once: no put has to ask whether the entry of its folder is durable.
        for prefix in 0..=u8::MAX {
            builder.create(self.folder.join(format!("{prefix:02x}")))?;
        }
        sync_folder(&self.folder)?;
        // The folder's own entry, if we have just made it.
        self.folder.parent().filter(|p| !p.as_os_str().is_empty()).map_or(Ok(()), sync_folder)
    }

    fn sweep_unfinished(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.folder.join(UNFINISHED))? {
            let path = entry?.path();
            // A file that is gone by now was finished by its writer; one that is locked has a living writer.
            if let Ok(file) = File::open(&path)
                && file.try_lock().is_ok()
            {
                match fs::remove_file(&path) {
                    // Its writer has ended since it was opened here.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    removed => removed?,
                }
            }
        }
        Ok(())
    }

    fn path(&self, hash: BlobHash) -> PathBuf {
        let name = hash.to_string();
        let (prefix, rest) = name.split_at(2);
        self.folder.join(prefix).join(rest)
    }

    fn put(&self, content: &[u8]) -> io::Result<BlobHash> {
        let hash = BlobHash::of(content);
        let path = self.path(hash);
        if !touch(&path, content.len() as u64)? {
            let mut unfinished = self.write_unfinished(content)?;
            self.faults.crash_at(FaultPoint::BlobTemp);
            fs::rename(&unfinished.path, &path)?;
            unfinished.renamed = true;
        }
        // Also when the blob was there: whoever renamed it may not have come to this line yet.
        path.parent().map_or(Ok(()), sync_folder)?;
        self.faults.crash_at(FaultPoint::BlobRenamed);
        Ok(hash)
    }

    fn write_unfinished(&self, content: &[u8]) -> io::Result<Unfinished> {
        let (mut file, path) = self.create_unfinished()?;
        let unfinished = Unfinished { path, _file: file.try_clone()?, renamed: false };
        file.lock()?;
        file.write_all(content)?;
        file.sync_all()?;
        Ok(unfinished)
    }

    fn create_unfinished(&self) -> io::Result<(File, PathBuf)> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}-{number}", std::process::id());
            let path = self.folder.join(UNFINISHED).join(name);
            match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => return Ok((file, path)),
                // Two processes can have the same id when they run in different containers.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn get(&self, hash: BlobHash) -> Result<Bytes, BlobError> {
        let mut file = File::open(self.path(hash)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => BlobError::Missing(hash),
            _ => unavailable(&error),
        })?;
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(|error| unavailable(&error))?;
        if BlobHash::of(&content) == hash { Ok(content.into()) } else { Err(BlobError::Corrupt(hash)) }
    }

    fn remove(&self, hash: BlobHash, unused_since: Timestamp) -> io::Result<bool> {
        let path = self.path(hash);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        // Locked: somebody is just putting it again.
        if file.try_lock().is_err() {
            return Ok(false);
        }
        if last_put(&file.metadata()?) >= unused_since {
            return Ok(false);
        }
        fs::remove_file(&path)?;
        Ok(true)
    }

    fn list(&self, after: Option<BlobHash>, limit: usize) -> io::Result<Vec<(BlobHash, Timestamp)>> {
        let mut found = Vec::new();
        for prefix in after.map_or(0, |hash| hash.0[0])..=u8::MAX {
            let mut names = self.names(prefix)?;
            names.retain(|hash| after.is_none_or(|after| *hash > after));
            names.sort_unstable();
            for hash in names {
                match fs::metadata(self.path(hash)) {
                    Ok(metadata) => found.push((hash, last_put(&metadata))),
                    // Removed since its folder was read.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
                if found.len() == limit {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    /// The blobs in one folder; whatever else lies there is none of ours.
    fn names(&self, prefix: u8) -> io::Result<Vec<BlobHash>> {
        let prefix = format!("{prefix:02x}");
        let mut names = Vec::new();
        for entry in fs::read_dir(self.folder.join(&prefix))? {
            let rest = entry?.file_name();
            names.extend(rest.to_str().and_then(|rest| BlobHash::parse(&format!("{prefix}{rest}"))));
        }
        Ok(names)
    }
}

/// When a blob was put, the last time.
fn last_put(metadata: &fs::Metadata) -> Timestamp {
    let millis = metadata.mtime().saturating_mul(1000).saturating_add(metadata.mtime_nsec() / 1_000_000);
    Timestamp::from_millis(millis)
}

/// Marks a blob that is there as just put, so that retention leaves it alone. False when it must be written: it is
/// missing, or not of this length (damaged).
fn touch(path: &Path, length: u64) -> io::Result<bool> {
    let file = match OpenOptions::new().write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    file.lock_shared()?;
    let metadata = file.metadata()?;
    // No link left: removed between our opening and our lock.
    if metadata.nlink() == 0 || metadata.len() != length {
        return Ok(false);
    }
    // Setting the length it has changes nothing but the time of change (POSIX ftruncate).
    file.set_len(length)?;
    file.sync_all()?;
    Ok(true)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn unavailable(error: &io::Error) -> BlobError {
    BlobError::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobs::{Blobs, conformance};
    use std::os::unix::fs::PermissionsExt as _;

    fn open(folder: &Path) -> Blobs {
        Blobs::files(folder, Faults::none()).unwrap()
    }

    fn file_of(folder: &Path, hash: BlobHash) -> PathBuf {
        let name = hash.to_string();
        folder.join(&name[..2]).join(&name[2..])
    }

    fn files_in(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[tokio::test]
    async fn files_conform() {
        let dir = tempfile::tempdir().unwrap();
        conformance::conforms(&open(&dir.path().join("blobs"))).await;
        assert_eq!(files_in(&dir.path().join("blobs").join(UNFINISHED)), 0);
    }

    #[tokio::test]
    async fn only_the_owner_may_look() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("a/blobs");
        let hash = open(&folder).put(Bytes::from_static(b"private")).await.unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let file = file_of(&folder, hash);
        assert_eq!((mode(&folder), mode(file.parent().unwrap()), mode(&file)), (0o700, 0o700, 0o600));
    }

    #[tokio::test]
    async fn a_damaged_file_is_never_returned_and_a_short_one_is_mended_by_the_next_put() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = open(dir.path());
        let hash = blobs.put(Bytes::from_static(b"content")).await.unwrap();
        for damage in [&b"CONTENT"[..], b"con", b"", b"content and more"] {
            fs::write(file_of(dir.path(), hash), damage).unwrap();
            assert_eq!(blobs.get(&hash).await, Err(BlobError::Corrupt(hash)));
        }
        blobs.put(Bytes::from_static(b"content")).await.unwrap();
        assert_eq!(blobs.get(&hash).await.unwrap(), "content");
    }

    #[tokio::test]
    async fn what_an_earlier_life_left_is_swept_and_what_a_living_writer_holds_is_not() {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path()));
        let unfinished = dir.path().join(UNFINISHED);
        fs::write(unfinished.join("1-0"), "left behind").unwrap();
        let held = File::create(unfinished.join("2-0")).unwrap();
        held.lock().unwrap();
        drop(open(dir.path()));
        assert!(!unfinished.join("1-0").exists());
        assert!(unfinished.join("2-0").exists());
    }

    #[tokio::test]
    async fn a_failed_put_is_transient_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = open(dir.path());
        let content = Bytes::from_static(b"nowhere to go");
        let target = file_of(dir.path(), BlobHash::of(&content));
        let folder = target.parent().unwrap();
        fs::remove_dir(folder).unwrap();
        let error = blobs.put(content.clone()).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert_eq!(files_in(&dir.path().join(UNFINISHED)), 0);
        // As soon as the cause is gone, it works again.
        fs::create_dir(folder).unwrap();
        blobs.put(content).await.unwrap();
    }

    #[tokio::test]
    async fn a_blob_that_is_just_being_put_again_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = open(dir.path());
        let hash = blobs.put(Bytes::from_static(b"shared")).await.unwrap();
        let file = File::open(file_of(dir.path(), hash)).unwrap();
        file.lock_shared().unwrap();
        let far = Timestamp::from_millis(i64::MAX);
        assert_eq!(blobs.remove(&hash, far).await, Ok(false));
        drop(file);
        assert_eq!(blobs.remove(&hash, far).await, Ok(true));
    }

    #[tokio::test]
    async fn putting_again_makes_a_blob_young() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = open(dir.path());
        let hash = blobs.put(Bytes::from_static(b"old")).await.unwrap();
        let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        File::options().write(true).open(file_of(dir.path(), hash)).unwrap().set_modified(old).unwrap();
        let hour_after = Timestamp::from_millis(1_003_600_000);
        blobs.put(Bytes::from_static(b"old")).await.unwrap();
        assert_eq!(blobs.remove(&hash, hour_after).await, Ok(false));
        File::options().write(true).open(file_of(dir.path(), hash)).unwrap().set_modified(old).unwrap();
        assert_eq!(blobs.remove(&hash, hour_after).await, Ok(true));
    }
}
