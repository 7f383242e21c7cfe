//! The fields of a draft that are judged by themselves: its own headers, tags, metadata, priority and time to send.

use super::limits::{
    HEADERS, METADATA_BYTES, METADATA_KEY_CHARS, SCHEDULE_AHEAD, SCHEDULE_BACK, TAG_CHARS, TAGS,
};
use posthaste_mail::header::{HeaderName, HeaderValue};
use posthaste_model::Timestamp;
use posthaste_model::draft::{Draft, Field};
use posthaste_model::email::Priority;
use posthaste_model::refusal::{Fault, FaultCode};

/// By which mail programs show how urgent a message is.
const PRIORITY_HEADER: &str = "X-Priority";

/// What the fields come to.
pub(super) struct Fields {
    /// The message's own headers.
    pub headers: Vec<(String, String)>,
    pub priority: Priority,
    /// The time to send, when it lies ahead.
    pub send_at: Option<Timestamp>,
}

/// Judges the fields; what is wrong with them is added to `faults`.
pub(super) fn judge(draft: &Draft, now: Timestamp, faults: &mut Vec<Fault>) -> Fields {
    let headers = headers(draft, faults);
    tags(draft, faults);
    metadata(draft, faults);
    let priority = priority(draft, faults);
    let headers = with_priority(draft, priority, headers);
    Fields { headers, priority, send_at: send_at(draft, now, faults) }
}

fn headers(draft: &Draft, faults: &mut Vec<Fault>) -> Vec<(String, String)> {
    if draft.headers.len() > HEADERS {
        let message = format!("at most {HEADERS} custom headers");
        faults.push(Fault::new(Field::Headers, FaultCode::OutOfRange, message));
        return Vec::new();
    }
    let mut seen = Vec::with_capacity(draft.headers.len());
    for (name, value) in &draft.headers {
        let mut fault = |code, message: String| {
            faults.push(Fault::new(Field::Header(name.clone()), code, message));
        };
        match HeaderName::parse(name) {
            Err(error) => fault(FaultCode::InvalidHeader, format!("the header name {error}")),
            Ok(parsed) if parsed.is_reserved() => {
                fault(FaultCode::ReservedHeader, format!("{name} is written by the server"));
            }
            Ok(_) => {}
        }
        if let Err(error) = HeaderValue::parse(value) {
            fault(FaultCode::InvalidHeader, format!("the header value {error}"));
        }
        let lower = name.to_ascii_lowercase();
        if seen.contains(&lower) {
            fault(FaultCode::InvalidHeader, format!("{name} stands twice"));
        }
        seen.push(lower);
    }
    draft.headers.clone()
}

/// Says the priority in the message where the door does so; a header that was given stays as it is.
fn with_priority(
    draft: &Draft,
    priority: Priority,
    mut headers: Vec<(String, String)>,
) -> Vec<(String, String)> {
    let is_given = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(PRIORITY_HEADER));
    if draft.shows_priority && !is_given {
        headers.push((PRIORITY_HEADER.to_owned(), priority.get().to_string()));
    }
    headers
}

fn tags(draft: &Draft, faults: &mut Vec<Fault>) {
    if draft.tags.len() > TAGS {
        faults.push(Fault::new(Field::Tag(None), FaultCode::OutOfRange, format!("at most {TAGS} tags")));
    }
    for (index, tag) in draft.tags.iter().enumerate() {
        let field = Field::Tag(Some(index));
        if tag.is_empty() || tag.chars().count() > TAG_CHARS {
            let message = format!("a tag has 1 to {TAG_CHARS} characters");
            faults.push(Fault::new(field, FaultCode::OutOfRange, message));
        } else if tag.chars().any(is_unsafe) {
            let message = "the tag contains a line break or control character";
            faults.push(Fault::new(field, FaultCode::ControlCharacter, message));
        } else if draft.tags[..index].contains(tag) {
            faults.push(Fault::new(field, FaultCode::InvalidValue, "the tag stands twice"));
        }
    }
}

/// Control characters, and the two Unicode line separators that some readers break lines at.
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

fn metadata(draft: &Draft, faults: &mut Vec<Fault>) {
    if draft.metadata.is_empty() {
        return;
    }
    for (key, value) in &draft.metadata {
        if key.chars().any(is_unsafe) || holds_unsafe(value) {
            let message = "metadata contains a line break or control character";
            faults.push(Fault::new(Field::Metadata(Some(key.clone())), FaultCode::ControlCharacter, message));
        } else if key.is_empty() || key.chars().count() > METADATA_KEY_CHARS {
            let message = format!("a metadata key has 1 to {METADATA_KEY_CHARS} characters");
            faults.push(Fault::new(Field::Metadata(Some(key.clone())), FaultCode::OutOfRange, message));
        }
    }
    let size = serde_json::to_string(&draft.metadata).map_or(usize::MAX, |text| text.len());
    if size > METADATA_BYTES {
        let message = format!("metadata may have {METADATA_BYTES} bytes as JSON");
        faults.push(Fault::new(Field::Metadata(None), FaultCode::TooLong, message));
    }
}

/// Whether a string or a name anywhere in `value` is unsafe. As deep as JSON is read, so that it ends.
fn holds_unsafe(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::String(text) => text.chars().any(is_unsafe),
        serde_json::Value::Array(values) => values.iter().any(holds_unsafe),
        serde_json::Value::Object(members) => {
            members.iter().any(|(name, value)| name.chars().any(is_unsafe) || holds_unsafe(value))
        }
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => false,
    }
}

fn priority(draft: &Draft, faults: &mut Vec<Fault>) -> Priority {
    let Some(value) = draft.priority else { return Priority::DEFAULT };
    Priority::new(value).unwrap_or_else(|| {
        let message = "priority is a whole number from 1 (highest) to 5";
        faults.push(Fault::new(Field::Priority, FaultCode::OutOfRange, message));
        Priority::DEFAULT
    })
}

/// The time to send when it lies ahead; one just past means at once.
fn send_at(draft: &Draft, now: Timestamp, faults: &mut Vec<Fault>) -> Option<Timestamp> {
    let at = draft.send_at?;
    if at > now.plus(SCHEDULE_AHEAD) {
        let message = "send_at may lie up to 30 days ahead";
        faults.push(Fault::new(Field::SendAt, FaultCode::InvalidSendAt, message));
    } else if at < now.minus(SCHEDULE_BACK) {
        faults.push(Fault::new(Field::SendAt, FaultCode::InvalidSendAt, "send_at lies in the past"));
    }
    (at > now).then_some(at)
}
