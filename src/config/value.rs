//! How each type of value is written: `30s`, `25MB`, `60/min`, `10.0.0.0/8`. A type that can be a value says how
//! it reads and, for the message, what would have been right.

mod proofs;

pub(super) use proofs::{SendgridKey, SigningKey, TopicArn};

use super::raw::Written;
use crate::base::log::{LogFormat, LogLevel};
use crate::base::network::Network;
use posthaste_model::retry::OnUncertain;
use posthaste_model::{Address, Domain, Rate, Secret};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The longest duration that can be written: a hundred years of days.
const MAX_SECONDS: u64 = 100 * 366 * 86_400;

/// A type that a value can have.
pub(super) trait Setting: Sized {
    /// What the message says after the value: `is not a duration; write 30s, 5m or 1h`.
    const WRONG: &'static str;
    /// Whether the value may be repeated in a message.
    const SECRET: bool = false;

    /// Reads one text; `None` when it has not the right form.
    fn read_text(text: &str) -> Option<Self>;

    /// Reads what was written.
    fn read(written: &Written) -> Result<Self, String> {
        match written {
            Written::Text(text) => Self::read_text(text.trim()).ok_or_else(|| wrong::<Self>(text)),
            Written::List(_) => Err(format!("a list stands where one value belongs; it {}", Self::WRONG)),
        }
    }
}

fn wrong<T: Setting>(text: &str) -> String {
    if T::SECRET { format!("the value {}", T::WRONG) } else { format!("{text:?} {}", T::WRONG) }
}

impl Setting for String {
    const WRONG: &'static str = "is no text";
    fn read_text(text: &str) -> Option<Self> {
        let clean = !text.is_empty() && !text.chars().any(char::is_control);
        clean.then(|| text.to_owned())
    }
}

impl Setting for Secret {
    const WRONG: &'static str = "is empty";
    const SECRET: bool = true;
    fn read_text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::new(text))
    }
}

impl Setting for bool {
    const WRONG: &'static str = "is neither true nor false";
    fn read_text(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => Some(true),
            "false" | "no" | "off" | "0" => Some(false),
            _ => None,
        }
    }
}

impl Setting for u16 {
    const WRONG: &'static str = "is not a port; write a number from 1 to 65535";
    fn read_text(text: &str) -> Option<Self> {
        text.parse().ok().filter(|port| *port != 0)
    }
}

impl Setting for u32 {
    const WRONG: &'static str = "is not a number of 1 or more";
    fn read_text(text: &str) -> Option<Self> {
        text.parse().ok().filter(|number| *number != 0)
    }
}

impl Setting for usize {
    const WRONG: &'static str = <u32 as Setting>::WRONG;
    fn read_text(text: &str) -> Option<Self> {
        u32::read_text(text).and_then(|number| Self::try_from(number).ok())
    }
}

impl Setting for Duration {
    const WRONG: &'static str = "is not a duration; write 30s, 5m or 1h";
    fn read_text(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = text[..digits].parse().ok()?;
        let millis_each: u64 = match text[digits..].trim() {
            "ms" => 1,
            "s" | "sec" => 1_000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        number.checked_mul(millis_each).filter(|ms| *ms <= MAX_SECONDS * 1_000).map(Self::from_millis)
    }
}

/// A size in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) u64);

impl Setting for Bytes {
    const WRONG: &'static str = "is not a size; write 512KB, 25MB or 1GB";
    fn read_text(text: &str) -> Option<Self> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = text[..digits].parse().ok()?;
        let each: u64 = match text[digits..].trim().to_ascii_uppercase().as_str() {
            "" | "B" => 1,
            "K" | "KB" | "KIB" => 1 << 10,
            "M" | "MB" | "MIB" => 1 << 20,
            "G" | "GB" | "GIB" => 1 << 30,
            _ => return None,
        };
        number.checked_mul(each).filter(|bytes| (1..=1 << 40).contains(bytes)).map(Self)
    }
}

