//! The only place that reads the system's time. Rules take a `Timestamp`; whoever drives them holds a `Clock`,
//! which a test replaces by one that stands still until it is moved.

use posthaste_model::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where the present moment comes from. Cheap to clone; clones of a manual clock move together.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
    #[cfg(debug_assertions)]
    Shifted(Arc<Shift>),
}

/// How far a machine's clock is wrong, as a file says in milliseconds, that a test changes while a server runs.
#[cfg(debug_assertions)]
#[derive(Debug)]
struct Shift {
    file: std::path::PathBuf,
    seen: std::sync::Mutex<Option<(std::time::Instant, i64)>>,
}

#[cfg(debug_assertions)]
impl Shift {
    /// How long a reading of the file holds.
    const HOLDS: Duration = Duration::from_millis(20);

    fn millis(&self) -> i64 {
        let mut seen = self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((at, millis)) = *seen
            && at.elapsed() < Self::HOLDS
        {
            return millis;
        }
        // A file that is just being written is read at the next look.
        let written = std::fs::read_to_string(&self.file).ok().and_then(|text| text.trim().parse().ok());
        let millis = written.or(seen.map(|(_, millis)| millis)).unwrap_or(0);
        *seen = Some((std::time::Instant::now(), millis));
        millis
    }
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// The machine's clock, wrong by as many milliseconds as the file says at any time. A release build has none.
    #[cfg(debug_assertions)]
    pub fn shifted_by(file: std::path::PathBuf) -> Self {
        Self(Source::Shifted(Arc::new(Shift { file, seen: std::sync::Mutex::new(None) })))
    }

    /// A clock that shows `start` until it is advanced.
    pub fn manual(start: Timestamp) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.millis()))))
    }

    /// The present moment.
    pub fn now(&self) -> Timestamp {
        let machine = || i64::try_from(machine_time().as_millis()).unwrap_or(i64::MAX);
        match &self.0 {
            Source::System => Timestamp::from_millis(machine()),
            #[cfg(debug_assertions)]
            Source::Shifted(shift) => Timestamp::from_millis(machine().saturating_add(shift.millis())),
            Source::Manual(millis) => Timestamp::from_millis(millis.load(Ordering::Acquire)),
        }
    }

    /// The present moment in nanoseconds since 1970, for what other machines lay beside their own clocks.
    pub fn unix_nanos(&self) -> u64 {
        let since = match &self.0 {
            Source::System => machine_time(),
            _ => Duration::from_millis(u64::try_from(self.now().millis()).unwrap_or(0)),
        };
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Moves a manual clock forward by whole milliseconds; the machine's clock takes no orders and stays.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(millis) = &self.0 {
            millis.fetch_add(i64::try_from(by.as_millis()).unwrap_or(0), Ordering::AcqRel);
        }
    }

    /// Sets a manual clock, also backwards (a clock that jumps); the machine's clock stays.
    pub fn set(&self, now: Timestamp) {
        if let Source::Manual(millis) = &self.0 {
            millis.store(now.millis(), Ordering::Release);
        }
    }
}

/// Since 1970. A clock set before that shows 1970: every rule works with it, and none has to fear a negative age.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the system's time")]
fn machine_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told_and_clones_move_with_it() {
        let clock = Clock::manual(Timestamp::from_millis(1_000));
        let other = clock.clone();
        assert_eq!(clock.now().millis(), 1_000);
        clock.advance(Duration::from_millis(250));
        assert_eq!(other.now().millis(), 1_250);
        other.set(Timestamp::from_millis(7));
        assert_eq!(clock.now().millis(), 7);
    }

    #[test]
    fn the_system_clock_is_past_2024_and_cannot_be_moved() {
        let clock = Clock::system();
        let before = clock.now();
        clock.advance(Duration::from_secs(1_000_000));
        let after = clock.now();
        assert!(before.millis() > 1_704_067_200_000, "{before:?}");
        assert!(after.millis() - before.millis() < 500_000, "{before:?} {after:?}");
    }
}
