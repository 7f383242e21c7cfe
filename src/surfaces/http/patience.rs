//! How long a caller is ready to wait for an answer, as a parameter of its request says.

use std::time::Duration;

/// The longest wait: proxies on the way give up at about this time.
const LONGEST: Duration = Duration::from_secs(60);

/// Reads `5s`, `500ms`, `1m`, or a plain number of seconds. Nothing when it is none of these, or longer than a minute.
pub fn read(text: &str) -> Option<Duration> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let each_ms = match unit {
        "ms" => 1,
        "s" | "" => 1_000,
        "m" => 60_000,
        _ => return None,
    };
    let number: u64 = text[..text.len() - unit.len()].parse().ok()?;
    number.checked_mul(each_ms).map(Duration::from_millis).filter(|asked| *asked <= LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_a_duration_of_a_minute_at_most() {
        for (text, millis) in
            [("5", 5_000), ("5s", 5_000), ("500ms", 500), ("1m", 60_000), ("60s", 60_000), ("0s", 0)]
        {
            assert_eq!(read(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for bad in [
            "",
            "s",
            "soon",
            "-1s",
            "+1s",
            "1 s",
            "1.5s",
            "61s",
            "61",
            "2m",
            "1h",
            "60001ms",
            "99999999999999999999s",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
