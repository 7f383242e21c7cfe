//! Strict JSON for every HTTP surface: what a client sends is either one unambiguous value or a fault with its
//! place. Two parsers that read one text differently are how checks get bypassed, so everything RFC 8259 leaves
//! open is refused here: duplicate keys, a byte order mark, numbers out of range, lone surrogates, deep nesting.
//!
//! Use: [`parse_body`] the bytes, read the fields with [`reader::ObjectReader`], and, when the request carries an
//! idempotency key, take [`fingerprint::of_json`].

mod error;
pub mod fingerprint;
mod parse;
pub mod reader;

pub use error::{JsonError, JsonErrorKind};
pub use parse::{JsonLimits, parse, parse_within};

use std::borrow::Cow;
use tokio::runtime::{Handle, RuntimeFlavor};

/// From this size on reading a body takes long enough to hold up the requests beside it.
const LARGE: usize = 256 * 1024;

/// [`parse`] for a request's whole body.
pub fn parse_body(body: &[u8]) -> Result<Json<'_>, JsonError> {
    aside(body.len(), || parse(body))
}

/// Runs work that goes through a whole body of `bytes`. For a large one the runtime moves its other work to another
/// thread meanwhile; the body itself is neither moved nor copied.
pub fn aside<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let others_can_move =
        || Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
    if bytes >= LARGE && others_can_move() { tokio::task::block_in_place(work) } else { work() }
}

/// A JSON value that borrows from the text it was read from, except where a string had escapes.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as written.
    Number(Number<'a>),
    /// A string, unescaped.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object's members in the order written; no name stands twice.
    Object(Vec<Member<'a>>),
}

/// A name and its value.
pub type Member<'a> = (Cow<'a, str>, Json<'a>);

/// A number as it was written, known to fit a finite `f64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number<'a>(&'a str);

impl<'a> Number<'a> {
    /// The text as written.
    pub fn as_written(self) -> &'a str {
        self.0
    }

    /// The value when it was written as an integer (no fraction, no exponent) and fits.
    pub fn as_i64(self) -> Option<i64> {
        self.0.parse().ok()
    }

    /// The value when it was written as an integer that is not negative and fits.
    pub fn as_u64(self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// The nearest `f64`; always finite.
    pub fn as_f64(self) -> f64 {
        self.0.parse().unwrap_or(0.0)
    }
}

impl<'a> Json<'a> {
    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The truth value of a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The integer, when it is a number written as one.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(number) => number.as_i64(),
            _ => None,
        }
    }

    /// The elements of an array.
    pub fn as_array(&self) -> Option<&[Json<'a>]> {
        match self {
            Self::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The members of an object.
    pub fn as_object(&self) -> Option<&[Member<'a>]> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The value of an object's member.
    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.as_object()?.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The type in the words of a message: `a string`, `an object`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// A copy that owns its text, for template variables and schemas. Integers beyond 64 bits become `f64`.
    pub fn to_value(&self) -> serde_json::Value {
        use serde_json::Value;
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(number) => number.to_value(),
            Self::String(text) => Value::String(text.to_string()),
            Self::Array(elements) => Value::Array(elements.iter().map(Json::to_value).collect()),
            Self::Object(members) => Value::Object(to_map(members)),
        }
    }
}

/// An object's members as a map that owns its text.
pub fn to_map(members: &[Member<'_>]) -> serde_json::Map<String, serde_json::Value> {
    members.iter().map(|(name, value)| (name.to_string(), value.to_value())).collect()
}

impl Number<'_> {
    fn to_value(self) -> serde_json::Value {
        match (self.as_u64(), self.as_i64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => self.as_f64().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::tasks::Tasks;
    use std::time::Duration;

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_large_body_holds_up_nobody() {
        let tasks = Tasks::new();
        let (heard, hears) = std::sync::mpsc::channel();
        let reader = tasks
            .spawn("reader", async move { aside(LARGE, || hears.recv_timeout(Duration::from_secs(20))) });
        // Waits in line behind the reader, on the only thread.
        tasks.spawn("other", async move { heard.send(()) });
        assert_eq!(reader.await.unwrap(), Ok(()), "the other request waited for the body's reader");
    }

    #[tokio::test]
    async fn where_there_is_no_other_thread_the_body_is_read_all_the_same() {
        let text = format!("\"{}\"", "x".repeat(LARGE));
        assert_eq!(parse_body(text.as_bytes()).unwrap().as_str().map(str::len), Some(LARGE));
    }
}
