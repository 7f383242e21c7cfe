//! Rates such as `60/min`, `100/h`, `5/15min`, `10/s`.

use std::fmt;
use std::time::Duration;

/// At most `count` in any `window`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In which time.
    pub window: Duration,
}

/// Text that is no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a rate; write 60/min, 100/h, 10/s or 5/15min")]
pub struct RateError;

impl Rate {
    /// `count` in `seconds`.
    pub const fn per_seconds(count: u32, seconds: u64) -> Self {
        Self { count, window: Duration::from_secs(seconds) }
    }

    /// Reads `COUNT/[N]UNIT` with the units s, sec, m, min, h, hour, d, day.
    pub fn parse(text: &str) -> Result<Self, RateError> {
        let (count, window) = text.trim().split_once('/').ok_or(RateError)?;
        let count: u32 = count.trim().parse().map_err(|_| RateError)?;
        let window = window.trim();
        let digits = window.bytes().take_while(u8::is_ascii_digit).count();
        let times: u64 = if digits == 0 { 1 } else { window[..digits].parse().map_err(|_| RateError)? };
        let unit = match &window[digits..] {
            "s" | "sec" | "second" => 1,
            "m" | "min" | "minute" => 60,
            "h" | "hour" => 3600,
            "d" | "day" => 86_400,
            _ => return Err(RateError),
        };
        let seconds = times.checked_mul(unit).filter(|s| (1..=31 * 86_400).contains(s)).ok_or(RateError)?;
        if count == 0 {
            return Err(RateError);
        }
        Ok(Self::per_seconds(count, seconds))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.window.as_secs();
        let (times, unit) = match seconds {
            s if s % 86_400 == 0 => (s / 86_400, "d"),
            s if s % 3600 == 0 => (s / 3600, "h"),
            s if s % 60 == 0 => (s / 60, "min"),
            s => (s, "s"),
        };
        if times == 1 {
            write!(f, "{}/{unit}", self.count)
        } else {
            write!(f, "{}/{times}{unit}", self.count)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_shows() {
        for (text, count, seconds) in [
            ("60/min", 60, 60),
            ("100/h", 100, 3600),
            ("5/15min", 5, 900),
            ("10/s", 10, 1),
            ("7/2d", 7, 172_800),
        ] {
            let rate = Rate::parse(text);
            assert_eq!(rate, Ok(Rate::per_seconds(count, seconds)), "{text}");
            assert_eq!(rate.map(|r| r.to_string()).as_deref(), Ok(text));
        }
        for bad in ["", "60", "0/min", "-1/min", "60/fortnight", "60/0s", "60/99999999999999999999s", "x/min"]
        {
            assert_eq!(Rate::parse(bad), Err(RateError), "{bad}");
        }
    }
}
