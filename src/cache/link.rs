//! The connection and the opinion of it.
//!
//! The first call that fails or hears nothing puts the link down: from then on callers are told so at once, and only
//! the watcher tries. It makes a new connection for that, since one that fell silent may stay silent for a quarter of
//! an hour (a host that is gone resets nothing), and asks for a write by a script, since a cache that answers but takes
//! no writes (a replica, a full memory) is of no use either.

use super::{Trial, was_late};
use crate::base::metrics::Metrics;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError, RedisResult, Script};
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

/// Between two looks, whether it is up or down.
const LOOK: Duration = Duration::from_millis(500);
/// A connection that failed sooner than this is not replaced at once: what lets a look through and fails calls would
/// otherwise have us connect without a pause.
const SHORT_LIVED: Duration = Duration::from_secs(5);
/// How long a look may take.
const LOOK_LIMIT: Duration = Duration::from_millis(700);
/// How long a new connection may take, name lookup and TLS included.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
/// How long the probe's key is kept.
const PROBE_KEPT_MS: u64 = 10_000;

/// A connection to a cache, as of now.
pub struct Link {
    client: redis::Client,
    probe_key: String,
    probe: Script,
    metrics: Metrics,
    made: Instant,
    /// When something was last heard, in milliseconds since `made`.
    heard: AtomicU64,
    up: watch::Sender<State>,
    /// Wakes the watcher.
    trouble: Notify,
    last_fault: Mutex<String>,
}

#[derive(Clone)]
enum State {
    Down,
    /// With the number of the connection: what an earlier one suffered says nothing about this one.
    Up(u64, MultiplexedConnection),
}

impl Link {
    /// A link that is down until it is watched.
    pub fn new(client: redis::Client, probe_key: String, metrics: Metrics) -> Self {
        metrics.cache_up(false);
        Self {
            client,
            probe_key,
            probe: Script::new("return redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])"),
            metrics,
            made: Instant::now(),
            heard: AtomicU64::new(0),
            up: watch::Sender::new(State::Down),
            trouble: Notify::new(),
            last_fault: Mutex::new("was not reached yet".to_owned()),
        }
    }

    /// The connection with its number, unless the link is down.
    pub fn connection(&self) -> Option<(u64, MultiplexedConnection)> {
        match &*self.up.borrow() {
            State::Down => None,
            State::Up(generation, connection) => Some((*generation, connection.clone())),
        }
    }

    /// The client, for connections of another kind.
    pub fn client(&self) -> &redis::Client {
        &self.client
    }

    /// What is wrong, if something is.
    pub fn state(&self) -> Result<(), String> {
        match &*self.up.borrow() {
            State::Up(..) => Ok(()),
            State::Down => Err(self.last_fault.lock().unwrap_or_else(PoisonError::into_inner).clone()),
        }
    }

    /// Waits until the link is up; gives the number of its connection.
    pub async fn up(&self) -> u64 {
        let mut states = self.up.subscribe();
        loop {
            if let State::Up(generation, _) = &*states.borrow_and_update() {
                return *generation;
            }
            if states.changed().await.is_err() {
                pending::<()>().await;
            }
        }
    }

    /// Waits until connection `generation` is no longer the one in use.
    pub async fn replaced(&self, generation: u64) {
        let mut states = self.up.subscribe();
        while matches!(&*states.borrow_and_update(), State::Up(present, _) if *present == generation) {
            if states.changed().await.is_err() {
                pending::<()>().await;
            }
        }
    }

