//! What changes, as it changes: a stream of news for those who wait, and statuses remembered for a moment.
//!
//! Whoever changes an email announces it after the commit, in a word that holds no truth: "look at this email". Every
//! announcement may be lost, doubled or late; whoever waits also looks at the store now and then, so that nothing but
//! speed depends on it. Within the process announcements ring bells; other nodes hear them through the shared cache.
//!
//! A remembered status is never older than the store by more than a second, and is forgotten when its email changes.

mod bells;
mod memory;
mod news;
mod status;

pub use bells::Bell;
pub use status::EmailStatus;

use crate::base::metrics::Metrics;
use crate::base::tasks::Tasks;
use crate::cache::SharedCache;
use bells::Bells;
use memory::Memory;
use posthaste_model::{ClientId, EmailId};
use posthaste_store::{Store, StoreError};
use redis::Script;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Announcements that wait to be told to other nodes; more are not told.
const OUTBOX: usize = 4096;

/// An email that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose it is.
    pub client_id: ClientId,
    /// Which one.
    pub email_id: EmailId,
}

/// The news of an installation. Cheap to clone; clones ring the same bells.
#[derive(Clone)]
pub struct Live(Arc<Shared>);

struct Shared {
    store: Store,
    metrics: Metrics,
    emails: Arc<Bells<EmailId>>,
    clients: Arc<Bells<ClientId>>,
    memory: Memory,
    remote: Option<Remote>,
}

/// The way to other nodes.
struct Remote {
    cache: SharedCache,
    channel: String,
    /// Tells this node's own news from others'.
    node: [u8; news::NODE_LEN],
    remember: Script,
    outbox: mpsc::Sender<(Change, Novelty)>,
    /// Taken by the task that empties it.
    waiting: std::sync::Mutex<Option<mpsc::Receiver<(Change, Novelty)>>>,
}

/// Whether anybody can have known the email before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Novelty {
    New,
    Changed,
}

impl Live {
    /// News within this process and, with a cache, across nodes; `node` is a number of its own for each process.
    pub fn new(
        store: Store,
        cache: Option<SharedCache>,
        node: [u8; news::NODE_LEN],
        metrics: Metrics,
    ) -> Self {
        let remote = cache.map(|cache| {
            let (outbox, waiting) = mpsc::channel(OUTBOX);
            Remote {
                channel: cache.key("live", "emails"),
                node,
                remember: status::remember(),
                outbox,
                waiting: std::sync::Mutex::new(Some(waiting)),
                cache,
            }
        });
        let (emails, clients) = (Arc::default(), Arc::default());
        Self(Arc::new(Shared { store, metrics, emails, clients, memory: Memory::default(), remote }))
    }

    /// Begins to tell other nodes and to hear them; without a cache there is nothing to begin.
    pub fn start(&self, tasks: &Tasks) {
        let Some(remote) = &self.0.remote else { return };
        let waiting = remote.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(waiting) = waiting {
            let (live, stop) = (self.clone(), tasks.token());
            tasks.spawn("live.tell", async move {
                stop.run_until_cancelled(live.tell(waiting)).await;
            });
        }
        let live = self.clone();
        remote.cache.listen(tasks, remote.channel.clone(), move |heard| live.hear(heard));
    }

