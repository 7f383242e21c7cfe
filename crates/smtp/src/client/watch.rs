//! How the caller follows one message: it may stop it, and learns how far it came.

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Passage {
    /// Sender and recipients were written; with a small message the content may already be with them.
    RecipientsSent,
    /// The last byte of the content was written: from here on the relay may have taken it.
    ContentSent,
    /// The relay has taken the message, and its word for it was read.
    AcceptanceRead,
}

/// Follows one message. A closure `|| -> bool` follows it by its answer alone.
pub trait Watch: Send {
    /// Asked right before MAIL and right before the content; `false` ends the message with nothing accepted.
    fn may_proceed(&mut self) -> bool;

    /// Told as the message gets there.
    fn passed(&mut self, passage: Passage) {
        let _ = passage;
    }
}

impl<F: FnMut() -> bool + Send> Watch for F {
    fn may_proceed(&mut self) -> bool {
        self()
    }
}
