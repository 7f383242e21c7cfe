//! How this surface spells the fields of a draft: JSON pointers (RFC 6901).

use crate::surfaces::http::json::reader::escape;
use posthaste_model::draft::{AttachmentField, Field};

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
        other => match other.strip_prefix("/to/").and_then(|rest| rest.split('/').next()?.parse().ok()) {
            // Keeps the exact pointer (`/to/1/email`) only where it says more than the index.
            Some(index) if other == format!("/to/{index}") => Field::To(Some(index)),
            _ => Field::Other(other.to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_spelled_as_documented() {
        assert_eq!(pointer(&Field::To(Some(1))), "/to/1");
        assert_eq!(pointer(&Field::Attachment(0, AttachmentField::Content)), "/attachments/0/content_base64");
        assert_eq!(pointer(&Field::Header("a/b~c".into())), "/headers/a~1b~0c");
        assert_eq!(pointer(&Field::Variables("/name".into())), "/variables/name");
        for text in ["", "/from", "/to/3", "/to/3/email", "/priority"] {
            assert_eq!(pointer(&field(text)), text);
        }
    }
}
