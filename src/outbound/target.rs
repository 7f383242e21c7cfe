//! Where a call goes: a URL that was judged as far as its text tells.

use super::Reach;
use std::fmt;
use std::net::IpAddr;
use url::{Host, Url};

/// The longest URL, in bytes.
const LONGEST: usize = 2048;

/// Ports above 1023 at which no web server stands but services that take HTTP for commands: databases, queues,
/// caches, X11, IRC, container engines. Below 1024 only 80 and 443 are called.
const OTHER_SERVICES: &[u16] = &[
    1433, 1521, 1719, 1720, 1723, 2049, 2181, 2375, 2376, 2379, 2380, 2525, 3306, 3389, 3659, 4045, 4190,
    5060, 5061, 5432, 5671, 5672, 5900, 5984, 6000, 6379, 6380, 6566, 6665, 6666, 6667, 6668, 6669, 6679,
    6697, 9042, 9092, 9200, 9300, 10080, 10250, 11211, 27017,
];

/// A URL that may be called.
#[derive(Clone, PartialEq, Eq)]
pub struct Target(Url);

/// What is wrong with a URL; reads on after "the URL".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No URL.
    #[error("is not a URL; write https://example.com/path")]
    Malformed,
    /// Another scheme.
    #[error("must begin with https:// or http://")]
    Scheme,
    /// A user name or password inside.
    #[error("must not carry a user name or password")]
    UserInfo,
    /// Too long.
    #[error("may have 2048 bytes")]
    TooLong,
    /// A port of another service.
    #[error("names a port at which no webhook can be received")]
    Port,
    /// An address inside.
    #[error("leads to an address that is not public")]
    NotPublic,
    /// An address that is never called.
    #[error("leads to an address that is never called: link-local, unspecified, multicast or reserved")]
    NeverCalled,
}

impl Target {
    /// A URL that a tenant gives. What its text tells is judged here, what a name leads to when it is called.
    pub fn given(text: &str, reach: Reach) -> Result<Self, TargetError> {
        let target = Self::parse(text)?;
        let port = target.0.port_or_known_default().unwrap_or(0);
        if !matches!(port, 80 | 443 | 1024..) || OTHER_SERVICES.contains(&port) {
            return Err(TargetError::Port);
        }
        target.within(reach)
    }

    /// A URL from the operator's own settings: any port, private addresses too.
    pub fn own(text: &str) -> Result<Self, TargetError> {
        Self::parse(text)?.within(Reach::Private)
    }

    fn parse(text: &str) -> Result<Self, TargetError> {
        if text.len() > LONGEST {
            return Err(TargetError::TooLong);
        }
        // The parser drops what browsers drop; here it would make one URL of two texts.
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(TargetError::Malformed);
        }
        let mut url = Url::parse(text).map_err(|_| TargetError::Malformed)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(TargetError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetError::UserInfo);
        }
        if !url.has_host() || url.port() == Some(0) {
            return Err(TargetError::Malformed);
        }
        url.set_fragment(None);
        Ok(Self(url))
    }

    fn within(self, reach: Reach) -> Result<Self, TargetError> {
        let is_allowed = match self.0.host() {
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.');
                let is_here = name == "localhost" || name.ends_with(".localhost");
                !is_here || reach == Reach::Private
            }
            _ => self.literal().is_some_and(|ip| reach.allows(ip)),
        };
        match (is_allowed, reach) {
            (true, _) => Ok(self),
            (false, Reach::Public) => Err(TargetError::NotPublic),
            (false, Reach::Private) => Err(TargetError::NeverCalled),
        }
    }

    /// The address, when the URL names one and no host.
    pub(super) fn literal(&self) -> Option<IpAddr> {
        match self.0.host()? {
            Host::Ipv4(ip) => Some(ip.into()),
            Host::Ipv6(ip) => Some(ip.into()),
            Host::Domain(_) => None,
        }
    }

    /// The host, for logs and bounds per host.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The URL in parts.
    pub fn url(&self) -> &Url {
        &self.0
    }

    pub(super) fn into_url(self) -> Url {
        self.0
    }
}

impl fmt::Debug for Target {
    /// Without path and query: they may carry a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.host())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn public(text: &str) -> Result<String, TargetError> {
        Target::given(text, Reach::Public).map(|target| target.as_str().to_owned())
    }

    #[test]
    fn urls_that_lead_inward_are_refused_however_they_are_written() {
        for host in [
            "127.0.0.1",
            "127.1",
            "0x7f.1",
            "0x7f000001",
            "2130706433",
            "017700000001",
            "127.0.0.1.",
            "[::]",
            "[::1]",
            "[::ffff:10.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "0",
            "10.1.2.3",
            "172.16.9.9",
            "192.168.1.1",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "a.localhost",
            "①②⑦.0.0.1",
            "127。0。0。1",
        ] {
            assert_eq!(public(&format!("https://{host}/hook")), Err(TargetError::NotPublic), "{host}");
        }
        for bad in [
            "https://[fe80::1%eth0]/",
            "https://",
            "/hook",
            "",
            "example.com",
            "https://ex ample.com/",
            "https://exa\tmple.com/",
            "https://example.com:0/",
            "https://256.1.1.1/",
            "https://example.com:99999/",
        ] {
            assert_eq!(public(bad), Err(TargetError::Malformed), "{bad}");
        }
        for bad in
            ["ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "javascript:alert(1)"]
        {
            assert_eq!(public(bad), Err(TargetError::Scheme), "{bad}");
        }
        for bad in ["https://user@example.com/", "https://user:pass@example.com/", "https://:p@example.com/"]
        {
            assert_eq!(public(bad), Err(TargetError::UserInfo), "{bad}");
        }
        for port in [1, 22, 25, 465, 587, 6379, 5432, 11211, 9200] {
            assert_eq!(public(&format!("http://example.com:{port}/")), Err(TargetError::Port), "{port}");
        }
        assert_eq!(public(&format!("https://example.com/{}", "a".repeat(2048))), Err(TargetError::TooLong));
    }

    #[test]
    fn usual_urls_are_taken() {
        for (given, kept) in [
            ("https://example.com", "https://example.com/"),
            ("https://example.com/hook?a=b#c", "https://example.com/hook?a=b"),
            ("http://example.com:8080/x", "http://example.com:8080/x"),
            ("https://bücher.example/", "https://xn--bcher-kva.example/"),
            ("https://8.8.8.8/", "https://8.8.8.8/"),
        ] {
            assert_eq!(public(given).as_deref(), Ok(kept));
        }
    }

    #[test]
    fn the_operators_own_may_be_private_but_never_link_local() {
        for good in
            ["http://127.0.0.1:25/", "http://localhost:3000/", "http://10.0.0.7:6379/", "http://[::1]:9/"]
        {
            assert!(Target::own(good).is_ok(), "{good}");
        }
        for bad in
            ["http://169.254.169.254/", "http://[fe80::1]/", "http://0.0.0.0/", "http://[::ffff:a9fe:a9fe]/"]
        {
            assert_eq!(Target::own(bad), Err(TargetError::NeverCalled), "{bad}");
        }
        let debug = format!("{:?}", Target::own("https://example.com/secret-path").unwrap());
        assert_eq!(debug, "https://example.com");
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_taken_reads_back(text in "(https?://)?[ -~]{0,40}") {
            if let Ok(target) = Target::given(&text, Reach::Public) {
                let again = Target::given(target.as_str(), Reach::Public);
                prop_assert_eq!(again, Ok(target));
            }
        }
    }
}
