//! Waiting for a condition, with a deadline; never for time to pass.

use std::thread;
use std::time::{Duration, Instant};

/// How long a condition may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until `condition` answers something.
///
/// # Panics
/// When it did not within [`PATIENCE`]; `what` says what was waited for.
#[track_caller]
pub fn eventually<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, what, condition)
}

/// [`eventually`] with a deadline of its own.
#[track_caller]
pub fn eventually_within<T>(patience: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(began.elapsed() < patience, "not within {patience:?}: {what}");
        thread::park_timeout(PAUSE);
    }
}

/// The moment so far ahead, as RFC 3339.
#[expect(clippy::disallowed_methods, reason = "a test stands outside the program and has a clock of its own")]
pub fn soon(ahead: Duration) -> String {
    let at = jiff::Timestamp::now() + ahead;
    at.to_string()
}
