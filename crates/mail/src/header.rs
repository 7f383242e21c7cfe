//! Header names and values.
//!
//! A [`HeaderName`] and a [`HeaderValue`] cannot end their line, so no text that a caller gave
//! can start a header of its own.

mod error;
mod name;
mod value;

pub use error::HeaderError;
pub use name::HeaderName;
pub use value::{HeaderValue, is_header_text};

#[cfg(test)]
mod tests;
