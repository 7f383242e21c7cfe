//! Finds the one-time code in a message, for tests of log-ins and for people who are about to type it: four to eight
//! digits standing alone (or six as `123-456`), close to a word that announces a code. A guess, and documented as one;
//! without such a word there is none. Of several numbers the one nearest to its word is taken.
//!
//! The text is a stranger's: only its head is read, in one pass for the words and one for the numbers.

use std::ops::Range;

/// Words that announce a code as they stand, lower-case.
const WORDS: [&str; 7] = ["code", "codes", "kode", "otp", "pin", "sandi", "token"];
/// Longer words that do so by their end (`Sicherheitscode`) or their beginning (`verifikasi`), lower-case.
const ENDS: [&str; 2] = ["code", "kode"];
const BEGINNINGS: [&str; 2] = ["verif", "bestätigungs"];
/// Words that end like one and announce another number.
const OTHER_NUMBERS: [&str; 6] = ["barcode", "postcode", "zipcode", "unicode", "decode", "encode"];
/// Words that make another number of the `code` behind them; `kode pos` does so the other way round.
const OTHER_CODES: [&str; 9] =
    ["zip", "postal", "area", "country", "promo", "discount", "voucher", "coupon", "error"];
/// Bytes before (and, of the same line, behind) the digits in which the word must stand.
const NEAR: usize = 120;
/// A word behind the digits is as good as one so much further before them.
const BEHIND: usize = 40;
/// A number that reads as a year, or stands in the sentence of a further line, is as good as one so much further from
/// its word.
const ELSEWHERE: usize = 60;
/// Only the head of a text is looked through.
const LONGEST_TEXT: usize = 64 * 1024;

/// The number that looks most like a code.
pub(super) fn find(text: &str) -> Option<String> {
    let text = &text[..text.floor_char_boundary(LONGEST_TEXT)];
    let words = announcements(text);
    if words.is_empty() {
        return None;
    }
    let numbers = numbers(text);
    let judged = numbers.iter().filter_map(|number| Some((doubt(text, number, &words)?, number)));
    // Of equals the first.
    let (_, best) = judged.min_by_key(|(doubt, _)| *doubt)?;
    Some(text[best.clone()].chars().filter(char::is_ascii_digit).collect())
}

/// Where words stand that announce a code, in their order.
fn announcements(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let (mut before, mut before_is_kode) = (String::new(), false);
    for (at, word) in words(text) {
        let lower = word.to_lowercase();
        if before_is_kode && lower == "pos" {
            found.pop();
        }
        let is_other = OTHER_NUMBERS.contains(&&*lower) || OTHER_CODES.contains(&&*before);
        let announces = WORDS.contains(&&*lower)
            || ENDS.iter().any(|end| lower.ends_with(end))
            || BEGINNINGS.iter().any(|beginning| lower.starts_with(beginning));
        let is_taken = announces && !is_other;
        if is_taken {
            found.push(at..at + word.len());
        }
        before_is_kode = is_taken && lower == "kode";
        before = lower;
    }
    found
}

/// Runs of letters, and where they begin.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let pieces = text.split_inclusive(|c: char| !c.is_alphabetic()).scan(0, |at, piece| {
        let start = *at;
        *at += piece.len();
        Some((start, piece.trim_end_matches(|c: char| !c.is_alphabetic())))
    });
    pieces.filter(|(_, word)| !word.is_empty())
}

/// Where numbers stand that may be codes.
fn numbers(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let digits = |at: usize| bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let length = digits(at);
        let mut end = at + length;
        let is_halved = length == 3
            && matches!(bytes.get(end), Some(b'-' | b' '))
            && bytes.get(end + 1).is_some_and(u8::is_ascii_digit)
            && digits(end + 1) == 3
            && !comes_from_groups(&bytes[..at])
            && !goes_on_in_groups(&bytes[end + 4..]);
        if is_halved {
            end += 4;
        }
        if (is_halved || (4..=8).contains(&length)) && stands_alone(text, at, end) {
            found.push(at..end);
        }
        at = end;
    }
    found
}

/// A group of digits before: then it is a telephone number or a sum.
fn comes_from_groups(before: &[u8]) -> bool {
    matches!(before, [.., digit, b' ' | b'-'] if digit.is_ascii_digit())
}

/// A further group of digits.
fn goes_on_in_groups(behind: &[u8]) -> bool {
    matches!(behind, [b' ' | b'-', digit, ..] if digit.is_ascii_digit())
}

