//! The server's side: one session over one connection, without any product. A [`Handler`] decides who may log in, who
//! may send to whom and what becomes of a message; everything that is protocol is decided here.
//!
//! What it promises, whatever a peer sends:
//!
//! - Commands end at CR LF and content ends at CR LF `.` CR LF, nowhere else. A line with a stray CR or LF ends the
//!   session with 554 5.6.0; content with one is read to its true end and refused. So no byte of a message is ever a
//!   command, neither here nor behind us (SMTP smuggling).
//! - A refusal leaves nothing behind: a transaction ends with its first fatal refusal, and no content is taken without
//!   an accepted sender and recipient.
//! - What came before TLS is forgotten with TLS: bytes, greeting, login, transaction (RFC 3207 section 4.2).
//! - Lines, content, waits, errors and idle talk have bounds.
//!
//! Read in this order: [`settings`](ServerSettings), [`handler`](Handler), `session`, then a file a verb.

mod content;
mod frame;
mod handler;
mod link;
mod pace;
mod replies;
mod session;
mod settings;
mod wire;

pub use content::{Content, ContentFault, MAX_LINE_BYTES};
pub use frame::Frame;
pub use handler::{Facts, Handler, Login, Message, Transaction};
pub use replies::{AUTHENTICATION_FAILED, TOO_BUSY, reply};
pub use session::serve;
pub use settings::ServerSettings;
