//! The end of a worker: stop claiming, finish what is in flight, hand back what has not begun, and lose nothing.

use super::Crew;
use super::record::Finished;
use super::worker::Worker;
use posthaste_model::WorkerId;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

/// Before the drain's end: time left for those recalled to come back, and for the last commit; half of a short drain,
/// so that what is under way has the other half.
const LAST_STEPS: Duration = Duration::from_secs(3);

/// Ends `worker` within `settings.drain`. What is still with a peer then stays leased: whoever starts next on this node
/// takes it back.
pub(super) async fn drain(worker: &Worker, mut crew: Crew) {
    let begun = Instant::now();
    let drain = worker.settings.drain;
    let last_steps = last_steps(drain);
    let recall_at = begun + drain.saturating_sub(last_steps);
    let end = begun + drain;
    worker.stopping.cancel();
    let handed_over = worker.hopper.close();
    join_until(&mut crew.feeds, recall_at).await;
    let mut not_begun = 0;
    for lane in worker.lanes.iter() {
        for job in lane.backlog.close() {
            worker.finish(Finished::NotBegun(job.held));
            not_begun += 1;
        }
    }
    for claim in handed_over {
        let held = worker.holdings.take(claim, begun.into_std(), worker.settings.lease);
        worker.finish(Finished::NotBegun(held));
        not_begun += 1;
    }
    if !join_until(&mut crew.lanes, recall_at).await {
        for (_, _, lease) in worker.holdings.all() {
            lease.recall();
        }
        let before_last_commit = end.checked_sub(last_steps / 3).unwrap_or(end);
        join_until(&mut crew.lanes, before_last_commit).await;
    }
    // Whatever has not come back by now has no time left.
    let cut_off: usize = crew.lanes.iter().filter(|attempts| !attempts.is_finished()).count();
    crew.lanes.iter().for_each(JoinHandle::abort);
    crew.stop_recording.cancel();
    if timeout_at(end, &mut crew.recorder).await.is_err() {
        crew.recorder.abort();
    }
    for lane in worker.lanes.iter() {
        // Polite, but not at the price of the deadline: an idle connection may as well be cut.
        let _ = timeout_at(end, lane.transport.close()).await;
    }
    crew.over.cancel();
    if cut_off == 0 {
        sign_off(worker, end).await;
    }
    let took_ms = begun.elapsed().as_millis() as u64;
    tracing::info!(handed_back = not_begun, cut_off, took_ms, "dispatch stopped");
}

/// What is left of a drain for those recalled, and for the last commit.
fn last_steps(drain: Duration) -> Duration {
    LAST_STEPS.min(drain / 2)
}

/// Strikes the worker off, and makes due what was accepted for it after its hopper had closed: the reservation may
/// have been older.
async fn sign_off(worker: &Worker, end: Instant) {
    // All of the node's workers but this one, which is nobody.
    let nobody = WorkerId::new(worker.clock.now(), worker.chance.bytes());
    let struck_off = worker.store.take_back(&worker.node, nobody, worker.clock.now());
    if let Ok(Err(error)) = timeout_at(end, struck_off).await {
        tracing::info!(%error, "the worker's record was left behind");
    }
}

/// Waits until all tasks have ended, at most until `end`; true when they have.
async fn join_until(tasks: &mut [JoinHandle<()>], end: Instant) -> bool {
    for task in tasks.iter_mut().filter(|task| !task.is_finished()) {
        if timeout_at(end, task).await.is_err() {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_drain_leaves_attempts_time_to_end() {
        assert_eq!(last_steps(Duration::from_secs(25)), LAST_STEPS);
        assert_eq!(last_steps(Duration::from_secs(1)), Duration::from_millis(500));
        assert_eq!(last_steps(Duration::ZERO), Duration::ZERO);
    }
}
