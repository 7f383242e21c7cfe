//! The id under which the Aegis API knows an email: `msg_` and 43 letters and digits.
//!
//! Aegis looks an email up without a credential, so the id itself must name the client (every finder takes the client
//! first) and must not be guessable: the 74 random bits of the email's UUIDv7 are the secret. Nothing is stored for
//! it; it is the two ids in base 62, always at full width, so that one email has one spelling.

use crate::{ClientId, EmailId};

const PREFIX: &str = "msg_";
/// Enough digits for 256 bits: 62^43 is a little more than 2^256.
const DIGITS: usize = 43;
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The id under which the Aegis API knows this email of this client.
pub fn message_id(client: ClientId, email: EmailId) -> String {
    let mut number = [0_u8; 32];
    number[..16].copy_from_slice(client.as_bytes());
    number[16..].copy_from_slice(email.as_bytes());
    let mut digits = [0_u8; DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[divide_by_62(&mut number)];
    }
    PREFIX.chars().chain(digits.iter().map(|byte| char::from(*byte))).collect()
}

/// The client and the email that an Aegis id names; `None` for any other text, another spelling included.
pub fn parse_message_id(text: &str) -> Option<(ClientId, EmailId)> {
    let digits = text.strip_prefix(PREFIX).filter(|digits| digits.len() == DIGITS)?;
    let mut number = [0_u8; 32];
    for byte in digits.bytes() {
        let digit = ALPHABET.binary_search(&byte).ok()?;
        multiply_by_62_and_add(&mut number, digit)?;
    }
    let (client, email) = number.split_at(16);
    Some((ClientId::from_slice(client)?, EmailId::from_slice(email)?))
}

/// Divides the big-endian number, and gives the remainder.
fn divide_by_62(number: &mut [u8; 32]) -> usize {
    let mut remainder = 0_usize;
    for byte in number.iter_mut() {
        let dividend = (remainder << 8) | usize::from(*byte);
        // Below 256, because the remainder so far is below 62.
        *byte = u8::try_from(dividend / 62).unwrap_or(u8::MAX);
        remainder = dividend % 62;
    }
    remainder
}

/// Multiplies the big-endian number and adds a digit; `None` when 256 bits do not hold it.
fn multiply_by_62_and_add(number: &mut [u8; 32], digit: usize) -> Option<()> {
    let mut carry = digit;
    for byte in number.iter_mut().rev() {
        let [low, high, ..] = (usize::from(*byte) * 62 + carry).to_le_bytes();
        *byte = low;
        carry = usize::from(high);
    }
    (carry == 0).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn names_the_client_and_the_email(client: [u8; 16], email: [u8; 16]) {
            let (client, email) = (ClientId::from_bytes(client), EmailId::from_bytes(email));
            let id = message_id(client, email);
            let digits = id.strip_prefix("msg_").unwrap();
            prop_assert!(digits.len() >= 20 && digits.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{}", id);
            prop_assert_eq!(parse_message_id(&id), Some((client, email)));
        }

        #[test]
        fn one_email_has_one_spelling(text in "msg_[0-9A-Za-z]{43}") {
            if let Some((client, email)) = parse_message_id(&text) {
                prop_assert_eq!(message_id(client, email), text);
            }
        }

        #[test]
        fn anything_else_is_no_id(text in ".{0,60}") {
            prop_assert_eq!(parse_message_id(&text), None);
        }
    }

    #[test]
    fn the_largest_and_what_is_larger() {
        let id = message_id(ClientId::from_bytes([255; 16]), EmailId::from_bytes([255; 16]));
        let last = char::from(id.as_bytes()[46] + 1);
        assert!(parse_message_id(&id).is_some());
        assert_eq!(parse_message_id(&format!("{}{last}", &id[..46])), None, "one more than 256 bits hold");
        assert_eq!(parse_message_id(&format!("msg_{}", "z".repeat(43))), None);
        assert_eq!(parse_message_id(&id.to_uppercase()), None);
        assert_eq!(parse_message_id(&format!("{id}0")), None);
    }
}
