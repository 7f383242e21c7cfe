//! Getting it out: claims due email under a lease, makes the message, sends it by the transport of its route, and
//! writes down what came of it.
//!
//! The way of one email: `feed` (handed over in memory, or claimed) -> `lane` (one per transport) -> `attempt` (lease,
//! rate, message, circuit, transport) -> `record` (one commit for many). `rounds` keeps leases alive meanwhile, and
//! `drain` ends it all without losing or doubling anything.

mod attempt;
mod backlog;
mod breaker;
mod caught;
mod drain;
mod feed;
mod held;
mod lane;
mod record;
mod rounds;
mod settings;
mod shared_rates;
mod suppressed;
mod throttle;
mod wall;
mod worker;

#[cfg(test)]
mod tests;

pub use breaker::{BreakerSettings, Phase};
pub use settings::{DispatchSettings, Identity, Way};

use crate::base::chance::Chance;
use crate::base::clock::Clock;
use crate::base::metrics::{BreakerState, Metrics};
use crate::base::tasks::Tasks;
use crate::base::trace::Traces;
use crate::limits::Limits;
use crate::live::Live;
use crate::queue::Queue;
use crate::render::Renderer;
use crate::routing::Routes;
use crate::transports::{Health, Pulse};
use held::Holdings;
use lane::Lanes;
use posthaste_model::WorkerId;
use posthaste_model::fault::Faults;
use posthaste_store::{Store, StoreError};
use shared_rates::SharedRates;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use wall::WallWatch;
use worker::{ClientNames, DueTimes, Worker};

/// A way out that has not let us in after this long counts as down for a monitor; mail itself waits longer.
const PING_LIMIT: Duration = Duration::from_millis(1500);

/// What dispatch is made of.
pub struct DispatchParts {
    /// The truth.
    pub store: Store,
    /// The bell, and the short way.
    pub queue: Queue,
    /// Tells who waits.
    pub live: Live,
    /// Makes messages.
    pub renderer: Renderer,
    /// Which transport for which email.
    pub routes: Routes,
    /// The transports.
    pub ways: Vec<Way>,
    /// Where the limits of transports and routes are counted over all nodes, if these share a cache.
    pub shared_limits: Option<Limits>,
    /// Durations and bounds.
    pub settings: DispatchSettings,
    /// Who this worker is.
    pub identity: Identity,
    /// Where the time comes from.
    pub clock: Clock,
    /// Where chance comes from.
    pub chance: Chance,
    /// What is counted.
    pub metrics: Metrics,
    /// Runs everything; its shutdown begins the drain.
    pub tasks: Tasks,
    /// Named places to stop at.
    pub faults: Faults,
    /// Where spans go.
    pub traces: Traces,
}

/// How a transport stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportState {
    /// Its name.
    pub transport: Arc<str>,
    /// Its circuit.
    pub circuit: Phase,
    /// Claims that wait for it in this process.
    pub waiting: usize,
}

/// A running worker. Clones speak of the same one.
#[derive(Clone)]
pub struct Dispatch {
    worker: Arc<Worker>,
    drained: CancellationToken,
}

/// The tasks of one worker, for the drain to wait on.
#[derive(Debug)]
struct Crew {
    feeds: Vec<JoinHandle<()>>,
    lanes: Vec<JoinHandle<()>>,
    recorder: JoinHandle<()>,
    stop_recording: CancellationToken,
    over: CancellationToken,
}

