//! A bounded set of sessions with one relay, so that most messages find one open.
//!
//! The session used last is taken first: the fewest stay open, and they stay warm. A session that died while it
//! lay idle is replaced without the caller's notice, as long as it is certain that the relay took nothing.

use super::connection::Connection;
use super::envelope::Envelope;
use super::outcome::{SendResult, SmtpError};
use super::settings::ConnectSettings;
use super::watch::Watch;
use crate::failure::{Failure, Stage};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

/// How long a session may lie idle, as a rule: many relays close at 60 s or later.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How many messages one session carries, as a rule, before it is replaced.
pub const MAX_MESSAGES_PER_CONNECTION: usize = 1000;

/// A session at rest.
#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
    messages: usize,
}

/// Sessions with one relay.
#[derive(Debug)]
pub struct Pool {
    settings: ConnectSettings,
    idle_timeout: Duration,
    max_messages_per_connection: usize,
    /// A permit for each session in use.
    slots: Semaphore,
    /// Used last at the end. Never held across a wait.
    idle: Mutex<Vec<Idle>>,
}

impl Pool {
    /// A pool of at most `max_connections` sessions in use at once. None is opened yet.
    pub fn new(
        settings: ConnectSettings,
        max_connections: usize,
        idle_timeout: Duration,
        max_messages_per_connection: usize,
    ) -> Self {
        Self {
            settings,
            idle_timeout,
            max_messages_per_connection,
            slots: Semaphore::new(max_connections.clamp(1, Semaphore::MAX_PERMITS)),
            idle: Mutex::new(Vec::new()),
        }
    }

    /// How sessions are opened.
    pub fn settings(&self) -> &ConnectSettings {
        &self.settings
    }

    /// Sends a message over an idle session or a new one, as [`Connection::send`] does. Waits up to `pool_wait` for a
    /// session when all are in use. When no session can be opened, every recipient gets that failure.
    pub async fn send(&self, envelope: &Envelope<'_>, message: &[u8], mut watch: impl Watch) -> SendResult {
        let all = |error: SmtpError| SendResult::all(envelope.recipients.len(), error.into_outcome());
        // Held until the session is back or closed, so that no more than the limit are ever in use.
        let _permit = match self.wait_for_slot().await {
            Ok(permit) => permit,
            Err(error) => return all(error),
        };
        if let Some(mut idle) = self.take_idle().await {
            let result = idle.connection.send_watched(envelope, message, &mut watch).await;
            self.put_back(idle);
            if !result.untouched {
                return result;
            }
        }
        match Connection::connect(&self.settings).await {
            Ok(connection) => {
                let mut idle = Idle { connection, since: Instant::now(), messages: 0 };
                let result = idle.connection.send_watched(envelope, message, &mut watch).await;
                self.put_back(idle);
                result
            }
            Err(error) => all(error),
        }
    }

    /// Says QUIT on sessions that have lain idle too long. [`Pool::send`] drops them as it meets them; call this now
    /// and then so that a quiet pool does not keep them open.
    pub async fn prune(&self) {
        let expired = {
            let mut idle = self.lock_idle();
            let (fresh, expired) = idle.drain(..).partition(|idle| self.is_fresh(idle));
            *idle = fresh;
            expired
        };
        quit_all(expired).await;
    }

    /// Says QUIT on all idle sessions. Messages under way go on; their sessions close when the pool is dropped.
    pub async fn close(&self) {
        self.slots.close();
        let idle = std::mem::take(&mut *self.lock_idle());
        quit_all(idle).await;
    }

    /// Sessions at rest, for a metric.
    pub fn idle_connections(&self) -> usize {
        self.lock_idle().len()
    }

    async fn wait_for_slot(&self) -> Result<SemaphorePermit<'_>, SmtpError> {
        let message = match timeout(self.settings.timeouts.pool_wait, self.slots.acquire()).await {
            Ok(Ok(permit)) => return Ok(permit),
            Ok(Err(_)) => "the pool is closed",
            Err(_) => "all connections to the relay are busy",
        };
        // Another connection is what there is none of.
        let failure = Failure { reconnect: false, ..Failure::transport(Stage::Connect, message) };
        Err(SmtpError::later(failure))
    }

    /// The session used last that is still good. Those that are not are closed without a word.
    async fn take_idle(&self) -> Option<Idle> {
        loop {
            let mut idle = self.lock_idle().pop()?;
            if self.is_fresh(&idle) && idle.connection.is_alive().await {
                return Some(idle);
            }
        }
    }

    fn is_fresh(&self, idle: &Idle) -> bool {
        idle.since.elapsed() < self.idle_timeout
    }

    fn put_back(&self, mut idle: Idle) {
        idle.messages += 1;
        let worn = idle.messages >= self.max_messages_per_connection;
        if idle.connection.is_reusable() && !worn && !self.slots.is_closed() {
            idle.since = Instant::now();
            self.lock_idle().push(idle);
        }
    }

    /// A panic elsewhere cannot have left a list of sessions half changed.
    fn lock_idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn quit_all(sessions: Vec<Idle>) {
    for idle in sessions {
        idle.connection.quit().await;
    }
}
