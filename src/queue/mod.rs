//! The bell, and the short way: tells workers that mail is due, and hands just-accepted mail to a worker of the same
//! process without a second read.
//!
//! Never holds truth: any ring may be lost, doubled or late. What is handed over in memory is already leased by the
//! transaction that accepted it, so a crash costs a lease, not a message.

mod in_process;
mod rabbitmq;
mod store_bell;

pub use in_process::{Hopper, Reservation};
pub use rabbitmq::{BrokerTrouble, Examination, Rings};

use crate::base::chance::Chance;
use crate::base::metrics::Metrics;
use crate::base::tasks::Tasks;
use posthaste_model::email::Email;
use posthaste_model::{EmailId, Secret, WorkerId};
use posthaste_store::Bell;
use std::time::Duration;

/// Says that an email is due. Nothing more than its id may travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    /// The email.
    pub email: EmailId,
    /// Its priority, 1 to 5.
    pub priority: u8,
}

impl From<&Email> for Ring {
    fn from(email: &Email) -> Self {
        Self { email: email.id, priority: email.priority.get() }
    }
}

/// The queue in use. Every kind hands over inside the process; they differ in how other processes hear the bell.
#[derive(Clone, Debug)]
pub enum Queue {
    /// The store's own due index and a wake-up inside the process.
    InProcess(in_process::InProcess),
    /// Rings to workers anywhere, over a store that several processes share.
    Store(store_bell::StoreBell),
    /// Rings to workers anywhere, over a broker.
    RabbitMq(rabbitmq::RabbitMq),
}

impl Queue {
    /// The embedded queue; at most `capacity` emails wait in a local worker's memory.
    pub fn in_process(capacity: usize) -> Self {
        Self::InProcess(in_process::InProcess::new(capacity))
    }

    /// The queue over the store's own bell, which rings by itself when mail becomes due.
    pub fn store(bell: Bell, capacity: usize, chance: Chance) -> Self {
        Self::Store(store_bell::StoreBell::new(in_process::InProcess::new(capacity), bell, chance))
    }

    /// The queue over the broker at `url`, on which all names begin with `prefix`. Connects when started. `None`:
    /// `url` is no AMQP URL.
    pub fn rabbit_mq(
        url: &Secret,
        prefix: &str,
        capacity: usize,
        chance: Chance,
        metrics: Metrics,
    ) -> Option<Self> {
        let local = in_process::InProcess::new(capacity);
        rabbitmq::RabbitMq::new(url, prefix, local, chance, metrics).map(Self::RabbitMq)
    }

    /// Begins to reach other processes. Commands that end at once need not: the sweep finds their mail.
    pub fn start(&self, tasks: &Tasks) {
        match self {
            Self::InProcess(_) => {}
            Self::Store(queue) => queue.start(tasks),
            Self::RabbitMq(queue) => queue.start(tasks),
        }
    }

    /// Room for `count` emails of `bytes` in all in the local worker's memory; `None`: no local worker, or no room. Reserved before the
    /// commit, so that the same commit can lease them.
    pub fn reserve(&self, count: usize, bytes: usize) -> Option<Reservation> {
        self.local().reserve(count, bytes)
    }

    /// Says that these are due. Never waits, and may be lost: the sweep finds what no bell announced.
    pub fn ring(&self, due: &[Ring]) {
        match self {
            Self::InProcess(queue) => queue.ring(),
            Self::Store(queue) => queue.local().ring(),
            Self::RabbitMq(queue) => queue.ring(due),
        }
    }

    /// Makes this process's worker known; what is handed over, and what is rung for, arrives in the hopper.
    pub fn attach(&self, worker: WorkerId, lease: Duration, tasks: &Tasks) -> Hopper {
        let hopper = self.local().attach(worker, lease);
        match self {
            Self::InProcess(_) | Self::Store(_) => hopper,
            Self::RabbitMq(queue) => {
                let rings = queue.listen(tasks, hopper.closing());
                hopper.hearing(rings)
            }
        }
    }

    /// Whether the broker answers; `None`: there is none.
    pub async fn ping(&self) -> Option<Result<(), BrokerTrouble>> {
        match self {
            Self::InProcess(_) | Self::Store(_) => None,
            Self::RabbitMq(queue) => Some(queue.ping().await),
        }
    }

    /// Tries everything that is needed of the broker, whether started or not; `None`: there is none.
    pub async fn examine(&self) -> Option<Result<Examination, BrokerTrouble>> {
        match self {
            Self::InProcess(_) | Self::Store(_) => None,
            Self::RabbitMq(queue) => Some(queue.examine().await),
        }
    }

    fn local(&self) -> &in_process::InProcess {
        match self {
            Self::InProcess(queue) => queue,
            Self::Store(queue) => queue.local(),
            Self::RabbitMq(queue) => queue.local(),
        }
    }
}
