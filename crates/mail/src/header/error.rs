//! Every reason a header is refused.

/// Why a header name or value was refused. The text completes "the header ...".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HeaderError {
    /// The name is empty.
    #[error("has an empty name")]
    EmptyName,
    /// The name is longer than 76 characters.
    #[error("has a name of more than 76 characters")]
    NameTooLong,
    /// The name is not an RFC 5322 token.
    #[error("has a character in its name that is not allowed")]
    NameCharacter,
    /// The value has a line break or another control character.
    #[error("has a line break or control character in its value")]
    ControlCharacter,
    /// The value is longer than 8 KB.
    #[error("has a value of more than 8192 octets")]
    ValueTooLong,
}
