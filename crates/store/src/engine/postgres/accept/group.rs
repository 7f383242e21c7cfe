//! A writer: takes what waits, as one group, and sees it through. What comes while another writes waits for it to end,
//! and then goes together: a transaction of forty emails costs the server little more than one of five.

use super::columns::Columns;
use super::{Waiting, keys};
use crate::StoreError;
use crate::accept::{AcceptResult, IdempotencyClaim};
use crate::engine::postgres::link::{End, Failed, Link, TRIES, pause};
use crate::engine::postgres::listener::Listener;
use crate::engine::postgres::rows::uuid_of;
use crate::engine::postgres::session::Session;
use crate::engine::postgres::trouble::Trouble;
use posthaste_model::Status;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard, Notify, mpsc};
use tokio::time::{Instant, sleep_until};

/// A group of so many acceptances does not wait for the one ahead.
const FULL: usize = 64;
/// How long a group waits for the one ahead at most: a connection that hangs must not hold up the others.
const GATHERED_FOR: Duration = Duration::from_millis(20);

/// What a transaction found out about a group.
enum Found {
    /// All of it is stored.
    Stored,
    /// Some are refused or answered already, nothing is stored: one entry per acceptance, `None` to be tried again.
    Judged(Vec<Option<AcceptResult>>),
}

/// What waits, and how many write.
pub(super) struct Line {
    waiting: Mutex<mpsc::Receiver<Waiting>>,
    writing: AtomicUsize,
    /// A group was seen through.
    done: Notify,
}

impl Line {
    pub(super) fn new(waiting: mpsc::Receiver<Waiting>) -> Self {
        Self { waiting: Mutex::new(waiting), writing: AtomicUsize::new(0), done: Notify::new() }
    }

    fn begin(&self) -> Writing<'_> {
        self.writing.fetch_add(1, Ordering::AcqRel);
        Writing(self)
    }
}

/// Somebody writes; dropped when it ends, however it does.
struct Writing<'a>(&'a Line);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.writing.fetch_sub(1, Ordering::AcqRel);
        self.0.done.notify_one();
    }
}

/// One of the tasks that write.
pub(super) struct Writer {
    link: Link,
    listener: Arc<Listener>,
    group_max: usize,
}

impl Writer {
    pub(super) fn new(link: Link, listener: Arc<Listener>, group_max: usize) -> Self {
        Self { link, listener, group_max: group_max.max(1) }
    }

    /// Writes until nobody can send any more and all is worked off.
    pub(super) async fn run(self, line: Arc<Line>) {
        let mut later = Vec::new();
        while let Some((group, _writing)) = self.take(&line, &mut later).await {
            self.see_through(group).await;
        }
    }