impl Dispatch {
    /// Starts a worker: makes itself known, takes back what earlier lives of its node held, and begins. Ends, within
    /// `settings.drain`, when the shutdown of `parts.tasks` begins.
    pub async fn start(parts: DispatchParts) -> Result<Self, StoreError> {
        let DispatchParts { store, queue, tasks, clock, chance, settings, .. } = parts;
        let id = WorkerId::new(clock.now(), chance.bytes());
        let record = rounds::worker_record(id, &parts.identity, clock.now());
        store.heartbeat(record.clone(), clock.now()).await?;
        let taken = store.take_back(&record.node, id, clock.now()).await?;
        if taken > 0 {
            tracing::info!(leases = taken, "leases of an earlier life of this node were taken back");
        }
        // A little less than what the others wait for, so that this process stops before they begin.
        let pulse = Pulse::new(settings.dead_after.mul_f64(0.8));
        let (finished, outcomes) = mpsc::unbounded_channel();
        let rules = parts.routes.limits();
        let share = |limits| SharedRates::new(limits, clock.clone(), &parts.ways, &rules);
        let shared = parts.shared_limits.map(share);
        let worker = Arc::new(Worker {
            behind: AtomicUsize::new(0),
            permits: Arc::new(Semaphore::new(settings.workers.clamp(1, Semaphore::MAX_PERMITS))),
            id,
            node: record.node.clone(),
            hopper: queue.attach(id, settings.lease, &tasks),
            lanes: Lanes::new(parts.ways, rules, shared, &settings),
            holdings: Holdings::new(settings.held_max, pulse.clone()),
            pulse,
            traces: parts.traces,
            wall: WallWatch::new(clock.now(), Instant::now()),
            live: parts.live,
            renderer: parts.renderer,
            routes: parts.routes,
            metrics: parts.metrics,
            faults: parts.faults,
            stopping: CancellationToken::new(),
            look_again: Notify::new(),
            claiming: tokio::sync::Mutex::new(()),
            rung_for: AtomicUsize::new(0),
            names: ClientNames::default(),
            due_times: DueTimes::default(),
            settings,
            store,
            clock,
            chance,
            finished,
        });
        for lane in worker.lanes.iter() {
            worker.metrics.breaker(lane.name(), BreakerState::Closed);
        }
        let crew = hire(&worker, &tasks, outcomes, record);
        let drained = CancellationToken::new();
        let dispatch = Self { worker: Arc::clone(&worker), drained: drained.clone() };
        let begin = tasks.token();
        tasks.spawn("dispatch.drain", async move {
            begin.cancelled().await;
            drain::drain(&worker, crew).await;
            drained.cancel();
        });
        Ok(dispatch)
    }

    /// The worker's id in this life.
    pub fn worker_id(&self) -> WorkerId {
        self.worker.id
    }

    /// How the transports stand, as this worker sees them.
    pub fn transports(&self) -> Vec<TransportState> {
        let now = Instant::now();
        self.worker
            .lanes
            .iter()
            .map(|lane| TransportState {
                transport: Arc::clone(lane.name()),
                circuit: lane.breaker.phase(now),
                waiting: lane.backlog.len(),
            })
            .collect()
    }

    /// Asks every transport whether it can be used; an answer is a few seconds old at most.
    pub async fn ping(&self) -> Vec<(Arc<str>, Health)> {
        let mut answers = Vec::new();
        for lane in self.worker.lanes.iter() {
            answers.push((Arc::clone(lane.name()), lane.transport.ping(PING_LIMIT).await));
        }
        answers
    }

    /// Claims held now, waiting or in flight.
    pub fn held(&self) -> usize {
        self.worker.holdings.len()
    }

    /// Resolves when everything was finished or handed back after the shutdown began.
    pub async fn drained(&self) {
        self.drained.cancelled().await;
    }
}

impl std::fmt::Debug for Dispatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dispatch").field("worker", &self.worker.id).finish_non_exhaustive()
    }
}

/// Starts the tasks of a worker.
fn hire(
    worker: &Arc<Worker>,
    tasks: &Tasks,
    outcomes: mpsc::UnboundedReceiver<record::Finished>,
    record: posthaste_store::WorkerRecord,
) -> Crew {
    let over = CancellationToken::new();
    let stop_recording = CancellationToken::new();
    let recorder = record::record(Arc::clone(worker), outcomes, stop_recording.clone());
    let recorder = tasks.spawn("dispatch.record", recorder);
    let mut lanes = Vec::new();
    for lane in worker.lanes.iter() {
        for _ in 0..lane.max_in_flight {
            let (worker, lane) = (Arc::clone(worker), Arc::clone(lane));
            lanes.push(tasks.spawn("dispatch.attempts", async move {
                while let Some(job) = lane.backlog.next().await {
                    worker.attempt(&lane, job).await;
                }
            }));
        }
    }
    let with = |worker: &Arc<Worker>| (Arc::clone(worker), over.clone());
    let (w, o) = with(worker);
    tasks.supervise("dispatch.heartbeat", move || rounds::heartbeat(w.clone(), record.clone(), o.clone()));
    let (w, o) = with(worker);
    tasks.supervise("dispatch.renew", move || rounds::renew(w.clone(), o.clone()));
    let (w, o) = with(worker);
    tasks.supervise("dispatch.sweep", move || rounds::sweep(w.clone(), o.clone()));
    let (w, o) = with(worker);
    tasks.supervise("dispatch.tidy", move || rounds::tidy(w.clone(), o.clone()));
    let w = Arc::clone(worker);
    let take_over = tasks.supervise("dispatch.take_over", move || feed::take_over(w.clone()));
    let w = Arc::clone(worker);
    let claim = tasks.supervise("dispatch.claim", move || feed::claim(w.clone()));
    let w = Arc::clone(worker);
    let rings = tasks.supervise("dispatch.rings", move || feed::answer_rings(w.clone()));
    Crew { feeds: vec![take_over, claim, rings], lanes, recorder, stop_recording, over }
}
