//! Mail to return paths of ours: bounce messages and complaints. Anybody may bring them, without a login; the address
//! itself proves which email they are about. Such a transaction takes no other recipients, so that nothing is relayed.

use super::SmtpIngress;
use super::refusals;
use crate::base::return_path::Returned;
use crate::news::NewsError;
use posthaste_model::Address;
use posthaste_smtp::reply::Reply;
use posthaste_smtp::server::{Message, reply};

/// What a transaction is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// Nobody has been named yet. Some may name return paths only; others get this reply.
    Open(Option<Reply>),
    /// Mail to be sent.
    Mail,
    /// News to these.
    News(Vec<Returned>),
}

impl Purpose {
    /// Takes one more recipient, or says why not.
    pub(super) fn add(&mut self, ingress: &SmtpIngress, to: &Address) -> Result<(), Reply> {
        let returned =
            ingress.return_paths.as_ref().filter(|paths| paths.is_below(to)).map(|paths| paths.read(to));
        match (returned, &mut *self) {
            // Below the domain, but not made here: forged, or of another installation.
            (Some(None), _) => Err(reply(550, (5, 1, 1), "There is no such return path")),
            (Some(Some(found)), Self::News(all)) => {
                all.push(found);
                Ok(())
            }
            (Some(Some(found)), Self::Open(_)) => {
                *self = Self::News(vec![found]);
                Ok(())
            }
            (Some(Some(_)), Self::Mail) | (None, Self::News(_)) => {
                Err(reply(452, (4, 5, 3), "Send this recipient in a transaction of its own"))
            }
            (None, Self::Open(Some(refusal))) => Err(refusal.clone()),
            (None, Self::Open(None) | Self::Mail) => {
                *self = Self::Mail;
                Ok(())
            }
        }
    }
}

/// Takes a report in; it is durable when this answers 250.
pub(super) async fn take(ingress: &SmtpIngress, returned: &[Returned], message: &Message) -> Reply {
    let Some(paths) = &ingress.return_paths else { return refusals::null_sender() };
    match ingress.news.report(paths, returned, &message.content).await {
        Ok(()) => reply(250, (2, 0, 0), "Ok: taken in"),
        Err(NewsError::Forged(why)) => reply(550, (5, 7, 1), why),
        Err(NewsError::Unavailable(why)) => {
            tracing::warn!(why, "a report could not be taken in");
            reply(451, (4, 3, 0), "The message cannot be stored now, try again later")
        }
    }
}
