//! The headers by which a mail program unsubscribes with one click (RFC 2369, RFC 8058), for mail that asks for them.

use super::Intake;
use super::limits::TAG_CHARS;
use crate::auth::unsubscribe::UnsubscribeLink;
use posthaste_model::draft::{Draft, Field};
use posthaste_model::email::{Content, Email};
use posthaste_model::refusal::{Fault, FaultCode};
use posthaste_model::suppression::address_key;

const HEADER: &str = "List-Unsubscribe";
const POST_HEADER: &str = "List-Unsubscribe-Post";

impl Intake {
    /// Whether the email can have what it asks for.
    pub(super) fn judge_unsubscribe(&self, draft: &Draft, recipients: usize, faults: &mut Vec<Fault>) {
        let Some(stream) = &draft.list_unsubscribe else { return };
        let mut fault = |code, message: &str| {
            faults.push(Fault::new(Field::Other("list_unsubscribe".to_owned()), code, message));
        };
        if self.limits.unsubscribe.is_none() {
            fault(FaultCode::InvalidValue, "links need http.public_url (PUBLIC_URL), which is not set");
        }
        if recipients > 1 {
            // RFC 8058, 3.1: the link says who unsubscribes.
            fault(FaultCode::TooManyRecipients, "an email with list_unsubscribe goes to one recipient");
        }
        if stream.chars().count() > TAG_CHARS || stream.chars().any(char::is_control) {
            fault(FaultCode::InvalidValue, "list_unsubscribe is true or a tag");
        }
        if draft
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case(HEADER) || name.eq_ignore_ascii_case(POST_HEADER))
        {
            fault(FaultCode::InvalidValue, "the header List-Unsubscribe is given already");
        }
    }

    /// Adds the headers, and the stream to the tags.
    pub(super) fn add_unsubscribe(&self, draft: &Draft, email: &mut Email) {
        let (Some(stream), Some(rule)) = (&draft.list_unsubscribe, &self.limits.unsubscribe) else { return };
        if !stream.is_empty() && !email.tags.contains(stream) {
            email.tags.push(stream.clone());
        }
        let Some(to) = email.recipients.first() else { return };
        let link = UnsubscribeLink {
            client_id: email.client_id,
            email_id: email.id,
            address_key: address_key(to.mailbox.address.canonical()),
            stream: stream.clone(),
        };
        let url = format!("{}/unsubscribe/{}", rule.base_url, link.token(&rule.vault));
        if let Content::Parts(parts) = &mut email.content {
            parts.headers.push((HEADER.to_owned(), format!("<{url}>")));
            parts.headers.push((POST_HEADER.to_owned(), "List-Unsubscribe=One-Click".to_owned()));
        }
    }
}