    /// Emails were accepted.
    pub fn announce_new(&self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            self.ring(change);
            self.post(change, Novelty::New);
        }
    }

    /// Emails changed: settled, news of a provider.
    pub fn announce(&self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            self.0.memory.forget(change.email_id, Instant::now());
            self.ring(change);
            self.post(change, Novelty::Changed);
        }
    }

    /// An email was changed by a caller who may look at it in the next moment, on any node: when this returns, no node
    /// remembers it as it was (unless the cache is away).
    pub async fn announce_at_once(&self, change: Change) {
        self.0.memory.forget(change.email_id, Instant::now());
        self.ring(change);
        if let Some(remote) = &self.0.remote {
            remote.publish(&[(change, Novelty::Changed)], &self.0.metrics).await;
        }
    }

    /// A bell that rings when the email changes.
    pub fn email(&self, id: EmailId) -> Bell<EmailId> {
        self.0.emails.subscribe(id)
    }

    /// A bell that rings when an email of the client changes.
    pub fn client(&self, id: ClientId) -> Bell<ClientId> {
        self.0.clients.subscribe(id)
    }

    /// The status of a client's email: never older than the store by more than a second, and after an announcement not
    /// older than that. `None`: the client has no such email.
    pub async fn status(&self, client_id: ClientId, id: EmailId) -> Result<Option<EmailStatus>, StoreError> {
        let found = match &self.0.remote {
            Some(remote) => self.status_through(remote, client_id, id).await?,
            None => self.status_by_memory(client_id, id).await?,
        };
        // What is remembered is remembered for everybody who asks; whose it is decides who hears it.
        Ok(found.filter(|status| status.client_id == client_id))
    }

    async fn status_by_memory(
        &self,
        client_id: ClientId,
        id: EmailId,
    ) -> Result<Option<EmailStatus>, StoreError> {
        if let Some(status) = self.0.memory.status(id, Instant::now()) {
            self.0.metrics.status_cache("hit");
            return Ok(Some(status));
        }
        self.0.metrics.status_cache("miss");
        let asked_at = Instant::now();
        let found = self.stored(client_id, id).await?;
        if let Some(status) = &found {
            self.0.memory.remember(status.clone(), asked_at, Instant::now());
        }
        Ok(found)
    }

    async fn status_through(
        &self,
        remote: &Remote,
        client_id: ClientId,
        id: EmailId,
    ) -> Result<Option<EmailStatus>, StoreError> {
        let Some(asked) = status::ask(&remote.cache, id).await else {
            self.0.metrics.cache_missed("status");
            return self.status_by_memory(client_id, id).await;
        };
        if let Some(status) = asked.status {
            self.0.metrics.status_cache("hit");
            return Ok(Some(status));
        }
        self.0.metrics.status_cache("miss");
        let found = self.stored(client_id, id).await?;
        if let (Some(status), false) = (&found, asked.has_just_changed) {
            status::put(&remote.cache, &remote.remember, status, asked.at_ms).await;
        }
        Ok(found)
    }

    async fn stored(&self, client_id: ClientId, id: EmailId) -> Result<Option<EmailStatus>, StoreError> {
        Ok(self.0.store.email(client_id, id).await?.map(|record| EmailStatus::of(&record)))
    }

    fn ring(&self, change: Change) {
        self.0.emails.ring(&change.email_id);
        self.0.clients.ring(&change.client_id);
    }

    fn post(&self, change: Change, novelty: Novelty) {
        if let Some(remote) = &self.0.remote
            && remote.outbox.try_send((change, novelty)).is_err()
        {
            self.0.metrics.cache_missed("news");
        }
    }

    /// Tells other nodes what this one announced, many at once; never ends.
    async fn tell(&self, mut waiting: mpsc::Receiver<(Change, Novelty)>) {
        let mut batch = Vec::with_capacity(news::MOST);
        while waiting.recv_many(&mut batch, news::MOST).await > 0 {
            if let Some(remote) = &self.0.remote {
                remote.publish(&batch, &self.0.metrics).await;
            }
            batch.clear();
        }
    }

    fn hear(&self, heard: &[u8]) {
        let Some(remote) = &self.0.remote else { return };
        for change in news::read(heard, remote.node) {
            self.0.memory.forget(change.email_id, Instant::now());
            self.ring(change);
        }
    }
}

impl Remote {
    /// Has every node forget what it remembers, then tells them.
    async fn publish(&self, changes: &[(Change, Novelty)], metrics: &Metrics) {
        let mut pipeline = redis::pipe();
        for (change, novelty) in changes {
            if *novelty == Novelty::Changed {
                status::forget(&mut pipeline, &self.cache, change.email_id);
            }
        }
        let told = news::write(self.node, changes.iter().map(|(change, _)| *change));
        pipeline.cmd("PUBLISH").arg(&self.channel).arg(told).ignore();
        let pipeline = &pipeline;
        let published = self
            .cache
            .call(|mut connection| async move { pipeline.query_async::<()>(&mut connection).await });
        if published.await.is_none() {
            metrics.cache_missed("news");
        }
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("across_nodes", &self.0.remote.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
