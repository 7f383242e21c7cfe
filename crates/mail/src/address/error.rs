//! Every reason an address is refused.

/// Why an address, a mailbox or a domain was refused. The text completes "the address ...".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum AddressError {
    /// There is nothing.
    #[error("is empty")]
    Empty,
    /// More than 254 octets, or more than could become an address.
    #[error("is too long")]
    TooLong,
    /// CR, LF, NUL, another control character, or an invisible one.
    #[error("contains a line break, control character or invisible character")]
    ControlCharacter,
    /// A character that some software takes for `@` or `.`.
    #[error("contains a character that looks like @ or a dot")]
    LookAlike,
    /// No `@`.
    #[error("has no @")]
    NoAt,
    /// More than one `@`.
    #[error("has more than one @")]
    ManyAt,
    /// Nothing before the `@`.
    #[error("has nothing before the @")]
    NoLocalPart,
    /// Neither a dot-atom nor a plain quoted string (RFC 5321, 4.1.2).
    #[error("has a character that is not allowed before the @")]
    LocalPart,
    /// More than 64 octets before the `@`.
    #[error("has more than 64 octets before the @")]
    LocalPartTooLong,
    /// The local part looks like an RFC 2047 encoded word.
    #[error("has an encoded word before the @")]
    EncodedWord,
    /// Nothing behind the `@`.
    #[error("has no domain")]
    NoDomain,
    /// `[127.0.0.1]` and the like, or a bare IP address.
    #[error("has an IP address instead of a domain")]
    AddressLiteral,
    /// A single label that is not `localhost`.
    #[error("has a domain without a dot")]
    SingleLabel,
    /// Not a valid host name, or not valid under IDNA.
    #[error("has an invalid domain")]
    InvalidDomain,
    /// Text before or behind the angle brackets that is not a name.
    #[error("is not of the form `Name <local@domain>`; a name with special characters needs double quotes")]
    Mailbox,
    /// The display name has a control character or a line break.
    #[error("has a name with a line break or control character")]
    NameControlCharacter,
    /// The display name is longer than 256 characters.
    #[error("has a name that is too long")]
    NameTooLong,
}
