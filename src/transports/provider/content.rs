//! A message in the pieces that JSON APIs ask for, read from the very bytes that SMTP would send: nothing that a
//! template, a link or a raw message holds is lost or made twice.

use crate::transports::Outgoing;
use posthaste_mail::raw::RawMessage;
use posthaste_mail::view::{Pieces, TooManyPieces, take_apart};
use posthaste_model::Mailbox;
use posthaste_model::email::{Content as Kept, Email, RecipientKind};
use std::collections::HashMap;

/// Headers that every API makes itself from its own fields, in lower case.
const MADE_ANEW: [&str; 11] = [
    "from",
    "to",
    "cc",
    "bcc",
    "resent-bcc",
    "reply-to",
    "subject",
    "date",
    "mime-version",
    "return-path",
    "x-posthaste-id",
];

/// An email as pieces.
#[derive(Debug)]
pub(super) struct Content {
    pub pieces: Pieces,
    pub from: Mailbox,
    pub reply_to: Vec<Mailbox>,
    pub subject: String,
    /// Names that the header gives to recipients, by canonical address.
    names: HashMap<String, String>,
    /// All other fields in their order: name, and value as it stands, unfolded.
    pub headers: Vec<(String, String)>,
}

/// Takes the message of `outgoing` apart.
pub(super) fn read(outgoing: &Outgoing<'_>) -> Result<Content, TooManyPieces> {
    let pieces = take_apart(outgoing.message)?;
    let email = &outgoing.claim.email;
    let raw = RawMessage::read(outgoing.message.clone()).map_err(|_| TooManyPieces)?;
    let headers = raw
        .fields()
        .map(|field| (String::from_utf8_lossy(field.name).into_owned(), unfolded(field.value)))
        .filter(|(name, _)| {
            let name = name.to_ascii_lowercase();
            !MADE_ANEW.contains(&&*name) && !name.starts_with("content-")
        })
        .collect();
    let shown = |name: &str| -> Vec<Mailbox> {
        let fields = pieces.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        fields.flat_map(|field| mailboxes(&field.value)).collect()
    };
    let (mut from, mut reply_to) = (email.from.clone(), email.reply_to.clone());
    let mut names = HashMap::new();
    let mut subject = email.subject.clone();
    if !matches!(email.content, Kept::Parts(_)) {
        let author =
            shown("from").into_iter().find(|one| one.address.canonical() == from.address.canonical());
        from = author.unwrap_or(from);
        reply_to = shown("reply-to");
        let named = [shown("to"), shown("cc")].concat();
        names = named
            .into_iter()
            .filter_map(|one| Some((one.address.canonical().to_owned(), one.name?)))
            .collect();
        // The record keeps its beginning only.
        pieces.field("subject").unwrap_or_default().clone_into(&mut subject);
    }
    Ok(Content { pieces, from, reply_to, subject, names, headers })
}

impl Content {
    /// The due recipients of a kind, with their names.
    pub fn recipients(&self, outgoing: &Outgoing<'_>, kind: RecipientKind) -> Vec<(usize, Mailbox)> {
        let each = outgoing
            .due
            .iter()
            .filter_map(|index| Some((*index, outgoing.claim.email.recipients.get(*index)?)));
        each.filter(|(_, recipient)| recipient.kind == kind)
            .map(|(index, recipient)| {
                let mut mailbox = recipient.mailbox.clone();
                let name = || self.names.get(mailbox.address.canonical()).cloned();
                mailbox.name = mailbox.name.clone().or_else(name);
                (index, mailbox)
            })
            .collect()
    }

    /// The text that the client wrote; `None` when there is none, or when we made it from the HTML.
    pub fn own_text(&self) -> Option<&str> {
        let text = self.pieces.text.as_deref()?;
        let Some(html) = &self.pieces.html else { return Some(text) };
        let made = posthaste_mail::text_from_html(html);
        let same = made.split_whitespace().eq(text.split_whitespace());
        (!same).then_some(text)
    }
}

/// The value on one line: of folds only the line breaks go (RFC 5322, section 2.2.3).
fn unfolded(value: &[u8]) -> String {
    String::from_utf8_lossy(value).replace(['\r', '\n'], "")
}

/// The mailboxes of an address list that has been decoded; what is none is passed over.
fn mailboxes(list: &str) -> Vec<Mailbox> {
    let (mut quoted, mut escaped, mut start) = (false, false, 0);
    let mut found = Vec::new();
    for (at, character) in list.char_indices().chain([(list.len(), ',')]) {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted || at == list.len() => {
                found.extend(Mailbox::parse(list[start..at].trim()));
                start = (at + 1).min(list.len());
            }
            _ => {}
        }
    }
    found
}

