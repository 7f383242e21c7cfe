//! What a worker does by the clock: say that it lives, renew its leases, sweep, tidy.

use super::settings::Identity;
use super::wall::Look;
use super::worker::Worker;
use posthaste_model::fault::FaultPoint;
use posthaste_model::{EmailId, Timestamp, WorkerId};
use posthaste_store::WorkerRecord;
use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// How often idle connections are closed.
const TIDY_EVERY: Duration = Duration::from_secs(5);

/// Says every now and then that this worker lives.
pub(super) async fn heartbeat(
    worker: Arc<Worker>,
    record: WorkerRecord,
    over: CancellationToken,
) -> Result<(), Infallible> {
    let mut ticks = every(worker.settings.heartbeat_every);
    while tick(&mut ticks, &over).await {
        let asked = Instant::now();
        match worker.store.heartbeat(record.clone(), worker.clock.now()).await {
            Ok(()) => {
                if worker.pulse.beat(asked) {
                    tracing::warn!("the store is back, leases are renewed before anything is claimed");
                    worker.renew_all().await;
                }
            }
            Err(error) => tracing::warn!(%error, "the worker could not say that it lives"),
        }
    }
    Ok(())
}

/// Renews all leases in one commit, three times in a lease.
pub(super) async fn renew(worker: Arc<Worker>, over: CancellationToken) -> Result<(), Infallible> {
    let mut ticks = every(worker.settings.lease / 3);
    while tick(&mut ticks, &over).await {
        worker.renew_all().await;
    }
    Ok(())
}

/// Looks for what no bell announced, and for the leases of the dead.
pub(super) async fn sweep(worker: Arc<Worker>, over: CancellationToken) -> Result<(), Infallible> {
    let mut ticks = every(worker.settings.sweep_every);
    while tick(&mut ticks, &over).await {
        if worker.is_draining() || !worker.trusts_the_clock().await {
            continue;
        }
        let wall = worker.clock.now();
        // Silence means death only while the store could be told: what was away for us was away for the others.
        let could_be_told = worker.pulse.steady_for(Instant::now()) >= worker.settings.dead_after;
        let dead_before =
            if could_be_told { wall.minus(worker.settings.dead_after) } else { Timestamp::from_millis(0) };
        match worker.store.sweep(wall, dead_before).await {
            Ok(report) => {
                if report.released > 0 {
                    tracing::warn!(leases = report.released, "leases of silent workers were taken back");
                }
                if report.released > 0 || report.due > 0 {
                    worker.look_again.notify_one();
                }
            }
            Err(error) => tracing::warn!(%error, "the sweep could not be made"),
        }
    }
    Ok(())
}

/// Closes connections that lie idle.
pub(super) async fn tidy(worker: Arc<Worker>, over: CancellationToken) -> Result<(), Infallible> {
    let mut ticks = every(TIDY_EVERY);
    while tick(&mut ticks, &over).await {
        for lane in worker.lanes.iter() {
            lane.transport.tidy().await;
        }
    }
    Ok(())
}

impl Worker {
    /// Whether leases may be judged by the wall clock now. When it was set, or the store was away for long, every lease
    /// and sign of life may look old: our own are renewed at once, and the others get time to do the same.
    pub(super) async fn trusts_the_clock(&self) -> bool {
        if !self.pulse.is_steady(self.settings.after_clock_set) {
            return false;
        }
        match self.wall.look(self.clock.now(), Instant::now(), self.settings.after_clock_set) {
            Look::Steady => true,
            Look::Unsettled(_) => false,
            Look::Set => {
                tracing::warn!("the machine's clock was set, leases are renewed before anything is claimed");
                self.renew_all().await;
                self.settings.after_clock_set.is_zero()
            }
        }
    }

    /// Renews what is held and what lies in the hopper. What the store says is lost is lost; what it could not be asked
    /// about ends when its time is over.
    pub(super) async fn renew_all(&self) {
        let held = self.holdings.all();
        let mut keys: Vec<(EmailId, u32)> = held.iter().map(|(id, fence, _)| (*id, *fence)).collect();
        keys.extend(self.hopper.held());
        if keys.is_empty() {
            return;
        }
        if self.faults.lasts(FaultPoint::OutcomesRefused) {
            return;
        }
        let asked = Instant::now();
        let until = self.clock.now().plus(self.settings.lease);
        match self.store.renew_leases(self.id, keys, until).await {
            Ok(lost) => {
                let lost: HashSet<EmailId> = lost.into_iter().collect();
                for (id, _, lease) in &held {
                    if lost.contains(id) {
                        lease.lose();
                    } else {
                        lease.renew(asked, self.settings.lease);
                    }
                }
                if !lost.is_empty() {
                    tracing::warn!(leases = lost.len(), "leases were lost");
                }
            }
            Err(error) => tracing::warn!(%error, "leases could not be renewed"),
        }
    }
}

/// What this worker is to the others.
pub(super) fn worker_record(id: WorkerId, identity: &Identity, started_at: Timestamp) -> WorkerRecord {
    WorkerRecord {
        id,
        node: identity.node.clone(),
        pid: std::process::id(),
        roles: identity.roles.clone(),
        host: identity.host.clone(),
        started_at,
    }
}

fn every(period: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(period.max(Duration::from_millis(1)));
    // After a stop of the process one round is enough.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Waits for the next round; false at the end.
async fn tick(ticks: &mut tokio::time::Interval, over: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = over.cancelled() => false,
        _ = ticks.tick() => true,
    }
}
