//! The ways out. A transport gets a finished message and an envelope, says per recipient what became of it, and knows
//! nothing of retries, status or storage of emails.

mod health;
mod inbox;
mod lease;
pub mod provider;
mod smtp;

pub use health::Health;
pub use inbox::{InboxBell, InboxTransport};
pub use lease::{LeaseGuard, Pulse};
pub use smtp::SmtpTransport;

use bytes::Bytes;
use posthaste_model::attempt::Claim;
use posthaste_model::outcome::Outcome;
use provider::ProviderTransport;
use std::sync::Arc;
use std::time::Duration;

/// A message ready to go.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The email it was made of, and the attempt it goes out in.
    pub claim: &'a Claim,
    /// The whole message, CRLF line ends.
    pub message: &'a Bytes,
    /// It has bytes above 127.
    pub is_8bit: bool,
    /// Its headers need SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
    /// Indexes of the recipients it is for, rising.
    pub due: &'a [usize],
}

impl Outgoing<'_> {
    /// The addresses it is for, in the order of `due`.
    fn addresses(&self) -> Vec<&str> {
        let recipients = &self.claim.email.recipients;
        self.due
            .iter()
            .filter_map(|index| recipients.get(*index))
            .map(|to| to.mailbox.address.as_str())
            .collect()
    }
}

/// A configured way out.
#[derive(Debug)]
pub enum Transport {
    /// A relay.
    Smtp(SmtpTransport),
    /// A mail provider's API.
    Provider(ProviderTransport),
    /// Kept on the machine.
    Inbox(InboxTransport),
}

impl Transport {
    /// Its configured name.
    pub fn name(&self) -> &Arc<str> {
        match self {
            Self::Smtp(smtp) => smtp.name(),
            Self::Provider(provider) => provider.name(),
            Self::Inbox(inbox) => inbox.name(),
        }
    }

    /// Whether mail leaves the machine by it.
    pub fn is_outward(&self) -> bool {
        match self {
            Self::Smtp(_) | Self::Provider(_) => true,
            Self::Inbox(_) => false,
        }
    }

    /// Sends, while `lease` is held. Every due recipient has an outcome when the result says it was tried.
    pub async fn send(&self, outgoing: &Outgoing<'_>, lease: &LeaseGuard) -> Outcome {
        match self {
            Self::Smtp(smtp) => smtp.send(outgoing, lease).await,
            Self::Provider(provider) => provider.send(outgoing, lease).await,
            Self::Inbox(inbox) => inbox.send(outgoing, lease).await,
        }
    }

    /// Whether it can be used now, as of a few seconds ago; it has `limit` to answer.
    pub async fn ping(&self, limit: Duration) -> Health {
        match self {
            Self::Smtp(smtp) => smtp.ping(limit).await,
            Self::Provider(provider) => provider.ping(limit).await,
            Self::Inbox(inbox) => inbox.ping(limit).await,
        }
    }

    /// Closes what lies idle for long; called now and then.
    pub async fn tidy(&self) {
        match self {
            Self::Smtp(smtp) => smtp.tidy().await,
            Self::Provider(_) | Self::Inbox(_) => {}
        }
    }

    /// Closes connections at the end.
    pub async fn close(&self) {
        match self {
            Self::Smtp(smtp) => smtp.close().await,
            Self::Provider(_) | Self::Inbox(_) => {}
        }
    }
}
