//! Days as people of a time zone count them.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use posthaste_model::Timestamp;

/// The days of a time zone.
#[derive(Clone, Debug)]
pub struct Days(TimeZone);

impl Days {
    /// The days of the zone of this name (IANA); those of UTC when there is none of it.
    pub fn of(zone: &str) -> Self {
        Self(TimeZone::get(zone).unwrap_or(TimeZone::UTC))
    }

    /// The zone's name.
    pub fn zone(&self) -> String {
        self.0.iana_name().unwrap_or("UTC").to_owned()
    }

    /// The day of an instant, `2026-12-01`.
    pub fn day(&self, at: Timestamp) -> String {
        self.date(at).to_string()
    }

    /// The day and the time of an instant, `2026-12-01 08:30`.
    pub fn moment(&self, at: Timestamp) -> String {
        let zoned = stamp(at).to_zoned(self.0.clone());
        zoned.strftime("%Y-%m-%d %H:%M").to_string()
    }

    /// The days up to and including that of `at`, oldest first.
    pub fn last(&self, count: usize, at: Timestamp) -> Vec<String> {
        let today = self.date(at);
        let days = (0..count).rev().filter_map(|back| {
            let back = jiff::Span::new().try_days(i64::try_from(back).ok()?).ok()?;
            today.checked_sub(back).ok()
        });
        days.map(|date| date.to_string()).collect()
    }

    /// When a day begins; `None`: there is no such day.
    pub fn begin(&self, day: &str) -> Option<Timestamp> {
        Some(self.start_of(date_of(day)?))
    }

    /// When a day is over; `None`: there is no such day.
    pub fn end(&self, day: &str) -> Option<Timestamp> {
        Some(date_of(day)?.tomorrow().map_or_else(|_| end_of_time(), |next| self.start_of(next)))
    }

    fn start_of(&self, date: Date) -> Timestamp {
        let zoned = date.to_zoned(self.0.clone());
        zoned.map_or_else(|_| end_of_time(), |zoned| millis_of(zoned.timestamp()))
    }

    fn date(&self, at: Timestamp) -> Date {
        stamp(at).to_zoned(self.0.clone()).date()
    }
}

/// Days that begin behind the last instant of the calendar, 9999-12-30T22:00Z, begin with it: who asks for mail up to
/// 9999-12-31 asks for all.
fn end_of_time() -> Timestamp {
    millis_of(jiff::Timestamp::MAX)
}

fn millis_of(at: jiff::Timestamp) -> Timestamp {
    Timestamp::from_millis(at.as_millisecond())
}

fn stamp(at: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(at.millis()).unwrap_or_default()
}

/// `2026-12-01` and nothing else that stands for a day.
fn date_of(day: &str) -> Option<Date> {
    let bytes = day.as_bytes();
    let is_plain = bytes.len() == 10
        && bytes
            .iter()
            .enumerate()
            .all(|(n, byte)| if n == 4 || n == 7 { *byte == b'-' } else { byte.is_ascii_digit() });
    is_plain.then(|| day.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_zone() {
        let days = Days::of("Asia/Jakarta");
        let at = Timestamp::parse("2026-01-31T18:30:00Z").unwrap();
        assert_eq!(days.day(at), "2026-02-01");
        assert_eq!(days.moment(at), "2026-02-01 01:30");
        assert_eq!(days.begin("2026-02-01").unwrap().to_string(), "2026-01-31T17:00:00.000Z");
        assert_eq!(days.end("2026-02-01").unwrap().to_string(), "2026-02-01T17:00:00.000Z");
        assert_eq!(days.last(2, at), ["2026-01-31", "2026-02-01"]);
        assert_eq!(Days::of("Moon/Tycho").day(at), "2026-01-31");
    }

    #[test]
    fn the_last_days_of_the_calendar_are_days() {
        for zone in ["UTC", "Asia/Jakarta", "America/Los_Angeles"] {
            let days = Days::of(zone);
            let (begin, end) = (days.begin("9999-12-31").unwrap(), days.end("9999-12-31").unwrap());
            assert!(days.end("2026-12-31").unwrap() < begin && begin <= end, "{zone}");
            assert!(days.begin("0001-01-01").is_some() && days.end("9999-12-30").is_some(), "{zone}");
        }
    }

    #[test]
    fn what_is_no_day_is_none() {
        for bad in [
            "",
            "2026-2-1",
            "2026-02-30",
            "2026-13-01",
            "20260201",
            "2026-02-01T00:00",
            "+2026-02-1",
            "tomorrow",
        ] {
            assert_eq!(Days::of("UTC").begin(bad), None, "{bad}");
        }
    }
}
