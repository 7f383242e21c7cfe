//! Reads a request body into a draft. Only shapes are judged here (types, unknown fields); intake judges the rest.

use super::fields;
use crate::surfaces::http::json::reader::{FieldErrors, ObjectReader};
use crate::surfaces::http::json::{Json, to_map};
use posthaste_model::Timestamp;
use posthaste_model::draft::{Draft, DraftAttachment, DraftMailbox, Field};
use posthaste_model::email::Source;
use posthaste_model::refusal::{Fault, FaultCode};

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A draft and the idempotency key in its body.
pub(super) struct Read {
    pub draft: Draft,
    pub idempotency_key: Option<String>,
}

/// Reads one email of a request.
pub(super) fn read(json: &Json<'_>) -> Read {
    let mut draft = Draft::new(Source::Emails);
    draft.templated = true;
    let mut errors = FieldErrors::new();
    let mut idempotency_key = None;
    if let Some(mut body) = ObjectReader::new(json, "", &mut errors) {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        draft.domain = owned(body.text("domain"));
        draft.from = mailbox_field(&mut body, "from");
        draft.to = mailbox_list(&mut body, "to");
        draft.cc = mailbox_list(&mut body, "cc");
        draft.bcc = mailbox_list(&mut body, "bcc");
        draft.reply_to = mailbox_list(&mut body, "reply_to");
        draft.subject = owned(body.text("subject"));
        draft.html = owned(body.text("html"));
        draft.text = owned(body.text("text"));
        draft.template_code = owned(body.text("template_code"));
        draft.variables = body.map("variables").map(to_map).unwrap_or_default();
        draft.attachments = attachments(&mut body);
        let headers = body.text_map("headers").unwrap_or_default();
        draft.headers = headers.into_iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        let tags = body.text_list("tags").unwrap_or_default();
        draft.tags = tags.into_iter().map(str::to_owned).collect();
        draft.metadata = body.map("metadata").map(to_map).unwrap_or_default();
        draft.event_id = body.integer("event_id");
        draft.priority = body.integer("priority");
        draft.send_at = send_at(&mut body);
        draft.list_unsubscribe = list_unsubscribe(&mut body);
        idempotency_key = owned(body.text("idempotency_key"));
        body.finish();
    }
    draft.faults = errors.into_vec().into_iter().map(fault).collect();
    Read { draft, idempotency_key }
}

/// A fault of the reader in the product's words.
fn fault(error: crate::surfaces::http::json::reader::FieldError) -> Fault {
    let code = FaultCode::parse(error.code).unwrap_or(FaultCode::InvalidValue);
    Fault::new(fields::field(&error.field), code, error.message)
}

fn mailbox_field(body: &mut ObjectReader<'_, '_, '_>, name: &str) -> Option<DraftMailbox> {
    match body.value(name)? {
        Json::Null => None,
        Json::String(text) => Some(DraftMailbox::Text(text.to_string())),
        Json::Object(_) => Some(mailbox_parts(body.object(name)?)),
        other => {
            body.fault(
                name,
                "invalid_type",
                format!("must be a string or an object, not {}", other.type_name()),
            );
            Some(DraftMailbox::Unreadable)
        }
    }
}

/// A string, an object, or a list of both.
fn mailbox_list(body: &mut ObjectReader<'_, '_, '_>, name: &str) -> Vec<DraftMailbox> {
    let Some(Json::Array(elements)) = body.value(name) else {
        return mailbox_field(body, name).into_iter().collect();
    };
    let mut found = Vec::with_capacity(elements.len());
    for (index, element) in elements.iter().enumerate() {
        match element {
            Json::String(text) => found.push(DraftMailbox::Text(text.to_string())),
            Json::Object(_) => {
                found.extend(body.object_at(name, index, element).map(mailbox_parts));
            }
            other => {
                body.wrong_element(name, index, "a string or an object", other);
                // Those behind it keep their places, so that a fault of theirs is told at the right pointer.
                found.push(DraftMailbox::Unreadable);
            }
        }
    }
    found
}

fn mailbox_parts(mut reader: ObjectReader<'_, '_, '_>) -> DraftMailbox {
    let email = reader.required_text("email").map(str::to_owned);
    let name = reader.text("name").map(str::to_owned);
    reader.finish();
    email.map_or(DraftMailbox::Unreadable, |email| DraftMailbox::Parts { email, name })
}

/// The files; what is no object keeps its place, like an address that cannot be read.
fn attachments(body: &mut ObjectReader<'_, '_, '_>) -> Vec<DraftAttachment> {
    let elements = body.array("attachments").unwrap_or_default();
    let entries = elements.iter().enumerate();
    entries
        .map(|(index, element)| {
            body.object_at("attachments", index, element).map(attachment).unwrap_or_default()
        })
        .collect()
}

fn attachment(mut entry: ObjectReader<'_, '_, '_>) -> DraftAttachment {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let read = DraftAttachment {
        filename: owned(entry.required_text("filename")).unwrap_or_default(),
        mime: owned(entry.text("mime")),
        content_base64: owned(entry.required_text("content_base64")).unwrap_or_default(),
        content_id: owned(entry.text("content_id")),
        disposition: owned(entry.text("disposition")),
    };
    entry.finish();
    read
}

