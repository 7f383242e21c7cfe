//! What a message's life costs the writer: accept with the lease in the same commit, then settle, in groups.
//!
//! `cargo run --release -p posthaste-store --example store_bench [-- MESSAGES [CALLERS [URL]]]`; with the URL of a
//! PostgreSQL database that is empty, on that.

use posthaste_model::attempt::{Claim, RecipientChange, Settlement};
use posthaste_model::client::Client;
use posthaste_model::email::{Content, Email, Parts, Priority, Recipient, RecipientKind, Source};
use posthaste_model::event::{EventKind, NewEvent};
use posthaste_model::{ClientId, EmailId, Mailbox, RecipientStatus, Secret, Status, Timestamp, WorkerId};
use posthaste_store::{
    AcceptResult, Acceptance, Actor, EmailFilter, Lease, Store, StoreError, StoreSettings,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const NOW: Timestamp = Timestamp::from_millis(1_800_001_200_000);

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Outcome<()> {
    let messages: u64 = std::env::args().nth(1).map_or(Ok(20_000), |text| text.parse())?;
    let only = std::env::args().nth(2).map(|text| text.parse::<u64>()).transpose()?;
    let url = std::env::args().nth(3);
    for callers in [1, 64, 256].into_iter().filter(|callers| only.is_none_or(|only| only == *callers)) {
        let folder = std::env::temp_dir().join(format!("posthaste-bench-{}-{callers}", std::process::id()));
        let settings = match &url {
            Some(url) => StoreSettings::postgres(Secret::new(url.clone())),
            None => StoreSettings::new(folder.join("posthaste.db")),
        };
        let outcome = measure(settings, callers, if callers == 1 { messages / 10 } else { messages }).await;
        if url.is_none() {
            std::fs::remove_dir_all(&folder)?;
        }
        outcome?;
    }
    Ok(())
}

async fn measure(mut settings: StoreSettings, callers: u64, messages: u64) -> Outcome<()> {
    let (busy, commits) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (busy_, commits_) = (Arc::clone(&busy), Arc::clone(&commits));
    settings.observer = Arc::new(move |_, time: Duration| {
        busy_.fetch_add(time.as_micros() as u64, Ordering::Relaxed);
        commits_.fetch_add(1, Ordering::Relaxed);
    });
    let store = Store::open(settings).await?;
    let client = ClientId::new(NOW, [1; 10]);
    let record = Client {
        id: client,
        name: "bench".into(),
        department: None,
        is_active: true,
        retention: posthaste_model::client::Retention::default(),
        created_at: NOW,
    };
    store.create_client(record, &Actor { kind: "cli".into(), id: None, address: None }).await?;
    let revision = store.revision().await?;

    let begun = (Instant::now(), cpu_seconds(), thread_seconds("store-writer"));
    let numbers = Arc::new(AtomicU64::new(0));
    let mut running = JoinSet::new();
    for _ in 0..callers {
        let (store, numbers) = (store.clone(), Arc::clone(&numbers));
        running.spawn(async move {
            loop {
                let number = numbers.fetch_add(1, Ordering::Relaxed);
                if number >= messages {
                    return Ok::<_, StoreError>(());
                }
                life(&store, client, number, revision).await?;
            }
        });
    }
    while let Some(ended) = running.join_next().await {
        ended??;
    }
    let wall = begun.0.elapsed().as_secs_f64();
    let per_message = |seconds: f64| seconds * 1e6 / messages as f64;
    println!(
        "{callers:4} callers: {:6.0} lives/s, writer {:5.1} us CPU and {:5.1} us in transactions, process {:5.1} us CPU a message, {:5.1} operations a commit",
        messages as f64 / wall,
        per_message(thread_seconds("store-writer") - begun.2),
        busy.load(Ordering::Relaxed) as f64 / messages as f64,
        per_message(cpu_seconds() - begun.1),
        2.0 * messages as f64 / commits.load(Ordering::Relaxed) as f64,
    );
    let before = page(&store, client).await?;
    let begun = (Instant::now(), cpu_seconds());
    store.catch_up().await?;
    println!(
        "              rest of the index {:.1} us CPU a message ({:.0?}); a page in {:.0?} before, {:.0?} after",
        per_message(cpu_seconds() - begun.1),
        begun.0.elapsed(),
        before,
        page(&store, client).await?
    );
    store.close().await;
    Ok(())
}

/// How long a page by recipient and words takes.
async fn page(store: &Store, client: ClientId) -> Result<Duration, StoreError> {
    let begun = Instant::now();
    let filter = EmailFilter {
        recipient: Some("user7@client.example".into()),
        q: Some("order".into()),
        ..EmailFilter::default()
    };
    store.list(client, &filter, None, 20).await?;
    Ok(begun.elapsed())
}

async fn life(store: &Store, client: ClientId, number: u64, revision: u64) -> Result<(), StoreError> {
    let accepted = store
        .accept(Acceptance {
            emails: vec![Arc::new(email(client, number))],
            idempotency: None,
            lease: Some(Lease {
                worker: WorkerId::from_bytes([1; 16]),
                until: NOW.plus(Duration::from_secs(60)),
            }),
            revision,
            now: NOW,
        })
        .await?;
    let AcceptResult::Accepted { claims } = accepted else { return Err(StoreError::NotFound) };
    for claim in claims {
        store.settle(vec![sent(&claim)]).await?;
    }
    Ok(())
}

fn email(client: ClientId, number: u64) -> Email {
    let mut chance = [0; 10];
    chance[2..].copy_from_slice(&number.to_be_bytes());
    let id = EmailId::new(NOW, chance);
    let mailbox = |text: &str| Mailbox::parse(text).expect("a mailbox of the bench");
    let to = mailbox(&format!("user{}@client.example", number % 1000));
    let text = Some("x".repeat(950));
    Email {
        id,
        client_id: client,
        credential_id: None,
        source: Source::Emails,
        test_mode: false,
        domain: "example.com".into(),
        from: mailbox("Shop <noreply@example.com>"),
        recipients: vec![Recipient { kind: RecipientKind::To, mailbox: to, suppressed: None }],
        reply_to: Vec::new(),
        subject: format!("Your order {number} is on its way"),
        content: Content::Parts(Parts { html: text.clone(), text, ..Parts::default() }),
        attachments: Vec::new(),
        tags: vec!["shop".into()],
        metadata: BTreeMap::new(),
        event_id: None,
        priority: Priority::DEFAULT,
        requested_at: NOW,
        send_at: None,
        idempotency_key: None,
        correlation_id: id.to_string(),
        message_id: format!("{id}@example.com"),
        signed_by: None,
        resent_from: None,
        decisions: Vec::new(),
    }
}

fn sent(claim: &Claim) -> Settlement {
    let reply = Some("250 2.0.0 queued as 12345".to_owned());
    Settlement {
        email_id: claim.email.id,
        fence: claim.fence,
        attempts: claim.attempt,
        status: Status::Sent,
        next_attempt_at: None,
        sent_at: Some(NOW),
        failure: None,
        error: None,
        uncertain_ends: 0,
        provider: Some("smtp".into()),
        provider_message_id: None,
        recipients: vec![RecipientChange {
            index: 0,
            status: RecipientStatus::Sent,
            last_reply: reply.clone(),
            failure_code: None,
        }],
        events: vec![NewEvent {
            kind: EventKind::Sent,
            at: NOW,
            recipient: Some(0),
            attempt: 1,
            detail: reply,
        }],
        at: NOW,
    }
}

/// CPU time of this process so far.
fn cpu_seconds() -> f64 {
    ticks("/proc/self/stat")
}

/// CPU time of the running threads of this name so far.
fn thread_seconds(name: &str) -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let named = tasks.filter(|task| {
        std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name)
    });
    named.map(|task| ticks(&task.path().join("stat").to_string_lossy())).sum()
}

/// User and system time of a `stat` file, in seconds (a tick is 10 ms on Linux).
fn ticks(path: &str) -> f64 {
    let stat = std::fs::read_to_string(path).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}
