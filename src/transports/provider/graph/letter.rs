//! The message as Graph's JSON.

use crate::transports::Outgoing;
use crate::transports::provider::content::Content;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use posthaste_mail::view::Piece;
use posthaste_model::Mailbox;
use posthaste_model::email::{Content as Kept, RecipientKind};
use serde_json::{Map, Value, json};

/// Our own headers in one message; more are refused (`InvalidInternetMessageHeaderCollection`).
const HEADERS_MAX: usize = 5;
/// Files from this size on need an upload session, in bytes.
pub(super) const FILE_MAX: usize = 3_000_000;
/// The mark by which news leads back to the email.
const ID_HEADER: &str = "X-Posthaste-Id";

/// How much of a message JSON can say.
#[derive(Debug)]
pub(super) enum Form {
    /// Everything.
    Whole(String),
    /// All but what only MIME can: a text of its own beside the HTML, trace fields.
    Lossy(String),
    /// Not what the client asked for; why.
    Impossible(String),
}

impl Content {
    /// Whether a file needs an upload session.
    pub(super) fn has_large(&self) -> bool {
        self.pieces.files.iter().any(|file| file.content.len() >= FILE_MAX)
    }
}

/// The body of a `sendMail`.
pub(super) fn of(outgoing: &Outgoing<'_>, content: &Content) -> Form {
    let asked = match &outgoing.claim.email.content {
        Kept::Parts(parts) => parts.headers.as_slice(),
        Kept::Raw { .. } | Kept::Whole { .. } => &[],
    };
    if let Some((name, _)) = asked.iter().find(|(name, _)| !is_own(name)) {
        return Form::Impossible(format!(
            "Microsoft Graph takes no header {name} here: only names that begin with X-"
        ));
    }
    if asked.iter().filter(|(name, _)| !name.eq_ignore_ascii_case(ID_HEADER)).count() >= HEADERS_MAX {
        let message =
            format!("Microsoft Graph takes {} headers of a client, this message has more", HEADERS_MAX - 1);
        return Form::Impossible(message);
    }
    let mut message = message(outgoing, content);
    let files: Vec<Value> = all_files(content).iter().map(file).collect();
    if !files.is_empty() {
        message.insert("attachments".into(), files.into());
    }
    let json = json!({"message": message, "saveToSentItems": false}).to_string();
    let has_both = content.pieces.html.is_some() && content.own_text().is_some();
    if has_both || !content.pieces.alternatives.is_empty() { Form::Lossy(json) } else { Form::Whole(json) }
}

/// The message without its files.
pub(super) fn message(outgoing: &Outgoing<'_>, content: &Content) -> Map<String, Value> {
    let pieces = &content.pieces;
    let (kind, body) = match (&pieces.html, &pieces.text) {
        (Some(html), _) => ("HTML", html.as_str()),
        (None, Some(text)) => ("Text", text.as_str()),
        (None, None) => ("Text", ""),
    };
    let mut message = Map::new();
    message.insert("subject".into(), content.subject.as_str().into());
    message.insert("body".into(), json!({"contentType": kind, "content": body}));
    if content.from.name.is_some() {
        message.insert("from".into(), mailbox(&content.from));
    }
    for (field, of) in [
        ("toRecipients", RecipientKind::To),
        ("ccRecipients", RecipientKind::Cc),
        ("bccRecipients", RecipientKind::Bcc),
    ] {
        let recipients: Vec<Value> =
            content.recipients(outgoing, of).iter().map(|(_, recipient)| mailbox(recipient)).collect();
        if !recipients.is_empty() || of == RecipientKind::To {
            message.insert(field.into(), recipients.into());
        }
    }
    if !content.reply_to.is_empty() {
        message.insert("replyTo".into(), content.reply_to.iter().map(mailbox).collect());
    }
    let email = &outgoing.claim.email;
    message.insert("internetMessageId".into(), format!("<{}>", email.message_id).into());
    let mut headers = vec![json!({"name": ID_HEADER, "value": email.id.to_string()})];
    let own = content.headers.iter().filter(|(name, value)| is_own(name) && !value.is_empty());
    headers.extend(own.take(HEADERS_MAX - 1).map(|(name, value)| json!({"name": name, "value": value})));
    message.insert("internetMessageHeaders".into(), headers.into());
    message
}

/// The files, and what else cannot stand in a body.
pub(super) fn all_files(content: &Content) -> Vec<Piece> {
    let others = content.pieces.alternatives.iter().map(|(mime, body)| Piece {
        filename: if mime == "text/calendar" { "invite.ics" } else { "alternative.html" }.to_owned(),
        mime: mime.clone(),
        content: body.clone().into_bytes(),
        content_id: None,
        is_inline: false,
    });
    content.pieces.files.iter().cloned().chain(others).collect()
}

