//! What the protocol asks of its owner.

use crate::command::{MailFrom, RcptTo};
use crate::reply::Reply;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;

/// What is known of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The peer.
    pub peer: SocketAddr,
    /// The name it gave; anything printable without spaces, at most 255 bytes.
    pub hello: Option<String>,
    /// It greeted with EHLO.
    pub is_extended: bool,
    /// The connection is encrypted.
    pub is_tls: bool,
    /// It has logged in.
    pub is_authenticated: bool,
}

/// A login (RFC 4616, and the mechanism LOGIN).
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name; not empty.
    pub username: String,
    /// The password.
    pub password: String,
}

/// A password is never shown.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

/// An envelope: an accepted sender, and the recipients accepted so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// The sender.
    pub mail: MailFrom,
    /// The recipients in their order.
    pub recipients: Vec<RcptTo>,
}

/// A whole message.
#[derive(Debug)]
pub struct Message {
    /// Its envelope, with at least one recipient.
    pub envelope: Transaction,
    /// Its content: CRLF is its only line end, no line is over 998 octets, no NUL.
    pub content: Vec<u8>,
}

/// Decides for one session. A negative reply refuses; one with the code 421 also ends the session.
pub trait Handler: Send {
    /// A login; `Ok` lets it in. Asked only where a login may be heard.
    fn authenticate(&mut self, facts: &Facts, login: Login)
    -> impl Future<Output = Result<(), Reply>> + Send;

    /// A sender.
    fn sender(&mut self, facts: &Facts, mail: &MailFrom) -> impl Future<Output = Result<(), Reply>> + Send;

    /// One more recipient of `mail`.
    fn recipient(&mut self, mail: &MailFrom, rcpt: &RcptTo)
    -> impl Future<Output = Result<(), Reply>> + Send;

    /// Room for `bytes` of content in all, before they are read. Held until [`Handler::reset`].
    fn room(&mut self, bytes: usize) -> impl Future<Output = Result<(), Reply>> + Send;

    /// A whole message. A positive reply promises that it is safe.
    fn message(&mut self, facts: &Facts, message: Message) -> impl Future<Output = Reply> + Send;

    /// The transaction is over, whatever came of it.
    fn reset(&mut self);

    /// TLS has begun: everything that was said before is forgotten, the login too.
    fn secured(&mut self);
}
