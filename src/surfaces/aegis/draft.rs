//! Reads one message of a request. Only shapes are judged here, and what this API requires; intake judges the rest.
//! Unknown fields are passed over, as the original does.

use super::AegisError;
use crate::surfaces::http::folding::unfolded;
use crate::surfaces::http::json::{Json, Member};
use posthaste_model::draft::{AttachmentField, Draft, DraftAttachment, DraftMailbox, Field, SenderRule};
use posthaste_model::email::Source;
use posthaste_model::refusal::{Fault, FaultCode};

/// The message in `json`. Its body is literal.
pub(super) fn read(json: &Json<'_>) -> Result<Draft, AegisError> {
    let Json::Object(_) = json else {
        return Err(AegisError::json(format!("The body must be an object, not {}", json.type_name())));
    };
    let mut reader = Reader { json, faults: Vec::new() };
    let mut draft = Draft::new(Source::Aegis);
    draft.sender = SenderRule::Configuration;
    draft.merges_recipients = true;
    draft.shows_priority = true;
    let to = reader.required("to", Field::To(None));
    let to_name = reader.text("toName", || Field::Other("toName".into()));
    draft.to = to.map(|email| parts(email, to_name)).into_iter().collect();
    draft.subject = reader.required("subject", Field::Subject).map(str::to_owned);
    let body = reader.required("body", Field::Text).map(str::to_owned);
    if reader.flag("isHtml") {
        draft.html = body;
    } else {
        draft.text = body;
    }
    draft.cc = reader.copies("cc", Field::Cc);
    draft.bcc = reader.copies("bcc", Field::Bcc);
    let reply_to = reader.text("replyTo", || Field::ReplyTo(None));
    draft.reply_to = reply_to.map(|email| parts(email, None)).into_iter().collect();
    draft.attachments = reader.attachments();
    draft.priority = reader.integer("priority", Field::Priority);
    draft.headers = reader.headers();
    draft.faults = reader.faults;
    Ok(draft)
}

fn parts(email: &str, name: Option<&str>) -> DraftMailbox {
    DraftMailbox::Parts { email: email.to_owned(), name: name.map(str::to_owned) }
}

/// The fields of a request, and what is wrong with them. `null` and, in text, nothing between the quotes are as good as
/// absent: that is what the original's clients send for what they do not have.
struct Reader<'j, 'a> {
    json: &'j Json<'a>,
    faults: Vec<Fault>,
}

impl<'j, 'a> Reader<'j, 'a> {
    fn member(&self, name: &str) -> Option<&'j Json<'a>> {
        self.json.get(name).filter(|value| !value.is_null())
    }

    fn wrong_type(&mut self, field: Field, name: &str, wanted: &str, found: &Json<'_>) {
        let message = format!("{name} must be {wanted}, not {}", found.type_name());
        self.faults.push(Fault::new(field, FaultCode::InvalidType, message));
    }

    fn missing(&mut self, field: Field, name: &str) {
        self.faults.push(Fault::new(field, FaultCode::Required, format!("{name} is required")));
    }

