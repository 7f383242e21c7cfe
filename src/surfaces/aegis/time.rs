//! Times as Aegis writes them: `2024-08-02T19:30:00+00:00`, and spans as `2d 14h 23m`.

use posthaste_model::Timestamp;
use std::time::Duration;

/// An instant, in whole seconds of UTC.
pub(super) fn instant(at: Timestamp) -> String {
    let (year, month, day, hour, minute, second, _) = at.civil();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}+00:00")
}

/// How long something lasts, in whole minutes.
pub(super) fn span(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    format!("{days}d {hours}h {minutes}m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_documented() {
        let at = Timestamp::parse("2024-08-02T19:30:00.999Z").unwrap();
        assert_eq!(instant(at), "2024-08-02T19:30:00+00:00");
        let minutes = |minutes: u64| span(Duration::from_secs(minutes * 60));
        assert_eq!(minutes((2 * 24 + 14) * 60 + 23), "2d 14h 23m");
        assert_eq!((minutes(61), minutes(0)), ("0d 1h 1m".to_owned(), "0d 0h 0m".to_owned()));
        assert_eq!(minutes(24 * 60), "1d 0h 0m");
    }
}
