//! A circuit breaker per transport: when a way out is in trouble, mail waits or takes another one instead of being
//! burnt through attempts that cannot succeed. Pure: the time is an argument, on the monotonic clock.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// While a probe is out, the others ask again after this long.
const PROBE_PAUSE: Duration = Duration::from_secs(1);

/// When a circuit opens and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failures of the transport in a row that open it; an alarm opens it at once.
    pub failures: u32,
    /// How long it stays open before one attempt is let through.
    pub open_for: Duration,
}

/// The three states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Attempts go through.
    Closed,
    /// No attempt is made for this much longer.
    Open {
        /// Until the next probe.
        remaining: Duration,
    },
    /// One attempt is out to see whether the transport is back.
    HalfOpen,
}

/// Leave to attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// As always.
    Pass,
    /// As the one probe of a half-open circuit; its end must be told.
    Probe,
    /// Not now; ask again after this pause.
    Wait(Duration),
}

/// How an admitted attempt went, as far as the transport is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// The transport did its work, whatever it said about the message.
    Worked,
    /// The transport is in trouble.
    Down,
    /// Nobody but the operator can mend it.
    Alarm,
    /// It was not asked.
    Unused,
}

#[derive(Debug)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
    HalfOpen,
}

/// One transport's circuit.
#[derive(Debug)]
pub(super) struct Breaker {
    settings: BreakerSettings,
    state: Mutex<State>,
}

impl Breaker {
    pub fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: Mutex::new(State::Closed { failures: 0 }) }
    }

    /// Asks for leave to attempt.
    pub fn admit(&self, now: Instant) -> Admission {
        let mut state = self.state();
        match *state {
            State::Closed { .. } => Admission::Pass,
            State::Open { until } if now < until => Admission::Wait(until - now),
            State::Open { .. } => {
                *state = State::HalfOpen;
                Admission::Probe
            }
            State::HalfOpen => Admission::Wait(PROBE_PAUSE),
        }
    }

    /// Tells how an admitted attempt went. Answers the new phase when this changed it.
    pub fn report(&self, admission: Admission, report: Report, now: Instant) -> Option<Phase> {
        let mut state = self.state();
        let open = State::Open { until: now + self.settings.open_for };
        let opened = Some(Phase::Open { remaining: self.settings.open_for });
        match (&mut *state, admission, report) {
            (State::Closed { failures }, _, Report::Worked) => {
                *failures = 0;
                None
            }
            (State::Closed { failures }, _, Report::Down) => {
                *failures += 1;
                if *failures < self.settings.failures {
                    return None;
                }
                *state = open;
                opened
            }
            (State::Closed { .. }, _, Report::Alarm)
            | (State::HalfOpen, Admission::Probe, Report::Down | Report::Alarm) => {
                *state = open;
                opened
            }
            (State::HalfOpen, Admission::Probe, Report::Worked) => {
                *state = State::Closed { failures: 0 };
                Some(Phase::Closed)
            }
            (State::HalfOpen, Admission::Probe, Report::Unused) => {
                // The next one who asks becomes the probe.
                *state = State::Open { until: now };
                None
            }
            // Stragglers that began before the circuit opened prove nothing about a new session.
            (State::Closed { .. } | State::HalfOpen | State::Open { .. }, ..) => None,
        }
    }

    /// The state as it stands.
    pub fn phase(&self, now: Instant) -> Phase {
        match *self.state() {
            State::Closed { .. } => Phase::Closed,
            State::Open { until } => Phase::Open { remaining: until.saturating_duration_since(now) },
            State::HalfOpen => Phase::HalfOpen,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // One assignment at a time: a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: BreakerSettings = BreakerSettings { failures: 3, open_for: Duration::from_secs(30) };

    fn opened(at: Instant) -> Breaker {
        let breaker = Breaker::new(SETTINGS);
        assert!(breaker.report(Admission::Pass, Report::Alarm, at).is_some(), "an alarm opens at once");
        breaker
    }

    #[test]
    fn opens_after_failures_in_a_row_only() {
        let (breaker, now) = (Breaker::new(SETTINGS), Instant::now());
        for report in [Report::Down, Report::Down, Report::Worked, Report::Down, Report::Down] {
            assert_eq!(breaker.report(Admission::Pass, report, now), None);
        }
        assert_eq!(breaker.admit(now), Admission::Pass);
        let open = Phase::Open { remaining: SETTINGS.open_for };
        assert_eq!(breaker.report(Admission::Pass, Report::Down, now), Some(open));
        assert_eq!(breaker.admit(now + Duration::from_secs(10)), Admission::Wait(Duration::from_secs(20)));
    }

    #[test]
    fn one_probe_decides() {
        let now = Instant::now();
        let later = now + SETTINGS.open_for;
        let breaker = opened(now);
        assert_eq!(breaker.admit(later), Admission::Probe);
        assert_eq!(breaker.phase(later), Phase::HalfOpen);
        assert_eq!(breaker.admit(later), Admission::Wait(PROBE_PAUSE), "one only");
        assert!(matches!(breaker.report(Admission::Probe, Report::Down, later), Some(Phase::Open { .. })));
        let later = later + SETTINGS.open_for;
        assert_eq!(breaker.admit(later), Admission::Probe);
        assert_eq!(breaker.report(Admission::Probe, Report::Worked, later), Some(Phase::Closed));
        assert_eq!(breaker.admit(later), Admission::Pass);
    }

    #[test]
    fn an_unused_probe_is_passed_on() {
        let now = Instant::now();
        let later = now + SETTINGS.open_for;
        let breaker = opened(now);
        assert_eq!(breaker.admit(later), Admission::Probe);
        breaker.report(Admission::Probe, Report::Unused, later);
        assert_eq!(breaker.admit(later), Admission::Probe);
    }

    #[test]
    fn stragglers_neither_close_nor_prolong() {
        let now = Instant::now();
        let breaker = opened(now);
        for report in [Report::Worked, Report::Down, Report::Alarm] {
            assert_eq!(breaker.report(Admission::Pass, report, now + Duration::from_secs(9)), None);
        }
        assert_eq!(breaker.phase(now), Phase::Open { remaining: SETTINGS.open_for });
        assert_eq!(breaker.admit(now + SETTINGS.open_for), Admission::Probe);
        assert_eq!(breaker.report(Admission::Pass, Report::Worked, now), None, "the probe alone decides");
    }
}
