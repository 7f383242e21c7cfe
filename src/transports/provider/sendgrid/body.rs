//! The JSON that SendGrid is given, and its limits.

use crate::transports::Outgoing;
use crate::transports::provider::content::Content;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use posthaste_mail::view::Piece;
use posthaste_model::Mailbox;
use posthaste_model::email::RecipientKind;
use serde_json::{Map, Value, json};

/// Recipients of one request.
const RECIPIENTS_MAX: usize = 1000;
/// Categories of one request, and the characters of one.
const CATEGORIES_MAX: usize = 10;
const CATEGORY_MAX: usize = 255;
/// Headers that SendGrid refuses or writes itself, in lower case.
const RESERVED: [&str; 4] = ["x-sg-id", "x-sg-eid", "received", "dkim-signature"];

/// Where each recipient stands in the request: `personalizations.0.to.1` and its index in the email.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Places(Vec<(String, usize)>);

impl Places {
    /// The recipient that a `field` of an error names.
    pub fn find(&self, field: &str) -> Option<usize> {
        let is_it = |place: &str| {
            field == place || field.strip_prefix(place).is_some_and(|rest| rest.starts_with('.'))
        };
        self.0.iter().find(|(place, _)| is_it(place)).map(|(_, index)| *index)
    }

    /// Everyone.
    pub fn all(&self) -> Vec<usize> {
        self.0.iter().map(|(_, index)| *index).collect()
    }
}

/// The request's body, or the limit that the message breaks.
pub(super) fn of(outgoing: &Outgoing<'_>, content: &Content) -> Result<(Value, Places), String> {
    if outgoing.due.len() > RECIPIENTS_MAX {
        return Err(format!(
            "SendGrid takes {RECIPIENTS_MAX} recipients, this message has {}",
            outgoing.due.len()
        ));
    }
    if content.subject.trim().is_empty() {
        return Err("SendGrid takes no message without a subject".to_owned());
    }
    let (personalizations, places) = personalizations(outgoing, content);
    let email = &outgoing.claim.email;
    let mut body = Map::new();
    body.insert("personalizations".into(), personalizations.into());
    body.insert("from".into(), mailbox(&content.from));
    match &content.reply_to[..] {
        [] => {}
        [one] => drop(body.insert("reply_to".into(), mailbox(one))),
        many => drop(body.insert("reply_to_list".into(), many.iter().map(mailbox).collect())),
    }
    body.insert("subject".into(), content.subject.as_str().into());
    body.insert("content".into(), bodies(content));
    let files: Vec<Value> = content.pieces.files.iter().map(file).collect();
    if !files.is_empty() {
        body.insert("attachments".into(), files.into());
    }
    let headers = headers(content);
    if !headers.is_empty() {
        body.insert("headers".into(), headers.into());
    }
    let categories = categories(&email.tags);
    if !categories.is_empty() {
        body.insert("categories".into(), categories.into());
    }
    body.insert("custom_args".into(), json!({"posthaste_id": email.id.to_string()}));
    Ok((body.into(), places))
}

fn mailbox(mailbox: &Mailbox) -> Value {
    match &mailbox.name {
        Some(name) => json!({"email": mailbox.address.as_str(), "name": name}),
        None => json!({"email": mailbox.address.as_str()}),
    }
}

/// One personalization with to, cc and bcc, each address once. `to` may not be empty: copies stand there when nobody
/// else does, and blind copies get one each, so that none sees another.
fn personalizations(outgoing: &Outgoing<'_>, content: &Content) -> (Vec<Value>, Places) {
    let [mut to, mut cc, bcc] = [RecipientKind::To, RecipientKind::Cc, RecipientKind::Bcc]
        .map(|kind| content.recipients(outgoing, kind));
    if to.is_empty() {
        to = std::mem::take(&mut cc);
    }
    let groups: Vec<[Vec<(usize, Mailbox)>; 3]> = if to.is_empty() {
        bcc.into_iter().map(|one| [vec![one], Vec::new(), Vec::new()]).collect()
    } else {
        vec![[to, cc, bcc]]
    };
    let mut places = Places::default();
    let mut made = Vec::with_capacity(groups.len());
    for (number, group) in groups.into_iter().enumerate() {
        let mut personalization = Map::new();
        for (list, recipients) in ["to", "cc", "bcc"].into_iter().zip(group) {
            if recipients.is_empty() {
                continue;
            }
            let place = |(at, (index, _)): (usize, &(usize, Mailbox))| {
                (format!("personalizations.{number}.{list}.{at}"), *index)
            };
            places.0.extend(recipients.iter().enumerate().map(place));
            let each: Vec<Value> = recipients.iter().map(|(_, one)| mailbox(one)).collect();
            personalization.insert(list.to_owned(), each.into());
        }
        made.push(Value::from(personalization));
    }
    (made, places)
}

/// Text before HTML before anything else. An empty body would be refused: a space shows the same.
fn bodies(content: &Content) -> Value {
    let pieces = &content.pieces;
    let named = [("text/plain", pieces.text.as_deref()), ("text/html", pieces.html.as_deref())];
    let named = named.into_iter().filter_map(|(mime, body)| Some((mime, body?)));
    let others = pieces.alternatives.iter().map(|(mime, body)| (&**mime, &**body));
    let shown = named.chain(others).filter(|(_, body)| !body.is_empty());
    let mut bodies: Vec<Value> = shown.map(|(mime, body)| json!({"type": mime, "value": body})).collect();
    if bodies.is_empty() {
        bodies.push(json!({"type": "text/plain", "value": " "}));
    }
    bodies.into()
}

