//! Against a server that checks signatures (`crates/s3-server`), through a line that can be cut.

use super::upload::PART;
use super::*;
use crate::blobs::{Blobs, conformance};
use posthaste_model::Secret;
use posthaste_s3_server::{Login, S3Server};
use std::fs::{self, File};
use std::path::PathBuf;
use std::time::UNIX_EPOCH;
use tempfile::TempDir;

const BUCKET: &str = "mail";

struct Stage {
    server: S3Server,
    folder: TempDir,
    blobs: Blobs,
}

impl Stage {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let login = Login { access_key_id: "key".into(), secret_access_key: "secret".into() };
        let any = ([127, 0, 0, 1], 0).into();
        let server = S3Server::start_at(any, folder.path(), &[BUCKET], login).await.unwrap();
        let blobs = open(&settings(&server));
        Self { server, folder, blobs }
    }

    fn file(&self, hash: BlobHash) -> PathBuf {
        self.folder.path().join(BUCKET).join("blobs").join(hash.to_string())
    }
}

/// As if it had been uploaded long ago.
fn age(path: &std::path::Path) {
    let long_ago = UNIX_EPOCH + Duration::from_secs(1_000_000);
    File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
}

fn settings(server: &S3Server) -> S3Settings {
    S3Settings {
        endpoint: server.endpoint(),
        bucket: BUCKET.into(),
        region: "us-east-1".into(),
        access_key_id: "key".into(),
        secret_access_key: Secret::new("secret"),
    }
}

fn open(settings: &S3Settings) -> Blobs {
    Blobs::s3(settings, Clock::system(), Chance::new()).unwrap()
}

/// The hour before now, as retention asks.
fn an_hour_ago() -> Timestamp {
    Clock::system().now().minus(Duration::from_secs(3600))
}

#[tokio::test]
async fn a_bucket_conforms() {
    let stage = Stage::new().await;
    conformance::conforms(&stage.blobs).await;
}

