//! Why a recipient was not served: one value that says what to record, what to show a person, and whether an
//! operator must act.

use crate::reply::Reply;
use std::fmt;

/// The cause in the five words that the product's callers see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FailureClass {
    /// The recipient's address does not exist or cannot be served.
    InvalidEmail,
    /// The relay could not be reached, or was lost on the way.
    TransportError,
    /// The relay (or our own configuration) is at fault.
    ServerError,
    /// The recipient's side refused the message.
    Bounce,
    /// The relay's answer made no sense.
    Unknown,
}

/// How far the session had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Name resolution and TCP.
    Connect,
    /// STARTTLS and the TLS handshake.
    Tls,
    /// The banner.
    Greeting,
    /// EHLO or HELO.
    Ehlo,
    /// AUTH.
    Auth,
    /// MAIL FROM (and the RSET before it).
    MailFrom,
    /// RCPT TO.
    RcptTo,
    /// DATA or BDAT, and the content up to its end.
    Data,
    /// The reply to the whole message.
    EndOfData,
}

impl Stage {
    /// The words for it in a message to people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connecting",
            Self::Tls => "the TLS handshake",
            Self::Greeting => "the greeting",
            Self::Ehlo => "EHLO",
            Self::Auth => "AUTH",
            Self::MailFrom => "MAIL FROM",
            Self::RcptTo => "RCPT TO",
            Self::Data => "DATA",
            Self::EndOfData => "the end of the message",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Everything known about one failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The cause.
    pub code: FailureClass,
    /// What the relay said, if it said it.
    pub reply: Option<Reply>,
    /// Where it happened.
    pub stage: Stage,
    /// For people: `550 5.1.1 no such user`, `the connection was lost after the message was sent`.
    pub message: String,
    /// An operator must act (credentials, certificate, configuration): waiting alone will not help.
    pub alarm: bool,
    /// This host or session is no good now; another connection, or another relay, may be.
    pub reconnect: bool,
}

impl Failure {
    /// The relay was not reached, or was lost: `transport_error`, worth another connection.
    pub fn transport(stage: Stage, message: impl Into<String>) -> Self {
        Self {
            code: FailureClass::TransportError,
            reply: None,
            stage,
            message: message.into(),
            alarm: false,
            reconnect: true,
        }
    }

    /// The same, and an operator must act.
    pub fn with_alarm(mut self) -> Self {
        self.alarm = true;
        self
    }

    /// Bytes came that are no SMTP reply, or none that fits the command: `unknown`.
    pub fn unparsable(stage: Stage, message: impl Into<String>) -> Self {
        Self { code: FailureClass::Unknown, ..Self::transport(stage, message) }
    }

    /// Refused by us before the relay was asked.
    pub fn local(code: FailureClass, stage: Stage, message: impl Into<String>) -> Self {
        Self { code, reply: None, stage, message: message.into(), alarm: false, reconnect: false }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