/// A file as it stands in a message or is posted to one.
pub(super) fn file(piece: &Piece) -> Value {
    let mut file = Map::new();
    file.insert("@odata.type".into(), "#microsoft.graph.fileAttachment".into());
    file.insert("name".into(), piece.filename.as_str().into());
    file.insert("contentType".into(), piece.mime.as_str().into());
    file.insert("contentBytes".into(), STANDARD.encode(&piece.content).into());
    file.insert("isInline".into(), piece.is_inline.into());
    if let Some(id) = &piece.content_id {
        file.insert("contentId".into(), id.as_str().into());
    }
    file.into()
}

fn mailbox(mailbox: &Mailbox) -> Value {
    match &mailbox.name {
        Some(name) => json!({"emailAddress": {"address": mailbox.address.as_str(), "name": name}}),
        None => json!({"emailAddress": {"address": mailbox.address.as_str()}}),
    }
}

fn is_own(name: &str) -> bool {
    name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("x-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{claim, email};
    use crate::transports::provider::content;
    use crate::transports::provider::content::tests::{outgoing, raw_claim};
    use bytes::Bytes;
    use posthaste_model::email::Parts;
    use std::sync::Arc;

    #[test]
    fn everything_has_its_field() {
        use RecipientKind::{Bcc, Cc, To};
        let message = "From: Ann <ann@a.example>\r\nTo: Bob <bob@b.example>\r\nReply-To: desk@a.example\r\n\
            Subject: Hi\r\nX-One: 1\r\nContent-Type: multipart/related; boundary=b\r\n\r\n\
            --b\r\nContent-Type: text/html\r\n\r\n<p>Hi\r\n\
            --b\r\nContent-Type: image/png; name=l.png\r\nContent-Id: <logo>\r\n\r\nPNG\r\n--b--\r\n";
        let kinds = [("bob@b.example", To), ("c@b.example", Cc), ("d@b.example", Bcc)];
        let (claim, bytes) = raw_claim(message, &kinds);
        let out = outgoing(&claim, &bytes, &[0, 1, 2]);
        let Form::Whole(json) = of(&out, &content::read(&out).unwrap()) else { panic!("JSON can say it") };
        let sent: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(sent["saveToSentItems"], false);
        let message = &sent["message"];
        assert_eq!(message["body"], json!({"contentType": "HTML", "content": "<p>Hi"}));
        assert_eq!(
            message["toRecipients"],
            json!([{"emailAddress": {"address": "bob@b.example", "name": "Bob"}}])
        );
        assert_eq!(message["ccRecipients"][0]["emailAddress"]["address"], "c@b.example");
        assert_eq!(message["bccRecipients"][0]["emailAddress"]["address"], "d@b.example");
        assert_eq!(message["replyTo"][0]["emailAddress"]["address"], "desk@a.example");
        assert_eq!(message["from"]["emailAddress"]["name"], "Ann");
        assert_eq!(message["internetMessageHeaders"][1], json!({"name": "X-One", "value": "1"}));
        let file = &message["attachments"][0];
        assert_eq!((&file["isInline"], &file["contentId"]), (&json!(true), &json!("logo")));
        assert_eq!(file["@odata.type"], "#microsoft.graph.fileAttachment");
    }

    fn with_headers(names: &[&str]) -> Form {
        let mut mail = email("ann@a.example", &["b@b.example"]);
        let headers = names.iter().map(|name| ((*name).to_owned(), "v".to_owned())).collect();
        mail.content = Kept::Parts(Parts { headers, ..Parts::default() });
        let (claim, bytes) = (claim(&Arc::new(mail), 1), Bytes::from_static(b"Subject: s\r\n\r\nx"));
        let out = outgoing(&claim, &bytes, &[0]);
        of(&out, &content::read(&out).unwrap())
    }

    #[test]
    fn headers_that_json_cannot_carry_are_noticed() {
        assert!(matches!(with_headers(&["X-1", "x-2", "X-3", "X-4"]), Form::Whole(_)));
        assert!(matches!(with_headers(&["X-1", "x-2", "X-3", "X-4", "X-5"]), Form::Impossible(_)));
        assert!(matches!(with_headers(&["List-Unsubscribe"]), Form::Impossible(_)));
    }

    #[test]
    fn a_text_of_its_own_beside_the_html_is_more_than_json_can_say() {
        let message = "Subject: s\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n\
            --b\r\n\r\nSomething else\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>Hi\r\n--b--\r\n";
        let (claim, bytes) = raw_claim(message, &[("b@b.example", RecipientKind::To)]);
        let out = outgoing(&claim, &bytes, &[0]);
        assert!(matches!(of(&out, &content::read(&out).unwrap()), Form::Lossy(_)));
    }
}
