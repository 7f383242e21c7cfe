//! The strict parser (RFC 8259). Reads each byte once, copies only strings with escapes, and stops at the first
//! fault with its line and column.

use super::error::{JsonError, JsonErrorKind};
use super::{Json, Member, Number};
use std::borrow::Cow;

/// What a JSON text may cost.
#[derive(Clone, Copy, Debug)]
pub struct JsonLimits {
    /// How many arrays and objects may stand in one another.
    pub depth: usize,
    /// How many values the text may hold, containers included; bounds the memory of the tree.
    pub values: usize,
}

impl Default for JsonLimits {
    /// Depth 32, 100,000 values: a batch of 500 emails with 50 recipients each fits.
    fn default() -> Self {
        Self { depth: 32, values: 100_000 }
    }
}

/// Reads one JSON value within the default limits.
pub fn parse(bytes: &[u8]) -> Result<Json<'_>, JsonError> {
    parse_within(bytes, JsonLimits::default())
}

/// Reads one JSON value within `limits`.
pub fn parse_within(bytes: &[u8], limits: JsonLimits) -> Result<Json<'_>, JsonError> {
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return Err(JsonError::at(bytes, 0, JsonErrorKind::ByteOrderMark));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| JsonError::at(bytes, error.valid_up_to(), JsonErrorKind::InvalidUtf8))?;
    let mut parser = Parser { text, bytes, at: 0, depth: 0, values: 0, limits };
    parser.document().map_err(|kind| JsonError::at(bytes, parser.at, kind))
}

struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    /// Always on a character boundary when a slice of `text` is taken.
    at: usize,
    depth: usize,
    values: usize,
    limits: JsonLimits,
}

type Parsed<T> = Result<T, JsonErrorKind>;

/// Objects up to this many members are checked for duplicates pair by pair; larger ones by sorting.
const PAIRWISE_UP_TO: usize = 12;
/// A duplicate key is shown up to this many characters.
const SHOWN_KEY_CHARS: usize = 64;

