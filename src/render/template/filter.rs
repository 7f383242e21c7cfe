//! Filters: what may be done to a value on its way to the text. Each is linear in what it reads and writes, and
//! says what it costs before it does it.

use super::OUTPUT_BYTES_MAX;
use super::value::Value;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::RangeInclusive;

/// A filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    Default,
    Upper,
    Lower,
    Capitalize,
    Title,
    Trim,
    Length,
    First,
    Last,
    Join,
    Replace,
    Urlencode,
}

/// Why a filter gave no value.
pub(super) enum FilterError {
    /// A value of the wrong kind, for people.
    Kind(String),
    /// The result would be longer than any output may be.
    TooLong,
}

const ALL: [(&str, Filter); 13] = [
    ("default", Filter::Default),
    ("upper", Filter::Upper),
    ("lower", Filter::Lower),
    ("capitalize", Filter::Capitalize),
    ("title", Filter::Title),
    ("trim", Filter::Trim),
    ("length", Filter::Length),
    ("count", Filter::Length),
    ("first", Filter::First),
    ("last", Filter::Last),
    ("join", Filter::Join),
    ("replace", Filter::Replace),
    ("urlencode", Filter::Urlencode),
];

impl Filter {
    pub(super) fn parse(name: &str) -> Option<Self> {
        ALL.iter().find(|(known, _)| *known == name).map(|(_, filter)| *filter)
    }

    /// The message for a name that is no filter.
    pub(super) fn unknown(name: &str) -> String {
        if matches!(name, "safe" | "escape" | "e") {
            return format!("there is no filter `{name}`: values are always escaped in html, never in text");
        }
        let names: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
        format!("there is no filter `{name}`; there are {}", names.join(", "))
    }

    /// Whether a missing value is no fault before it.
    pub(super) fn takes_missing(self) -> bool {
        self == Self::Default
    }

    /// How many arguments it takes.
    pub(super) fn arguments(self) -> RangeInclusive<usize> {
        match self {
            Self::Default => 1..=2,
            Self::Join => 0..=1,
            Self::Replace => 2..=2,
            _ => 0..=0,
        }
    }

    /// The same for people.
    pub(super) fn signature(self) -> &'static str {
        match self {
            Self::Default => "a value: `default(\"...\")`",
            Self::Join => "what stands between the items: `join(\", \")`",
            Self::Replace => "two texts: `replace(\"old\", \"new\")`",
            _ => "no arguments",
        }
    }

    /// Bytes of text that it reads of `value`.
    pub(super) fn reads(self, value: &Value<'_>) -> usize {
        match (self, value) {
            (Self::Default, _) => 0,
            (Self::Join, Value::List(items)) => {
                items.iter().map(|item| 32 + item.as_str().map_or(0, str::len)).sum()
            }
            _ => value.text_bytes(),
        }
    }

    /// The filtered value. A missing value comes here only for `default`.
    pub(super) fn apply<'a>(
        self,
        value: Value<'a>,
        arguments: Vec<Value<'a>>,
    ) -> Result<Value<'a>, FilterError> {
        let mut arguments = arguments.into_iter();
        match self {
            Self::Default => {
                let fallback = arguments.next().unwrap_or(Value::Null);
                let also_empty = arguments.next().is_some_and(|flag| flag.is_true());
                let absent = matches!(value, Value::Missing(_) | Value::Null);
                Ok(if absent || (also_empty && !value.is_true()) { fallback } else { value })
            }
            Self::Length => length(&value),
            Self::First => pick(value, |items| items.first(), |text| text.chars().next()),
            Self::Last => pick(value, |items| items.last(), |text| text.chars().next_back()),
            Self::Join => join(&value, arguments.next()),
            Self::Replace => {
                let old = text(arguments.next().unwrap_or(Value::Null))?;
                let new = text(arguments.next().unwrap_or(Value::Null))?;
                replace(&text(value)?, &old, &new)
            }
            Self::Trim => Ok(Value::Text(match text(value)? {
                Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
                Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
            })),
            Self::Upper => Ok(owned(text(value)?.to_uppercase())),
            Self::Lower => Ok(owned(text(value)?.to_lowercase())),
            Self::Capitalize => Ok(owned(capitalize(&text(value)?))),
            Self::Title => Ok(owned(title(&text(value)?))),
            Self::Urlencode => Ok(owned(percent_encode(&text(value)?))),
        }
    }
}

fn owned<'a>(text: String) -> Value<'a> {
    Value::Text(Cow::Owned(text))
}

fn text(value: Value<'_>) -> Result<Cow<'_, str>, FilterError> {
    let kind = value.kind();
    value.text().ok_or_else(|| FilterError::Kind(format!("this filter needs a text, not {kind}")))
}

fn length<'a>(value: &Value<'a>) -> Result<Value<'a>, FilterError> {
    let length = match value {
        Value::Text(text) => text.chars().count(),
        Value::List(items) => items.len(),
        Value::Map(map) => map.len(),
        other => {
            return Err(FilterError::Kind(format!(
                "`length` needs a text, a list or an object, not {}",
                other.kind()
            )));
        }
    };
    Ok(Value::Number(length.into()))
}

fn pick<'a>(
    value: Value<'a>,
    item: impl Fn(&'a [serde_json::Value]) -> Option<&'a serde_json::Value>,
    character: impl Fn(&str) -> Option<char>,
) -> Result<Value<'a>, FilterError> {
    match value {
        Value::List(items) => Ok(item(items).map_or(Value::Null, Value::from)),
        Value::Text(text) => Ok(character(&text).map_or(Value::Null, |c| owned(c.to_string()))),
        other => Err(FilterError::Kind(format!("this filter needs a list or a text, not {}", other.kind()))),
    }
}

fn join<'a>(value: &Value<'a>, separator: Option<Value<'a>>) -> Result<Value<'a>, FilterError> {
    let Value::List(items) = value else {
        return Err(FilterError::Kind(format!("`join` needs a list, not {}", value.kind())));
    };
    let separator = text(separator.unwrap_or(Value::Null))?;
    let mut joined = String::new();
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            joined.push_str(&separator);
        }
        joined.push_str(&text(Value::from(item))?);
        if joined.len() > OUTPUT_BYTES_MAX {
            return Err(FilterError::TooLong);
        }
    }
    Ok(owned(joined))
}

fn replace<'a>(text: &str, old: &str, new: &str) -> Result<Value<'a>, FilterError> {
    if old.is_empty() {
        return Err(FilterError::Kind("`replace` needs a text to look for".to_owned()));
    }
    // Counted first: 2^18 bytes can be replaced by 2^18 bytes each.
    let grown = text.matches(old).count().saturating_mul(new.len()).saturating_add(text.len());
    if grown > OUTPUT_BYTES_MAX {
        return Err(FilterError::TooLong);
    }
    Ok(owned(text.replace(old, new)))
}

fn capitalize(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(characters.flat_map(char::to_lowercase)).collect()
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        if in_word {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        in_word = c.is_alphanumeric() || c == '\'';
    }
    out
}

/// RFC 3986, 2.3: everything but unreserved characters is encoded, so that a value stays one part of a URL.
fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
