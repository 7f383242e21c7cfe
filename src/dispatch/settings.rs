//! How dispatch is set up.

use super::breaker::BreakerSettings;
use crate::transports::Transport;
use posthaste_model::Rate;
use posthaste_model::retry::RetryPolicy;
use std::time::Duration;

/// A transport with the operator's limits on it.
#[derive(Debug)]
pub struct Way {
    /// The transport.
    pub transport: Transport,
    /// Attempts in flight at once.
    pub max_in_flight: usize,
    /// At most so many messages in a time: by this process, and by all nodes that share a cache.
    pub rate: Option<Rate>,
    /// At most so many messages in any 24 hours, alike.
    pub daily_quota: Option<u32>,
}

impl Way {
    /// Both limits.
    pub(super) fn limits(&self) -> impl Iterator<Item = Rate> + use<> {
        let quota = self.daily_quota.map(|count| Rate::per_seconds(count, 86_400));
        self.rate.into_iter().chain(quota)
    }
}

/// Who this worker is to the others.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The node: the same over restarts, and different for each process that runs at the same time, because a start
    /// takes back whatever its node held.
    pub node: String,
    /// Host name, for people.
    pub host: String,
    /// The roles of the process, for people.
    pub roles: String,
}

/// Durations and bounds. [`DispatchSettings::with_policy`] gives what the operations page documents.
#[derive(Clone, Debug)]
pub struct DispatchSettings {
    /// How long a claim lasts unless renewed.
    pub lease: Duration,
    /// How long the end may take.
    pub drain: Duration,
    /// When circuits open.
    pub breaker: BreakerSettings,
    /// When and how often an email is tried again.
    pub policy: RetryPolicy,
    /// Emails on their way at once: from before a transport is told of them until what came of them is durable. So many
    /// at most does a crash send again.
    pub workers: usize,
    /// Claims held at once, waiting ones included.
    pub held_max: usize,
    /// How often the worker says that it lives.
    pub heartbeat_every: Duration,
    /// A worker silent for so long loses its leases.
    pub dead_after: Duration,
    /// How often the sweep runs.
    pub sweep_every: Duration,
    /// After the machine's clock was set: how long nothing is claimed, so that every worker can renew its leases.
    pub after_clock_set: Duration,
    /// How long to wait at most before looking for due mail again, bell or not.
    pub look_every: Duration,
}

impl DispatchSettings {
    /// The documented durations with `policy`.
    pub fn with_policy(policy: RetryPolicy) -> Self {
        Self {
            lease: Duration::from_secs(60),
            drain: Duration::from_secs(25),
            breaker: BreakerSettings { failures: 5, open_for: Duration::from_secs(30) },
            policy,
            workers: 128,
            held_max: 4096,
            heartbeat_every: Duration::from_secs(2),
            dead_after: Duration::from_secs(15),
            sweep_every: Duration::from_secs(5),
            after_clock_set: Duration::from_secs(3),
            look_every: Duration::from_secs(1),
        }
    }
}
