//! What every place for blobs must do; run once for each.

use super::{BlobError, Blobs};
use bytes::Bytes;
use posthaste_model::Timestamp;
use posthaste_model::email::BlobHash;

/// Runs all checks on empty `blobs`.
pub(super) async fn conforms(blobs: &Blobs) {
    keeps_what_it_is_given(blobs).await;
    says_what_is_missing(blobs).await;
    takes_the_same_content_many_times_at_once(blobs).await;
    takes_more_at_once_than_it_works_on(blobs).await;
    removes_only_what_is_unused(blobs).await;
    lists_every_blob_once_page_by_page(blobs).await;
    blobs.ping().await.unwrap();
}

async fn keeps_what_it_is_given(blobs: &Blobs) {
    let contents = [Vec::new(), vec![0], b"../../etc/passwd".to_vec(), vec![0xab; 3_000_000]];
    for content in contents.map(Bytes::from) {
        let hash = blobs.put(content.clone()).await.unwrap();
        assert_eq!(hash, BlobHash::of(&content));
        assert_eq!(blobs.exists(&hash).await, Ok(true));
        assert_eq!(blobs.get(&hash).await, Ok(content));
    }
}

async fn says_what_is_missing(blobs: &Blobs) {
    let hash = BlobHash::of(b"never put");
    assert_eq!(blobs.exists(&hash).await, Ok(false));
    let error = blobs.get(&hash).await.unwrap_err();
    assert_eq!(error, BlobError::Missing(hash));
    assert!(!error.is_transient());
    assert_eq!(blobs.remove(&hash, Timestamp::from_millis(i64::MAX)).await, Ok(false));
}

async fn takes_the_same_content_many_times_at_once(blobs: &Blobs) {
    let content = Bytes::from(vec![7; 200_000]);
    let mut set = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let (blobs, content) = (blobs.clone(), content.clone());
        set.spawn(async move { blobs.put(content).await });
    }
    for hash in set.join_all().await {
        assert_eq!(blobs.get(&hash.unwrap()).await, Ok(content.clone()));
    }
}

async fn takes_more_at_once_than_it_works_on(blobs: &Blobs) {
    let mut set = tokio::task::JoinSet::new();
    for n in 0..200_u32 {
        let blobs = blobs.clone();
        set.spawn(async move {
            let content = Bytes::from(format!("number {n}"));
            let hash = blobs.put(content.clone()).await.unwrap();
            assert_eq!(blobs.get(&hash).await, Ok(content));
        });
    }
    set.join_all().await;
}

async fn removes_only_what_is_unused(blobs: &Blobs) {
    let hash = blobs.put(Bytes::from_static(b"to be removed")).await.unwrap();
    assert_eq!(blobs.remove(&hash, Timestamp::from_millis(0)).await, Ok(false), "just put");
    assert_eq!(blobs.exists(&hash).await, Ok(true));
    assert_eq!(blobs.remove(&hash, Timestamp::from_millis(i64::MAX)).await, Ok(true));
    assert_eq!(blobs.get(&hash).await, Err(BlobError::Missing(hash)));
}

async fn lists_every_blob_once_page_by_page(blobs: &Blobs) {
    let young = blobs.put(Bytes::from_static(b"to be listed")).await.unwrap();
    let whole = blobs.list(None, 10_000).await.unwrap();
    let (_, put_at) = whole.iter().find(|(hash, _)| *hash == young).unwrap();
    assert!(put_at.millis() > 1_700_000_000_000, "{put_at}");
    assert!(whole.is_sorted_by_key(|(hash, _)| *hash));
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = blobs.list(after, 7).await.unwrap();
        assert!(page.len() <= 7);
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        paged.extend(page);
    }
    assert_eq!(paged, whole);
}