impl<'a> Parser<'a> {
    fn document(&mut self) -> Parsed<Json<'a>> {
        self.skip_space();
        if self.at == self.bytes.len() {
            return Err(JsonErrorKind::Empty);
        }
        let value = self.value()?;
        self.skip_space();
        if self.at == self.bytes.len() { Ok(value) } else { Err(JsonErrorKind::TrailingText) }
    }

    fn value(&mut self) -> Parsed<Json<'a>> {
        self.values += 1;
        if self.values > self.limits.values {
            return Err(JsonErrorKind::TooManyValues(self.limits.values));
        }
        match self.peek()? {
            b'"' => Ok(Json::String(self.string()?)),
            b'{' => self.nested(Self::object),
            b'[' => self.nested(Self::array),
            b't' => self.word(b"true", Json::Bool(true)),
            b'f' => self.word(b"false", Json::Bool(false)),
            b'n' => self.word(b"null", Json::Null),
            b'-' | b'0'..=b'9' => Ok(Json::Number(self.number()?)),
            _ => Err(JsonErrorKind::Syntax("a JSON value")),
        }
    }

    /// Recursion is bounded by `limits.depth`.
    fn nested(&mut self, read: fn(&mut Self) -> Parsed<Json<'a>>) -> Parsed<Json<'a>> {
        if self.depth == self.limits.depth {
            return Err(JsonErrorKind::TooDeep(self.limits.depth));
        }
        self.depth += 1;
        self.at += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn array(&mut self) -> Parsed<Json<'a>> {
        let mut elements = Vec::new();
        self.skip_space();
        if self.peek()? == b']' {
            self.at += 1;
            return Ok(Json::Array(elements));
        }
        loop {
            self.skip_space();
            elements.push(self.value()?);
            self.skip_space();
            match self.peek()? {
                b',' => self.at += 1,
                b']' => {
                    self.at += 1;
                    return Ok(Json::Array(elements));
                }
                _ => return Err(JsonErrorKind::Syntax("`,` or `]`")),
            }
        }
    }

    fn object(&mut self) -> Parsed<Json<'a>> {
        let mut members: Vec<Member<'a>> = Vec::new();
        self.skip_space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Ok(Json::Object(members));
        }
        loop {
            self.skip_space();
            if self.peek()? != b'"' {
                return Err(JsonErrorKind::Syntax("a name in double quotes"));
            }
            let name_at = self.at;
            let name = self.string()?;
            if members.len() < PAIRWISE_UP_TO && members.iter().any(|(other, _)| *other == name) {
                self.at = name_at;
                return Err(duplicate(&name));
            }
            self.skip_space();
            if self.peek()? != b':' {
                return Err(JsonErrorKind::Syntax("`:`"));
            }
            self.at += 1;
            self.skip_space();
            let value = self.value()?;
            members.push((name, value));
            self.skip_space();
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return Err(JsonErrorKind::Syntax("`,` or `}`")),
            }
        }
        if members.len() > PAIRWISE_UP_TO {
            refuse_duplicates(&members)?;
        }
        self.at += 1;
        Ok(Json::Object(members))
    }

    fn word(&mut self, word: &[u8], value: Json<'a>) -> Parsed<Json<'a>> {
        if self.bytes[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(value)
        } else {
            Err(JsonErrorKind::Syntax("a JSON value"))
        }
    }

    fn number(&mut self) -> Parsed<Number<'a>> {
        let start = self.at;
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        // RFC 8259, section 6: no leading zeros.
        if self.byte() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        let mut plain = true;
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            plain = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.digits()?;
        }
        let written = &self.text[start..self.at];
        // A double reaches beyond 10^308: shorter texts without an exponent always fit.
        let fits = (plain && written.len() < 300) || written.parse::<f64>().is_ok_and(f64::is_finite);
        if fits {
            Ok(Number(written))
        } else {
            self.at = start;
            Err(JsonErrorKind::NumberOutOfRange)
        }
    }

    fn digits(&mut self) -> Parsed<()> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.byte() {
            self.at += 1;
        }
        if self.at > start {
            return Ok(());
        }
        Err(if self.at == self.bytes.len() {
            JsonErrorKind::Truncated
        } else {
            JsonErrorKind::Syntax("a digit")
        })
    }

    fn string(&mut self) -> Parsed<Cow<'a, str>> {
        self.at += 1;
        let start = self.at;
        self.skip_plain();
        if self.byte() == Some(b'"') {
            let text = &self.text[start..self.at];
            self.at += 1;
            return Ok(Cow::Borrowed(text));
        }
        let mut owned = String::with_capacity((self.at - start) * 2 + 16);
        let mut plain_from = start;
        loop {
            owned.push_str(&self.text[plain_from..self.at]);
            match self.byte() {
                None => return Err(JsonErrorKind::Truncated),
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(owned));
                }
                Some(b'\\') => owned.push(self.escape()?),
                Some(_) => return Err(JsonErrorKind::Syntax("control characters to be escaped")),
            }
            plain_from = self.at;
            self.skip_plain();
        }
    }

    /// Moves to the next quote, backslash or control character, eight bytes at a step: most of a large request is
    /// one long base64 string.
    fn skip_plain(&mut self) {
        while let Some(chunk) = self.bytes[self.at..].first_chunk::<8>() {
            if has_special(u64::from_ne_bytes(*chunk)) {
                break;
            }
            self.at += 8;
        }
        while let Some(byte) = self.byte() {
            if byte == b'"' || byte == b'\\' || byte < 0x20 {
                return;
            }
            self.at += 1;
        }
    }

    fn escape(&mut self) -> Parsed<char> {
        self.at += 1;
        let letter = self.peek()?;
        self.at += 1;
        Ok(match letter {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => {
                self.at -= 1;
                return Err(JsonErrorKind::Syntax("an escape of JSON"));
            }
        })
    }

    fn unicode_escape(&mut self) -> Parsed<char> {
        let first = self.hex4()?;
        if !(0xD800..=0xDFFF).contains(&first) {
            return char::from_u32(first).ok_or(JsonErrorKind::LoneSurrogate);
        }
        if first >= 0xDC00 || !self.bytes[self.at..].starts_with(b"\\u") {
            return Err(JsonErrorKind::LoneSurrogate);
        }
        self.at += 2;
        let second = self.hex4()?;
        if !(0xDC00..=0xDFFF).contains(&second) {
            return Err(JsonErrorKind::LoneSurrogate);
        }
        char::from_u32(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
            .ok_or(JsonErrorKind::LoneSurrogate)
    }

    fn hex4(&mut self) -> Parsed<u32> {
        let Some(digits) = self.bytes[self.at..].first_chunk::<4>() else {
            return Err(JsonErrorKind::Truncated);
        };
        let mut number = 0;
        for &digit in digits {
            let value = char::from(digit).to_digit(16);
            number = number * 16 + value.ok_or(JsonErrorKind::Syntax("four hexadecimal digits"))?;
        }
        self.at += 4;
        Ok(number)
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
    }

    fn byte(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn peek(&self) -> Parsed<u8> {
        self.byte().ok_or(JsonErrorKind::Truncated)
    }
}

/// Whether one of the eight bytes is a quote, a backslash or below 0x20. Borrows between lanes can only show a
/// special byte too many, never miss one; the loop behind looks byte by byte.
fn has_special(chunk: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let zero_in = |lanes: u64| lanes.wrapping_sub(ONES) & !lanes & HIGHS;
    let quote = zero_in(chunk ^ (ONES * 0x22));
    let backslash = zero_in(chunk ^ (ONES * 0x5C));
    let control = chunk.wrapping_sub(ONES * 0x20) & !chunk & HIGHS;
    (quote | backslash | control) != 0
}

fn refuse_duplicates(members: &[Member<'_>]) -> Parsed<()> {
    let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_ref()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(duplicate(pair[0])),
        None => Ok(()),
    }
}

fn duplicate(name: &str) -> JsonErrorKind {
    JsonErrorKind::DuplicateKey(name.chars().take(SHOWN_KEY_CHARS).collect())
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
