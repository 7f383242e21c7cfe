//! Reads one mail of a request. Only shapes are judged here, and what this API requires; intake judges the rest.

use super::given::{Given, WrongType};
use crate::surfaces::http::folding::unfolded;
use crate::surfaces::http::json::{Json, to_map};
use posthaste_model::draft::{AttachmentField, Draft, DraftAttachment, DraftMailbox, Field};
use posthaste_model::email::Source;
use posthaste_model::refusal::{Fault, FaultCode};

/// The mail in `json`. Its bodies are literal.
pub(super) fn read(json: &Json<'_>) -> Draft {
    let mut draft = Draft::new(Source::MailProxy);
    draft.merges_recipients = true;
    let mut faults = Vec::new();
    match Given::new(json) {
        Err(wrong) => {
            faults.push(Fault::new(Field::Request, WrongType::CODE, wrong.0.replace("the body", "a mail")));
        }
        Ok(given) => fields(&given, &mut draft, &mut faults),
    }
    draft.faults = faults;
    draft
}

fn fields(given: &Given<'_, '_>, draft: &mut Draft, faults: &mut Vec<Fault>) {
    let told = |faults: &mut Vec<Fault>, field: Field, wrong: WrongType| {
        faults.push(Fault::new(field, WrongType::CODE, wrong.0));
    };
    let mut text = |name: &str, field: Field| match given.text(name) {
        Ok(found) => found.map(str::to_owned),
        Err(wrong) => {
            told(faults, field, wrong);
            None
        }
    };
    let from = text("from", Field::From);
    draft.subject = text("subject", Field::Subject);
    draft.text = text("body", Field::Text);
    draft.html = text("html", Field::Html);
    // An empty sender is none, rather than a bad address.
    draft.from = from.filter(|from| !from.trim().is_empty()).map(DraftMailbox::Text);
    require(faults, draft.from.is_some(), Field::From, "from is required");
    draft.to = mailboxes(given, "to", Field::To, faults);
    draft.cc = mailboxes(given, "cc", Field::Cc, faults);
    draft.bcc = mailboxes(given, "bcc", Field::Bcc, faults);
    require(faults, !draft.to.is_empty(), Field::To(None), "to is required, with one recipient at least");
    let has_body = [&draft.text, &draft.html].into_iter().flatten().any(|body| !body.is_empty());
    let html_told = faults.iter().any(|fault| fault.field == Field::Html);
    require(faults, has_body || html_told, Field::Text, "body or html is required");
    draft.attachments = attachments(given, faults);
    match given.map("metadata") {
        Ok(members) => draft.metadata = members.map(to_map).unwrap_or_default(),
        Err(wrong) => told(faults, Field::Metadata(None), wrong),
    }
}

/// A fault where something required is not there, and no fault says why.
fn require(faults: &mut Vec<Fault>, is_there: bool, field: Field, message: &str) {
    if !is_there && !faults.iter().any(|fault| fault.field == field) {
        faults.push(Fault::new(field, FaultCode::Required, message));
    }
}

/// A list of addresses; what cannot be read keeps its place.
fn mailboxes(
    given: &Given<'_, '_>,
    name: &str,
    field: fn(Option<usize>) -> Field,
    faults: &mut Vec<Fault>,
) -> Vec<DraftMailbox> {
    let elements = match given.list(name) {
        Ok(elements) => elements.unwrap_or_default(),
        Err(wrong) => {
            faults.push(Fault::new(field(None), WrongType::CODE, wrong.0));
            return Vec::new();
        }
    };
    let mailbox = |(index, element): (usize, &Json<'_>)| {
        if let Some(text) = element.as_str() {
            return DraftMailbox::Text(text.to_owned());
        }
        let message = format!("{name}[{index}] must be a string, not {}", element.type_name());
        faults.push(Fault::new(field(Some(index)), WrongType::CODE, message));
        DraftMailbox::Unreadable
    };
    elements.iter().enumerate().map(mailbox).collect()
}

fn attachments(given: &Given<'_, '_>, faults: &mut Vec<Fault>) -> Vec<DraftAttachment> {
    let elements = match given.list("attachments") {
        Ok(elements) => elements.unwrap_or_default(),
        Err(wrong) => {
            faults.push(Fault::new(Field::Attachments, WrongType::CODE, wrong.0));
            return Vec::new();
        }
    };
    elements.iter().enumerate().map(|(index, element)| attachment(index, element, faults)).collect()
}

