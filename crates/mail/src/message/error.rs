//! Every reason a message cannot be written.

use crate::header::HeaderName;

/// Why a message was not written. Intake refuses the same things earlier and names the field;
/// this is the last line of defence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A text that goes into a header has a line break or control character.
    #[error("the {0} contains a line break or control character")]
    ControlCharacter(&'static str),
    /// A caller's header would override or double one that is written here.
    #[error("the header {0} is reserved")]
    ReservedHeader(HeaderName),
    /// The message id is not printable ASCII without blanks and brackets.
    #[error("the message id is not valid")]
    MessageId,
    /// The content id is not printable ASCII without blanks and brackets.
    #[error("the content id of attachment {0} is not valid")]
    ContentId(usize),
    /// The type is not of the form `type/subtype`, or is `multipart/*`.
    #[error("the MIME type of attachment {0} is not valid")]
    MimeType(usize),
    /// The date is before year 0 or after year 9999.
    #[error("the date is out of range")]
    Date,
}