/// Not a part of a word, a date, a sum, an address or a longer number. One letter and a dash may stand before it
/// (`G-482913`).
fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let mut before = text[..start].chars().rev();
    let is_prefixed = before.next() == Some('-')
        && before.next().is_some_and(|c| c.is_ascii_uppercase())
        && before.next().is_none_or(char::is_whitespace);
    let before = text[..start].chars().next_back();
    let mut behind = text[end..].chars();
    let (next, second) = (behind.next(), behind.next());
    let joins = |c: char| c.is_alphanumeric() || "_-/+$€£#%&=@".contains(c);
    let is_joined_before = !is_prefixed && before.is_some_and(|c| joins(c) || c == '.' || c == ',');
    let is_number_going_on =
        next.is_some_and(|c| ".,:".contains(c)) && second.is_some_and(|c| c.is_ascii_digit());
    !(is_joined_before || next.is_some_and(joins) || is_number_going_on)
}

/// How far the number is from the nearest word that announces it; `None`: nothing does.
fn doubt(text: &str, number: &Range<usize>, words: &[Range<usize>]) -> Option<usize> {
    let split = words.partition_point(|word| word.end <= number.start);
    let within = |range: Range<usize>| text.get(range).filter(|between| between.len() <= NEAR);
    let before = words[..split].last().and_then(|word| within(word.end..number.start));
    let before = before.map(|between| {
        let is_elsewhere =
            between.rsplit_once('\n').is_some_and(|(_, line)| line.contains(char::is_alphabetic));
        if is_elsewhere { between.len() + ELSEWHERE } else { between.len() }
    });
    let behind = words.get(split).and_then(|word| within(number.end..word.start));
    let behind = behind.filter(|between| !between.contains('\n')).map(|between| between.len() + BEHIND);
    let nearest = [before, behind].into_iter().flatten().min()?;
    let is_year = number.len() == 4 && matches!(&text[number.start..number.start + 2], "19" | "20");
    Some(if is_year { nearest + ELSEWHERE } else { nearest })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_code_is_found_by_the_word_beside_it() {
        for (text, code) in [
            ("Your code is 482913.", Some("482913")),
            ("Kode OTP Anda:\n\n  9021\n", Some("9021")),
            ("482913 is your verification code", Some("482913")),
            ("Ihr Sicherheitscode: 1234", Some("1234")),
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

    #[test]
    fn of_several_numbers_the_nearest_to_its_word_is_taken() {
        for (text, code) in [
            ("Order 123456. Your code is 482913", Some("482913")),
            ("Your code is 482913, for order 123456", Some("482913")),
            ("Sent in 2026: the code 1979 or 482913", Some("482913")),
            ("Your PIN is 2026", Some("2026")),
            ("123456 is your code\nValid for 2400 seconds", Some("123456")),
        ] {
            assert_eq!(find(text).as_deref(), code, "{text}");
        }
    }

    #[test]
    fn halved_and_prefixed_codes_are_whole() {
        for (text, code) in [
            ("Your code: 482-913", Some("482913")),
            ("Your code: 482 913.", Some("482913")),
            ("G-482913 is your verification code", Some("482913")),
            ("The code by telephone: 482-913-1234", None),
            ("code 482 913 117", None),
            ("code ABC-482913", None),
        ] {
            assert_eq!(find(text).as_deref(), code, "{text}");
        }
    }

    #[test]
    fn other_numbers_are_no_codes() {
        for text in [
            "Shipping 20261 to you",
            "zip code 90210",
            "Kode pos 40115",
            "Barcode 12345678",
            "Use the promo code 202699",
            "opinion 4711",
        ] {
            assert_eq!(find(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_found_stands_there(text in "(code|PIN|kode pos|[0-9]{1,9}|[-. ,:\n€$]|é|\u{130}|[a-zA-Z]){0,80}") {
            if let Some(code) = find(&text) {
                prop_assert!((4..=8).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_digit()));
                let halves = (code.len() == 6).then(|| code.split_at(3));
                let is_there = text.contains(&code)
                    || halves.is_some_and(|(a, b)| {
                        text.contains(&format!("{a}-{b}")) || text.contains(&format!("{a} {b}"))
                    });
                prop_assert!(is_there, "{} in {}", code, text);
            }
        }

        #[test]
        fn any_text_is_read(text in any::<String>()) {
            let _ = find(&text);
        }

        #[test]
        fn an_announced_code_is_found(code in "[1-9][0-9]{4,7}", before in "[b-d ]{0,60}", behind in "[b-d ]{0,60}") {
            let text = format!("{before}\nYour code is {code}.\n{behind}");
            prop_assert_eq!(find(&text), Some(code));
        }

        #[test]
        fn without_a_word_there_is_none(text in "[0-9 .b-d\n]{0,200}") {
            prop_assert_eq!(find(&text), None);
        }
    }

    #[test]
    fn a_text_made_to_take_long_does_not() {
        for piece in ["1234 ", "code ", "code 1234 ", "1", "-", "1-", "é1234"] {
            let _ = find(&piece.repeat(100_000));
        }
    }
}
