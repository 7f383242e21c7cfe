//! Values while a template runs: borrowed from the variables wherever possible.

use serde_json::{Map, Number, Value as Json};
use std::borrow::Cow;
use std::cmp::Ordering;

/// What an expression comes to.
#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    /// Nothing there; the JSON pointer of what is missing.
    Missing(Box<str>),
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(&'a [Json]),
    Map(&'a Map<String, Json>),
}

impl<'a> From<&'a Json> for Value<'a> {
    fn from(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => Self::Number(number.clone()),
            Json::String(text) => Self::Text(Cow::Borrowed(text)),
            Json::Array(items) => Self::List(items),
            Json::Object(map) => Self::Map(map),
        }
    }
}

impl<'a> Value<'a> {
    /// For messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Missing(_) => "missing",
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
        }
    }

    /// What counts as yes.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Missing(_) | Self::Null => false,
            Self::Bool(value) => *value,
            Self::Number(number) => number.as_f64() != Some(0.0),
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Map(map) => !map.is_empty(),
        }
    }

    /// How it is written; `None` for lists and objects, which are not a text.
    pub(super) fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Missing(_) | Self::Null => Some(Cow::Borrowed("")),
            Self::Bool(value) => Some(Cow::Borrowed(if value { "true" } else { "false" })),
            Self::Number(number) => Some(Cow::Owned(number.to_string())),
            Self::Text(text) => Some(text),
            Self::List(_) | Self::Map(_) => None,
        }
    }

    /// Whether two values that are neither lists nor objects are the same.
    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::Text(a), Self::Text(b)) => a == b,
            (Self::Number(a), Self::Number(b)) => compare_numbers(a, b) == Some(Ordering::Equal),
            _ => false,
        }
    }

    /// Which of two numbers or two texts comes first; `None` for anything else.
    pub(super) fn order(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Number(a), Self::Number(b)) => compare_numbers(a, b),
            _ => None,
        }
    }

    /// Bytes of text that a comparison reads at most.
    pub(super) fn text_bytes(&self) -> usize {
        if let Self::Text(text) = self { text.len() } else { 0 }
    }
}

fn compare_numbers(a: &Number, b: &Number) -> Option<Ordering> {
    // Whole numbers first: a float has only 53 bits of them.
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => match (a.as_u64(), b.as_u64()) {
            (Some(a), Some(b)) => Some(a.cmp(&b)),
            _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
        },
    }
}
