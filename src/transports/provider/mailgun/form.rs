//! The form that Mailgun is given (RFC 7578).

use crate::transports::Outgoing;
use bytes::Bytes;
use memchr::memmem;

/// Tags of one message, and the characters of one.
const TAGS_MAX: usize = 10;
const TAG_MAX: usize = 128;

/// A form and its type.
#[derive(Debug)]
pub(super) struct Form {
    pub content_type: String,
    pub body: Vec<Bytes>,
}

/// Everyone on the envelope in `to` (blind copies too, the message names them nowhere), our mark, the tags, and the
/// message as a file.
pub(super) fn of(outgoing: &Outgoing<'_>) -> Form {
    let email = &outgoing.claim.email;
    let boundary = boundary(email.id.as_u128(), outgoing.message);
    let mut head = String::new();
    let mut field = |name: &str, value: &str| {
        head.push_str(&format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        ));
    };
    for address in outgoing.addresses() {
        field("to", address);
    }
    field("v:posthaste_id", &email.id.to_string());
    let tags = email.tags.iter().filter(|tag| tag.len() <= TAG_MAX && is_plain(tag));
    for tag in tags.take(TAGS_MAX) {
        field("o:tag", tag);
    }
    head.push_str(&format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"message\"; filename=\"message.mime\"\r\n\
         Content-Type: message/rfc822\r\n\r\n"
    ));
    let tail = format!("\r\n--{boundary}--\r\n");
    Form {
        content_type: format!("multipart/form-data; boundary={boundary}"),
        body: vec![head.into(), outgoing.message.clone(), tail.into()],
    }
}

/// A boundary that the message does not hold.
fn boundary(seed: u128, message: &[u8]) -> String {
    let mut seed = seed;
    loop {
        let boundary = format!("posthaste-{seed:032x}");
        if memmem::find(message, boundary.as_bytes()).is_none() {
            return boundary;
        }
        seed = seed.wrapping_add(1);
    }
}

fn is_plain(tag: &str) -> bool {
    tag.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transports::provider::content::tests::{outgoing, raw_claim};
    use posthaste_model::email::RecipientKind;

    #[test]
    fn the_whole_envelope_and_the_very_message_stand_in_the_form() {
        let seed = raw_claim("", &[]).0.email.id.as_u128();
        let message = format!("Subject: s\r\n\r\n--posthaste-{seed:032x}\r\n");
        let kinds = [("b@b.example", RecipientKind::To), ("c@b.example", RecipientKind::Bcc)];
        let (claim, bytes) = raw_claim(&message, &kinds);
        let form = of(&outgoing(&claim, &bytes, &[0, 1]));
        let boundary = form.content_type.split_once("boundary=").expect("a boundary").1.to_owned();
        assert!(!message.contains(&boundary));
        let body = String::from_utf8(form.body.concat()).expect("text");
        for (name, value) in [("to", "b@b.example"), ("to", "c@b.example")] {
            assert!(body.contains(&format!("name=\"{name}\"\r\n\r\n{value}\r\n--{boundary}")), "{body}");
        }
        assert!(body.contains(&format!("name=\"v:posthaste_id\"\r\n\r\n{}\r\n", claim.email.id)));
        assert!(body.ends_with(&format!("message/rfc822\r\n\r\n{message}\r\n--{boundary}--\r\n")));
    }
}
