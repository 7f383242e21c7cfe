//! STARTTLS (RFC 3207).

use super::{End, Session};
use crate::server::handler::Handler;
use crate::server::replies;
use tokio::io::{AsyncRead, AsyncWrite};

impl<S, H> Session<S, H>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    H: Handler,
{
    pub(super) async fn start_tls(&mut self) -> Result<(), End> {
        if self.facts.is_tls {
            return self.refuse(&replies::bad_sequence("TLS is already active"));
        }
        let Some(config) = self.settings.tls.clone() else {
            return self.refuse(&replies::not_implemented());
        };
        if self.facts.hello.is_none() {
            return self.refuse(&replies::bad_sequence("Send EHLO first"));
        }
        self.say(&replies::ready_for_tls())?;
        self.wire.secure(config).await.map_err(|_| End::Said)?;
        // Section 4.2: the session is in the state it had after the greeting.
        self.forget_transaction();
        self.handler.secured();
        self.facts.is_tls = true;
        self.facts.hello = None;
        self.facts.is_extended = false;
        self.facts.is_authenticated = false;
        Ok(())
    }
}
