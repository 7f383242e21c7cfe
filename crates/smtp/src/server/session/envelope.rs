//! MAIL and RCPT.

use super::{End, Open, Session, Stage};
use crate::command::{MailFrom, RcptTo};
use crate::server::handler::{Handler, Transaction};
use crate::server::replies;
use tokio::io::{AsyncRead, AsyncWrite};

impl<S, H> Session<S, H>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    H: Handler,
{
    /// RFC 5321 section 4.1.1.2.
    pub(super) async fn mail(&mut self, mail: MailFrom) -> Result<(), End> {
        if self.facts.hello.is_none() {
            return self.refuse(&replies::bad_sequence("Send EHLO first"));
        }
        if self.open.is_some() {
            return self.refuse(&replies::bad_sequence("A transaction is under way"));
        }
        if mail.parameters.size.is_some_and(|size| size > self.settings.max_bytes as u64) {
            return self.refuse(&replies::too_large(&self.settings));
        }
        if let Err(reply) = self.handler.sender(&self.facts, &mail).await {
            self.handler.reset();
            return self.refuse(&reply);
        }
        let transaction = Transaction { mail, recipients: Vec::new() };
        self.open = Some(Open { transaction, stage: Stage::Envelope });
        self.say(&replies::sender_taken())
    }

    /// RFC 5321 section 4.1.1.3.
    pub(super) async fn rcpt(&mut self, rcpt: RcptTo) -> Result<(), End> {
        let Some(open) = &mut self.open else {
            return self.refuse(&replies::bad_sequence("Send MAIL first"));
        };
        if matches!(open.stage, Stage::Chunks(_)) {
            return self.refuse(&replies::bad_sequence("The message has begun"));
        }
        let transaction = &mut open.transaction;
        if transaction.recipients.len() >= self.settings.max_recipients {
            // No error of the client's: it sends the rest of its list with another copy.
            return self.say(&replies::too_many_recipients());
        }
        if rcpt.is_utf8 && !transaction.mail.parameters.smtputf8 {
            return self.refuse(&replies::needs_smtputf8());
        }
        match self.handler.recipient(&transaction.mail, &rcpt).await {
            Ok(()) => {
                transaction.recipients.push(rcpt);
                self.say(&replies::recipient_taken())
            }
            Err(reply) => self.refuse(&reply),
        }
    }
}