    /// What waits, up to a group's size; first what was left over, since no key may stand twice in one group.
    async fn take<'a>(
        &self,
        line: &'a Line,
        later: &mut Vec<Waiting>,
    ) -> Option<(Vec<Waiting>, Writing<'a>)> {
        let mut group = std::mem::take(later);
        let writing = if group.is_empty() {
            let mut waiting = line.waiting.lock().await;
            group.push(waiting.recv().await?);
            self.gather(&mut group, line, &mut waiting).await;
            // Before the next one may look.
            line.begin()
        } else {
            if let Ok(mut waiting) = line.waiting.try_lock() {
                self.fill(&mut group, &mut waiting);
            }
            line.begin()
        };
        let mut named = HashSet::new();
        let mut first = Vec::with_capacity(group.len());
        for one in group {
            match &one.idempotency {
                Some(claim) if !named.insert(keys::key_of(claim)) => later.push(one),
                _ => first.push(one),
            }
        }
        Some((first, writing))
    }

    /// Adds what waits, and while another writes what comes until it has ended.
    async fn gather(
        &self,
        group: &mut Vec<Waiting>,
        line: &Line,
        waiting: &mut MutexGuard<'_, mpsc::Receiver<Waiting>>,
    ) {
        let end = Instant::now() + GATHERED_FOR;
        loop {
            self.fill(group, waiting);
            if group.len() >= FULL || line.writing.load(Ordering::Acquire) == 0 {
                return;
            }
            tokio::select! {
                // Perhaps one from before: then it is looked at once more.
                () = line.done.notified() => {}
                Some(one) = waiting.recv() => group.push(one),
                () = sleep_until(end) => return,
            }
        }
    }

    fn fill(&self, group: &mut Vec<Waiting>, waiting: &mut mpsc::Receiver<Waiting>) {
        let mut rows: usize = group.iter().map(|one| one.rows.len()).sum();
        while rows < self.group_max {
            let Ok(one) = waiting.try_recv() else { return };
            rows += one.rows.len();
            group.push(one);
        }
    }

    /// Stores a group, without those that cannot be stored, and answers everybody.
    async fn see_through(&self, group: Vec<Waiting>) {
        if let Err((group, trouble)) = self.store(group).await {
            if group.len() > 1 && trouble.is_of_operation() {
                // One of them is at fault: it alone gets the error.
                for one in group {
                    if let Err((group, trouble)) = self.store(vec![one]).await {
                        fail(group, &trouble.into());
                    }
                }
            } else {
                fail(group, &trouble.into());
            }
        }
    }

    /// Tries a group until it is stored or cannot be. Those it gives back have no answer yet.
    async fn store(&self, mut group: Vec<Waiting>) -> Result<(), (Vec<Waiting>, Trouble)> {
        let mut tried = 0;
        while !group.is_empty() {
            tried += 1;
            match self.attempt(&group).await {
                Ok(Found::Stored) => {
                    self.answer(group);
                    return Ok(());
                }
                Ok(Found::Judged(verdicts)) => group = without_judged(group, verdicts),
                Err(Failed::Commit(why)) => {
                    fail(group, &StoreError::Uncertain(why));
                    return Ok(());
                }
                Err(Failed::Before(trouble)) => {
                    let again = tried < TRIES && trouble.is_conflict() || tried == 1 && trouble.is_lost();
                    if !again {
                        return Err((group, trouble));
                    }
                    tokio::time::sleep(pause(tried)).await;
                }
            }
        }
        Ok(())
    }

    async fn attempt(&self, group: &[Waiting]) -> Result<Found, Failed> {
        let rows = group.iter().map(|one| one.rows.len()).sum();
        self.link.transaction(rows, |db| write(db, group)).await
    }

    /// Rings for what is due and tells everybody that theirs is stored.
    fn answer(&self, group: Vec<Waiting>) {
        let is_due = |one: &Waiting| one.rows.iter().any(|row| row.status == Status::Queued);
        if group.iter().any(|one| one.lease.is_none() && is_due(one)) {
            self.listener.ring();
        }
        for one in group {
            let Waiting { rows, lease, now, answer, .. } = one;
            let queued = rows.iter().filter(|row| row.status == Status::Queued);
            let claims =
                lease.map_or_else(Vec::new, |lease| queued.map(|row| row.first_claim(lease, now)).collect());
            // The caller may have given up meanwhile.
            let _ = answer.send(Ok(AcceptResult::Accepted { claims }));
        }
    }
}

/// Writes a group as if nothing stood against it, and looks in the same round trip whether something does.
async fn write(db: Session, group: &[Waiting]) -> Result<End<Found>, Trouble> {
    let columns = Columns::of(group);
    let now = group.iter().map(|one| one.now).min().unwrap_or_default();
    let revision = db.one("SELECT revision FROM installation", &[]);
    let (row, got, ()) =
        futures_util::future::try_join3(revision, keys::write(&db, group, now), columns.insert(&db)).await?;
    let revision: i64 = row.try_get(0)?;
    let has_key = |claim: &IdempotencyClaim| {
        got.contains(&(uuid_of!(claim.client_id), claim.endpoint.to_owned(), claim.key.clone()))
    };
    let lost: Vec<&IdempotencyClaim> =
        group.iter().filter_map(|one| one.idempotency.as_ref()).filter(|claim| !has_key(claim)).collect();
    let is_stale = |one: &Waiting| i64::try_from(one.revision) != Ok(revision);
    if lost.is_empty() && !group.iter().any(is_stale) {
        return Ok(End::Commit(Found::Stored));
    }
    let mut answers = keys::answers(&db, &lost, now).await?;
    let verdict = |one: &Waiting| {
        let answered = one.idempotency.as_ref().and_then(|claim| answers.remove(&keys::key_of(claim)));
        answered.or_else(|| is_stale(one).then_some(AcceptResult::StaleRevision))
    };
    Ok(End::RollBack(Found::Judged(group.iter().map(verdict).collect())))
}

/// Answers those that are judged; the rest.
fn without_judged(group: Vec<Waiting>, verdicts: Vec<Option<AcceptResult>>) -> Vec<Waiting> {
    let mut rest = Vec::with_capacity(group.len());
    for (one, verdict) in group.into_iter().zip(verdicts) {
        match verdict {
            Some(result) => {
                // The caller may have given up meanwhile.
                let _ = one.answer.send(Ok(result));
            }
            None => rest.push(one),
        }
    }
    rest
}

fn fail(group: Vec<Waiting>, error: &StoreError) {
    for one in group {
        // The caller may have given up meanwhile.
        let _ = one.answer.send(Err(error.clone()));
    }
}
