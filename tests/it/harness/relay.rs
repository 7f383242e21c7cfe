//! The scripted relay for tests that do not run on tokio.

use std::net::SocketAddr;

use posthaste_smtp_sink::relay::{self, Recorded, Taken};
use tokio::runtime::{Builder, Runtime};

pub use posthaste_smtp_sink::relay::{Action, Script, Step};

use super::wait::eventually;

/// A running relay on a thread of its own.
pub struct Relay {
    inner: relay::Relay,
    // Behind the relay: dropped after it.
    _runtime: Runtime,
}

impl Relay {
    /// A relay that takes everything.
    pub fn accepting() -> Self {
        Self::start(Script::accepting())
    }

    pub fn start(script: Script) -> Self {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), script)
    }

    /// A relay at an address, such as that of one that was dropped.
    pub fn start_at(address: SocketAddr, script: Script) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let inner = runtime.block_on(relay::Relay::start_at(address, script)).expect("a free port");
        Self { inner, _runtime: runtime }
    }

    pub fn address(&self) -> SocketAddr {
        self.inner.address()
    }

    pub fn port(&self) -> u16 {
        self.inner.port()
    }

    /// The messages taken so far.
    pub fn messages(&self) -> Vec<Taken> {
        self.inner.messages()
    }

    /// Every byte of every connection so far.
    pub fn connections(&self) -> Vec<Recorded> {
        self.inner.connections()
    }

    /// Waits until so many messages were taken.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Taken> {
        eventually(&format!("{count} messages at the relay"), || {
            let messages = self.messages();
            (messages.len() >= count).then_some(messages)
        })
    }

    /// The one message taken.
    #[track_caller]
    pub fn only_message(&self) -> Taken {
        let mut messages = self.wait_for(1);
        assert_eq!(messages.len(), 1, "one message was expected");
        messages.remove(0)
    }
}
