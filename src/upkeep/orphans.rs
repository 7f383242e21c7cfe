//! The sweep of files: finds those that no email and no inbox message names, and removes them.
//!
//! A file is written before the row that names it, so a crash, a refused commit or an interrupted retention can leave
//! one behind. What was put lately is left alone: its row may still be on its way.

use super::{IN_USE, UpkeepParts};
use crate::blobs::{BlobError, Blobs};
use posthaste_model::Timestamp;
use posthaste_model::email::BlobHash;
use posthaste_store::{Store, StoreError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Files looked at in one step: one listing, one question to the store.
const STEP: usize = 500;
/// Between two steps of one round.
const BREATH: Duration = Duration::from_millis(50);

/// Why a sweep ended early; the next one begins anew.
#[derive(Debug, thiserror::Error)]
pub(super) enum SweepError {
    /// The files cannot be listed or removed.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// The store cannot say what is in use.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Looks at all files once.
pub(super) async fn sweep(parts: &UpkeepParts, stop: &CancellationToken) -> Result<(), SweepError> {
    let (mut after, mut removed) = (None, 0_u64);
    while !stop.is_cancelled() {
        let page = parts.blobs.list(after, STEP).await?;
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        removed += remove_orphans(&parts.store, &parts.blobs, page, parts.clock.now().minus(IN_USE)).await?;
        tokio::time::sleep(BREATH).await;
    }
    if removed > 0 {
        tracing::info!(files = removed, "files that nothing refers to were removed");
    }
    Ok(())
}

/// Removes those of a page that are older than `unused_since` and that nothing refers to; how many.
async fn remove_orphans(
    store: &Store,
    blobs: &Blobs,
    page: Vec<(BlobHash, Timestamp)>,
    unused_since: Timestamp,
) -> Result<u64, SweepError> {
    let old = page.into_iter().filter(|(_, put_at)| *put_at < unused_since).map(|(hash, _)| hash);
    let old: Vec<BlobHash> = old.collect();
    if old.is_empty() {
        return Ok(0);
    }
    let mut removed = 0;
    for hash in store.unreferenced_blobs(old).await? {
        // One that was put again since it was listed is young now, and stays.
        removed += u64::from(blobs.remove(&hash, unused_since).await?);
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use posthaste_model::client::{Client, Retention};
    use posthaste_model::fault::Faults;
    use posthaste_model::inbox::InboxMessage;
    use posthaste_model::{ClientId, EmailId, InboxId};
    use posthaste_store::{Actor, StoreSettings};

    #[tokio::test]
    async fn old_files_that_nothing_names_go_and_no_others() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(StoreSettings::new(home.path().join("store.db"))).await.unwrap();
        let blobs = Blobs::files(&home.path().join("blobs"), Faults::none()).unwrap();
        let named = blobs.put(Bytes::from_static(b"named")).await.unwrap();
        let orphan = blobs.put(Bytes::from_static(b"orphan")).await.unwrap();
        let client = Client {
            id: ClientId::from_bytes([2; 16]),
            name: "shop".into(),
            department: None,
            is_active: true,
            retention: Retention::default(),
            created_at: Timestamp::from_millis(1),
        };
        let actor = Actor { kind: "cli".into(), id: None, address: None };
        store.create_client(client.clone(), &actor).await.unwrap();
        let message = InboxMessage {
            id: InboxId::new(Timestamp::from_millis(1), [1; 10]),
            client_id: client.id,
            email_id: EmailId::new(Timestamp::from_millis(1), [1; 10]),
            mail_from: String::new(),
            recipients: vec!["a@b.example".into()],
            subject: String::new(),
            from: String::new(),
            size: 5,
            sha256: named,
            received_at: Timestamp::from_millis(1),
        };
        store.inbox_add(message).await.unwrap();
        let page = blobs.list(None, 10).await.unwrap();
        assert_eq!(page.len(), 2);

        let young = Timestamp::from_millis(0);
        assert_eq!(remove_orphans(&store, &blobs, page.clone(), young).await.unwrap(), 0);
        let far = Timestamp::from_millis(i64::MAX);
        assert_eq!(remove_orphans(&store, &blobs, page.clone(), far).await.unwrap(), 1);
        assert_eq!(blobs.exists(&named).await, Ok(true));
        assert_eq!(blobs.exists(&orphan).await, Ok(false));

        // A store that does not answer costs no file.
        store.close().await;
        assert!(remove_orphans(&store, &blobs, page, far).await.is_err());
        assert_eq!(blobs.exists(&named).await, Ok(true));
    }
}
