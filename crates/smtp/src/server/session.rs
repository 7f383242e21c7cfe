//! One session: the order of commands (RFC 5321 section 4.1.4), and what a refusal leaves behind, which is nothing.

mod auth;
mod bdat;
mod data;
mod envelope;
mod tls;

use super::content::Content;
use super::handler::{Facts, Handler, Message, Transaction};
use super::replies;
use super::settings::ServerSettings;
use super::wire::{Line, Lost, Wire};
use crate::command::{self, Command, CommandError};
use crate::reply::Reply;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

/// Why a session ends.
enum End {
    /// Everything was said.
    Said,
    /// The connection is lost, or lost patience.
    Lost(Lost),
}

impl From<Lost> for End {
    fn from(lost: Lost) -> Self {
        Self::Lost(lost)
    }
}

/// How far the message of a transaction is.
enum Stage {
    /// Recipients may follow.
    Envelope,
    /// Chunks were taken, the last is still to come (RFC 3030).
    Chunks(Content),
}

/// An accepted sender and what followed.
struct Open {
    transaction: Transaction,
    stage: Stage,
}

struct Session<S, H> {
    wire: Wire<S>,
    handler: H,
    settings: Arc<ServerSettings>,
    facts: Facts,
    /// The peer is on this machine: a login may be heard without TLS.
    is_local: bool,
    open: Option<Open>,
    errors: u32,
    idle_commands: u32,
    failed_logins: u32,
}

/// Serves one connection to its end. `tls_first`: TLS begins with the first octet (RFC 8314). Once `stopping` is
/// cancelled the session ends with 421 as soon as no transaction is under way.
pub async fn serve<S, H>(
    stream: S,
    peer: SocketAddr,
    tls_first: bool,
    settings: Arc<ServerSettings>,
    handler: H,
    stopping: CancellationToken,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    H: Handler,
{
    let facts = Facts { peer, hello: None, is_extended: false, is_tls: false, is_authenticated: false };
    let mut session = Session {
        wire: Wire::new(stream, settings.clone(), stopping),
        handler,
        settings,
        facts,
        is_local: peer.ip().to_canonical().is_loopback(),
        open: None,
        errors: 0,
        idle_commands: 0,
        failed_logins: 0,
    };
    let end = session.run(tls_first).await;
    session.handler.reset();
    if let Err(End::Lost(lost)) = end
        && let Some(word) = replies::farewell(lost)
    {
        session.wire.say(&word);
    }
    session.wire.close().await;
}

impl<S, H> Session<S, H>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    H: Handler,
{
    async fn run(&mut self, tls_first: bool) -> Result<(), End> {
        if tls_first {
            let Some(config) = self.settings.tls.clone() else { return Err(End::Said) };
            self.wire.secure(config).await.map_err(|_| End::Lost(Lost::Closed))?;
            self.facts.is_tls = true;
        } else if self.wire.talks_early().await? {
            return self.part(&replies::early());
        }
        self.wire.say(&replies::greeting(&self.settings));
        loop {
            if self.wire.is_full() {
                self.wire.flush().await?;
            }
            match self.wire.line(self.open.is_none()).await? {
                Line::Text(line) => self.obey(&line).await?,
                Line::TooLong { is_login } => {
                    let error = if is_login { CommandError::AuthTooLong } else { CommandError::TooLong };
                    self.refuse(&replies::refused_command(&error))?;
                }
                // What follows may be the rest of a message that another server cut here: nothing of it is read.
                Line::Stray => return self.part(&replies::stray_line_end()),
            }
        }
    }

    /// Does what one line says.
    async fn obey(&mut self, line: &[u8]) -> Result<(), End> {
        let command = match command::parse(line) {
            Ok(command) => command,
            Err(error @ CommandError::Http) => return self.part(&replies::refused_command(&error)),
            Err(error) => return self.refuse(&replies::refused_command(&error)),
        };
        match command {
            Command::Ehlo(name) => self.hello(name, true),
            Command::Helo(name) => self.hello(name, false),
            Command::Mail(mail) => self.mail(mail).await,
            Command::Rcpt(rcpt) => self.rcpt(rcpt).await,
            Command::Data => self.data().await,
            Command::Bdat(chunk) => self.bdat(chunk).await,
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial).await,
            Command::StartTls => self.start_tls().await,
            Command::Rset => {
                self.forget_transaction();
                self.idle(&replies::done())
            }
            Command::Noop => self.idle(&replies::done()),
            Command::Help => self.idle(&replies::help()),
            Command::Vrfy => self.idle(&replies::verify()),
            Command::Expn => self.refuse(&replies::not_implemented()),
            Command::Quit => {
                self.forget_transaction();
                self.part(&replies::bye())
            }
        }
    }

    /// EHLO and HELO begin anew (RFC 5321 section 4.1.4); a login stays.
    fn hello(&mut self, name: &str, is_extended: bool) -> Result<(), End> {
        self.forget_transaction();
        self.facts.hello = Some(name.to_owned());
        self.facts.is_extended = is_extended;
        let reply = if is_extended {
            let offers_tls = self.settings.tls.is_some() && !self.facts.is_tls;
            replies::ehlo(&self.settings, offers_tls, self.may_log_in())
        } else {
            replies::helo(&self.settings)
        };
        self.idle(&reply)
    }

    /// A password is only heard where nobody listens.
    fn may_log_in(&self) -> bool {
        self.facts.is_tls || self.is_local
    }

    /// Says what a command came to.
    fn say(&mut self, reply: &Reply) -> Result<(), End> {
        self.wire.say(reply);
        if reply.code == 421 { Err(End::Said) } else { Ok(()) }
    }

    /// Says a last word.
    fn part(&mut self, reply: &Reply) -> Result<(), End> {
        self.wire.say(reply);
        Err(End::Said)
    }

    /// Refuses a command; a peer that only makes mistakes is sent away.
    fn refuse(&mut self, reply: &Reply) -> Result<(), End> {
        self.errors += 1;
        if self.errors > self.settings.max_errors {
            return self.part(&replies::too_many_errors());
        }
        self.say(reply)
    }

    /// Answers a command that brings no message nearer.
    fn idle(&mut self, reply: &Reply) -> Result<(), End> {
        self.idle_commands += 1;
        if self.idle_commands > self.settings.max_idle_commands {
            return self.refuse(reply);
        }
        self.say(reply)
    }

    fn forget_transaction(&mut self) {
        if self.open.take().is_some() {
            self.handler.reset();
        }
    }

    /// A whole message, or the reason why it is none; either way the transaction is over.
    async fn conclude(&mut self, transaction: Transaction, content: Content) -> Result<(), End> {
        let reply = match content.finish() {
            Err(fault) => replies::refused_content(&fault, &self.settings),
            Ok(content) => {
                let message = Message { envelope: transaction, content };
                self.handler.message(&self.facts, message).await
            }
        };
        self.handler.reset();
        if reply.is_positive() {
            (self.errors, self.idle_commands) = (0, 0);
            self.say(&reply)
        } else {
            self.refuse(&reply)
        }
    }
}

#[cfg(test)]
mod tests;