    /// A text of `json` that may be absent.
    fn text_of(
        &mut self,
        json: &'j Json<'a>,
        (place, name): (&str, &str),
        field: impl FnOnce() -> Field,
    ) -> Option<&'j str> {
        let value = json.get(name).filter(|value| !value.is_null())?;
        let Some(text) = value.as_str() else {
            self.wrong_type(field(), &format!("{place}{name}"), "a string", value);
            return None;
        };
        Some(text).filter(|text| !text.is_empty())
    }

    fn text(&mut self, name: &str, field: impl FnOnce() -> Field) -> Option<&'j str> {
        self.text_of(self.json, ("", name), field)
    }

    fn required(&mut self, name: &str, field: Field) -> Option<&'j str> {
        let known = self.faults.len();
        let found = self.text(name, || field.clone()).filter(|text| !text.trim().is_empty());
        if found.is_none() && self.faults.len() == known {
            self.missing(field, name);
        }
        found
    }

    fn flag(&mut self, name: &str) -> bool {
        let Some(value) = self.member(name) else { return false };
        value.as_bool().unwrap_or_else(|| {
            self.wrong_type(Field::Other(name.to_owned()), name, "a boolean", value);
            false
        })
    }

    fn integer(&mut self, name: &str, field: Field) -> Option<i64> {
        let value = self.member(name)?;
        let found = value.as_i64();
        if found.is_none() {
            let message = "priority is a whole number from 1 (highest) to 5";
            self.faults.push(Fault::new(field, FaultCode::InvalidType, message));
        }
        found
    }

    fn list(&mut self, name: &str, field: Field) -> &'j [Json<'a>] {
        let Some(value) = self.member(name) else { return &[] };
        value.as_array().unwrap_or_else(|| {
            self.wrong_type(field, name, "a list", value);
            &[]
        })
    }

    /// A list of `{email, name}`; what cannot be read keeps its place.
    fn copies(&mut self, name: &str, field: fn(Option<usize>) -> Field) -> Vec<DraftMailbox> {
        let elements = self.list(name, field(None));
        let each = elements.iter().enumerate().map(|(index, element)| {
            let place = format!("{name}.{index}");
            if element.as_object().is_none() {
                self.wrong_type(field(Some(index)), &place, "an object with email and name", element);
                return DraftMailbox::Unreadable;
            }
            let place = format!("{place}.");
            let known = self.faults.len();
            let other = |part: &str| Field::Other(format!("{place}{part}"));
            let email = self.text_of(element, (&place, "email"), || other("email"));
            if email.is_none() && self.faults.len() == known {
                self.missing(other("email"), &format!("{place}email"));
            }
            let copy_name = self.text_of(element, (&place, "name"), || other("name"));
            email.map_or(DraftMailbox::Unreadable, |email| parts(email, copy_name))
        });
        each.collect()
    }

    fn attachments(&mut self) -> Vec<DraftAttachment> {
        let elements = self.list("attachments", Field::Attachments);
        elements.iter().enumerate().map(|(index, element)| self.attachment(index, element)).collect()
    }

    fn attachment(&mut self, index: usize, element: &'j Json<'a>) -> DraftAttachment {
        let at = |part| Field::Attachment(index, part);
        let place = format!("attachments.{index}");
        if element.as_object().is_none() {
            self.wrong_type(at(AttachmentField::Whole), &place, "an object with name and content", element);
            return DraftAttachment::default();
        }
        let place = format!("{place}.");
        let known = self.faults.len();
        let filename = self.text_of(element, (&place, "name"), || at(AttachmentField::Filename));
        if filename.is_none() && self.faults.len() == known {
            self.missing(at(AttachmentField::Filename), &format!("{place}name"));
        }
        let known = self.faults.len();
        let content = self.text_of(element, (&place, "content"), || at(AttachmentField::Content));
        // A file may be empty, but not left out.
        let is_empty = element.get("content").and_then(Json::as_str).is_some_and(str::is_empty);
        if content.is_none() && !is_empty && self.faults.len() == known {
            self.missing(at(AttachmentField::Content), &format!("{place}content"));
        }
        DraftAttachment {
            filename: filename.unwrap_or_default().to_owned(),
            content_base64: content.map(|text| unfolded(text.to_owned())).unwrap_or_default(),
            ..DraftAttachment::default()
        }
    }

    /// Custom headers. An empty list is no headers: that is how PHP writes an empty object.
    fn headers(&mut self) -> Vec<(String, String)> {
        let Some(value) = self.member("headers") else { return Vec::new() };
        let members: &[Member<'_>] = match value {
            Json::Object(members) => members,
            Json::Array(elements) if elements.is_empty() => &[],
            other => {
                self.wrong_type(Field::Headers, "headers", "an object of strings", other);
                &[]
            }
        };
        let mut headers = Vec::with_capacity(members.len());
        for (name, value) in members {
            if let Some(text) = value.as_str() {
                headers.push((name.to_string(), text.to_owned()));
            } else {
                let field = Field::Header(name.to_string());
                self.wrong_type(field, &format!("headers.{name}"), "a string", value);
            }
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::surfaces::http::json;

    fn of(body: &str) -> Draft {
        read(&json::parse(body.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn every_field_has_its_place() {
        let draft = of(r#"{"to":"a@b.example","toName":"Ann","subject":"S","body":"<p>x</p>","isHtml":true,
            "cc":[{"email":"c@b.example","name":"Cay"}],"bcc":[{"email":"d@b.example"}],"replyTo":"e@b.example",
            "attachments":[{"name":"a.txt","content":"YQ=\r\n="}],"priority":1,"headers":{"X-A":"b"},"other":[1]}"#);
        assert_eq!(draft.faults, []);
        assert_eq!(draft.to, [parts("a@b.example", Some("Ann"))]);
        assert_eq!(draft.cc, [parts("c@b.example", Some("Cay"))]);
        assert_eq!(draft.bcc, [parts("d@b.example", None)]);
        assert_eq!(draft.reply_to, [parts("e@b.example", None)]);
        assert_eq!((draft.html.as_deref(), draft.text.as_deref()), (Some("<p>x</p>"), None));
        assert_eq!(draft.attachments[0].content_base64, "YQ==");
        assert_eq!((draft.priority, draft.headers.len()), (Some(1), 1));
        assert!(!draft.templated, "bodies are literal");
        assert_eq!(of(r#"{"to":"a@b.example","subject":"S","body":"x","headers":[],"cc":null}"#).faults, []);
    }

    #[test]
    fn what_is_missing_or_of_another_type_is_a_fault_in_its_place() {
        let (wrong, required) = (FaultCode::InvalidType, FaultCode::Required);
        let other = |name: &str| Field::Other(name.to_owned());
        for (patch, field, code) in [
            (r#""to":1"#, Field::To(None), wrong),
            (r#""to":"""#, Field::To(None), required),
            (r#""subject":" ""#, Field::Subject, required),
            (r#""body":null"#, Field::Text, required),
            (r#""isHtml":"yes""#, other("isHtml"), wrong),
            (r#""cc":"x""#, Field::Cc(None), wrong),
            (r#""cc":["x"]"#, Field::Cc(Some(0)), wrong),
            (r#""cc":[{"name":"x"}]"#, other("cc.0.email"), required),
            (r#""bcc":[{"email":"a@b.example"},{"email":2}]"#, other("bcc.1.email"), wrong),
            (r#""priority":"1""#, Field::Priority, wrong),
            (r#""headers":"x""#, Field::Headers, wrong),
            (r#""headers":{"X-A":1}"#, Field::Header("X-A".into()), wrong),
            (r#""attachments":[1]"#, Field::Attachment(0, AttachmentField::Whole), wrong),
            (
                r#""attachments":[{"content":"YQ=="}]"#,
                Field::Attachment(0, AttachmentField::Filename),
                required,
            ),
            (r#""attachments":[{"name":"a"}]"#, Field::Attachment(0, AttachmentField::Content), required),
        ] {
            let rest = [r#""to":"a@b.example""#, r#""subject":"s""#, r#""body":"b""#];
            let name = patch.split(':').next().unwrap();
            let rest: Vec<&str> = rest.into_iter().filter(|one| !one.starts_with(name)).collect();
            let draft = of(&format!("{{{patch},{}}}", rest.join(",")));
            let found: Vec<_> = draft.faults.iter().map(|fault| (fault.field.clone(), fault.code)).collect();
            assert_eq!(found, [(field, code)], "{patch}");
        }
        let none = json::parse(b"[]").unwrap();
        assert_eq!(read(&none).map_err(|error| error.code()), Err("INVALID_JSON"));
    }
}
