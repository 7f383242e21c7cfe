//! What an object store's refusal means, in words an operator can act on.
//!
//! The library gives most failures as one text that holds the server's XML; its `<Code>` is the only thing that all
//! S3-compatible stores agree on. The rest of that XML may show what was signed: it goes nowhere.

use object_store::Error;
use std::fmt;

/// Why a request to the object store failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// No such object.
    NoObject,
    /// No such bucket.
    NoBucket,
    /// The access key is not known.
    UnknownKey,
    /// The signature does not fit: the secret (or the region) is wrong.
    Signature,
    /// The clocks differ too much.
    Clock,
    /// The key may not do this.
    Denied,
    /// The bucket is elsewhere.
    Region,
    /// No connection, or no answer in time.
    Unreachable,
    /// Anything else.
    Other,
}

/// A failed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct S3Fault {
    pub(super) reason: Reason,
    /// The server's error code, or the last cause of a failed connection.
    detail: String,
}

impl S3Fault {
    /// No answer within our own time limit.
    pub(super) fn timeout() -> Self {
        Self { reason: Reason::Unreachable, detail: "no answer in time".into() }
    }

    /// What helps.
    pub(super) const fn remedy(&self) -> &'static str {
        match self.reason {
            Reason::NoBucket => "create the bucket, or mend S3_BUCKET",
            Reason::UnknownKey => "mend S3_ACCESS_KEY_ID",
            Reason::Signature => "mend S3_SECRET_ACCESS_KEY (or S3_REGION)",
            Reason::Clock => "set this machine's clock",
            Reason::Denied => "let the key read, write, list and delete objects of the bucket",
            Reason::Region => "set S3_REGION to the bucket's region",
            Reason::Unreachable => "look at S3_ENDPOINT, at the network and whether the object store runs",
            Reason::NoObject | Reason::Other => "look at the object store's own log",
        }
    }
}

impl fmt::Display for S3Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = &self.detail;
        match self.reason {
            Reason::NoObject => f.write_str("the object does not exist"),
            Reason::NoBucket => f.write_str("the bucket does not exist"),
            Reason::UnknownKey => f.write_str("the object store does not know the access key"),
            Reason::Signature => f.write_str("the object store refuses the signature"),
            Reason::Clock => f.write_str("the object store's clock and ours differ too much"),
            Reason::Denied => write!(f, "the object store denies access ({detail})"),
            Reason::Region => f.write_str("the bucket is in another region"),
            Reason::Unreachable => write!(f, "the object store cannot be reached ({detail})"),
            Reason::Other => write!(f, "the object store failed ({detail})"),
        }
    }
}

impl From<Error> for S3Fault {
    fn from(error: Error) -> Self {
        let text = error.to_string();
        let code = code(&text);
        let reason = match code {
            Some("NoSuchBucket" | "InvalidBucketName") => Reason::NoBucket,
            Some("InvalidAccessKeyId" | "NotSignedUp") => Reason::UnknownKey,
            Some("SignatureDoesNotMatch" | "AuthorizationHeaderMalformed") => Reason::Signature,
            Some("RequestTimeTooSkewed") => Reason::Clock,
            Some("AccessDenied" | "AllAccessDisabled" | "AccountProblem") => Reason::Denied,
            Some("PermanentRedirect" | "IllegalLocationConstraintException") => Reason::Region,
            Some("NoSuchKey" | "NoSuchUpload") => Reason::NoObject,
            Some(_) => Reason::Other,
            // An answer to HEAD has no body.
            None => match &error {
                Error::NotFound { .. } => Reason::NoObject,
                Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => Reason::Denied,
                _ if text.contains("Server returned") => Reason::Other,
                _ => Reason::Unreachable,
            },
        };
        Self { reason, detail: code.map_or_else(|| last_cause(&error), str::to_owned) }
    }
}

/// The content of the first `<Code>`, when it is a plain word.
fn code(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    code.bytes().all(|byte| byte.is_ascii_alphanumeric()).then_some(code)
}

/// The innermost cause: that of the operating system or of TLS, without the URL.
fn last_cause(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string().chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> S3Fault {
        Error::Generic { store: "S3", source: text.to_owned().into() }.into()
    }

    #[test]
    fn the_code_decides_and_nothing_else_of_the_answer_is_shown() {
        let answer = "Server returned non-2xx status code: 403 Forbidden: <Error><Code>SignatureDoesNotMatch</Code>\
                      <StringToSign>AWS4 secret things</StringToSign></Error>";
        let found = fault(answer);
        assert_eq!(found.reason, Reason::Signature);
        assert!(!found.to_string().contains("secret things"));
        assert_eq!(fault("status 404 <Code>NoSuchBucket</Code>").reason, Reason::NoBucket);
        assert_eq!(
            fault("status 503 <Code>SlowDown</Code>").to_string(),
            "the object store failed (SlowDown)"
        );
    }

    #[test]
    fn what_has_no_code_is_judged_by_its_kind() {
        let found = fault("connection refused");
        assert_eq!(
            (found.reason, found.to_string()),
            (Reason::Unreachable, "the object store cannot be reached (connection refused)".into())
        );
        let missing = Error::NotFound { path: "x".into(), source: "HEAD".into() };
        assert_eq!(S3Fault::from(missing).reason, Reason::NoObject);
        assert_eq!(code("<Code>a<b</Code>"), None);
    }
}
