//! What EHLO offered (RFC 5321 section 4.1.1.1).

use crate::reply::Reply;

/// The extensions this client knows, as the relay offered them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// RFC 2920: commands may be sent in groups.
    pub pipelining: bool,
    /// RFC 6152.
    pub eight_bit_mime: bool,
    /// RFC 6531.
    pub smtputf8: bool,
    /// RFC 3030: BDAT.
    pub chunking: bool,
    /// RFC 3207.
    pub starttls: bool,
    /// RFC 1870: offered at all.
    pub size: bool,
    /// The largest message the relay takes, bytes, if it said so.
    pub max_size: Option<u64>,
    /// AUTH offers PLAIN (RFC 4616).
    pub auth_plain: bool,
    /// AUTH offers LOGIN.
    pub auth_login: bool,
}

impl Capabilities {
    /// Reads the reply to EHLO. The first line is a greeting; keywords are case-insensitive.
    pub fn from_ehlo(reply: &Reply) -> Self {
        let mut offered = Self::default();
        for line in reply.lines().skip(1) {
            let mut words = line.split_ascii_whitespace();
            let Some(keyword) = words.next() else { continue };
            match keyword.to_ascii_uppercase().as_str() {
                "PIPELINING" => offered.pipelining = true,
                "8BITMIME" => offered.eight_bit_mime = true,
                "SMTPUTF8" => offered.smtputf8 = true,
                "CHUNKING" => offered.chunking = true,
                "STARTTLS" => offered.starttls = true,
                "SIZE" => {
                    offered.size = true;
                    // Zero means no fixed limit (RFC 1870 section 4).
                    offered.max_size =
                        words.next().and_then(|size| size.parse().ok()).filter(|size| *size > 0);
                }
                "AUTH" => words.for_each(|mechanism| offered.offer_auth(mechanism)),
                // Written so by old servers, for old clients.
                other => {
                    if let Some(first) = other.strip_prefix("AUTH=") {
                        offered.offer_auth(first);
                        words.for_each(|mechanism| offered.offer_auth(mechanism));
                    }
                }
            }
        }
        offered
    }

    fn offer_auth(&mut self, mechanism: &str) {
        self.auth_plain |= mechanism.eq_ignore_ascii_case("PLAIN");
        self.auth_login |= mechanism.eq_ignore_ascii_case("LOGIN");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_offered() {
        let text = "mx.example greets\npipelining\nSIZE 1000\n8BITMIME\nSMTPUTF8\nCHUNKING\nSTARTTLS\nAUTH LOGIN plain\nX-Y";
        let all = Capabilities {
            pipelining: true,
            eight_bit_mime: true,
            smtputf8: true,
            chunking: true,
            starttls: true,
            size: true,
            max_size: Some(1000),
            auth_plain: true,
            auth_login: true,
        };
        assert_eq!(Capabilities::from_ehlo(&Reply::new(250, None, text)), all);
    }

    #[test]
    fn the_greeting_line_offers_nothing_and_size_zero_is_no_limit() {
        let offered = Capabilities::from_ehlo(&Reply::new(250, None, "PIPELINING\nSIZE 0\nAUTH=PLAIN"));
        assert_eq!(offered, Capabilities { size: true, auth_plain: true, ..Capabilities::default() });
        assert_eq!(Capabilities::from_ehlo(&Reply::new(250, None, "")), Capabilities::default());
    }
}
