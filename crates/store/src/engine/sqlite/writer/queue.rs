//! What waits for the writer: a bounded queue with a bell.

use crate::StoreError;
use crate::engine::sqlite::trouble::Trouble;
use crate::engine::sqlite::tx::Tx;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// An operation that waits, whatever its answer is.
pub(super) trait Waiting: Send {
    /// Rows it writes, for the size of the group.
    fn rows(&self) -> usize;
    /// Whether it needs a transaction of its own.
    fn is_alone(&self) -> bool;
    /// Does it; keeps the answer for later.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Trouble>;
    /// Replaces the answer by an error.
    fn fail(&mut self, error: StoreError);
    /// Tells the caller.
    fn answer(self: Box<Self>);
}

/// An operation with its caller.
pub(super) struct Op<T, F> {
    rows: usize,
    alone: bool,
    work: F,
    outcome: Result<T, StoreError>,
    caller: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Op<T, F> {
    pub(super) fn new(
        rows: usize,
        alone: bool,
        work: F,
        caller: oneshot::Sender<Result<T, StoreError>>,
    ) -> Self {
        Self { rows, alone, work, outcome: Err(StoreError::Closed), caller }
    }
}

impl<T, F> Waiting for Op<T, F>
where
    T: Send,
    F: FnMut(&mut Tx<'_>) -> Result<T, Trouble> + Send,
{
    fn rows(&self) -> usize {
        self.rows
    }

    fn is_alone(&self) -> bool {
        self.alone
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Trouble> {
        self.outcome = Ok((self.work)(tx)?);
        Ok(())
    }

    fn fail(&mut self, error: StoreError) {
        self.outcome = Err(error);
    }

    fn answer(self: Box<Self>) {
        // The caller may have gone away; what was done stays done.
        let _ = self.caller.send(self.outcome);
    }
}

/// What is worth waiting for once there is something to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gather {
    /// Operations that make a commit worth its sync.
    pub wanted: usize,
    /// How long to wait for them.
    pub moment: Duration,
}

/// What the writer got from the queue.
pub(super) enum Taken {
    /// Work for one transaction, at least one.
    Ops(Vec<Box<dyn Waiting>>),
    /// Nothing in the given time.
    Nothing,
    /// The queue is closed and empty.
    Closed,
}

#[derive(Default)]
struct Line {
    ops: VecDeque<Box<dyn Waiting>>,
    is_closed: bool,
    /// The writer sleeps until so many operations wait: only then is ringing worth a system call. 0: it is awake.
    sleeps_until: usize,
}

/// The queue.
pub(super) struct Queue {
    line: Mutex<Line>,
    bell: Condvar,
    capacity: usize,
}

impl Queue {
    /// A queue that refuses further operations while `capacity` wait.
    pub(super) fn new(capacity: usize) -> Self {
        Self { line: Mutex::new(Line::default()), bell: Condvar::new(), capacity: capacity.max(1) }
    }

    /// Adds an operation.
    pub(super) fn push(&self, op: Box<dyn Waiting>) -> Result<(), StoreError> {
        let mut line = self.line();
        if line.is_closed {
            return Err(StoreError::Closed);
        }
        if line.ops.len() >= self.capacity {
            return Err(StoreError::Busy);
        }
        line.ops.push_back(op);
        let rings = line.sleeps_until > 0 && line.ops.len() >= line.sleeps_until;
        if rings {
            line.sleeps_until = 0;
        }
        drop(line);
        if rings {
            self.bell.notify_one();
        }
        Ok(())
    }

    /// Takes what fits into one transaction of `rows`; waits for it, at most for `patience`. Once something is there,
    /// `gather` says how many operations are worth another moment's wait.
    pub(super) fn take(&self, rows: usize, patience: Option<Duration>, gather: Gather) -> Taken {
        let mut line = self.line();
        while line.ops.is_empty() {
            if line.is_closed {
                return Taken::Closed;
            }
            line.sleeps_until = 1;
            line = match patience {
                None => self.bell.wait(line).unwrap_or_else(PoisonError::into_inner),
                Some(time) => {
                    let waited = self.bell.wait_timeout(line, time).unwrap_or_else(PoisonError::into_inner);
                    if waited.1.timed_out() && waited.0.ops.is_empty() && !waited.0.is_closed {
                        return Taken::Nothing;
                    }
                    waited.0
                }
            };
        }
        if line.ops.len() < gather.wanted && !line.is_closed {
            line.sleeps_until = gather.wanted;
            let waited = self.bell.wait_timeout(line, gather.moment).unwrap_or_else(PoisonError::into_inner);
            line = waited.0;
        }
        line.sleeps_until = 0;
        Taken::Ops(group(&mut line.ops, rows))
    }

    /// How many operations wait.
    pub(super) fn waiting(&self) -> usize {
        self.line().ops.len()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        let line = self.line();
        line.ops.is_empty() && !line.is_closed
    }

    /// Refuses further operations.
    pub(super) fn close(&self) {
        self.line().is_closed = true;
        self.bell.notify_all();
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Nothing that holds this lock can leave a half-made change behind.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn group(ops: &mut VecDeque<Box<dyn Waiting>>, rows: usize) -> Vec<Box<dyn Waiting>> {
    let mut taken = 0;
    let mut count = 0;
    for op in ops.iter() {
        if count > 0 && (op.is_alone() || taken + op.rows() > rows) {
            break;
        }
        taken += op.rows();
        count += 1;
        if op.is_alone() {
            break;
        }
    }
    ops.drain(..count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(rows: usize, alone: bool) -> Box<dyn Waiting> {
        Box::new(Op::new(rows, alone, |_: &mut Tx<'_>| Ok(()), oneshot::channel().0))
    }

    const ANY: Gather = Gather { wanted: 1, moment: Duration::ZERO };

    fn sizes(queue: &Queue, rows: usize) -> Vec<usize> {
        std::iter::from_fn(|| match queue.take(rows, Some(Duration::ZERO), ANY) {
            Taken::Ops(ops) => Some(ops.len()),
            Taken::Nothing | Taken::Closed => None,
        })
        .collect()
    }

    #[test]
    fn groups_by_rows_and_keeps_the_lonely_apart() {
        let queue = Queue::new(100);
        for (rows, alone) in [(4, false), (4, false), (4, false), (1, true), (1, false), (99, false)] {
            queue.push(op(rows, alone)).unwrap();
        }
        assert_eq!(sizes(&queue, 8), [2, 1, 1, 1, 1]);
    }

    #[test]
    fn refuses_when_full_and_after_closing_but_gives_what_it_holds() {
        let queue = Queue::new(1);
        queue.push(op(1, false)).unwrap();
        assert_eq!(queue.push(op(1, false)), Err(StoreError::Busy));
        queue.close();
        assert_eq!(queue.push(op(1, false)), Err(StoreError::Closed));
        assert!(matches!(queue.take(8, None, ANY), Taken::Ops(ops) if ops.len() == 1));
        assert!(matches!(queue.take(8, None, ANY), Taken::Closed));
    }
    #[test]
    fn waits_for_company_and_no_longer_than_a_moment() {
        let queue = std::sync::Arc::new(Queue::new(100));
        queue.push(op(1, false)).unwrap();
        let alone = Gather { wanted: 2, moment: Duration::from_millis(1) };
        assert!(matches!(queue.take(8, None, alone), Taken::Ops(ops) if ops.len() == 1), "nobody came");
        queue.push(op(1, false)).unwrap();
        let other = std::sync::Arc::clone(&queue);
        let taker = std::thread::spawn(move || {
            let long = Gather { wanted: 3, moment: Duration::from_secs(60) };
            match other.take(8, None, long) {
                Taken::Ops(ops) => ops.len(),
                Taken::Nothing | Taken::Closed => 0,
            }
        });
        queue.push(op(1, false)).unwrap();
        queue.push(op(1, false)).unwrap();
        assert_eq!(taker.join().unwrap(), 3);
    }

    #[test]
    fn closing_ends_the_wait_for_company() {
        let queue = std::sync::Arc::new(Queue::new(100));
        queue.push(op(1, false)).unwrap();
        let other = std::sync::Arc::clone(&queue);
        let taker = std::thread::spawn(move || {
            other.take(8, None, Gather { wanted: 3, moment: Duration::from_secs(3600) })
        });
        queue.close();
        assert!(matches!(taker.join().unwrap(), Taken::Ops(ops) if ops.len() == 1));
    }
}
