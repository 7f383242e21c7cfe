//! The parts of an X.509 certificate (RFC 5280) that a signature of SNS is judged by. Who issued it is judged by the
//! TLS connection to SNS that it came over: SNS publishes the certificate without those above it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use posthaste_model::Timestamp;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT_ID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]` around the version.
const VERSION: u8 = 0xa0;
/// 1.2.840.113549.1.1.1, rsaEncryption.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];

/// A certificate.
#[derive(Debug)]
pub(super) struct Certificate {
    /// PKCS#1 `RSAPublicKey`.
    pub rsa_key: Vec<u8>,
    /// Issuer and subject are the same.
    pub is_self_signed: bool,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Certificate {
    /// Reads the first certificate of a PEM file; `None` when it is none with an RSA key.
    pub fn read(pem: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(pem).ok()?;
        let (_, rest) = text.split_once("-----BEGIN CERTIFICATE-----")?;
        let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
        let body: String = body.split_ascii_whitespace().collect();
        let der = STANDARD.decode(body).ok()?;
        let mut outer = Reader(&der);
        let mut certificate = Reader(outer.take(SEQUENCE)?);
        let mut fields = Reader(certificate.take(SEQUENCE)?);
        if fields.0.first() == Some(&VERSION) {
            fields.take(VERSION)?;
        }
        fields.take(INTEGER)?;
        fields.take(SEQUENCE)?;
        let issuer = fields.take(SEQUENCE)?;
        let mut validity = Reader(fields.take(SEQUENCE)?);
        let (not_before, not_after) = (validity.time()?, validity.time()?);
        let subject = fields.take(SEQUENCE)?;
        let mut key = Reader(fields.take(SEQUENCE)?);
        let mut algorithm = Reader(key.take(SEQUENCE)?);
        if algorithm.take(OBJECT_ID)? != RSA {
            return None;
        }
        // The first octet counts unused bits: none.
        let (0, rsa_key) = key.take(BIT_STRING)?.split_first().map(|(unused, key)| (*unused, key))? else {
            return None;
        };
        Some(Self { rsa_key: rsa_key.to_vec(), is_self_signed: issuer == subject, not_before, not_after })
    }

    /// Whether it is valid at `now`.
    pub fn is_valid_at(&self, now: Timestamp) -> bool {
        self.not_before <= now && now <= self.not_after
    }
}

/// DER, from the front.
struct Reader<'d>(&'d [u8]);

impl<'d> Reader<'d> {
    /// The content of the next value, which must have this tag.
    fn take(&mut self, tag: u8) -> Option<&'d [u8]> {
        let (&found, rest) = self.0.split_first()?;
        if found != tag {
            return None;
        }
        let (&first, mut rest) = rest.split_first()?;
        let length = match first {
            0..=0x7f => usize::from(first),
            0x81 | 0x82 => {
                let (bytes, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
                rest = after;
                bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(content)
    }

    /// A time (RFC 5280, 4.1.2.5).
    fn time(&mut self) -> Option<Timestamp> {
        let (digits, century) = match *self.0.first()? {
            UTC_TIME => {
                let text = std::str::from_utf8(self.take(UTC_TIME)?).ok()?;
                (text, if text.get(..2)? < "50" { "20" } else { "19" })
            }
            _ => (std::str::from_utf8(self.take(GENERALIZED_TIME)?).ok()?, ""),
        };
        let text = format!("{century}{digits}");
        let at = |from: usize, to: usize| {
            text.get(from..to).filter(|part| part.bytes().all(|b| b.is_ascii_digit()))
        };
        if text.len() != 15 || !text.ends_with('Z') {
            return None;
        }
        let (year, month, day) = (at(0, 4)?, at(4, 6)?, at(6, 8)?);
        let (hour, minute, second) = (at(8, 10)?, at(10, 12)?, at(12, 14)?);
        Timestamp::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z")).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Certificate::read(&bytes);
            let body = STANDARD.encode(&bytes);
            let pem = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
            let _ = Certificate::read(pem.as_bytes());
        }
    }
}
