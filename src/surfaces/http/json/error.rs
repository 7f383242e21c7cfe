//! What is wrong with a JSON text, and where.

use std::fmt;

/// What is wrong with a JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonErrorKind {
    /// Nothing but white space.
    Empty,
    /// Not the grammar of RFC 8259; what was expected.
    Syntax(&'static str),
    /// The text ends in the middle of a value.
    Truncated,
    /// Something follows the value.
    TrailingText,
    /// Nested deeper than the limit.
    TooDeep(usize),
    /// More values than the limit.
    TooManyValues(usize),
    /// A name stands twice in one object.
    DuplicateKey(String),
    /// The text begins with a byte order mark (RFC 8259, section 8.1).
    ByteOrderMark,
    /// Not UTF-8.
    InvalidUtf8,
    /// A number beyond the range of a double.
    NumberOutOfRange,
    /// `\ud800` without its other half.
    LoneSurrogate,
}

/// A JSON text that was refused, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {kind}")]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl JsonErrorKind {
    /// A stable word for it, in snake_case.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty_body",
            Self::Syntax(_) | Self::Truncated | Self::TrailingText => "malformed_json",
            Self::TooDeep(_) => "json_too_deep",
            Self::TooManyValues(_) => "json_too_many_values",
            Self::DuplicateKey(_) => "json_duplicate_key",
            Self::ByteOrderMark => "json_byte_order_mark",
            Self::InvalidUtf8 => "json_invalid_utf8",
            Self::NumberOutOfRange => "json_number_out_of_range",
            Self::LoneSurrogate => "json_lone_surrogate",
        }
    }
}

impl fmt::Display for JsonErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the body is empty, a JSON value is needed"),
            Self::Syntax(expected) => write!(f, "expected {expected}"),
            Self::Truncated => f.write_str("the text ends in the middle of a value"),
            Self::TrailingText => f.write_str("something follows the JSON value"),
            Self::TooDeep(limit) => write!(f, "nested deeper than {limit} levels"),
            Self::TooManyValues(limit) => write!(f, "more than {limit} values"),
            Self::DuplicateKey(key) => write!(f, "the key {key:?} stands twice in one object"),
            Self::ByteOrderMark => f.write_str("JSON must not begin with a byte order mark"),
            Self::InvalidUtf8 => f.write_str("the text is not UTF-8"),
            Self::NumberOutOfRange => f.write_str("the number is out of range"),
            Self::LoneSurrogate => f.write_str("an escaped surrogate stands without its other half"),
        }
    }
}

impl JsonError {
    /// Line and column are counted only for a text that is refused.
    pub(super) fn at(bytes: &[u8], at: usize, kind: JsonErrorKind) -> Self {
        let before = &bytes[..at.min(bytes.len())];
        let line = before.split(|&byte| byte == b'\n').count();
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        // A byte that continues a UTF-8 sequence is no column of its own.
        let column = 1 + before[line_start..].iter().filter(|&&byte| byte & 0xC0 != 0x80).count();
        Self { kind, line, column }
    }
}
