use super::*;
use crate::admin::{Actor, Admin, AdminParts, NewClient, NewDomain, NewKey};
use crate::auth::Freshness;
use crate::base::metrics::Metrics;
use crate::base::tasks::Tasks;
use crate::base::vault::Vault;
use crate::routing::INBOX;
use posthaste_model::WorkerId;
use posthaste_model::draft::{DraftAttachment, DraftMailbox};
use posthaste_model::email::{BlobHash, Source};
use posthaste_model::refusal::FaultCode;
use posthaste_store::StoreSettings;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

/// An installation with one client and its intake.
struct Installation {
    admin: Admin,
    intake: Intake,
    _home: tempfile::TempDir,
}

async fn installation() -> Installation {
    observed_installation(|| {}).await
}

/// An installation whose store calls `committed` after each commit, before anybody is answered.
async fn observed_installation(committed: impl Fn() + Send + Sync + 'static) -> Installation {
    let home = tempfile::tempdir().unwrap();
    let settings = StoreSettings {
        observer: Arc::new(move |_, _| committed()),
        ..StoreSettings::new(home.path().join("store.db"))
    };
    let store = Store::open(settings).await.unwrap();
    let blobs = Blobs::files(&home.path().join("blobs"), Faults::none()).unwrap();
    let clock = Clock::manual(NOW);
    let chance = Chance::new();
    let vault = Vault::new(&Vault::generate_key(&chance), chance.clone()).unwrap();
    let renderer = Renderer::new(store.clone(), blobs.clone(), vault.clone(), Faults::none());
    let auth = Auth::of_store(&store, &clock).await;
    let limits = IntakeLimits {
        recipients: 50,
        batch: 500,
        attachment_bytes: 1 << 20,
        attachments_bytes: 1 << 20,
        allowed_types: BTreeSet::from(["text/plain".to_owned()]),
        links: None,
        unsubscribe: None,
        types_everywhere: false,
    };
    let intake = Intake::new(IntakeParts {
        traces: Traces::off(),
        tasks: Tasks::new(),
        store: store.clone(),
        blobs: blobs.clone(),
        renderer,
        queue: Queue::in_process(8),
        live: Live::new(store.clone(), None, chance.bytes(), Metrics::new()),
        auth: auth.clone(),
        routes: Routes::only(INBOX),
        clock: clock.clone(),
        chance: chance.clone(),
        limits,
        idempotency_keep: Duration::from_secs(60),
        faults: Faults::none(),
    });
    let admin = Admin::new(AdminParts {
        store,
        blobs,
        auth,
        vault,
        clock,
        chance,
        dns: crate::dns::Dns::default(),
        wishes: crate::admin::DnsWishes::default(),
    });
    admin.create_client(NewClient::named("Tickets"), &actor()).await.unwrap();
    Installation { admin, intake, _home: home }
}

fn actor() -> Actor {
    Actor { kind: "cli".into(), id: None, address: None }
}

impl Installation {
    /// The holder of a new key, bound to `domain` or to none.
    async fn caller(&self, domain: Option<&str>) -> Caller {
        let mut new = NewKey::new("Tickets");
        new.domain = domain.map(str::to_owned);
        let made = self.admin.create_key(new, &actor()).await.unwrap();
        let key = made.key.expose().to_owned();
        self.intake.auth.api_key(&key, Freshness::Now).await.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn accepted(&self, caller: &Caller, draft: Draft) -> EmailId {
        match self.intake.accept(caller, draft, submission()).await {
            Ok(Accepted::New(email, _)) => email.id,
            other => panic!("{other:?}"),
        }
    }
}

fn submission() -> Submission<'static> {
    Submission {
        correlation: CorrelationId::parse("c-1").unwrap(),
        idempotency: None,
        limits: None,
        answer: &|_| Vec::new(),
    }
}

fn draft(from: &str) -> Draft {
    let mut draft = Draft::new(Source::Emails);
    draft.from = Some(DraftMailbox::Text(from.to_owned()));
    draft.to = vec![DraftMailbox::Text("ann@client.example".to_owned())];
    draft.subject = Some("Greetings".to_owned());
    draft.text = Some("Hello".to_owned());
    draft
}

#[tokio::test]
async fn a_key_bound_to_a_domain_resends_nothing_of_another() {
    let it = installation().await;
    for name in ["a.example", "b.example"] {
        let new = NewDomain { name: name.to_owned(), client: Some("Tickets".to_owned()), default_from: None };
        it.admin.create_domain(new, &actor()).await.unwrap();
    }
    let free = it.caller(None).await;
    let bound = it.caller(Some("b.example")).await;
    let (of_a, of_b) =
        (it.accepted(&free, draft("a@a.example")).await, it.accepted(&free, draft("b@b.example")).await);
    let refused = it.intake.resend(&bound, of_a, submission()).await;
    let Err(Refusal::Invalid(faults)) = refused else { panic!("{refused:?}") };
    assert_eq!(faults[0].code, FaultCode::FromDomainMismatch);
    let sent = it.intake.resend(&bound, of_b, submission()).await;
    assert!(matches!(sent, Ok(Accepted::New(..))), "{sent:?}");
}

#[tokio::test]
async fn what_retention_took_is_not_sent_again_as_an_empty_message() {
    let it = installation().await;
    let caller = it.caller(None).await;
    let mut with_file = draft("a@a.example");
    with_file.attachments.push(DraftAttachment {
        filename: "a.txt".into(),
        mime: Some("text/plain".into()),
        content_base64: "aGVsbG8=".into(),
        content_id: None,
        disposition: None,
    });
    let id = it.accepted(&caller, with_file).await;
    let sent = it.intake.resend(&caller, id, submission()).await;
    assert!(matches!(sent, Ok(Accepted::New(..))), "{sent:?}");
    let far = Timestamp::from_millis(i64::MAX);
    assert_eq!(it.intake.blobs.remove(&BlobHash::of(b"hello"), far).await, Ok(true));
    let refused = it.intake.resend(&caller, id, submission()).await;
    assert!(matches!(refused, Err(Refusal::Conflict(_))), "{refused:?}");
}

#[tokio::test]
async fn who_hangs_up_during_the_commit_has_its_mail_handed_over_all_the_same() {
    // The commit is made, and nobody is told of it until the caller is gone.
    let (armed, committed) = (Arc::new(AtomicBool::new(false)), Arc::new(tokio::sync::Notify::new()));
    let (go_on, may_go_on) = std::sync::mpsc::channel::<()>();
    let may_go_on = std::sync::Mutex::new(may_go_on);
    let (is_armed, ring) = (Arc::clone(&armed), Arc::clone(&committed));
    let it = observed_installation(move || {
        if is_armed.swap(false, Ordering::SeqCst) {
            ring.notify_one();
            let _ = may_go_on.lock().unwrap().recv();
        }
    })
    .await;
    let caller = it.caller(None).await;
    let hopper = it.intake.queue.attach(WorkerId::new(NOW, [7; 10]), Duration::from_secs(60), &Tasks::new());
    armed.store(true, Ordering::SeqCst);
    let mut request = Box::pin(it.intake.accept(&caller, draft("a@a.example"), submission()));
    tokio::select! {
        biased;
        answer = &mut request => panic!("answered before the commit: {answer:?}"),
        () = committed.notified() => {}
    }
    drop(request);
    go_on.send(()).unwrap();
    let handed_over = tokio::time::timeout(Duration::from_secs(20), hopper.next_batch(1)).await;
    assert_eq!(handed_over.map(|claims| claims.len()), Ok(1), "stored and leased, but no worker knows of it");
}
