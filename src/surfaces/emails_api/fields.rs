//! How this surface spells the fields of a draft: JSON pointers (RFC 6901).

use crate::surfaces::http::json::Json;
use crate::surfaces::http::json::reader::escape;
use posthaste_model::draft::{AttachmentField, Field};

/// The JSON pointer of a field in `body`: what was given as one value instead of a list has no index.
pub(super) fn pointer_in(field: &Field, body: &Json<'_>) -> String {
    let name = match field {
        Field::To(Some(0)) => "to",
        Field::Cc(Some(0)) => "cc",
        Field::Bcc(Some(0)) => "bcc",
        Field::ReplyTo(Some(0)) => "reply_to",
        _ => return pointer(field),
    };
    if matches!(body.get(name), Some(Json::Array(_))) { pointer(field) } else { format!("/{name}") }
}

/// The JSON pointer of a field.
pub(super) fn pointer(field: &Field) -> String {
    let list = |name: &str, index: &Option<usize>| match index {
        Some(index) => format!("/{name}/{index}"),
        None => format!("/{name}"),
    };
    match field {
        Field::Request => String::new(),
        Field::Domain => "/domain".into(),
        Field::From | Field::FromName => "/from".into(),
        Field::To(index) => list("to", index),
        Field::Cc(index) => list("cc", index),
        Field::Bcc(index) => list("bcc", index),
        Field::ReplyTo(index) => list("reply_to", index),
        Field::Subject => "/subject".into(),
        Field::Html => "/html".into(),
        Field::Text => "/text".into(),
        Field::TemplateCode => "/template_code".into(),
        Field::Variables(below) => format!("/variables{below}"),
        Field::Attachments => "/attachments".into(),
        Field::Attachment(index, part) => match attachment_part(*part) {
            "" => format!("/attachments/{index}"),
            part => format!("/attachments/{index}/{part}"),
        },
        Field::Header(name) => format!("/headers/{}", escape(name)),
        Field::Headers => "/headers".into(),
        Field::Tag(index) => list("tags", index),
        Field::Metadata(Some(key)) => format!("/metadata/{}", escape(key)),
        Field::Metadata(None) => "/metadata".into(),
        Field::EventId => "/event_id".into(),
        Field::Priority => "/priority".into(),
        Field::SendAt => "/send_at".into(),
        Field::IdempotencyKey => "/idempotency_key".into(),
        Field::Other(name) if name.is_empty() || name.starts_with('/') => name.clone(),
        Field::Other(name) => format!("/{name}"),
    }
}

fn attachment_part(part: AttachmentField) -> &'static str {
    match part {
        AttachmentField::Whole => "",
        AttachmentField::Filename => "filename",
        AttachmentField::Mime => "mime",
        AttachmentField::Content => "content_base64",
        AttachmentField::ContentId => "content_id",
        AttachmentField::Disposition => "disposition",
    }
}

/// The field a pointer names, as far as intake looks at it; so that a field of the wrong type is not called missing
/// as well.
pub(super) fn field(pointer: &str) -> Field {
    match pointer {
        "" => Field::Request,
        "/domain" => Field::Domain,
        "/from" => Field::From,
        "/to" => Field::To(None),
        "/cc" => Field::Cc(None),
        "/bcc" => Field::Bcc(None),
        "/subject" => Field::Subject,
        "/html" => Field::Html,
        "/text" => Field::Text,
        "/template_code" => Field::TemplateCode,
        other => attachment(other).unwrap_or_else(|| Field::Other(other.to_owned())),
    }
}

/// `/attachments/{index}` and what stands in it.
fn attachment(pointer: &str) -> Option<Field> {
    let place = pointer.strip_prefix("/attachments/")?;
    let (index, part) = place.split_once('/').unwrap_or((place, ""));
    let part = ATTACHMENT_PARTS.into_iter().find(|known| attachment_part(*known) == part)?;
    Some(Field::Attachment(index.parse().ok()?, part))
}

const ATTACHMENT_PARTS: [AttachmentField; 6] = [
    AttachmentField::Whole,
    AttachmentField::Filename,
    AttachmentField::Mime,
    AttachmentField::Content,
    AttachmentField::ContentId,
    AttachmentField::Disposition,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_spelled_as_documented() {
        assert_eq!(pointer(&Field::To(Some(1))), "/to/1");
        assert_eq!(pointer(&Field::Attachment(0, AttachmentField::Content)), "/attachments/0/content_base64");
        assert_eq!(pointer(&Field::Header("a/b~c".into())), "/headers/a~1b~0c");
        assert_eq!(pointer(&Field::Variables("/name".into())), "/variables/name");
        for text in
            ["", "/from", "/to/3", "/to/3/email", "/priority", "/attachments/2", "/attachments/2/filename"]
        {
            assert_eq!(pointer(&field(text)), text);
        }
        assert_eq!(field("/attachments/2/mime"), Field::Attachment(2, AttachmentField::Mime));
    }

    #[test]
    fn one_value_instead_of_a_list_has_no_index() {
        let body = crate::surfaces::http::json::parse(br#"{"to":"x","cc":["x"]}"#).unwrap();
        assert_eq!(pointer_in(&Field::To(Some(0)), &body), "/to");
        assert_eq!(pointer_in(&Field::Cc(Some(0)), &body), "/cc/0");
        assert_eq!(pointer_in(&Field::ReplyTo(Some(0)), &body), "/reply_to");
        assert_eq!(pointer_in(&Field::To(Some(1)), &body), "/to/1");
    }
}
