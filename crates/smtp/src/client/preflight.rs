//! What is refused before the relay is asked, because it could not be sent or must not be.

use super::connection::Connection;
use super::envelope::{Envelope, check_address};
use super::outcome::{Progress, RecipientOutcome};
use crate::content::{self, Shape};
use crate::failure::{Failure, FailureClass, Stage};

impl Connection {
    /// Refuses what cannot be sent at all; none if that is everything.
    pub(super) fn check(
        &self,
        envelope: &Envelope<'_>,
        message: &[u8],
        progress: &mut Progress,
    ) -> Option<Shape> {
        let refuse = |code, stage, message: String| RecipientOutcome::Refused {
            failure: Failure::local(code, stage, message),
        };
        let not_utf8 = |stage| {
            refuse(
                FailureClass::InvalidEmail,
                stage,
                "5.6.7 the relay does not take internationalized mail".into(),
            )
        };
        if !envelope.mail_from.is_empty()
            && let Err(fault) = check_address(envelope.mail_from)
        {
            let message = format!("5.1.7 the sender cannot be used: {fault}");
            progress.settle_rest(&refuse(FailureClass::ServerError, Stage::MailFrom, message));
            return None;
        }
        if !self.capabilities.smtputf8 && (envelope.smtputf8 || !envelope.mail_from.is_ascii()) {
            progress.settle_rest(&not_utf8(Stage::MailFrom));
            return None;
        }
        let size = envelope.size.max(message.len()) as u64;
        let own_limit = self.max_message_bytes.map(|bytes| bytes as u64);
        if [own_limit, self.capabilities.max_size].into_iter().flatten().any(|limit| size > limit) {
            let message = format!("5.3.4 the message is too big for the relay: {size} bytes");
            progress.settle_rest(&refuse(FailureClass::ServerError, Stage::MailFrom, message));
            return None;
        }
        for (index, recipient) in envelope.recipients.iter().enumerate() {
            if let Err(fault) = check_address(recipient) {
                let message = format!("5.1.3 the recipient cannot be used: {fault}");
                progress.settle(index, refuse(FailureClass::InvalidEmail, Stage::RcptTo, message));
            } else if !self.capabilities.smtputf8 && !recipient.is_ascii() {
                progress.settle(index, not_utf8(Stage::RcptTo));
            }
        }
        match content::inspect(message) {
            Ok(shape) => Some(shape),
            Err(fault) => {
                let message = format!("5.6.0 {fault}");
                progress.settle_rest(&refuse(FailureClass::ServerError, Stage::Data, message));
                None
            }
        }
    }
}