impl Setting for Rate {
    const WRONG: &'static str = "is not a rate; write 60/min, 100/h or 5/15min";
    fn read_text(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
}

impl Setting for SocketAddr {
    const WRONG: &'static str = "is not an address and port; write 127.0.0.1:8000, 0.0.0.0:8000 or [::]:8000";
    fn read_text(text: &str) -> Option<Self> {
        match text.rsplit_once(':') {
            Some(("localhost", port)) => Some(Self::from(([127, 0, 0, 1], port.parse().ok()?))),
            Some(("" | "*", port)) => Some(Self::from(([0, 0, 0, 0], port.parse().ok()?))),
            _ => text.parse().ok(),
        }
    }
}

impl Setting for PathBuf {
    const WRONG: &'static str = "is not a path";
    fn read_text(text: &str) -> Option<Self> {
        (!text.is_empty() && !text.contains('\0')).then(|| text.into())
    }
}

impl Setting for Network {
    const WRONG: &'static str = "is not a network; write 10.0.0.0/8, 192.0.2.7 or fd00::/8";
    fn read_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Setting for Address {
    const WRONG: &'static str = "is not an email address";
    fn read_text(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
}

impl Setting for Domain {
    const WRONG: &'static str = "is not a domain; write example.org";
    fn read_text(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
}

impl Setting for LogLevel {
    const WRONG: &'static str = "is not a log level; write error, warn, info, debug or trace, or a list such as info,posthaste::smtp=debug";
    fn read_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Setting for LogFormat {
    const WRONG: &'static str = "is not a log format; write text or json";
    fn read_text(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

impl Setting for OnUncertain {
    const WRONG: &'static str = "is unknown; write retry or hold";
    fn read_text(text: &str) -> Option<Self> {
        Self::parse(text)
    }
}

/// An `http` or `https` URL without the slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WebUrl(pub(super) String);

impl Setting for WebUrl {
    const WRONG: &'static str = "is not a URL; write https://mail.example.org";
    fn read_text(text: &str) -> Option<Self> {
        let uri: http::Uri = text.parse().ok()?;
        let web = matches!(uri.scheme_str(), Some("http" | "https"));
        (web && uri.host().is_some_and(|host| !host.is_empty()))
            .then(|| Self(text.trim_end_matches('/').to_owned()))
    }

    /// A login in a URL would stand in logs and error texts, and no call would go out with it.
    fn read(written: &Written) -> Result<Self, String> {
        match written {
            Written::Text(text) if has_user_info(text) => {
                Err("carries a user name or password; write the URL without them".to_owned())
            }
            Written::Text(text) => Self::read_text(text.trim()).ok_or_else(|| wrong::<Self>(text)),
            Written::List(_) => Err(format!("a list stands where one value belongs; it {}", Self::WRONG)),
        }
    }
}

/// Whether something stands before an `@` in a URL's authority (RFC 3986, section 3.2.1), also in one that cannot be
/// read otherwise.
fn has_user_info(url: &str) -> bool {
    let behind_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    behind_scheme.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@'))
}

/// The name of an IANA time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TimeZoneName(pub(super) String);

impl Setting for TimeZoneName {
    const WRONG: &'static str = "is not a time zone; write a name such as Asia/Jakarta or UTC";
    fn read_text(text: &str) -> Option<Self> {
        jiff::tz::TimeZone::get(text).ok().map(|_| Self(text.to_owned()))
    }
}

/// A list: written as one, or as text with commas, as variables have it.
impl<T: Setting> Setting for Vec<T> {
    const WRONG: &'static str = T::WRONG;
    const SECRET: bool = T::SECRET;

    fn read_text(text: &str) -> Option<Self> {
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(T::read_text).collect()
    }

    fn read(written: &Written) -> Result<Self, String> {
        let items: Vec<&str> = match written {
            Written::Text(text) => text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect(),
            Written::List(items) => items.iter().map(|item| item.trim()).collect(),
        };
        items.into_iter().map(|item| T::read_text(item).ok_or_else(|| wrong::<T>(item))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read<T: Setting>(text: &str) -> Option<T> {
        T::read(&Written::Text(text.into())).ok()
    }

    #[test]
    fn durations_are_read() {
        for (text, millis) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("5m", 300_000),
            ("5min", 300_000),
            ("1h", 3_600_000),
            ("30d", 2_592_000_000),
            (" 2 h ", 7_200_000),
            ("0s", 0),
        ] {
            assert_eq!(read::<Duration>(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "5", "s", "5 apples", "-5s", "1.5h", "1h30m", "99999999999999999999s", "9999999d"] {
            assert_eq!(read::<Duration>(bad), None, "{bad}");
        }
    }

    #[test]
    fn sizes_count_in_1024s() {
        for (text, bytes) in [
            ("25MB", 26_214_400),
            ("512KB", 524_288),
            ("1GB", 1 << 30),
            ("10", 10),
            ("1 kib", 1024),
            ("7b", 7),
        ] {
            assert_eq!(read::<Bytes>(text), Some(Bytes(bytes)), "{text}");
        }
        for bad in ["", "0MB", "MB", "25 apples", "-1MB", "1.5MB", "99999999999999999GB"] {
            assert_eq!(read::<Bytes>(bad), None, "{bad}");
        }
    }

    #[test]
    fn listeners_take_any_port() {
        for (text, address) in [
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("localhost:8000", "127.0.0.1:8000"),
            (":8000", "0.0.0.0:8000"),
            ("[::1]:25", "[::1]:25"),
        ] {
            assert_eq!(read::<SocketAddr>(text), address.parse().ok(), "{text}");
        }
        for bad in ["", "8000", "127.0.0.1", "127.0.0.1:99999", "mail.example.org:25", ":x"] {
            assert_eq!(read::<SocketAddr>(bad), None, "{bad}");
        }
    }

    #[test]
    fn urls_lose_their_last_slash() {
        assert_eq!(
            read::<WebUrl>("https://eu.example.org/x/"),
            Some(WebUrl("https://eu.example.org/x".into()))
        );
        for bad in ["", "example.org", "ftp://example.org", "https://", "javascript:alert(1)"] {
            assert_eq!(read::<WebUrl>(bad), None, "{bad}");
        }
        for login in
            ["https://u:hidden@e.example", "http://u@e.example/x", "https://u:hidden@:x", "u:hidden@e"]
        {
            let said = WebUrl::read(&Written::Text(login.into())).unwrap_err();
            assert!(said.starts_with("carries a user name") && !said.contains("hidden"), "{said}");
        }
        assert!(read::<WebUrl>("https://e.example/a@b?c@d").is_some(), "an @ behind the host is none");
    }

    #[test]
    fn a_list_is_written_with_commas_or_as_a_list() {
        let expected = vec![Duration::from_secs(30), Duration::from_mins(2)];
        assert_eq!(read::<Vec<Duration>>("30s, 2m,"), Some(expected.clone()));
        assert_eq!(Vec::read(&Written::List(vec!["30s".into(), "2m".into()])), Ok(expected));
        assert_eq!(
            Vec::<Duration>::read(&Written::Text("30s,soon".into())),
            Err("\"soon\" is not a duration; write 30s, 5m or 1h".into())
        );
        assert!(Duration::read(&Written::List(vec!["30s".into()])).is_err());
    }

    #[test]
    fn a_secret_is_not_repeated() {
        assert_eq!(wrong::<Secret>("hunter2"), "the value is empty");
        assert_eq!(read::<Secret>("hunter2").unwrap().expose(), "hunter2");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,30}") {
            let _ = (read::<Duration>(&text), read::<Bytes>(&text), read::<Rate>(&text), read::<SocketAddr>(&text));
            let _ = (read::<WebUrl>(&text), read::<Vec<Network>>(&text), read::<LogLevel>(&text));
            let _ = (read::<TimeZoneName>(&text), read::<Address>(&text), read::<Domain>(&text));
        }

        #[test]
        fn written_durations_read_back(millis in 0_u64..1_000_000_000_000) {
            prop_assert_eq!(read::<Duration>(&format!("{millis}ms")), Some(Duration::from_millis(millis)));
        }
    }
}
