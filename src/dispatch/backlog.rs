//! What waits for a transport inside this process, in bounded memory, by priority.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// Priorities 1 to 5.
const PRIORITIES: usize = 5;
/// Every so many takings the lowest priority goes first, so that none starves.
const SHARE: u32 = 16;

/// A bounded queue that several tasks take from.
#[derive(Debug)]
pub(super) struct Backlog<T> {
    waiting: Mutex<Waiting<T>>,
    arrived: Notify,
    capacity: usize,
}

#[derive(Debug)]
struct Waiting<T> {
    by_priority: [VecDeque<T>; PRIORITIES],
    count: usize,
    takings: u32,
    closed: bool,
}

impl<T> Backlog<T> {
    pub fn new(capacity: usize) -> Self {
        let waiting = Waiting {
            by_priority: std::array::from_fn(|_| VecDeque::new()),
            count: 0,
            takings: 0,
            closed: false,
        };
        Self { waiting: Mutex::new(waiting), arrived: Notify::new(), capacity }
    }

    /// Adds `item` of `priority` (1 is the highest); gives it back when there is no room, or the backlog is closed.
    pub fn push(&self, priority: u8, item: T) -> Result<(), T> {
        let mut waiting = self.waiting();
        if waiting.closed || waiting.count >= self.capacity {
            return Err(item);
        }
        let class = usize::from(priority.saturating_sub(1)).min(PRIORITIES - 1);
        waiting.by_priority[class].push_back(item);
        waiting.count += 1;
        drop(waiting);
        self.arrived.notify_one();
        Ok(())
    }

    /// The next one; waits for it. `None`: closed. Cancel-safe.
    pub async fn next(&self) -> Option<T> {
        loop {
            // Made before looking, so that a close between the look and the wait is not missed. Whoever is busy looks
            // again before it waits, so a ring needs no passing on.
            let arrived = self.arrived.notified();
            {
                let mut waiting = self.waiting();
                if let Some(item) = waiting.take() {
                    return Some(item);
                }
                if waiting.closed {
                    return None;
                }
            }
            arrived.await;
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting().count
    }

    pub fn is_full(&self) -> bool {
        self.len() >= self.capacity
    }

    /// Takes no more; what waited comes back, and whoever waits for more is sent away.
    pub fn close(&self) -> Vec<T> {
        let mut waiting = self.waiting();
        waiting.closed = true;
        waiting.count = 0;
        let rest = waiting.by_priority.iter_mut().flat_map(|class| class.drain(..)).collect();
        drop(waiting);
        self.arrived.notify_waiters();
        rest
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting<T>> {
        // A panic elsewhere cannot leave the queues half changed.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Waiting<T> {
    fn take(&mut self) -> Option<T> {
        self.takings = self.takings.wrapping_add(1);
        let item = if self.takings.is_multiple_of(SHARE) {
            self.by_priority.iter_mut().rev().find_map(VecDeque::pop_front)
        } else {
            self.by_priority.iter_mut().find_map(VecDeque::pop_front)
        };
        self.count -= usize::from(item.is_some());
        item
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[tokio::test]
    async fn higher_priority_first_and_none_starves() {
        let backlog = Backlog::new(100);
        for number in 0..40 {
            backlog.push(1, ("high", number)).unwrap();
        }
        backlog.push(5, ("low", 0)).unwrap();
        let mut order = Vec::new();
        for _ in 0..41 {
            order.push(backlog.next().await.unwrap());
        }
        let place = order.iter().position(|(name, _)| *name == "low").unwrap();
        assert!((1..SHARE as usize).contains(&place), "{place}");
        let high: Vec<i32> = order.iter().filter(|(name, _)| *name == "high").map(|(_, n)| *n).collect();
        assert_eq!(high, (0..40).collect::<Vec<_>>(), "in order");
    }

    #[test]
    fn full_gives_back() {
        let backlog = Backlog::new(1);
        assert_eq!(backlog.push(3, 1), Ok(()));
        assert_eq!(backlog.push(1, 2), Err(2));
        assert!(backlog.is_full());
        assert_eq!(backlog.close(), [1]);
        assert_eq!(backlog.push(3, 3), Err(3), "closed");
    }

    #[tokio::test]
    async fn everyone_who_waits_is_served_or_sent_away() {
        let backlog = Arc::new(Backlog::new(100));
        let takers: Vec<_> = (0..8)
            .map(|_| {
                let backlog = Arc::clone(&backlog);
                crate::base::tasks::Tasks::new().spawn("taker", async move {
                    let mut taken = 0;
                    while backlog.next().await.is_some() {
                        taken += 1;
                    }
                    taken
                })
            })
            .collect();
        for number in 0..100 {
            while backlog.push(3, number).is_err() {
                tokio::task::yield_now().await;
            }
            if number % 7 == 0 {
                tokio::task::yield_now().await;
            }
        }
        while backlog.len() > 0 {
            tokio::task::yield_now().await;
        }
        backlog.close();
        let mut total = 0;
        for taker in takers {
            total += taker.await.unwrap();
        }
        assert_eq!(total, 100);
    }
}
