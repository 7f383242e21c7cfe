//! Header names and values, and how they are written.
//!
//! A [`HeaderName`] and a [`HeaderValue`] cannot end their line, so no text that a caller gave
//! can start a header of its own. The writers below them fold (RFC 5322, 2.2.3), encode what is
//! not ASCII (RFC 2047, RFC 2231) and never write a bare CR, LF or a control character.

mod address_list;
mod encoded_word;
mod error;
mod folder;
mod name;
mod parameter;
mod value;

pub use error::HeaderError;
pub use name::HeaderName;
pub use value::{HeaderValue, is_header_text};

pub(crate) use folder::Folder;

#[cfg(test)]
mod tests;
