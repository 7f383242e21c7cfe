//! The cache that several nodes share: Redis 6+, KeyDB or Valkey.
//!
//! It speeds up and joins, and never holds truth: whatever is asked of it may come back as "not now", at once while it
//! is known to be away and after a short wait otherwise, and the caller then does without. Idempotency keys, revoked
//! credentials and leases live in the store only.

mod link;
mod subscription;

#[cfg(test)]
pub(crate) mod testing;

use crate::base::metrics::Metrics;
use crate::base::tasks::Tasks;
use crate::base::vault::Vault;
use link::Link;
use posthaste_model::Secret;
use redis::aio::MultiplexedConnection;
use redis::{RedisError, RedisResult};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long a caller waits for a cache that says nothing.
const SILENCE: Duration = Duration::from_millis(250);
/// How long it waits for one that answers others meanwhile: then its own answer is only queued.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// A timer that is noticed so much late tells of a busy process.
const LATENESS: Duration = Duration::from_millis(50);
/// How long a trial of `doctor` may take.
const TRIAL: Duration = Duration::from_secs(3);
/// The purpose under which names are hashed into keys.
const KEYS: &str = "keys of the shared cache";
/// Bytes of a name's hash in a key: two of 2^40 names share one with a chance below 2^-48.
const HASH_LEN: usize = 16;

/// A URL that leads to no cache.
#[derive(Debug, thiserror::Error)]
#[error("cannot be used: {0}")]
pub struct CacheError(String);

/// What `doctor` learned from a cache that works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Which program it is, such as `redis 7.0.15`.
    pub server: String,
    /// How long a write took.
    pub took: Duration,
    /// Whether it may throw counters away when its memory is full, by its name for that policy.
    pub evicts: Option<String>,
}

/// A handle on the shared cache. Cheap to clone; clones share one connection and one opinion of whether it works.
#[derive(Clone)]
pub struct SharedCache(Arc<Shared>);

struct Shared {
    link: Link,
    prefix: Box<str>,
    vault: Vault,
}

impl SharedCache {
    /// A cache at `url`, whose keys and channels begin with `prefix`. Connects nothing: see [`Self::watch`].
    pub fn new(url: &Secret, prefix: &str, vault: &Vault, metrics: &Metrics) -> Result<Self, CacheError> {
        // The client's own message could repeat the URL, and with it a password.
        let fault = |error: RedisError| CacheError(error.category().to_owned());
        let client = redis::Client::open(url.expose()).map_err(fault)?;
        let link = Link::new(client, format!("{prefix}:probe"), metrics.clone());
        Ok(Self(Arc::new(Shared { link, prefix: prefix.into(), vault: vault.clone() })))
    }

    /// Connects, and keeps looking whether the cache works, until shutdown.
    pub fn watch(&self, tasks: &Tasks) {
        let (cache, stop) = (self.clone(), tasks.token());
        tasks.supervise("cache.watch", move || {
            let (cache, stop) = (cache.clone(), stop.clone());
            async move {
                stop.run_until_cancelled(cache.0.link.watch()).await;
                Ok::<(), std::convert::Infallible>(())
            }
        });
    }

    /// Waits until the cache works or `patience` is over; says which.
    pub async fn is_up_within(&self, patience: Duration) -> bool {
        timeout(patience, self.0.link.up()).await.is_ok()
    }

    /// Whether it works, as far as is known: what fails is noticed within about a second.
    pub fn state(&self) -> Result<(), String> {
        self.0.link.state()
    }

    /// Does `call` on the connection; `None` when the cache is away or does not answer in time. A call that came to
    /// `None` may still have happened.
    pub async fn call<T, F>(&self, call: impl FnOnce(MultiplexedConnection) -> F) -> Option<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let (generation, connection) = self.0.link.connection()?;
        match self.patiently(call(connection)).await {
            Ok(answer) => {
                self.0.link.heard();
                Some(answer)
            }
            Err(fault) => {
                self.0.link.lost(generation, &fault);
                None
            }
        }
    }

    /// Waits while the cache is heard of, if not for this call then for others, but not for long.
    async fn patiently<T>(&self, call: impl Future<Output = RedisResult<T>>) -> Result<T, String> {
        let (begun, mut call) = (Instant::now(), std::pin::pin!(call));
        loop {
            let from = Instant::now();
            if let Ok(answer) = timeout(SILENCE, &mut call).await {
                return answer.map_err(|error| error.to_string());
            }
            let is_silent = !was_late(from, SILENCE) && self.0.link.silent_for() >= SILENCE;
            if is_silent || begun.elapsed() >= LONGEST_WAIT {
                return Err("does not answer".to_owned());
            }
        }
    }

    /// A key that tells nothing of `name` to whoever can read the cache: addresses and logins stand in it as a hash
    /// under the installation's own secret.
    pub fn hashed_key(&self, kind: &str, name: &[u8]) -> String {
        use std::fmt::Write as _;
        let mut key = format!("{}:{kind}:", self.0.prefix);
        for byte in &self.0.vault.sign(KEYS, name)[..HASH_LEN] {
            let _ = write!(key, "{byte:02x}");
        }
        key
    }

    /// A key, or the name of a channel, that ends in a plain `name`.
    pub fn key(&self, kind: &str, name: impl fmt::Display) -> String {
        format!("{}:{kind}:{name}", self.0.prefix)
    }

    /// Hears what is published on `channel`, until shutdown. What is published while the cache is away is lost.
    pub fn listen(&self, tasks: &Tasks, channel: String, hear: impl Fn(&[u8]) + Send + Sync + 'static) {
        let (cache, stop, hear) = (self.clone(), tasks.token(), Arc::new(hear));
        tasks.supervise("cache.listen", move || {
            let (cache, stop, channel) = (cache.clone(), stop.clone(), channel.clone());
            let hear = Arc::clone(&hear);
            async move {
                stop.run_until_cancelled(subscription::listen(&cache.0.link, &channel, &*hear)).await;
                Ok::<(), std::convert::Infallible>(())
            }
        });
    }

    /// Tries it on a connection of its own, for `doctor`.
    pub async fn try_out(&self) -> Result<Trial, String> {
        let tried = timeout(TRIAL, self.0.link.try_out()).await;
        tried.map_err(|_| "does not answer".to_owned())?.map_err(|error| error.to_string())
    }
}

/// Whether a timer set at `from` for `wait` was noticed late: this process had no time to listen, which says nothing of
/// the other side.
fn was_late(from: Instant, wait: Duration) -> bool {
    from.elapsed() > wait + LATENESS
}

impl fmt::Debug for SharedCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        f.debug_struct("SharedCache").field("prefix", &self.0.prefix).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
