//! Instants as the store keeps them: whole milliseconds since 1970, UTC.

use std::fmt;

/// An instant: milliseconds since 1970-01-01T00:00:00Z, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// Text that is no RFC 3339 timestamp or date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is not an RFC 3339 timestamp such as 2026-12-01T08:00:00Z")]
pub struct TimestampError;

impl Timestamp {
    /// The instant `millis` milliseconds after 1970, UTC.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970, UTC.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, UTC, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The instant `duration` later; stops at the end of time instead of wrapping.
    pub fn plus(self, duration: std::time::Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// The instant `duration` earlier.
    pub fn minus(self, duration: std::time::Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> std::time::Duration {
        std::time::Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads an RFC 3339 timestamp with an offset (`2026-12-01T08:00:00Z`, `...+07:00`).
    pub fn parse(text: &str) -> Result<Self, TimestampError> {
        // jiff takes more than RFC 3339 does (a bracketed zone, a missing offset colon); the shape is checked first.
        let bytes = text.as_bytes();
        if !(20..=40).contains(&bytes.len()) || !text.is_ascii() || !matches!(bytes[10], b'T' | b't' | b' ') {
            return Err(TimestampError);
        }
        if bytes.contains(&b'[') {
            return Err(TimestampError);
        }
        text.parse::<jiff::Timestamp>().map(|t| Self(t.as_millisecond())).map_err(|_| TimestampError)
    }

    /// Reads a plain date (`2026-12-01`) as its first instant, UTC.
    pub fn parse_date(text: &str) -> Result<Self, TimestampError> {
        if text.len() != 10 {
            return Err(TimestampError);
        }
        let date: jiff::civil::Date = text.parse().map_err(|_| TimestampError)?;
        let zoned = date.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| TimestampError)?;
        Ok(Self(zoned.timestamp().as_millisecond()))
    }

    /// The UTC calendar fields: year, month, day, hour, minute, second, millisecond.
    pub fn civil(self) -> (i64, u8, u8, u8, u8, u8, u16) {
        // Days to civil date: the well-known algorithm over 400-year eras, exact for all i64 days we can hold.
        let days = self.0.div_euclid(86_400_000);
        let ms = self.0.rem_euclid(86_400_000);
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = (doy - (153 * mp + 2) / 5 + 1) as u8;
        let month = if mp < 10 { mp + 3 } else { mp - 9 } as u8;
        let year = yoe + era * 400 + i64::from(month <= 2);
        let seconds = ms / 1000;
        (
            year,
            month,
            day,
            (seconds / 3600) as u8,
            (seconds / 60 % 60) as u8,
            (seconds % 60) as u8,
            (ms % 1000) as u16,
        )
    }

    /// The date as `2026-12-01`, UTC.
    pub fn date(self) -> String {
        let (y, m, d, ..) = self.civil();
        format!("{y:04}-{m:02}-{d:02}")
    }
}

/// RFC 3339 with milliseconds: `2026-11-20T11:38:02.123Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (y, mo, d, h, mi, s, ms) = self.civil();
        write!(f, "{y:04}-{mo:02}-{d:02}T{h:02}:{mi:02}:{s:02}.{ms:03}Z")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shows_rfc_3339_in_utc() {
        assert_eq!(Timestamp::from_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::from_millis(951_782_400_123).to_string(), "2000-02-29T00:00:00.123Z");
        assert_eq!(Timestamp::from_millis(-1).to_string(), "1969-12-31T23:59:59.999Z");
        assert_eq!(Timestamp::from_millis(2_147_483_648_000).date(), "2038-01-19");
    }

    #[test]
    fn reads_offsets_and_refuses_the_rest() {
        assert_eq!(
            Timestamp::parse("2026-12-01T08:00:00+07:00"),
            Ok(Timestamp::from_millis(1_796_086_800_000))
        );
        for bad in [
            "",
            "tomorrow",
            "2026-12-01",
            "2026-12-01T08:00:00",
            "2026-13-01T08:00:00Z",
            "1e400",
            "2026-12-01T08:00:00Z[UTC]",
            "2026-12-01T08:00:00+07:00[Asia/Jakarta]",
        ] {
            assert_eq!(Timestamp::parse(bad), Err(TimestampError), "{bad}");
        }
        assert_eq!(Timestamp::parse_date("2026-02-30"), Err(TimestampError));
        assert_eq!(Timestamp::parse_date("1970-01-02"), Ok(Timestamp::from_millis(86_400_000)));
    }

    proptest! {
        #[test]
        fn text_reads_back(ms in -30_000_000_000_000_i64..200_000_000_000_000) {
            let t = Timestamp::from_millis(ms);
            prop_assert_eq!(Timestamp::parse(&t.to_string()), Ok(t));
        }
    }
}
