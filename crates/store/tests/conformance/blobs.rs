//! Files kept in the store itself.

use crate::fixture::*;
use bytes::Bytes;
use posthaste_model::email::BlobHash;
use posthaste_store::Store;
use std::time::Duration;

crate::on_every_engine!(keeps_files, removes_what_is_old, lists_page_by_page);

async fn keeps_files(store: &Store) {
    for content in [Bytes::new(), Bytes::from_static(b"\0\xff"), Bytes::from(vec![7; 3_000_000])] {
        let hash = BlobHash::of(&content);
        assert_eq!((store.blob_get(hash).await, store.blob_exists(hash).await), (Ok(None), Ok(false)));
        for _ in 0..2 {
            store.blob_put(hash, content.clone(), NOW).await.unwrap();
        }
        assert_eq!(
            (store.blob_get(hash).await, store.blob_exists(hash).await),
            (Ok(Some(content)), Ok(true))
        );
    }
}

async fn removes_what_is_old(store: &Store) {
    let hash = BlobHash::of(b"file");
    let content = Bytes::from_static(b"file");
    let later = NOW.plus(Duration::from_secs(10));
    store.blob_put(hash, content.clone(), later).await.unwrap();
    // Another node's clock may be behind.
    store.blob_put(hash, content, NOW).await.unwrap();
    assert_eq!(store.blob_remove(hash, later).await, Ok(false), "put just then");
    assert_eq!(store.blob_remove(hash, later.plus(Duration::from_millis(1))).await, Ok(true));
    assert_eq!(store.blob_remove(hash, later.plus(Duration::from_secs(9))).await, Ok(false));
    assert_eq!(store.blob_get(hash).await, Ok(None));
}

async fn lists_page_by_page(store: &Store) {
    let mut put = Vec::new();
    for n in 0..5_u8 {
        let hash = BlobHash::of(&[n]);
        store.blob_put(hash, Bytes::from(vec![n]), NOW).await.unwrap();
        put.push((hash, NOW));
    }
    put.sort_by_key(|(hash, _)| hash.0);
    let first = store.blob_list(None, 2).await.unwrap();
    let rest = store.blob_list(Some(first[1].0), 10).await.unwrap();
    assert_eq!((&first[..], &rest[..]), (&put[..2], &put[2..]));
    assert_eq!(store.blob_list(Some(put[4].0), 10).await, Ok(Vec::new()));
}
