//! How the connection to the broker stands, for whoever asks: health, and the publisher's own fallback.

use super::trouble::BrokerTrouble;
use crate::base::metrics::Metrics;
use lapin::options::BasicQosOptions;
use lapin::{Channel, Connection, ConnectionStatus};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long the broker may take to answer a probe.
const PROBE_LIMIT: Duration = Duration::from_millis(1_200);

/// The publisher's connection, seen from outside.
#[derive(Debug)]
pub(super) struct Line {
    state: Mutex<State>,
    metrics: Metrics,
}

#[derive(Clone, Debug)]
enum State {
    /// Never tried: a command that serves nothing.
    Idle,
    Down(BrokerTrouble),
    Up {
        probe: Channel,
        status: ConnectionStatus,
    },
}

impl Line {
    pub fn new(metrics: Metrics) -> Self {
        Self { state: Mutex::new(State::Idle), metrics }
    }

    /// A connection stands.
    pub fn up(&self, connection: &Connection, probe: Channel) {
        let status = connection.status().clone();
        let former = std::mem::replace(&mut *self.state(), State::Up { probe, status });
        self.metrics.broker_connected(true);
        if !matches!(former, State::Idle) {
            self.metrics.broker_reconnected();
            tracing::info!("the broker is back");
        }
    }

    /// There is none, for this reason. Told once, not at every try.
    pub fn down(&self, trouble: BrokerTrouble) {
        let former = std::mem::replace(&mut *self.state(), State::Down(trouble.clone()));
        self.metrics.broker_connected(false);
        if matches!(&former, State::Down(before) if *before == trouble) {
            tracing::debug!(%trouble, "the broker is still away");
        } else {
            let remedy = trouble.remedy();
            tracing::warn!(%trouble, remedy, "no broker: mail goes out by the store's own index");
        }
    }

    /// Whether a ring would leave now.
    pub fn is_up(&self) -> bool {
        matches!(&*self.state(), State::Up { status, .. } if status.connected() && !status.blocked())
    }

    /// Asks the broker something, and waits for the answer.
    pub async fn ping(&self) -> Result<(), BrokerTrouble> {
        let state = self.state().clone();
        match state {
            State::Idle => Err(BrokerTrouble::Closed("not connected yet".into())),
            State::Down(trouble) => Err(trouble),
            State::Up { status, .. } if status.blocked() => Err(BrokerTrouble::Blocked),
            State::Up { probe, .. } => {
                // The smallest question that has to go there and back.
                let asked = probe.basic_qos(1, BasicQosOptions::default());
                match tokio::time::timeout(PROBE_LIMIT, asked).await {
                    Ok(answer) => answer.map_err(|error| BrokerTrouble::of(&error)),
                    Err(_) => Err(BrokerTrouble::Silent),
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // One value, replaced as a whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
