//! Pauses that providers asked for. While one lasts, nothing further is offered: mail waits and burns no attempts.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Accounts or mailboxes remembered at once; past it those that are over are forgotten.
const KEPT_MAX: usize = 1024;

/// Until when each account or mailbox is left alone.
#[derive(Debug, Default)]
pub(super) struct Pauses(Mutex<HashMap<String, Instant>>);

impl Pauses {
    /// How long `key` is still to be left alone.
    pub fn left(&self, key: &str, now: Instant) -> Option<Duration> {
        let pauses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pauses.get(key).map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// Leaves `key` alone until then; a later end that stands already stays.
    pub fn begin(&self, key: &str, until: Instant) {
        let mut pauses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pauses.len() >= KEPT_MAX {
            let now = Instant::now();
            pauses.retain(|_, end| *end > now);
        }
        let end = pauses.entry(key.to_owned()).or_insert(until);
        *end = (*end).max(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_holds_for_its_key_and_its_time() {
        let (pauses, now) = (Pauses::default(), Instant::now());
        pauses.begin("ann", now + Duration::from_secs(5));
        pauses.begin("ann", now + Duration::from_secs(2));
        assert_eq!(pauses.left("ann", now), Some(Duration::from_secs(5)));
        assert_eq!(pauses.left("bob", now), None);
        assert_eq!(pauses.left("ann", now + Duration::from_secs(5)), None);
    }
}
