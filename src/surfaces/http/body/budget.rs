//! One budget for the memory of all request bodies (`limits.memory_for_bodies`), held as long as a request is
//! processed.
//!
//! Small bodies have a share of their own, so that mail of ordinary size is accepted while large uploads queue. A
//! large body is charged as its bytes arrive, and for the copies made while it is processed once it is complete.
//! Bodies that grow side by side could all end up waiting for each other; therefore one of them at a time, the
//! *finisher*, may use a reserve that is enough for any body, and so somebody always gets to the end.

use prometheus_client::metrics::gauge::Gauge;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bodies up to this size are small.
pub const SMALL_BYTES: usize = 64 * 1024;
/// A processed body takes this many times its size: itself, its base64 texts, and what they decode to.
pub const PROCESSING_FACTOR: usize = 3;
/// The part of the budget that is kept for small bodies.
const SMALL_SHARE: usize = 8;

/// The budget of one server. Clones share it.
#[derive(Clone, Debug)]
pub struct BodyBudget(Arc<Pools>);

#[derive(Debug)]
struct Pools {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
    finisher: Arc<Semaphore>,
    gauge: Gauge,
}

/// The budget stayed full for as long as a body may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl BodyBudget {
    /// A budget of `total_bytes` for bodies of at most `body_limit` bytes; `gauge` shows the bytes charged.
    pub fn new(total_bytes: usize, body_limit: usize, gauge: Gauge) -> Self {
        let small = (total_bytes / SMALL_SHARE).max(SMALL_BYTES);
        let reserve = (body_limit.saturating_mul(PROCESSING_FACTOR)).min(total_bytes / 2);
        let large = total_bytes.saturating_sub(small + reserve);
        let pool = |bytes: usize| Arc::new(Semaphore::new(kilobytes(bytes).min(u32::MAX >> 4) as usize));
        let (small, large) = (pool(small), pool(large));
        Self(Arc::new(Pools { small, large, finisher: Arc::new(Semaphore::new(1)), gauge }))
    }

    /// Holds nothing yet.
    pub fn hold(&self) -> BodyHold {
        BodyHold { pools: self.0.clone(), small: None, large: None, finisher: None, charged: 0 }
    }
}

/// A part of the budget; given back when dropped.
#[derive(Debug)]
pub struct BodyHold {
    pools: Arc<Pools>,
    small: Option<OwnedSemaphorePermit>,
    large: Option<OwnedSemaphorePermit>,
    finisher: Option<OwnedSemaphorePermit>,
    charged: i64,
}

impl BodyHold {
    /// Holds `bytes` in all, waiting at most `wait` for room.
    pub async fn grow_to(&mut self, bytes: usize, wait: Duration) -> Result<(), Full> {
        if self.finisher.is_none() {
            if bytes <= SMALL_BYTES && self.large.is_none() {
                self.grow_small(kilobytes(bytes), wait).await?;
            } else {
                self.grow_large(kilobytes(bytes), wait).await?;
            }
        }
        let charged = bytes as i64;
        self.pools.gauge.inc_by(charged - self.charged);
        self.charged = charged;
        Ok(())
    }

    async fn grow_small(&mut self, wanted: u32, wait: Duration) -> Result<(), Full> {
        let more = wanted.saturating_sub(held(self.small.as_ref()));
        if more == 0 {
            return Ok(());
        }
        let permit = match self.pools.small.clone().try_acquire_many_owned(more) {
            Ok(permit) => permit,
            Err(_) => tokio::time::timeout(wait, self.pools.small.clone().acquire_many_owned(more))
                .await
                .map_err(|_| Full)?
                .map_err(|_| Full)?,
        };
        add(&mut self.small, permit);
        Ok(())
    }

    async fn grow_large(&mut self, wanted: u32, wait: Duration) -> Result<(), Full> {
        let more = wanted.saturating_sub(held(self.large.as_ref()));
        if more == 0 {
            return Ok(());
        }
        if let Ok(permit) = self.pools.large.clone().try_acquire_many_owned(more) {
            add(&mut self.large, permit);
        } else {
            let (large, finisher) = (self.pools.large.clone(), self.pools.finisher.clone());
            tokio::select! {
                biased;
                Ok(permit) = large.acquire_many_owned(more) => add(&mut self.large, permit),
                Ok(permit) = finisher.acquire_owned() => {
                    self.finisher = Some(permit);
                    // The reserve is enough for a whole body: what was held goes to those who wait.
                    self.large = None;
                }
                () = tokio::time::sleep(wait) => return Err(Full),
            }
        }
        self.small = None;
        Ok(())
    }
}

impl Drop for BodyHold {
    fn drop(&mut self) {
        self.pools.gauge.dec_by(self.charged);
    }
}

fn kilobytes(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}

fn held(permit: Option<&OwnedSemaphorePermit>) -> u32 {
    permit.map_or(0, |permit| permit.num_permits() as u32)
}

fn add(held: &mut Option<OwnedSemaphorePermit>, more: OwnedSemaphorePermit) {
    match held {
        Some(held) => held.merge(more),
        None => *held = Some(more),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: usize = 1024 * 1024;
    const NO_WAIT: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn large_bodies_never_keep_small_ones_waiting() {
        let gauge = Gauge::default();
        let budget = BodyBudget::new(16 * MB, 2 * MB, gauge.clone());
        let mut holds = Vec::new();
        for _ in 0..20 {
            let mut hold = budget.hold();
            if hold.grow_to(2 * MB, NO_WAIT).await.is_ok() {
                holds.push(hold);
            }
        }
        // 16 - 2 (small) - 6 (reserve) = 8 MB for four, and the finisher.
        assert_eq!(holds.len(), 5);
        assert_eq!(gauge.get(), 10 * MB as i64);
        let mut small = budget.hold();
        assert_eq!(small.grow_to(2_000, NO_WAIT).await, Ok(()));
        drop((holds, small));
        assert_eq!(gauge.get(), 0);
        assert_eq!(budget.hold().grow_to(6 * MB, NO_WAIT).await, Ok(()));
    }

    #[tokio::test]
    async fn bodies_that_grow_side_by_side_all_get_to_the_end() {
        let budget = BodyBudget::new(8 * MB, 2 * MB, Gauge::default());
        let grow = |budget: BodyBudget| async move {
            let mut hold = budget.hold();
            for step in 1..=32 {
                hold.grow_to(step * 64 * 1024, Duration::from_secs(60)).await?;
                tokio::task::yield_now().await;
            }
            hold.grow_to(PROCESSING_FACTOR * 2 * MB, Duration::from_secs(60)).await
        };
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..50 {
            all.spawn(grow(budget.clone()));
        }
        while let Some(done) = all.join_next().await {
            assert_eq!(done.unwrap(), Ok(()));
        }
    }

    #[tokio::test]
    async fn a_hold_moves_from_small_to_large() {
        let budget = BodyBudget::new(8 * MB, MB, Gauge::default());
        let free = budget.0.small.available_permits();
        let mut hold = budget.hold();
        hold.grow_to(10_000, NO_WAIT).await.unwrap();
        assert_eq!(budget.0.small.available_permits(), free - 10);
        hold.grow_to(100_000, NO_WAIT).await.unwrap();
        assert_eq!(budget.0.small.available_permits(), free);
    }
}
