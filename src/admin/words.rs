//! Names that people give to things.

use super::fault;
use posthaste_model::refusal::{Fault, FaultCode};

/// The longest name, in characters.
const NAME_CHARS: usize = 100;

/// A name without the white space around it: 1 to 100 characters, none of them a control character, so that it can
/// stand in a table, a log line and a page as it is.
pub(super) fn name(field: &str, given: &str) -> Result<String, Fault> {
    let name = given.trim();
    if name.is_empty() {
        return Err(fault(field, FaultCode::Required, format!("{field} is required")));
    }
    if name.chars().any(is_unseen) {
        return Err(fault(
            field,
            FaultCode::ControlCharacter,
            format!("{field} may hold no control characters"),
        ));
    }
    if name.chars().count() > NAME_CHARS {
        return Err(fault(field, FaultCode::TooLong, format!("{field} may have {NAME_CHARS} characters")));
    }
    Ok(name.to_owned())
}

/// Control characters, line separators, and the marks that turn the direction of text around (and so could make one
/// name look like another).
fn is_unseen(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_visible() {
        assert_eq!(name("name", "  Ticket Büro 2 ").as_deref(), Ok("Ticket Büro 2"));
        assert!(name("name", &"ä".repeat(100)).is_ok());
        for (bad, code) in [
            (String::new(), FaultCode::Required),
            (" \t ".into(), FaultCode::Required),
            ("a\r\nb".into(), FaultCode::ControlCharacter),
            ("a\u{0}".into(), FaultCode::ControlCharacter),
            ("a\u{202e}b".into(), FaultCode::ControlCharacter),
            ("ä".repeat(101), FaultCode::TooLong),
        ] {
            assert_eq!(name("name", &bad).map_err(|f| f.code), Err(code), "{bad:?}");
        }
    }
}
