//! Rings over RabbitMQ, for workers in other processes. The broker carries ids and nothing else, and it may lose,
//! double or refuse any of them, or be away: the store's due index finds what no ring announced.

mod backoff;
mod broker;
mod consumer;
mod line;
mod publisher;
mod trouble;

pub use broker::Examination;
pub use consumer::Rings;
pub use trouble::BrokerTrouble;

use super::Ring;
use super::in_process::InProcess;
use crate::base::chance::Chance;
use crate::base::metrics::{Metrics, RingFate};
use crate::base::tasks::Tasks;
use broker::Broker;
use line::Line;
use posthaste_model::Secret;
use std::sync::Arc;
use tokio::sync::{Mutex, mpsc};
use tokio_util::sync::CancellationToken;

/// Rings that wait for the broker; further ones are dropped, and the sweep finds their mail.
const BUFFER: usize = 16_384;

/// The queue over a broker.
#[derive(Clone, Debug)]
pub struct RabbitMq(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    local: InProcess,
    broker: Broker,
    line: Line,
    outgoing: mpsc::Sender<Ring>,
    waiting: Mutex<mpsc::Receiver<Ring>>,
    chance: Chance,
    metrics: Metrics,
}

impl RabbitMq {
    /// `None`: `url` is no AMQP URL.
    pub(super) fn new(
        url: &Secret,
        prefix: &str,
        local: InProcess,
        chance: Chance,
        metrics: Metrics,
    ) -> Option<Self> {
        let broker = Broker::parse(url, prefix)?;
        let (outgoing, waiting) = mpsc::channel(BUFFER);
        let line = Line::new(metrics.clone());
        let waiting = Mutex::new(waiting);
        Some(Self(Arc::new(Shared { local, broker, line, outgoing, waiting, chance, metrics })))
    }

    /// The hand-over inside the process.
    pub(super) fn local(&self) -> &InProcess {
        &self.0.local
    }

    /// Connects, now and whenever the connection is lost.
    pub(super) fn start(&self, tasks: &Tasks) {
        let (shared, over) = (Arc::clone(&self.0), tasks.token());
        tasks.supervise("queue.publish", move || publisher::run(Arc::clone(&shared), over.clone()));
    }

    /// Listens for a worker until `over`.
    pub(super) fn listen(&self, tasks: &Tasks, over: &CancellationToken) -> mpsc::Receiver<Rings> {
        // One batch waits while another is answered; the rest stays with the broker.
        let (heard, rings) = mpsc::channel(1);
        let (shared, over) = (Arc::clone(&self.0), over.clone());
        tasks.supervise("queue.consume", move || {
            consumer::run(Arc::clone(&shared), heard.clone(), over.clone())
        });
        rings
    }

    /// Never waits: what finds no place in the buffer is dropped.
    pub(super) fn ring(&self, due: &[Ring]) {
        if !self.0.line.is_up() {
            // Whoever works in this process can be told at least.
            self.0.local.ring();
        }
        let dropped = due.iter().filter(|ring| self.0.outgoing.try_send(**ring).is_err()).count();
        if dropped > 0 {
            self.0.metrics.rings(RingFate::Dropped, dropped);
        }
    }

    /// Asks the broker over the standing connection.
    pub(super) async fn ping(&self) -> Result<(), BrokerTrouble> {
        self.0.line.ping().await
    }

    /// Tries everything that is needed over a connection of its own.
    pub(super) async fn examine(&self) -> Result<Examination, BrokerTrouble> {
        let connection = self.0.broker.connect("doctor").await?;
        let channel = connection.create_channel().await.map_err(|error| BrokerTrouble::of(&error))?;
        let found = self.0.broker.declare(&channel).await?;
        // Its end is the broker's business as well.
        let _ = connection.close(200, "examined".into()).await;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_model::EmailId;

    fn queue(metrics: &Metrics) -> RabbitMq {
        let url = Secret::new("amqp://127.0.0.1:1");
        let local = InProcess::new(1);
        RabbitMq::new(&url, "posthaste", local, Chance::new(), metrics.clone()).expect("an AMQP URL")
    }

    fn ring() -> Ring {
        Ring { email: EmailId::from_bytes([1; 16]), priority: 3 }
    }

    #[test]
    fn what_finds_no_place_is_dropped_and_nobody_waits() {
        let metrics = Metrics::new();
        // Not started: nothing leaves.
        let queue = queue(&metrics);
        queue.ring(&vec![ring(); BUFFER]);
        assert!(!metrics.encode().contains("result=\"dropped\""));
        queue.ring(&[ring(); 7]);
        assert!(metrics.encode().contains("posthaste_rings_total{result=\"dropped\"} 7"));
    }

    #[tokio::test]
    async fn a_process_without_its_broker_tells_its_own_worker() {
        let queue = queue(&Metrics::new());
        let worker = posthaste_model::WorkerId::from_bytes([1; 16]);
        let hopper = queue.local().attach(worker, std::time::Duration::from_secs(60));
        queue.ring(&[ring()]);
        hopper.rung().await;
    }
}
