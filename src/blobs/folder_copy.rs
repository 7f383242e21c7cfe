//! Copies a folder of blobs, for backup and restore, while the server that uses it goes on.

use super::BlobError;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Characters of a blob's folder and of its file: a SHA-256 in hexadecimal, cut after two.
const NAME_CHARS: (usize, usize) = (2, 62);

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CopiedBlobs {
    /// How many blobs.
    pub blobs: u64,
    /// Their bytes together.
    pub bytes: u64,
}

/// Copies every blob in the folder `from` that is not in `to` yet, durably; `copied` is told of each one's bytes.
/// Blocks. A blob that is removed meanwhile is passed over: no row names it any more.
///
/// Real copies, never hard links: a second link would hide from a writer that its file was just removed.
pub fn copy_folder(from: &Path, to: &Path, copied: &mut dyn FnMut(u64)) -> Result<CopiedBlobs, BlobError> {
    copy_all(from, to, copied).map_err(|error| BlobError::Unavailable(error.to_string()))
}

/// The blobs in a folder and their bytes, for a progress bar. Blocks.
pub fn measure_folder(folder: &Path) -> Result<CopiedBlobs, BlobError> {
    let mut found = CopiedBlobs::default();
    let counted = each_blob(folder, |_, _, path| {
        found.blobs += 1;
        // One that was removed since it was listed weighs nothing.
        found.bytes += fs::metadata(path).map_or(0, |metadata| metadata.len());
        Ok(())
    });
    counted.map_err(|error| BlobError::Unavailable(error.to_string()))?;
    Ok(found)
}

fn copy_all(from: &Path, to: &Path, copied: &mut dyn FnMut(u64)) -> io::Result<CopiedBlobs> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(to)?;
    let mut sum = CopiedBlobs::default();
    each_blob(from, |prefix, name, path| {
        let folder = to.join(prefix);
        builder.create(&folder)?;
        if let Some(bytes) = copy_one(path, &folder.join(name))? {
            sum.blobs += 1;
            sum.bytes += bytes;
            copied(bytes);
        }
        Ok(())
    })?;
    for prefix in fs::read_dir(to)? {
        File::open(prefix?.path())?.sync_all()?;
    }
    File::open(to)?.sync_all()?;
    Ok(sum)
}

/// Calls `visit` with the folder's name, the file's name and the path of every blob.
fn each_blob(folder: &Path, mut visit: impl FnMut(&str, &str, &Path) -> io::Result<()>) -> io::Result<()> {
    for prefix in sorted_names(folder, NAME_CHARS.0)? {
        for name in sorted_names(&folder.join(&prefix), NAME_CHARS.1)? {
            visit(&prefix, &name, &folder.join(&prefix).join(&name))?;
        }
    }
    Ok(())
}

/// Names that can be part of a hash; anything else in the folder is not ours.
fn sorted_names(folder: &Path, chars: usize) -> io::Result<Vec<String>> {
    let is_hash = |name: &String| name.len() == chars && name.bytes().all(|b| b.is_ascii_hexdigit());
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().into_string().ok().filter(is_hash));
    }
    names.sort_unstable();
    Ok(names)
}

/// Bytes copied; nothing when the copy stands already or the blob is gone.
fn copy_one(from: &Path, to: &Path) -> io::Result<Option<u64>> {
    let mut source = match File::open(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let length = source.metadata()?.len();
    if fs::metadata(to).is_ok_and(|there| there.len() == length) {
        return Ok(None);
    }
    let mut target = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(to)?;
    let bytes = io::copy(&mut source, &mut target)?;
    target.sync_all()?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::super::Blobs;
    use super::*;
    use bytes::Bytes;
    use posthaste_model::fault::Faults;
    use std::os::unix::fs::PermissionsExt as _;

    #[tokio::test]
    async fn copies_blobs_once_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let (from, to) = (home.path().join("blobs"), home.path().join("copy/blobs"));
        let blobs = Blobs::files(&from, Faults::none()).unwrap();
        let hash = blobs.put(Bytes::from_static(b"first")).await.unwrap();
        blobs.put(Bytes::from_static(b"second")).await.unwrap();
        fs::write(from.join("unfinished/1-1"), "half").unwrap();
        fs::write(from.join("ab/notes.txt"), "not ours").unwrap();
        assert_eq!(measure_folder(&from).unwrap(), CopiedBlobs { blobs: 2, bytes: 11 });

        let mut told = 0;
        let copied = copy_folder(&from, &to, &mut |bytes| told += bytes).unwrap();
        assert_eq!((copied, told), (CopiedBlobs { blobs: 2, bytes: 11 }, 11));
        assert_eq!(copy_folder(&from, &to, &mut |_| ()).unwrap(), CopiedBlobs::default());
        let copy = Blobs::files(&to, Faults::none()).unwrap();
        assert_eq!(copy.get(&hash).await.unwrap(), "first");
        let name = hash.to_string();
        let file = to.join(&name[..2]).join(&name[2..]);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_folder_that_is_not_there_holds_nothing() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(measure_folder(&home.path().join("none")).unwrap(), CopiedBlobs::default());
    }
}
