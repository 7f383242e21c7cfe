//! Whether content comes fast enough: a peer that sends an octet every ten seconds would hold its memory and its
//! connection for days. Only the time spent waiting for the peer counts.

use std::time::Duration;

/// The time account of one message's content: waiting spends, octets earn, and no more than the patience is saved.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    patience: Duration,
    min_rate: u64,
    left: Duration,
}

impl Pace {
    /// An account that begins full; `min_rate` octets earn a second.
    pub(super) fn new(patience: Duration, min_rate: u32) -> Self {
        Self { patience, min_rate: u64::from(min_rate.max(1)), left: patience }
    }

    /// How long the peer may be waited for now.
    pub(super) fn left(&self) -> Duration {
        self.left
    }

    /// The peer was waited for, and sent so much.
    pub(super) fn note(&mut self, waited: Duration, received: usize) {
        let earned = Duration::from_micros((received as u64).saturating_mul(1_000_000) / self.min_rate);
        self.left = self.left.saturating_sub(waited).saturating_add(earned).min(self.patience);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn octets_that_drip_use_the_time_up() {
        let mut pace = Pace::new(20 * SECOND, 1000);
        pace.note(10 * SECOND, 1);
        assert_eq!(pace.left(), Duration::from_millis(10_001));
        pace.note(10 * SECOND, 1);
        assert_eq!(pace.left(), Duration::from_millis(2));
    }

    #[test]
    fn a_decent_rate_goes_on_for_ever_but_saves_nothing_up() {
        let mut pace = Pace::new(20 * SECOND, 1000);
        for _ in 0..10_000 {
            pace.note(SECOND, 1500);
        }
        assert_eq!(pace.left(), 20 * SECOND);
        pace.note(20 * SECOND, 0);
        assert_eq!(pace.left(), Duration::ZERO);
    }
}
