//! Addresses, headers, MIME, DKIM and bounce messages; pure, no product, no async.
//!
//! Everything that stands in a message or an SMTP command passes through a type of this crate
//! first: an [`Address`], a [`HeaderName`], a [`HeaderValue`]. Holding one proves that the text
//! cannot end a line, start another header, or name another domain than the one that was checked.

pub mod address;
pub mod dkim;
pub mod filename;
pub mod header;
pub mod message;
pub mod mime_sniff;
pub mod raw;
pub mod report;
pub mod text_from_html;
pub mod view;

pub use address::{Address, AddressError, Domain, Mailbox};
pub use dkim::{DkimError, DkimSigner};
pub use header::{HeaderError, HeaderName, HeaderValue};
pub use message::{AttachmentPart, BuildError, MessageParts, write_message};
pub use text_from_html::{links_from_html, text_from_html};