/// The indexes of due recipients whose address stands in `text`.
pub(super) fn named_in(outgoing: &Outgoing<'_>, text: &str) -> Vec<usize> {
    let text = text.to_ascii_lowercase();
    let words: Vec<&str> =
        text.split(|c: char| !c.is_alphanumeric() && !"@.!#$%&'*+-/=?^_`{|}~".contains(c)).collect();
    let is_named = |email: &Email, index: usize| {
        let address = email.recipients.get(index).map(|to| to.mailbox.address.as_str().to_ascii_lowercase());
        address.is_some_and(|address| words.iter().any(|word| word.trim_matches(['.', '\'', '`']) == address))
    };
    outgoing.due.iter().copied().filter(|index| is_named(&outgoing.claim.email, *index)).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::testing::{claim, email};
    use bytes::Bytes;
    use posthaste_model::attempt::Claim;
    use posthaste_model::octets::Octets;
    use std::sync::Arc;

    /// A claim of a raw message to `recipients`, all blind unless the header names them.
    pub(in super::super) fn raw_claim(message: &str, kinds: &[(&str, RecipientKind)]) -> (Claim, Bytes) {
        let addresses: Vec<&str> = kinds.iter().map(|(address, _)| *address).collect();
        let mut mail = email("ann@a.example", &addresses);
        for (recipient, (_, kind)) in mail.recipients.iter_mut().zip(kinds) {
            recipient.kind = *kind;
        }
        let bytes = Bytes::copy_from_slice(message.as_bytes());
        mail.content = Kept::Whole { message: Octets(bytes.clone()) };
        (claim(&Arc::new(mail), 1), bytes)
    }

    /// The message, ready to go to everyone.
    pub(in super::super) fn outgoing<'a>(
        claim: &'a Claim,
        message: &'a Bytes,
        due: &'a [usize],
    ) -> Outgoing<'a> {
        Outgoing { claim, message, is_8bit: false, smtputf8: false, due }
    }

    #[test]
    fn a_raw_message_keeps_names_answers_and_headers() {
        let message = "Received: from x\r\n\tby y\r\nFrom: \"Ann, A\" <ann@a.example>\r\nTo: Bob <bob@b.example>\r\n\
            Reply-To: desk@a.example, \"Q, R\" <q@a.example>\r\nSubject: Hi\r\nX-One: a\r\n b\r\nContent-Type: text/plain\r\n\r\nHello\r\n";
        let kinds = [("bob@b.example", RecipientKind::To), ("eve@b.example", RecipientKind::Bcc)];
        let (claim, bytes) = raw_claim(message, &kinds);
        let out = outgoing(&claim, &bytes, &[0, 1]);
        let content = read(&out).unwrap();
        assert_eq!(content.from.name.as_deref(), Some("Ann, A"));
        assert_eq!(content.reply_to.len(), 2);
        assert_eq!(content.subject, "Hi");
        let headers: Vec<(&str, &str)> = content.headers.iter().map(|(n, v)| (&**n, &**v)).collect();
        assert_eq!(headers, [("Received", "from x\tby y"), ("X-One", "a b")]);
        let to = content.recipients(&out, RecipientKind::To);
        assert_eq!((to.len(), to[0].1.name.as_deref()), (1, Some("Bob")));
        assert_eq!(content.recipients(&out, RecipientKind::Bcc)[0].0, 1);
        assert_eq!(named_in(&out, "'eve@b.example' is not a valid address."), [1]);
        assert_eq!(named_in(&out, "steve@b.example, bob@b.example.org"), [0; 0]);
    }

    #[test]
    fn text_that_was_made_from_the_html_is_not_the_clients() {
        let alternatives = |text: &str| {
            format!(
                "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\n{text}\r\n--b\r\n\
                 Content-Type: text/html\r\n\r\n<p>Hello <b>you</b></p>\r\n--b--\r\n"
            )
        };
        for (text, is_own) in [("Hello you", false), ("Hello there", true)] {
            let (claim, bytes) = raw_claim(&alternatives(text), &[("b@b.example", RecipientKind::To)]);
            let content = read(&outgoing(&claim, &bytes, &[0])).unwrap();
            assert_eq!(content.own_text().is_some(), is_own, "{text}");
        }
    }
}