#[tokio::test]
async fn the_bucket_is_listed_page_by_page() {
    let stage = Stage::new().await;
    let Blobs::S3(bucket) = &stage.blobs else { panic!("it is a bucket") };
    let mut put = Vec::new();
    for n in 0..5_u8 {
        put.push(stage.blobs.put(Bytes::from(vec![n])).await.unwrap());
    }
    put.sort_unstable();
    let mut listed = bucket.list(None, 2).await.unwrap();
    listed.extend(bucket.list(Some(listed[1].0), 10).await.unwrap());
    assert_eq!(listed.iter().map(|(hash, _)| *hash).collect::<Vec<_>>(), put);
    assert!(listed.iter().all(|(_, at)| *at > an_hour_ago()));
    assert_eq!(bucket.list(Some(put[4]), 10).await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_large_blob_goes_up_in_parts() {
    let stage = Stage::new().await;
    let content = Bytes::from((0..=250_u8).cycle().take(PART * 2 + 12_345).collect::<Vec<u8>>());
    let hash = stage.blobs.put(content.clone()).await.unwrap();
    assert_eq!(stage.blobs.get(&hash).await, Ok(content));
    assert_eq!(stage.server.pending_uploads(), 0);
}

#[tokio::test]
async fn a_write_that_is_cut_leaves_no_object_and_no_upload() {
    let stage = Stage::new().await;
    for bytes in [1_000_000, PART * 3] {
        let content = Bytes::from(vec![7; bytes]);
        stage.server.line().cut_after(bytes as u64 / 2);
        let fault = stage.blobs.put(content.clone()).await.unwrap_err();
        assert!(fault.is_transient(), "{fault}");
        stage.server.line().mend();
        assert_eq!(stage.blobs.exists(&BlobHash::of(&content)).await, Ok(false));
        // The next one clears what could not be cleared while the line was cut.
        stage.blobs.put(Bytes::from_static(b"the next one")).await.unwrap();
        assert_eq!(stage.server.pending_uploads(), 0);
        stage.blobs.put(content).await.unwrap();
    }
}

#[tokio::test]
async fn an_upload_whose_caller_goes_away_is_aborted() {
    let stage = Stage::new().await;
    let content = Bytes::from(vec![9; PART * 3]);
    let mut put = Box::pin(stage.blobs.put(content.clone()));
    // Begun, and its number is known: a part of it is there.
    while stage.server.pending_parts() == 0 {
        assert!(futures_util::poll!(&mut put).is_pending());
        tokio::task::yield_now().await;
    }
    drop(put);
    stage.blobs.put(Bytes::from_static(b"the next one")).await.unwrap();
    assert_eq!(stage.server.pending_uploads(), 0);
    assert_eq!(stage.blobs.exists(&BlobHash::of(&content)).await, Ok(false));
}

#[tokio::test]
async fn a_damaged_object_is_never_returned_and_a_short_one_is_mended() {
    let stage = Stage::new().await;
    let hash = stage.blobs.put(Bytes::from_static(b"content")).await.unwrap();
    for damage in [&b"CONTENT"[..], b"con", b""] {
        fs::write(stage.file(hash), damage).unwrap();
        assert_eq!(stage.blobs.get(&hash).await, Err(BlobError::Corrupt(hash)));
    }
    stage.blobs.put(Bytes::from_static(b"content")).await.unwrap();
    assert_eq!(stage.blobs.get(&hash).await.unwrap(), "content");
}

#[tokio::test]
async fn what_is_there_is_not_uploaded_again() {
    let stage = Stage::new().await;
    let hash = stage.blobs.put(Bytes::from_static(b"sent to everybody")).await.unwrap();
    let uploaded = fs::metadata(stage.file(hash)).unwrap().modified().unwrap();
    stage.blobs.put(Bytes::from_static(b"sent to everybody")).await.unwrap();
    assert_eq!(fs::metadata(stage.file(hash)).unwrap().modified().unwrap(), uploaded);
    // An old one neither: a note says that it is wanted again.
    age(&stage.file(hash));
    stage.blobs.put(Bytes::from_static(b"sent to everybody")).await.unwrap();
    assert!(fs::metadata(stage.file(hash)).unwrap().modified().unwrap() < uploaded);
    assert_eq!(stage.blobs.remove(&hash, an_hour_ago()).await, Ok(false), "wanted again");
    let note = stage.folder.path().join(BUCKET).join("touched").join(hash.to_string());
    age(&note);
    assert_eq!(stage.blobs.remove(&hash, an_hour_ago()).await, Ok(true));
    assert!(!note.exists());
}

#[tokio::test]
async fn a_put_waits_for_a_removal_under_way() {
    let stage = Stage::new().await;
    let content = Bytes::from_static(b"wanted again");
    let hash = stage.blobs.put(content.clone()).await.unwrap();
    age(&stage.file(hash));
    let notes = stage.folder.path().join(BUCKET).join("removing").join(hash.to_string());
    fs::create_dir_all(&notes).unwrap();
    fs::write(notes.join("another-node"), "").unwrap();
    let mut put = Box::pin(stage.blobs.put(content.clone()));
    // It has looked, and stays.
    assert!(tokio::time::timeout(Duration::from_millis(500), &mut put).await.is_err());
    fs::remove_file(stage.file(hash)).unwrap();
    fs::remove_file(notes.join("another-node")).unwrap();
    put.await.unwrap();
    assert_eq!(stage.blobs.get(&hash).await, Ok(content));
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let stage = Stage::new().await;
    let good = settings(&stage.server);
    let wrong_secret = S3Settings { secret_access_key: Secret::new("guess"), ..good.clone() };
    let wrong_key = S3Settings { access_key_id: "somebody".into(), ..good.clone() };
    let no_bucket = S3Settings { bucket: "none".into(), ..good.clone() };
    for (settings, told) in
        [(wrong_secret, "signature"), (wrong_key, "access key"), (no_bucket, "bucket does not exist")]
    {
        let blobs = open(&settings);
        let (message, remedy) = blobs.diagnose().await.unwrap_err();
        assert!(message.contains(told) && remedy.contains("S3_"), "{message}; {remedy}");
        assert!(blobs.put(Bytes::from_static(b"x")).await.unwrap_err().is_transient());
        assert!(blobs.get(&BlobHash::of(b"x")).await.unwrap_err().is_transient());
    }
    let blobs = open(&good);
    blobs.diagnose().await.unwrap();
    drop(stage);
    let (message, _) = blobs.diagnose().await.unwrap_err();
    assert!(message.contains("cannot be reached"), "{message}");
}
