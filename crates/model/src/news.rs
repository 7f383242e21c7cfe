//! News: what a provider, a bounce message or a complaint says of mail that went out, in one vocabulary; and what
//! follows from it. News may come twice, in any order, and before our own record of the attempt: a status moves only
//! along its arrows, so the end is the same.

use crate::email::RecipientState;
use crate::event::EventKind;
use crate::status::words;
use crate::{EmailId, FailureCode, RecipientStatus, Status, Timestamp};

words!(
    /// Who brought it.
    NewsSource {
        /// SendGrid's event webhook.
        Sendgrid = "sendgrid",
        /// Mailgun's webhook.
        Mailgun = "mailgun",
        /// Amazon SES by SNS.
        Ses = "ses",
        /// A bounce message or complaint, by SMTP.
        Smtp = "smtp",
        /// The recipient, by the link in `List-Unsubscribe`.
        Link = "link",
    }
);

words!(
    /// What happened to the mail.
    NewsKind {
        /// It arrived.
        Delivered = "delivered",
        /// It is being tried again.
        Deferred = "deferred",
        /// It came back.
        Bounced = "bounced",
        /// The recipient complained.
        Complained = "complained",
        /// The provider gave up on it, or never tried.
        Failed = "failed",
        /// It was opened.
        Opened = "opened",
        /// A link in it was followed.
        Clicked = "clicked",
        /// The recipient unsubscribed.
        Unsubscribed = "unsubscribed",
    }
);

impl NewsKind {
    /// The event that the timeline gets.
    pub const fn event(self) -> EventKind {
        match self {
            Self::Delivered => EventKind::Delivered,
            Self::Deferred => EventKind::Deferred,
            Self::Bounced => EventKind::Bounced,
            Self::Complained => EventKind::Complained,
            Self::Failed => EventKind::Failed,
            Self::Opened => EventKind::Opened,
            Self::Clicked => EventKind::Clicked,
            Self::Unsubscribed => EventKind::Unsubscribed,
        }
    }

    /// What a recipient of this status becomes; `None`: it stays as it is.
    pub const fn turns(self, from: RecipientStatus) -> Option<RecipientStatus> {
        use RecipientStatus::{Bounced, Complained, Delivered, Failed, Held, Queued, Sent};
        match (self, from) {
            (Self::Delivered, Queued | Held | Sent) => Some(Delivered),
            (Self::Bounced, Queued | Held | Sent | Delivered) => Some(Bounced),
            (Self::Failed, Queued | Held | Sent) => Some(Failed),
            (Self::Complained, Queued | Held | Sent | Delivered | Bounced) => Some(Complained),
            _ => None,
        }
    }
}

/// One piece of news about one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// Who brought it.
    pub source: NewsSource,
    /// What makes it the same when it comes again; unique for its source.
    pub key: String,
    /// As it came, for the audit.
    pub raw: String,
    /// When it happened, as the source says.
    pub at: Timestamp,
    /// The email, by our own id.
    pub email_id: Option<EmailId>,
    /// The email, by the provider's id in each spelling it may have been noted in.
    pub provider_ids: Vec<String>,
    /// The recipient's canonical address.
    pub recipient: Option<String>,
    /// What happened; `None`: it is kept, and changes nothing.
    pub kind: Option<NewsKind>,
    /// Why it failed, if it did.
    pub code: Option<FailureCode>,
    /// Text for people.
    pub detail: Option<String>,
    /// The recipient is not to be written to again, for this reason.
    pub suppress: Option<&'static str>,
    /// Only mail with this tag is to stop; `None`: all.
    pub stream: Option<String>,
}

impl News {
    /// News that is kept and changes nothing yet.
    pub fn kept(source: NewsSource, key: String, raw: String, at: Timestamp) -> Self {
        Self {
            source,
            key,
            raw,
            at,
            email_id: None,
            provider_ids: Vec::new(),
            recipient: None,
            kind: None,
            code: None,
            detail: None,
            suppress: None,
            stream: None,
        }
    }
}

/// The status of an email none of whose recipients is to be tried any more. `sent` asks for one acceptance only, and so
/// does `delivered`; `bounced` says that nothing of it got through.
pub fn overall(recipients: &[RecipientState]) -> Status {
    let any = |status| recipients.iter().any(|recipient| recipient.status == status);
    if any(RecipientStatus::Complained) {
        Status::Complained
    } else if any(RecipientStatus::Delivered) {
        Status::Delivered
    } else if any(RecipientStatus::Sent) {
        Status::Sent
    } else if any(RecipientStatus::Bounced) {
        Status::Bounced
    } else {
        Status::Failed
    }
}

/// The status after news, when the email is under no lease. While a recipient is still to be tried it stays as it is,
/// and so it does when the new one cannot follow.
pub fn status_after(from: Status, recipients: &[RecipientState]) -> Status {
    if recipients.iter().any(|recipient| recipient.status.is_open()) {
        return from;
    }
    let to = overall(recipients);
    // News that comes before our own record says that it was sent, too.
    let by_way_of_sent = matches!(from, Status::Queued | Status::Processing) && Status::Sent.may_become(to);
    if from.may_become(to) || by_way_of_sent { to } else { from }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn state(status: RecipientStatus) -> RecipientState {
        RecipientState { status, last_reply: None, failure_code: None, updated_at: Timestamp::from_millis(0) }
    }

    fn after(kinds: &[NewsKind]) -> (RecipientStatus, Status) {
        let mut recipient = RecipientStatus::Sent;
        let mut status = Status::Sent;
        for kind in kinds {
            recipient = kind.turns(recipient).unwrap_or(recipient);
            status = status_after(status, &[state(recipient)]);
        }
        (recipient, status)
    }

    proptest! {
        #[test]
        fn the_order_of_news_does_not_matter(
            kinds in proptest::collection::vec(proptest::sample::select(NewsKind::ALL.to_vec()), 0..6),
        ) {
            // A provider says `failed` of what it never sent: nothing else follows from it.
            prop_assume!(!kinds.contains(&NewsKind::Failed));
            let mut reversed = kinds.clone();
            reversed.reverse();
            prop_assert_eq!(after(&kinds), after(&reversed));
            let mut twice = kinds.clone();
            twice.extend(&kinds);
            prop_assert_eq!(after(&kinds), after(&twice));
        }
    }

    #[test]
    fn an_email_is_what_its_recipients_are() {
        use RecipientStatus::{Bounced, Complained, Delivered, Failed, Queued, Sent};
        for (recipients, status) in [
            (vec![Sent, Bounced], Status::Sent),
            (vec![Delivered, Bounced], Status::Delivered),
            (vec![Bounced, Failed], Status::Bounced),
            (vec![Failed, Failed], Status::Failed),
            (vec![Complained, Delivered], Status::Complained),
        ] {
            let states: Vec<_> = recipients.into_iter().map(state).collect();
            assert_eq!(overall(&states), status);
        }
        assert_eq!(status_after(Status::Sent, &[state(Queued), state(Delivered)]), Status::Sent);
        assert_eq!(status_after(Status::Queued, &[state(Delivered)]), Status::Delivered);
        assert_eq!(status_after(Status::Failed, &[state(Delivered)]), Status::Failed);
        assert_eq!(status_after(Status::Cancelled, &[state(Delivered)]), Status::Cancelled);
    }
}
