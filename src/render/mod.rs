//! From parts, templates and variables to the message that goes out.
//!
//! Everything that could fail is found at accept ([`Renderer::check`]), so that an accepted email renders; the
//! message is made at delivery ([`Renderer::message`]), from the same parts, with the same bytes on every attempt.

mod check;
mod links;
mod message;
mod renderer;
pub mod schema;
mod signers;
pub mod template;
mod wording;

pub use check::template_faults;
pub use message::ID_HEADER;
pub use renderer::{RenderError, Renderer, preview};

use bytes::Bytes;

/// What an email says, rendered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The subject: one line.
    pub subject: String,
    /// The HTML body.
    pub html: Option<String>,
    /// The text body; made from the HTML when there is no other.
    pub text: Option<String>,
}

/// A whole message (RFC 5322), signed where its domain has a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedMessage {
    /// The message; CRLF is its only line break.
    pub bytes: Bytes,
    /// Octets above 127 stand in it: it needs 8BITMIME (RFC 6152).
    pub is_8bit: bool,
    /// An address or header in it needs SMTPUTF8 (RFC 6531).
    pub smtputf8: bool,
}
