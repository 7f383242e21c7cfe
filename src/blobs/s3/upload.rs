//! A large object in parts: it appears whole when the last step is answered, or not at all. Parts of an upload that
//! failed cost room until it is aborted: one that could not be aborted at once, or whose caller went away, is
//! remembered and aborted later.

use super::fault::{Reason, S3Fault};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use object_store::PutPayload;
use object_store::aws::AmazonS3;
use object_store::multipart::MultipartStore as _;
use object_store::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes of a part: the least that S3 wants of all but the last. What is not larger goes up in one request.
pub(super) const PART: usize = 5 << 20;
/// Parts on their way at once.
const PARTS_AT_ONCE: usize = 3;

/// Uploads that are to be aborted. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Leftovers(Arc<Mutex<Vec<(Path, String)>>>);

impl Leftovers {
    fn add(&self, path: Path, id: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((path, id));
    }

    /// Aborts what is left over, as far as the object store lets us.
    pub(super) async fn abort(&self, bucket: &AmazonS3) {
        let found = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for (path, id) in found {
            let aborted = bucket.abort_multipart(&path, &id).await.map_err(S3Fault::from);
            match aborted {
                Ok(()) => {}
                // Gone already: the answer to an earlier abort was lost.
                Err(fault) if fault.reason == Reason::NoObject => {}
                Err(_) => self.add(path, id),
            }
        }
    }
}

/// An upload under way; dropped unfinished it is left over.
struct Upload<'a> {
    leftovers: &'a Leftovers,
    named: Option<(Path, String)>,
}

impl Drop for Upload<'_> {
    fn drop(&mut self) {
        if let Some((path, id)) = self.named.take() {
            self.leftovers.add(path, id);
        }
    }
}

/// Uploads `content` in parts. Each part's SHA-256 is signed with its request, so that the server refuses other bytes.
pub(super) async fn in_parts(
    bucket: &AmazonS3,
    leftovers: &Leftovers,
    path: &Path,
    content: &Bytes,
) -> Result<(), S3Fault> {
    let id = bucket.create_multipart(path).await?;
    let mut upload = Upload { leftovers, named: Some((path.clone(), id.clone())) };
    let parts = (0..content.len().div_ceil(PART)).map(|number| {
        let part = content.slice(number * PART..content.len().min((number + 1) * PART));
        bucket.put_part(path, &id, number, PutPayload::from(part))
    });
    let parts = stream::iter(parts).buffered(PARTS_AT_ONCE).try_collect().await;
    let finished = match parts {
        Ok(parts) => bucket.complete_multipart(path, &id, parts).await.map(drop),
        Err(error) => Err(error),
    };
    if finished.is_ok() {
        upload.named = None;
        return Ok(());
    }
    drop(upload);
    leftovers.abort(bucket).await;
    Ok(finished?)
}
