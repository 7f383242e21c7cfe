//! The bell, and the short way: tells workers that mail is due, and hands just-accepted mail to a worker of the same
//! process without a second read.
//!
//! Never holds truth: any ring may be lost, doubled or late. What is handed over in memory is already leased by the
//! transaction that accepted it, so a crash costs a lease, not a message.

mod in_process;

pub use in_process::{Hopper, Reservation};

use posthaste_model::WorkerId;
use std::time::Duration;

/// The queue in use.
#[derive(Clone, Debug)]
pub enum Queue {
    /// The store's own due index and a wake-up inside the process.
    InProcess(in_process::InProcess),
}

impl Queue {
    /// The embedded queue; at most `capacity` emails wait in a local worker's memory.
    pub fn in_process(capacity: usize) -> Self {
        Self::InProcess(in_process::InProcess::new(capacity))
    }

    /// Room for `count` emails of `bytes` in all in the local worker's memory; `None`: no local worker, or no room. Reserved before the
    /// commit, so that the same commit can lease them.
    pub fn reserve(&self, count: usize, bytes: usize) -> Option<Reservation> {
        match self {
            Self::InProcess(queue) => queue.reserve(count, bytes),
        }
    }

    /// Says that something is due. May be lost: the sweep finds what no bell announced.
    pub fn ring(&self) {
        match self {
            Self::InProcess(queue) => queue.ring(),
        }
    }

    /// Makes this process's worker known; what is handed over arrives in the hopper.
    pub fn attach(&self, worker: WorkerId, lease: Duration) -> Hopper {
        match self {
            Self::InProcess(queue) => queue.attach(worker, lease),
        }
    }
}
