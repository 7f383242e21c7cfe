//! Leases and signs of life are kept by the wall clock, which people and daemons set. By a clock that was put forward
//! every lease looks run out at once; so whoever notices first renews its own and leaves the others time to do so too.

use posthaste_model::Timestamp;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A wall clock that runs apart from the monotonic one by more than this between two looks was set.
const JUMP: Duration = Duration::from_secs(2);

/// Notices that the wall clock was set.
#[derive(Debug)]
pub(super) struct WallWatch(Mutex<Seen>);

#[derive(Debug)]
struct Seen {
    wall: Timestamp,
    steady: Instant,
    pause_until: Instant,
}

/// What a look at the clock says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// As expected.
    Steady,
    /// It was set since the last look.
    Set,
    /// It was set not long ago: no lease may be judged by it for this much longer.
    Unsettled(Duration),
}

impl WallWatch {
    pub fn new(wall: Timestamp, steady: Instant) -> Self {
        Self(Mutex::new(Seen { wall, steady, pause_until: steady }))
    }

    /// Compares the clocks. After they ran apart, `pause` is left for every worker to renew its leases.
    pub fn look(&self, wall: Timestamp, steady: Instant, pause: Duration) -> Look {
        // Three plain values: good whoever panicked.
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let expected = seen.wall.plus(steady.saturating_duration_since(seen.steady));
        seen.wall = wall;
        seen.steady = steady;
        if wall.since(expected).max(expected.since(wall)) > JUMP {
            seen.pause_until = steady + pause;
            return Look::Set;
        }
        let left = seen.pause_until.saturating_duration_since(steady);
        if left.is_zero() { Look::Steady } else { Look::Unsettled(left) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_clock_is_noticed_once_and_a_slow_one_is_not() {
        let (wall, steady) = (Timestamp::from_millis(1_000_000_000), Instant::now());
        let watch = WallWatch::new(wall, steady);
        let second = Duration::from_secs(1);
        let pause = 3 * second;
        assert_eq!(watch.look(wall.plus(6 * second), steady + 5 * second, pause), Look::Steady);
        let hour = wall.plus(3600 * second);
        assert_eq!(watch.look(hour, steady + 10 * second, pause), Look::Set);
        let later = watch.look(hour.plus(second), steady + 11 * second, pause);
        assert_eq!(later, Look::Unsettled(2 * second));
        assert_eq!(watch.look(hour.plus(5 * second), steady + 15 * second, pause), Look::Steady);
        assert_eq!(watch.look(wall, steady + 20 * second, pause), Look::Set, "backwards");
    }
}
