//! The message as MIME. It has no envelope beside it: Graph sends to whom the header names, so Bcc must stand in it, and
//! a message whose envelope is another one cannot go this way.

use crate::transports::Outgoing;
use posthaste_mail::raw::{RawMessage, address_list};
use posthaste_model::email::RecipientKind;
use std::collections::HashSet;

/// The message with its blind copies named; `None` when the header names others than those it is due for.
pub(super) fn of(outgoing: &Outgoing<'_>) -> Option<Vec<u8>> {
    let email = &outgoing.claim.email;
    let due: HashSet<&str> = outgoing
        .due
        .iter()
        .filter_map(|index| email.recipients.get(*index))
        .map(|to| to.mailbox.address.canonical())
        .collect();
    let raw = RawMessage::read(outgoing.message.clone()).ok()?;
    let mut shown = HashSet::new();
    for name in ["to", "cc"] {
        for value in raw.all(name).filter(|value| !is_group_of_nobody(value)) {
            shown.extend(address_list(value).ok()?.iter().map(|address| address.canonical().to_owned()));
        }
    }
    let has_others = raw.all("bcc").next().is_some() || shown.iter().any(|address| !due.contains(&**address));
    if has_others || raw.all("resent-to").next().is_some() {
        return None;
    }
    let blind: Vec<&str> = outgoing
        .due
        .iter()
        .filter_map(|index| email.recipients.get(*index))
        .filter(|to| to.kind == RecipientKind::Bcc || !shown.contains(to.mailbox.address.canonical()))
        .map(|to| to.mailbox.address.as_str())
        .collect();
    let mut message = Vec::with_capacity(outgoing.message.len() + 64 * blind.len());
    if !blind.is_empty() {
        message.extend_from_slice(format!("Bcc: {}\r\n", blind.join(",\r\n ")).as_bytes());
    }
    message.extend_from_slice(outgoing.message);
    Some(message)
}

/// `undisclosed-recipients:;`
fn is_group_of_nobody(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    value.ends_with(b":;") || value.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transports::provider::content::tests::{outgoing, raw_claim};

    fn made(header: &str, kinds: &[(&str, RecipientKind)], due: &[usize]) -> Option<String> {
        let (claim, bytes) = raw_claim(&format!("{header}\r\n\r\nx\r\n"), kinds);
        of(&outgoing(&claim, &bytes, due)).map(|mime| String::from_utf8(mime).expect("text"))
    }

    #[test]
    fn blind_copies_are_named_and_another_envelope_is_refused() {
        use RecipientKind::{Bcc, To};
        let kinds = [("b@b.example", To), ("x@b.example", Bcc), ("y@b.example", Bcc)];
        let mime = made("To: Bob <b@b.example>", &kinds, &[0, 1, 2]).expect("the same envelope");
        assert!(
            mime.starts_with("Bcc: x@b.example,\r\n y@b.example\r\nTo: Bob <b@b.example>\r\n\r\nx"),
            "{mime}"
        );
        assert_eq!(made("To: b@b.example", &kinds, &[1, 2]), None, "one has got it already");
        assert_eq!(made("To: b@b.example, other@b.example", &kinds, &[0, 1, 2]), None);
        let nobody = made("To: undisclosed-recipients:;", &kinds[1..], &[0, 1]).expect("the same envelope");
        assert!(nobody.starts_with("Bcc: x@b.example,"));
        let plain = made("To: b@b.example", &kinds[..1], &[0]).expect("the same envelope");
        assert!(plain.starts_with("To: "));
    }
}
