//! One-time codes by the clock (RFC 6238: HMAC-SHA1, six digits, steps of 30 seconds), as every authenticator app makes
//! them.

use crate::base::chance::Chance;
use aws_lc_rs::hmac;
use posthaste_model::Timestamp;
use std::fmt::Write as _;

/// Seconds of a step.
const STEP: i64 = 30;
/// Steps before and after the present one whose code is taken: clocks differ, and typing takes time.
const DRIFT: i64 = 1;
/// Bytes of a new secret: those of SHA-1 (RFC 4226, section 4, R6).
const SECRET_BYTES: usize = 20;

/// The secret that a user's app and we share.
pub struct TotpSecret(Vec<u8>);

impl TotpSecret {
    /// A new secret.
    pub fn generate(chance: &Chance) -> Self {
        Self(chance.bytes::<SECRET_BYTES>().to_vec())
    }

    /// The secret of these bytes.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Its bytes, to be sealed.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// As apps take it by hand: base32 (RFC 4648) without padding.
    pub fn to_base32(&self) -> String {
        const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let mut text = String::new();
        for chunk in self.0.chunks(5) {
            let mut bits = [0_u8; 8];
            bits[3..3 + chunk.len()].copy_from_slice(chunk);
            let number = u64::from_be_bytes(bits);
            for digit in 0..(chunk.len() * 8).div_ceil(5) {
                text.push(char::from(DIGITS[(number >> (35 - 5 * digit)) as usize & 31]));
            }
        }
        text
    }

    /// Reads base32 again; `None` when it is none.
    pub fn from_base32(text: &str) -> Option<Self> {
        let (mut bytes, mut number, mut bits) = (Vec::new(), 0_u32, 0_u32);
        for byte in text.bytes().filter(|byte| !byte.is_ascii_whitespace()) {
            let digit = match byte.to_ascii_uppercase() {
                letter @ b'A'..=b'Z' => letter - b'A',
                digit @ b'2'..=b'7' => digit - b'2' + 26,
                _ => return None,
            };
            number = (number << 5 | u32::from(digit)) & 0xfff;
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                bytes.push((number >> bits) as u8);
            }
        }
        (bytes.len() >= 16).then_some(Self(bytes))
    }

    /// The address that an app reads (`otpauth:`, Google's key URI format).
    pub fn uri(&self, account: &str) -> String {
        let account = account.bytes().fold(String::new(), |mut text, byte| {
            if byte.is_ascii_alphanumeric() || b"@.-_".contains(&byte) {
                text.push(char::from(byte));
            } else {
                let _ = write!(text, "%{byte:02X}");
            }
            text
        });
        format!("otpauth://totp/Posthaste:{account}?secret={}&issuer=Posthaste", self.to_base32())
    }

    /// The step whose code this is, if it is one of now.
    pub fn step_of(&self, code: &str, now: Timestamp) -> Option<i64> {
        let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        let present = now.seconds().div_euclid(STEP);
        (present - DRIFT..=present + DRIFT).find(|step| {
            let made = self.code_at(*step);
            aws_lc_rs::constant_time::verify_slices_are_equal(made.as_bytes(), code.as_bytes()).is_ok()
        })
    }

    /// The code of a step (RFC 4226, section 5.3).
    fn code_at(&self, step: i64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let tag = tag.as_ref();
        let at = usize::from(tag[tag.len() - 1] & 15);
        let number =
            tag[at..at + 4].iter().fold(0_u32, |all, byte| all << 8 | u32::from(*byte)) & 0x7fff_ffff;
        format!("{:06}", number % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> TotpSecret {
        TotpSecret::from_bytes(b"12345678901234567890".to_vec())
    }

    /// RFC 6238, appendix B, cut to six digits.
    #[test]
    fn the_codes_of_the_standard() {
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let now = Timestamp::from_millis(seconds * 1000);
            assert_eq!(secret().step_of(code, now), Some(seconds / 30), "{seconds}");
        }
    }

    #[test]
    fn codes_of_the_neighbours_are_taken_and_others_not() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        for (seconds, step) in [(29, Some(1)), (59, Some(1)), (89, Some(1)), (90, None), (120, None)] {
            assert_eq!(secret().step_of("287 082", at(seconds)), step, "{seconds}");
        }
        for wrong in ["", "287083", "28708", "2870821", "abcdef"] {
            assert_eq!(secret().step_of(wrong, at(59)), None, "{wrong}");
        }
    }

    #[test]
    fn secrets_are_written_as_apps_read_them() {
        assert_eq!(secret().to_base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let again = TotpSecret::from_base32("gezd gnbv gy3t qojq gezd gnbv gy3t qojq").unwrap();
        assert_eq!(again.expose(), secret().expose());
        assert!(TotpSecret::from_base32("GEZD1").is_none() && TotpSecret::from_base32("GEZD").is_none());
        assert_eq!(
            secret().uri("ann+x@example.com"),
            "otpauth://totp/Posthaste:ann%2Bx@example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Posthaste"
        );
    }
}