fn file(piece: &Piece) -> Value {
    let mut file = Map::new();
    file.insert("content".into(), STANDARD.encode(&piece.content).into());
    file.insert("filename".into(), piece.filename.as_str().into());
    file.insert("type".into(), piece.mime.as_str().into());
    file.insert("disposition".into(), if piece.is_inline { "inline" } else { "attachment" }.into());
    if let Some(id) = &piece.content_id {
        file.insert("content_id".into(), id.as_str().into());
    }
    file.into()
}

/// What SendGrid lets a caller set; of a header that stands there more than once the first, as JSON has it.
fn headers(content: &Content) -> Map<String, Value> {
    let mut headers = Map::new();
    for (name, value) in &content.headers {
        let lower = name.to_ascii_lowercase();
        let is_known = headers.keys().any(|known: &String| known.eq_ignore_ascii_case(name));
        if !RESERVED.contains(&&*lower) && !is_known && !value.is_empty() {
            headers.insert(name.clone(), value.as_str().into());
        }
    }
    headers
}

fn categories(tags: &[String]) -> Vec<&str> {
    let mut categories: Vec<&str> = Vec::new();
    for tag in tags.iter().filter(|tag| tag.is_ascii() && tag.len() <= CATEGORY_MAX) {
        if !categories.contains(&&**tag) && categories.len() < CATEGORIES_MAX {
            categories.push(tag);
        }
    }
    categories
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transports::provider::content;
    use crate::transports::provider::content::tests::{outgoing, raw_claim};

    const MESSAGE: &str = "From: Ann <ann@a.example>\r\nTo: Bob <bob@b.example>\r\nSubject: Hi\r\n\
        Message-ID: <1@a.example>\r\nReceived: from x\r\nX-One: 1\r\nX-One: 2\r\n\
        Content-Type: multipart/alternative; boundary=b\r\n\r\n\
        --b\r\nContent-Type: text/html\r\n\r\n<p>Hi\r\n--b\r\nContent-Type: text/plain\r\n\r\nHi\r\n--b--\r\n";

    fn made(message: &str, kinds: &[(&str, RecipientKind)]) -> Result<(Value, Places), String> {
        let (claim, bytes) = raw_claim(message, kinds);
        let due: Vec<usize> = (0..kinds.len()).collect();
        let out = outgoing(&claim, &bytes, &due);
        of(&out, &content::read(&out).expect("few pieces"))
    }

    #[test]
    fn everything_arrives_in_the_order_that_sendgrid_wants() {
        use RecipientKind::{Bcc, Cc, To};
        let kinds = [("bob@b.example", To), ("cc@b.example", Cc), ("bcc@b.example", Bcc)];
        let (body, places) = made(MESSAGE, &kinds).unwrap();
        let expected = json!([{
            "to": [{"email": "bob@b.example", "name": "Bob"}],
            "cc": [{"email": "cc@b.example"}],
            "bcc": [{"email": "bcc@b.example"}],
        }]);
        assert_eq!(body["personalizations"], expected);
        let content = json!([{"type": "text/plain", "value": "Hi"}, {"type": "text/html", "value": "<p>Hi"}]);
        assert_eq!(body["content"], content);
        assert_eq!(body["headers"], json!({"Message-ID": "<1@a.example>", "X-One": "1"}));
        assert_eq!(body["from"], json!({"email": "ann@a.example", "name": "Ann"}));
        assert!(body["custom_args"]["posthaste_id"].is_string());
        assert_eq!(places.find("personalizations.0.bcc.0.email"), Some(2));
        assert_eq!(places.find("personalizations.0.to"), None);
        assert_eq!(places.find("from.email"), None);
    }

    #[test]
    fn blind_copies_alone_do_not_see_each_other_and_copies_alone_become_recipients() {
        use RecipientKind::{Bcc, Cc};
        let (body, _) = made(MESSAGE, &[("x@b.example", Bcc), ("y@b.example", Bcc)]).unwrap();
        let alone = json!([{"to": [{"email": "x@b.example"}]}, {"to": [{"email": "y@b.example"}]}]);
        assert_eq!(body["personalizations"], alone);
        let (body, _) = made(MESSAGE, &[("x@b.example", Cc), ("y@b.example", Bcc)]).unwrap();
        let shown = json!([{"to": [{"email": "x@b.example"}], "bcc": [{"email": "y@b.example"}]}]);
        assert_eq!(body["personalizations"], shown);
    }

    #[test]
    fn limits_are_named() {
        let one = [("bob@b.example", RecipientKind::To)];
        let error = made("From: a@a.example\r\n\r\nx", &one).unwrap_err();
        assert_eq!(error, "SendGrid takes no message without a subject");
        let (body, _) = made("Subject: s\r\n\r\n", &one).unwrap();
        assert_eq!(body["content"], json!([{"type": "text/plain", "value": " "}]));
        let addresses: Vec<String> = (0..1001).map(|n| format!("r{n}@b.example")).collect();
        let many: Vec<(&str, RecipientKind)> =
            addresses.iter().map(|one| (&**one, RecipientKind::Bcc)).collect();
        assert_eq!(
            made(MESSAGE, &many).unwrap_err(),
            "SendGrid takes 1000 recipients, this message has 1001"
        );
    }
}
