//! Accept, the hot write. Requests side by side go into one transaction: a few writers take whatever waits, write it by
//! arrays in one round trip, commit, and answer everybody. Each acceptance is judged by itself.

mod columns;
mod group;
mod keys;

use super::Postgres;
use super::link::Link;
use super::listener::Listener;
use super::rows::uuid_of;
use crate::accept::{AcceptResult, Acceptance, IdempotencyClaim, Lease, ReplayFound};
use crate::record::Fresh;
use crate::record::finders::numbers_of;
use crate::settings::PostgresSettings;
use crate::{StoreError, StoreSettings};
use group::{Line, Writer};
use posthaste_model::{ClientId, Timestamp};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_postgres::Row;

/// Transactions of acceptances side by side: more only wait for the same disk. A further one begins only where the one
/// ahead leaves a full group waiting, or takes long (see [`group`]).
const WRITERS: usize = 4;

/// An acceptance that waits for a writer.
struct Waiting {
    rows: Vec<Fresh>,
    /// By what each of the rows is found.
    finders: Vec<Vec<i64>>,
    idempotency: Option<IdempotencyClaim>,
    lease: Option<Lease>,
    revision: u64,
    now: Timestamp,
    answer: oneshot::Sender<Result<AcceptResult, StoreError>>,
}

/// The way to the writers.
pub(super) struct Acceptor {
    /// `None` once it is closed.
    queue: Mutex<Option<mpsc::Sender<Waiting>>>,
    writers: tokio::sync::Mutex<JoinSet<()>>,
}

impl Acceptor {
    pub(super) fn start(
        link: &Link,
        listener: &Arc<Listener>,
        server: &PostgresSettings,
        settings: &StoreSettings,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(settings.queue.max(1));
        let line = Arc::new(Line::new(waiting));
        let mut writers = JoinSet::new();
        for _ in 0..WRITERS.min(server.connections / 2).max(1) {
            let writer = Writer::new(link.clone(), Arc::clone(listener), settings.group_max);
            writers.spawn(writer.run(Arc::clone(&line)));
        }
        Self { queue: Mutex::new(Some(queue)), writers: tokio::sync::Mutex::new(writers) }
    }

    fn push(&self, waiting: Waiting) -> Result<(), StoreError> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(queue) = queue.as_ref() else { return Err(StoreError::Closed) };
        queue.try_send(waiting).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })
    }

    /// Works off what waits.
    pub(super) async fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let mut writers = self.writers.lock().await;
        while writers.join_next().await.is_some() {}
    }
}

impl Postgres {
    pub(crate) async fn accept(&self, acceptance: Acceptance) -> Result<AcceptResult, StoreError> {
        let Acceptance { emails, idempotency, lease, revision, now } = acceptance;
        let rows: Result<Vec<Fresh>, StoreError> =
            emails.into_iter().map(|email| Fresh::prepare(email, now)).collect();
        let rows = rows?;
        let finders: Result<Vec<Vec<i64>>, StoreError> =
            rows.iter().map(|row| numbers_of(&row.head)).collect();
        let finders = finders?;
        let (answer, answered) = oneshot::channel();
        self.acceptor.push(Waiting { rows, finders, idempotency, lease, revision, now, answer })?;
        // A writer answers all it takes; a dropped one means that it died with it.
        answered.await.unwrap_or_else(|_| Err(StoreError::Uncertain("the writer stopped".into())))
    }

    pub(crate) async fn replay(
        &self,
        client_id: ClientId,
        endpoint: &'static str,
        key: &str,
        fingerprint: [u8; 32],
        now: Timestamp,
    ) -> Result<Option<ReplayFound>, StoreError> {
        let client = uuid_of!(client_id);
        self.read(|db| async move {
            let found = db.maybe(keys::LOOK_UP, &[&client, &endpoint, &key, &now.millis()]).await?;
            found.map(|row| Ok(found_in(&row, &fingerprint)?)).transpose()
        })
        .await
    }
}

/// What a key's row means for a request.
fn found_in(row: &Row, fingerprint: &[u8; 32]) -> Result<ReplayFound, tokio_postgres::Error> {
    let kept: &[u8] = row.try_get(0)?;
    if kept == fingerprint { Ok(ReplayFound::Answer(row.try_get(1)?)) } else { Ok(ReplayFound::Reused) }
}