fn attachment(index: usize, element: &Json<'_>, faults: &mut Vec<Fault>) -> DraftAttachment {
    let Ok(given) = Given::new(element) else {
        let message = format!("attachments[{index}] must be an object, not {}", element.type_name());
        faults.push(Fault::new(Field::Attachment(index, AttachmentField::Whole), WrongType::CODE, message));
        return DraftAttachment::default();
    };
    let mut text = |name: &str, part: AttachmentField, is_required: bool| {
        let field = Field::Attachment(index, part);
        match given.text(name) {
            Ok(None) if is_required => {
                let message = format!("attachments[{index}].{name} is required");
                faults.push(Fault::new(field, FaultCode::Required, message));
                None
            }
            Ok(found) => found.map(str::to_owned),
            Err(wrong) => {
                let message = format!("attachments[{index}].{}", wrong.0);
                faults.push(Fault::new(field, WrongType::CODE, message));
                None
            }
        }
    };
    DraftAttachment {
        filename: text("filename", AttachmentField::Filename, true).unwrap_or_default(),
        content_base64: text("content", AttachmentField::Content, true).map(unfolded).unwrap_or_default(),
        mime: text("content_type", AttachmentField::Mime, false).filter(|mime| !mime.is_empty()),
        content_id: None,
        disposition: None,
    }
}

/// The names of a mail's files, as errors tell them.
pub(super) fn file_names(draft: &Draft) -> Vec<String> {
    let name = |(index, file): (usize, &DraftAttachment)| {
        let name = posthaste_mail::filename::safe_filename(&file.filename);
        name.unwrap_or_else(|_| format!("attachments[{index}]"))
    };
    draft.attachments.iter().enumerate().map(name).collect()
}

/// Says of files that are too large which ones, by name, and how much is allowed.
pub(super) fn name_large_files(faults: &mut [Fault], names: &[String], most: u64) {
    const MEGABYTE: u64 = 1024 * 1024;
    for fault in faults.iter_mut().filter(|fault| fault.code == FaultCode::AttachmentTooLarge) {
        let Field::Attachment(index, _) = fault.field else { continue };
        let Some(name) = names.get(index) else { continue };
        let is_whole = most.is_multiple_of(MEGABYTE);
        let allowed = if is_whole { format!("{}MB", most / MEGABYTE) } else { format!("{most} bytes") };
        fault.field = Field::Request;
        fault.message = format!("{name} exceeds maximum size of {allowed}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::surfaces::http::json;

    fn faults(body: &str) -> Vec<(Field, FaultCode)> {
        let draft = read(&json::parse(body.as_bytes()).unwrap());
        draft.faults.into_iter().map(|fault| (fault.field, fault.code)).collect()
    }

    #[test]
    fn a_whole_mail_is_read_and_nothing_is_templated() {
        let body = br#"{"from":"a@b.example","to":["c@d.example"],"cc":["e@f.example"],"bcc":[],"subject":"{{ x }}",
            "body":"text","html":"<p>","attachments":[{"filename":"a.txt","content":"YQ=\n=","content_type":"text/plain"}],
            "metadata":{"case":7},"something":"else"}"#;
        let draft = read(&json::parse(body).unwrap());
        assert!(draft.faults.is_empty() && !draft.templated, "{:?}", draft.faults);
        assert_eq!(draft.to, [DraftMailbox::Text("c@d.example".into())]);
        assert_eq!((draft.cc.len(), draft.bcc.len()), (1, 0));
        assert_eq!((draft.text.as_deref(), draft.html.as_deref()), (Some("text"), Some("<p>")));
        assert_eq!(draft.attachments[0].mime.as_deref(), Some("text/plain"));
        assert_eq!(draft.attachments[0].content_base64, "YQ==");
        assert_eq!(draft.metadata["case"], 7);
    }

    #[test]
    fn what_is_missing_or_of_another_type_is_told_in_its_place() {
        let (to, required, wrong) = (Field::To(None), FaultCode::Required, WrongType::CODE);
        let rest = r#""from":"a@b.example","body":"x""#;
        let of = |text: &str| faults(&format!("{{{rest},{text}}}"));
        assert_eq!(faults("[]"), [(Field::Request, wrong)]);
        assert_eq!(faults("{}"), [(Field::From, required), (to.clone(), required), (Field::Text, required)]);
        assert_eq!(of(r#""to":[],"cc":["a@b.example"]"#), [(to.clone(), required)]);
        assert_eq!(of(r#""to":"a@b.example""#), [(to, wrong)]);
        assert_eq!(of(r#""to":["a@b.example",1]"#), [(Field::To(Some(1)), wrong)]);
        let file = |part| Field::Attachment(0, part);
        assert_eq!(
            of(r#""to":["a@b.example"],"subject":1,"attachments":[{"filename":2}],"metadata":[]"#),
            [
                (Field::Subject, wrong),
                (file(AttachmentField::Filename), wrong),
                (file(AttachmentField::Content), required),
                (Field::Metadata(None), wrong),
            ]
        );
        assert_eq!(
            of(r#""to":["a@b.example"],"attachments":["x"]"#),
            [(file(AttachmentField::Whole), wrong)]
        );
        assert_eq!(
            faults(r#"{"from":1,"to":["a@b.example"],"html":2}"#),
            [(Field::From, wrong), (Field::Html, wrong)]
        );
    }
}
