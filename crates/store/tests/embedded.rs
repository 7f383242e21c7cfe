//! What only the embedded engine can get wrong: its file, its disk, and other processes on it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "conformance/fixture.rs"]
#[expect(dead_code, reason = "the suite uses the rest")]
mod fixture;

use fixture::*;
use posthaste_model::fault::Faults;
use posthaste_store::{AcceptResult, EmailFilter, IdempotencyClaim, Store, StoreError, StoreSettings};
use std::future::Future;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

fn settings(folder: &tempfile::TempDir) -> StoreSettings {
    StoreSettings::new(folder.path().join("data/posthaste.db"))
}

async fn with_client(settings: StoreSettings) -> Store {
    let store = Store::open(settings).await.unwrap();
    store.create_client(acme(), &actor()).await.unwrap();
    store
}

async fn count(store: &Store) -> u64 {
    store.count(acme().id, &EmailFilter::default()).await.unwrap()
}

/// Tries until it succeeds, for ten seconds at most; how long it took.
async fn eventually<T, F: Future<Output = Result<T, StoreError>>>(mut what: impl FnMut() -> F) -> Duration {
    let begun = Instant::now();
    loop {
        match what().await {
            Ok(_) => return begun.elapsed(),
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(10), "still {error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_was_accepted_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = with_client(settings(&folder)).await;
    let ids = accept(&store, (0..700).map(|_| email()).collect()).await;
    store.close().await;
    assert!(matches!(store.accept(acceptance_of(&ids)).await, Err(StoreError::Closed)));
    assert!(matches!(store.revision().await, Err(StoreError::Closed)));
    assert!(!folder.path().join("data/posthaste.db-wal").exists(), "one file is left to carry away");

    let store = Store::open(StoreSettings { migrate: false, ..settings(&folder) }).await.unwrap();
    assert_eq!(count(&store).await, 700);
    assert_eq!(claim(&store, 1, NOW, 1000).await.len(), 700);
    store.close().await;
}

fn acceptance_of(_: &[posthaste_model::EmailId]) -> posthaste_store::Acceptance {
    posthaste_store::Acceptance {
        emails: vec![Arc::new(email())],
        idempotency: None,
        lease: None,
        revision: 1,
        now: NOW,
    }
}

#[tokio::test]
async fn a_store_that_was_never_migrated_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let refused = Store::open(StoreSettings { migrate: false, ..settings(&folder) }).await;
    assert!(matches!(refused, Err(StoreError::MigrationsMissing(names)) if names[0] == "0001_initial"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_write_to_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let serving = with_client(settings(&folder)).await;
    let command_line = Store::open(settings(&folder)).await.unwrap();
    let stale = acceptance(&serving, vec![email()]).await;
    command_line.create_client(rival(), &actor()).await.unwrap();
    assert!(matches!(serving.accept(stale).await, Ok(AcceptResult::StaleRevision)), "seen at once");

    let mut both = JoinSet::new();
    for store in [serving.clone(), command_line.clone()] {
        both.spawn(async move {
            for _ in 0..100 {
                accept(&store, vec![email(), email()]).await;
            }
        });
    }
    both.join_all().await;
    assert_eq!(count(&serving).await, 400);
    let (one, other) = tokio::join!(claim(&serving, 1, NOW, 300), claim(&command_line, 2, NOW, 300));
    assert_eq!(one.len() + other.len(), 400);
    assert_eq!(
        serving.settle(vec![settlement(&other[0], posthaste_model::Status::Sent, None)]).await.unwrap().len(),
        1
    );
    command_line.close().await;
    serving.check_integrity().await.unwrap();
    serving.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_wait_share_a_commit() {
    let folder = tempfile::tempdir().unwrap();
    let (commits, rows) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(0)));
    let (seen, total) = (Arc::clone(&commits), Arc::clone(&rows));
    let observer = move |rows: usize, _| {
        seen.fetch_add(1, Ordering::SeqCst);
        *total.lock().unwrap() += rows;
    };
    let store = with_client(StoreSettings { observer: Arc::new(observer), ..settings(&folder) }).await;
    let mut requests = JoinSet::new();
    for _ in 0..400 {
        let store = store.clone();
        requests.spawn(async move { accept(&store, vec![email()]).await });
    }
    requests.join_all().await;
    assert_eq!(*rows.lock().unwrap(), 401);
    assert!(commits.load(Ordering::SeqCst) < 200, "{} commits", commits.load(Ordering::SeqCst));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_fits_the_queue_is_refused_and_nothing_of_it_stored() {
    let folder = tempfile::tempdir().unwrap();
    let store = with_client(StoreSettings { queue: 4, group_max: 1, ..settings(&folder) }).await;
    let mut requests = JoinSet::new();
    for _ in 0..200 {
        let (store, one) = (store.clone(), acceptance(&store, vec![email()]).await);
        requests.spawn(async move { store.accept(one).await });
    }
    let results = requests.join_all().await;
    let busy = results.iter().filter(|r| matches!(r, Err(StoreError::Busy))).count() as u64;
    assert!(results.iter().all(|r| r.is_ok() || matches!(r, Err(StoreError::Busy))));
    assert_eq!(count(&store).await, 200 - busy);
    store.close().await;
}

/// Reliability test 8.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_failed_sync_nothing_is_written_until_a_clean_reopen() {
    let folder = tempfile::tempdir().unwrap();
    let faults = Faults::parse("commit_io_error:3").unwrap();
    let store = with_client(StoreSettings { faults, ..settings(&folder) }).await;
    let before = accept(&store, vec![email()]).await[0];
    let mut with_key = acceptance(&store, vec![email()]).await;
    with_key.idempotency = Some(IdempotencyClaim {
        client_id: acme().id,
        endpoint: "e",
        key: "k".into(),
        fingerprint: [1; 32],
        answer: vec![],
        keep_until: at(86_400),
    });
    let lost = store.accept(with_key.clone()).await;
    assert!(matches!(lost, Err(StoreError::Uncertain(_))), "{lost:?}");
    let refused = store.accept(with_key.clone()).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(store.ping().await.is_err(), "not ready");
    assert!(store.email(acme().id, before).await.unwrap().is_some(), "reading goes on");

    eventually(|| store.ping()).await;
    assert!(store.accept(with_key.clone()).await.is_ok());
    assert!(matches!(store.accept(with_key).await, Ok(AcceptResult::Replayed(_))));
    assert_eq!(count(&store).await, 2);
    store.check_integrity().await.unwrap();
    store.close().await;
}

/// A small file system of its own; `None` where this user may not make one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "posthaste-test"])
            .arg(folder.path())
            .stderr(std::process::Stdio::null())
            .status();
        mounted.is_ok_and(|status| status.success()).then(|| Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Left mounted it would only hold memory until the machine restarts.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Reliability test 7.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_and_freed_space_accepts_again() {
    let Some(disk) = SmallDisk::new() else { return };
    let store = with_client(StoreSettings::new(disk.path().join("posthaste.db"))).await;
    let mut stored: u64 = 0;
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![0; 3 << 20]).unwrap();
    let refused = loop {
        let one = acceptance(&store, (0..50).map(|_| email()).collect()).await;
        match store.accept(one).await {
            Ok(_) => stored += 50,
            Err(error) => break error,
        }
        assert!(stored < 1_000_000, "the disk is not small");
    };
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    assert_eq!(count(&store).await, stored, "what was refused was not stored");

    std::fs::remove_file(&ballast).unwrap();
    let took = eventually(|| async {
        let one = acceptance(&store, vec![email()]).await;
        store.accept(one).await
    })
    .await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(count(&store).await, stored + 1);
    store.check_integrity().await.unwrap();
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_is_whole_private_and_taken_while_mail_comes_in() {
    let folder = tempfile::tempdir().unwrap();
    let store = with_client(settings(&folder)).await;
    accept(&store, (0..300).map(|_| email()).collect()).await;
    let copy = folder.path().join("copy.db");
    let (writing, backing_up) = (store.clone(), store.clone());
    let mut both = JoinSet::new();
    both.spawn(async move {
        for _ in 0..50 {
            accept(&writing, vec![email()]).await;
        }
    });
    let target = copy.clone();
    both.spawn(async move { backing_up.backup(&target).await.unwrap() });
    both.join_all().await;
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    let again = store.backup(&copy).await;
    assert!(matches!(again, Err(StoreError::Unavailable(_))), "never over a file that stands there");

    let restored = Store::open(StoreSettings::new(&copy)).await.unwrap();
    restored.check_integrity().await.unwrap();
    assert!((300..=350).contains(&count(&restored).await));
    let listed = restored.list(acme().id, &EmailFilter::default(), None, 1000).await.unwrap();
    assert_eq!(listed.rows.len() as u64, count(&restored).await);
    restored.close().await;
    store.close().await;
}

#[tokio::test]
async fn erased_text_is_in_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = with_client(settings(&folder)).await;
    let mut email = email();
    email.recipients = vec![to("canary77@client.example")];
    email.subject = "canary77".into();
    accept(&store, vec![email]).await;
    store.catch_up().await.unwrap();
    store.erase_recipient(None, "canary77@client.example", at(1)).await.unwrap();
    for entry in std::fs::read_dir(folder.path().join("data")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(8).any(|window| window == b"canary77"), "{}", path.display());
    }
    store.close().await;
}

/// Accepts one email after the other and writes down each that was acknowledged, until the process dies. Run as a
/// child, in the folder of its store, by the tests below.
async fn accept_until_death(faults: Faults) {
    let store = Store::open(StoreSettings { faults, ..StoreSettings::new("posthaste.db") }).await.unwrap();
    if store.default_client().await.unwrap().is_none() {
        store.create_client(acme(), &actor()).await.unwrap();
    }
    let mut acknowledged =
        std::fs::OpenOptions::new().create(true).append(true).open("acknowledged").unwrap();
    loop {
        let mut one = email();
        // Ids of this life only: the counter behind them begins anew in each.
        let life = std::process::id().to_be_bytes();
        let mut bytes = *one.id.as_bytes();
        bytes[8..12].copy_from_slice(&life);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        one.id = posthaste_model::EmailId::from_bytes(bytes);
        let id = accept(&store, vec![one]).await[0];
        acknowledged.write_all(format!("{id}\n").as_bytes()).unwrap();
    }
}

#[tokio::test]
#[ignore = "dies; run as a child"]
async fn child_dies_before_the_commit() {
    accept_until_death(Faults::parse("row_written:40").unwrap()).await;
}

#[tokio::test]
#[ignore = "dies; run as a child"]
async fn child_dies_after_the_commit() {
    accept_until_death(Faults::parse("commit_fsynced:40").unwrap()).await;
}

#[tokio::test]
#[ignore = "never ends; run as a child"]
async fn child_is_killed() {
    accept_until_death(Faults::none()).await;
}

/// A child that does not outlive the test, however that ends.
struct Child(std::process::Child);

impl Drop for Child {
    fn drop(&mut self) {
        // It may have died already: that is what most of them are for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn child(folder: &Path, test: &str) -> Child {
    let started = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", test])
        .current_dir(folder)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn();
    Child(started.unwrap())
}

/// The ids that were acknowledged in all lives so far.
fn acknowledged(folder: &Path) -> Vec<posthaste_model::EmailId> {
    let text = std::fs::read_to_string(folder.join("acknowledged")).unwrap_or_default();
    text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')?.parse().ok()).collect()
}

async fn check_after_death(folder: &Path, lives: u64) {
    let store = Store::open(StoreSettings::new(folder.join("posthaste.db"))).await.unwrap();
    let known = acknowledged(folder);
    for id in &known {
        assert!(store.email(acme().id, *id).await.unwrap().is_some(), "{id} was acknowledged and is lost");
    }
    let stored = count(&store).await;
    let known = known.len() as u64;
    assert!((known..=known + lives).contains(&stored), "{stored} stored, {known} acknowledged");
    store.check_integrity().await.unwrap();
    store.close().await;
}

/// Reliability test 1, the store's part.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_process_dies() {
    let folder = tempfile::tempdir().unwrap();
    for (life, test) in (1..).zip(["child_dies_before_the_commit", "child_dies_after_the_commit"]) {
        let ended = child(folder.path(), test).0.wait().unwrap();
        assert!(!ended.success());
        check_after_death(folder.path(), life).await;
    }
    for life in 3..6 {
        let before = acknowledged(folder.path()).len();
        let child = child(folder.path(), "child_is_killed");
        eventually(|| async {
            let enough = acknowledged(folder.path()).len() > before + 30;
            if enough { Ok(()) } else { Err(StoreError::NotFound) }
        })
        .await;
        drop(child);
        check_after_death(folder.path(), life).await;
    }
}
