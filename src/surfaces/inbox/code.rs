//! Finds the one-time code in a message, for tests of log-ins: four to eight digits standing alone, close to a word
//! that announces a code. A guess, and documented as one; without such a word there is none.

/// Words that announce a code, lower-case.
const WORDS: [&str; 10] = [
    "code",
    "otp",
    "pin",
    "passcode",
    "kode",
    "verification",
    "verify",
    "verifikasi",
    "sandi",
    "bestätigungs",
];
/// Bytes before (and, of the same line, behind) the digits in which the word must stand.
const NEAR: usize = 120;
/// Only the head of a text is looked through.
const LONGEST_TEXT: usize = 64 * 1024;

/// The first number that looks like a code.
pub(super) fn find(text: &str) -> Option<String> {
    let text = &text[..text.floor_char_boundary(LONGEST_TEXT)];
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let length = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let end = at + length;
        if (4..=8).contains(&length) && stands_alone(text, at, end) && is_announced(text, at, end) {
            return Some(text[at..end].to_owned());
        }
        at = end;
    }
    None
}

/// Not a part of a word, a date, a sum, an address or a longer number.
fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let before = text[..start].chars().next_back();
    let mut behind = text[end..].chars();
    let (next, second) = (behind.next(), behind.next());
    let joins = |c: char| c.is_alphanumeric() || "_-/+$€£#%&=@".contains(c);
    let is_joined_before = before.is_some_and(|c| joins(c) || c == '.' || c == ',');
    let is_number_going_on =
        next.is_some_and(|c| ".,:".contains(c)) && second.is_some_and(|c| c.is_ascii_digit());
    !(is_joined_before || next.is_some_and(joins) || is_number_going_on)
}

fn is_announced(text: &str, start: usize, end: usize) -> bool {
    let from = text.floor_char_boundary(start.saturating_sub(NEAR));
    let to = text.floor_char_boundary((end + NEAR).min(text.len()));
    let line_end = text[end..to].find('\n').map_or(to, |at| end + at);
    let near = text[from..line_end].to_lowercase();
    WORDS.iter().any(|word| near.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_found_by_the_word_beside_it() {
        for (text, code) in [
            ("Your code is 482913.", Some("482913")),
            ("Kode OTP Anda:\n\n  9021\n", Some("9021")),
            ("482913 is your verification code", Some("482913")),
            ("Invoice 20261 for $1200.50", None),
            ("Your code expires 2026-12-01 08:00, it is 77120431", Some("77120431")),
            ("code: 123", None),
            ("code: 123456789", None),
            ("code https://x.example/?c=123456", None),
            ("", None),
        ] {
            assert_eq!(find(text).as_deref(), code, "{text}");
        }
    }
}