    /// An answer came.
    pub fn heard(&self) {
        self.heard.store(self.made.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// How long nothing was heard.
    pub fn silent_for(&self) -> Duration {
        let heard = Duration::from_millis(self.heard.load(Ordering::Relaxed));
        self.made.elapsed().saturating_sub(heard)
    }

    /// A call on connection `generation` failed: the link is down, if that is still the one in use.
    pub fn lost(&self, generation: u64, fault: &str) {
        let went_down = self.up.send_if_modified(|state| match state {
            State::Up(present, _) if *present == generation => {
                *state = State::Down;
                true
            }
            State::Up(..) | State::Down => false,
        });
        if went_down {
            self.note(fault);
            self.metrics.cache_up(false);
            tracing::error!(
                cause = fault,
                "the shared cache failed: limits hold for each node alone until it is back"
            );
            self.trouble.notify_one();
        }
    }

    /// Keeps the link up as well as can be; never ends.
    pub async fn watch(&self) {
        let mut generation = 0;
        let mut is_first = true;
        let mut tried_at = Instant::now();
        loop {
            if let Some((present, connection)) = self.connection() {
                self.look(present, connection).await;
            } else {
                generation += 1;
                tried_at = Instant::now();
                self.reach(generation, &mut is_first).await;
            }
            tokio::select! {
                () = sleep(LOOK) => {}
                () = self.trouble.notified(), if tried_at.elapsed() >= SHORT_LIVED => {}
            }
        }
    }

    async fn look(&self, generation: u64, mut connection: MultiplexedConnection) {
        let mut probe = std::pin::pin!(self.probe(&mut connection));
        let begun = Instant::now();
        let mut looked = timeout(LOOK_LIMIT, &mut probe).await;
        if looked.is_err() && was_late(begun, LOOK_LIMIT) {
            looked = timeout(LOOK_LIMIT, &mut probe).await;
        }
        match looked {
            Ok(Ok(())) => self.heard(),
            Ok(Err(error)) => self.lost(generation, &error.to_string()),
            Err(_) => self.lost(generation, "does not answer"),
        }
    }

    async fn reach(&self, generation: u64, is_first: &mut bool) {
        let reached = async {
            let mut connection = self.connect().await?;
            self.probe(&mut connection).await?;
            Ok::<_, RedisError>(connection)
        };
        let fault = match timeout(CONNECT_LIMIT, reached).await {
            Ok(Ok(connection)) => {
                self.heard();
                self.up.send_replace(State::Up(generation, connection));
                self.metrics.cache_up(true);
                tracing::info!("the shared cache works: limits hold across all nodes");
                *is_first = false;
                return;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "does not answer".to_owned(),
        };
        self.note(&fault);
        if std::mem::take(is_first) {
            tracing::error!(
                cause = fault,
                "the shared cache cannot be reached: limits hold for each node alone until it can"
            );
        }
    }

    async fn connect(&self) -> RedisResult<MultiplexedConnection> {
        // Callers have limits of their own, which know more.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_LIMIT))
            .set_response_timeout(None);
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }

    async fn probe(&self, connection: &mut MultiplexedConnection) -> RedisResult<()> {
        self.probe.key(&self.probe_key).arg(PROBE_KEPT_MS).invoke_async(connection).await
    }

    fn note(&self, fault: &str) {
        fault.clone_into(&mut self.last_fault.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Connects and writes, and asks what it is that answers.
    pub async fn try_out(&self) -> RedisResult<Trial> {
        let mut connection = self.connect().await?;
        let begun = Instant::now();
        self.probe(&mut connection).await?;
        let took = begun.elapsed();
        // Some hosts do not let everybody ask; then it is only not known.
        let info: String =
            redis::cmd("INFO").arg("server").query_async(&mut connection).await.unwrap_or_default();
        let asked = redis::cmd("CONFIG").arg(&["GET", "maxmemory-policy"]).query_async(&mut connection).await;
        let policy: Vec<String> = asked.unwrap_or_default();
        let evicts = policy.get(1).filter(|policy| policy.starts_with("allkeys")).cloned();
        Ok(Trial { server: server_of(&info), took, evicts })
    }
}

/// The program's name and version in the text of `INFO`.
fn server_of(info: &str) -> String {
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    if let Some(version) = field("valkey_version") {
        return format!("valkey {}", version.trim());
    }
    format!("redis {}", field("redis_version").map_or("of an unknown version", str::trim))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_named_as_it_names_itself() {
        assert_eq!(server_of("# Server\r\nredis_version:7.0.15\r\n"), "redis 7.0.15");
        let valkey = "redis_version:7.2.4\r\nvalkey_version:8.1.1\r\n";
        assert_eq!(server_of(valkey), "valkey 8.1.1");
        assert_eq!(server_of(""), "redis of an unknown version");
    }
}