/// `true`: from all mail; a text: from mail with this tag.
fn list_unsubscribe(body: &mut ObjectReader<'_, '_, '_>) -> Option<String> {
    match body.value("list_unsubscribe")? {
        Json::Null | Json::Bool(false) => None,
        Json::Bool(true) => Some(String::new()),
        Json::String(text) => Some(text.to_string()),
        other => {
            let message = format!("must be true or a tag, not {}", other.type_name());
            body.fault("list_unsubscribe", "invalid_type", message);
            None
        }
    }
}

fn send_at(body: &mut ObjectReader<'_, '_, '_>) -> Option<Timestamp> {
    let text = body.text("send_at")?;
    match Timestamp::parse(text) {
        Ok(at) => Some(at),
        Err(error) => {
            body.fault("send_at", FaultCode::InvalidSendAt.as_str(), error.to_string());
            None
        }
    }
}

/// The faults of a key in the header that contradicts the one in the body, or is malformed.
pub(super) fn idempotency_key(
    headers: &http::HeaderMap,
    body: Option<String>,
) -> Result<Option<String>, Fault> {
    let fault = |message: &str| {
        Fault::new(Field::IdempotencyKey, FaultCode::InvalidIdempotencyKey, message.to_owned())
    };
    let mut given = headers.get_all(IDEMPOTENCY_KEY).iter();
    let header = given.next();
    if given.next().is_some() {
        return Err(fault("there must be one Idempotency-Key header"));
    }
    let header = match header.map(|value| value.to_str()) {
        None => None,
        Some(Ok(text)) => Some(text.trim().to_owned()),
        Some(Err(_)) => return Err(fault("the Idempotency-Key has 1 to 255 visible ASCII characters")),
    };
    let key = match (header, body) {
        (Some(header), Some(body)) if header != body => {
            return Err(fault("the Idempotency-Key header and idempotency_key must be equal"));
        }
        (header, body) => header.or(body),
    };
    match key {
        Some(key) if key.is_empty() || key.len() > 255 || !key.bytes().all(|b| (0x20..0x7f).contains(&b)) => {
            Err(fault("an idempotency key has 1 to 255 visible ASCII characters"))
        }
        key => Ok(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::surfaces::http::json::parse;

    #[test]
    fn reads_all_shapes_of_addresses() {
        let body =
            br#"{"from":"A <a@b.com>","to":["u@c.com",{"email":"x@y.com","name":"Ann"}],"cc":"z@y.com",
            "bcc":{"email":"q@y.com"},"subject":"s","text":"t","priority":3}"#;
        let read = read(&parse(body).unwrap());
        assert_eq!(read.draft.faults, []);
        assert_eq!(read.draft.to.len(), 2);
        assert_eq!(read.draft.cc, [DraftMailbox::Text("z@y.com".into())]);
        assert_eq!(read.draft.bcc.len(), 1);
    }

    #[test]
    fn names_every_wrong_type_and_unknown_field_at_once() {
        let body = br#"{"from":1,"to":["a@b.com",2,{"email":3,"nmae":"x"}],"subject":[],"clinet_id":"x","send_at":"soon"}"#;
        let read = read(&parse(body).unwrap());
        let faults: Vec<(String, &str)> =
            read.draft.faults.iter().map(|f| (fields::pointer(&f.field), f.code.as_str())).collect();
        for expected in [
            ("/from", "invalid_type"),
            ("/to/1", "invalid_type"),
            ("/to/2/email", "invalid_type"),
            ("/to/2/nmae", "unknown_field"),
            ("/subject", "invalid_type"),
            ("/send_at", "invalid_send_at"),
            ("/clinet_id", "unknown_field"),
        ] {
            assert!(faults.contains(&(expected.0.to_owned(), expected.1)), "{expected:?} in {faults:?}");
        }
    }

    #[test]
    fn keys_must_agree() {
        let none = http::HeaderMap::new();
        let mut one = none.clone();
        one.insert(IDEMPOTENCY_KEY, http::HeaderValue::from_static("k1"));
        let mut two = one.clone();
        two.append(IDEMPOTENCY_KEY, http::HeaderValue::from_static("k1"));
        assert_eq!(idempotency_key(&one, Some("k1".into())), Ok(Some("k1".into())));
        assert!(idempotency_key(&one, Some("k2".into())).is_err());
        assert!(idempotency_key(&two, None).is_err());
        assert!(idempotency_key(&none, Some("x".repeat(256))).is_err());
        assert_eq!(idempotency_key(&none, None), Ok(None));
    }

    #[test]
    fn what_cannot_be_read_keeps_its_place() {
        let body = br#"{"to":[1,{"email":2},"c@d.com"],"cc":true,"attachments":[7,{"filename":"a"}]}"#;
        let read = read(&parse(body).unwrap());
        let unreadable = DraftMailbox::Unreadable;
        assert_eq!(
            read.draft.to,
            [unreadable.clone(), unreadable.clone(), DraftMailbox::Text("c@d.com".into())]
        );
        assert_eq!(read.draft.cc, [unreadable]);
        assert_eq!(read.draft.attachments.len(), 2);
        assert_eq!(read.draft.attachments[1].filename, "a");
    }
}
