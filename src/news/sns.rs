//! Amazon SNS (docs.aws.amazon.com/sns, "Verifying message signatures"). A valid signature only proves that AWS sent it,
//! from anyone's topic: the topic is checked first, then where the certificate lies, then the signature. No other URL of
//! a message is ever fetched.

mod certificate;

use super::{Desk, NewsError};
use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use certificate::Certificate;
use posthaste_model::Timestamp;
use serde_json::Value;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long a certificate is kept.
const KEEP: Duration = Duration::from_secs(24 * 3600);
/// Certificates kept at most; SNS has one a region.
const MOST: usize = 64;
/// The largest certificate file that is read, in bytes.
pub(super) const LARGEST: usize = 32 * 1024;

/// The answer to a fetch: status and body.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The HTTP status.
    pub status: u16,
    /// The body, no longer than asked for.
    pub body: Vec<u8>,
}

/// A fetch that got no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct FetchError(pub String);

/// A GET by HTTPS that follows no redirect and reads at most `most` bytes.
pub trait Fetch: Send + Sync {
    /// Fetches `url`.
    fn get<'f>(
        &'f self,
        url: &'f str,
        most: usize,
    ) -> Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'f>>;
}

/// The certificates seen, by URL, each with when it was fetched.
#[derive(Default)]
pub(super) struct Certificates(Mutex<HashMap<String, (Timestamp, Arc<Certificate>)>>);

impl Certificates {
    fn known(&self, url: &str, now: Timestamp) -> Option<Arc<Certificate>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (fetched_at, certificate) = known.get(url)?;
        (now.since(*fetched_at) < KEEP).then(|| Arc::clone(certificate))
    }

    fn keep(&self, url: &str, certificate: &Arc<Certificate>, now: Timestamp) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(url.to_owned(), (now, Arc::clone(certificate)));
    }
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Notification,
    SubscriptionConfirmation,
    UnsubscribeConfirmation,
}

/// A message whose topic and signature were verified.
#[derive(Debug)]
pub(super) struct Verified {
    pub kind: Kind,
    pub message: String,
    pub message_id: String,
    pub timestamp: String,
    topic: Topic,
    token: Option<String>,
}

/// A topic's ARN: `arn:aws:sns:us-east-1:123456789012:name`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Topic {
    arn: String,
    region: String,
    /// `.amazonaws.com`, or that of China.
    suffix: &'static str,
}

impl Topic {
    fn read(arn: &str) -> Option<Self> {
        let parts: Vec<&str> = arn.split(':').collect();
        let [_, partition, "sns", region, account, name] = parts.as_slice() else { return None };
        let is_plain = |text: &str| {
            text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b == b'.')
        };
        let is_region = region.len() >= 3 && region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !arn.starts_with("arn:") || !is_region || !is_plain(account) || !is_plain(name) {
            return None;
        }
        let suffix = if *partition == "aws-cn" { ".amazonaws.com.cn" } else { ".amazonaws.com" };
        Some(Self { arn: arn.to_owned(), region: (*region).to_owned(), suffix })
    }

    fn host(&self) -> String {
        format!("sns.{}{}", self.region, self.suffix)
    }

    /// Whether a signing certificate of this topic may lie at `url`: at SNS's own host of the topic's region, by HTTPS,
    /// with neither user nor port.
    fn may_sign_by(&self, url: &str) -> bool {
        let Some(rest) = url.strip_prefix("https://") else { return false };
        let Some((host, path)) = rest.split_once('/') else { return false };
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'/');
        let is_file =
            path.strip_suffix(".pem").is_some() && path.bytes().all(is_plain) && !path.contains("..");
        url.len() <= 500 && host == self.host() && is_file
    }
}

/// The members of a message, all of them text.
struct Members(HashMap<String, String>);

impl Members {
    fn read(body: &[u8]) -> Option<Self> {
        let Ok(Value::Object(object)) = serde_json::from_slice(body) else { return None };
        let text = |(name, value): (String, Value)| match value {
            Value::String(text) => Some((name, text)),
            _ => None,
        };
        Some(Self(object.into_iter().filter_map(text).collect()))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The string that is signed.
    fn signed(&self, kind: Kind) -> Option<String> {
        let names: &[&str] = match kind {
            Kind::Notification => &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
            Kind::SubscriptionConfirmation | Kind::UnsubscribeConfirmation => {
                &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
            }
        };
        let mut signed = String::new();
        for name in names {
            match self.get(name) {
                Some(value) => {
                    for part in [*name, value] {
                        signed.push_str(part);
                        signed.push('\n');
                    }
                }
                // Only the subject may be absent.
                None if *name == "Subject" => {}
                None => return None,
            }
        }
        Some(signed)
    }
}

impl Desk {
    /// Verifies a message; `type_header` is `x-amz-sns-message-type`.
    pub(super) async fn verified(
        &self,
        type_header: Option<&str>,
        body: &[u8],
    ) -> Result<Verified, NewsError> {
        let forged = |why| NewsError::Forged(why);
        let members = Members::read(body).ok_or(forged("the body is no SNS message"))?;
        let arn = members.get("TopicArn").ok_or(forged("the message names no topic"))?;
        if !self.proofs.sns_topic_arns.iter().any(|known| known == arn) {
            return Err(forged("the topic is not configured"));
        }
        let topic = Topic::read(arn).ok_or(forged("the topic is none of SNS"))?;
        let kind = match members.get("Type") {
            Some("Notification") => Kind::Notification,
            Some("SubscriptionConfirmation") => Kind::SubscriptionConfirmation,
            Some("UnsubscribeConfirmation") => Kind::UnsubscribeConfirmation,
            _ => return Err(forged("the message has no known type")),
        };
        if type_header.is_some_and(|header| Some(header) != members.get("Type")) {
            return Err(forged("header and body name different types"));
        }
        let url = members.get("SigningCertURL").ok_or(forged("the message names no certificate"))?;
        if !topic.may_sign_by(url) {
            return Err(forged("the certificate does not lie at SNS in the topic's region"));
        }
        let signed = members.signed(kind).ok_or(forged("the message lacks what is signed"))?;
        let signature = members.get("Signature").and_then(|text| STANDARD.decode(text).ok());
        let signature = signature.ok_or(forged("the signature is missing or cannot be read"))?;
        let algorithm = match members.get("SignatureVersion") {
            Some("1") if self.proofs.sns_v2_topic_arns.contains(&topic.arn) => {
                return Err(forged("the topic must sign with SHA-256 (SignatureVersion 2)"));
            }
            Some("1") => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            Some("2") => &RSA_PKCS1_2048_8192_SHA256,
            _ => return Err(forged("the signature has no known version")),
        };
        let certificate = self.certificate(url).await?;
        if !certificate.is_valid_at(self.clock.now()) {
            return Err(forged("the certificate is not valid now"));
        }
        UnparsedPublicKey::new(algorithm, &certificate.rsa_key)
            .verify(signed.as_bytes(), &signature)
            .map_err(|_| forged("the signature is not by the certificate's key"))?;
        let owned = |name: &str| members.get(name).unwrap_or_default().to_owned();
        Ok(Verified {
            kind,
            message: owned("Message"),
            message_id: owned("MessageId"),
            timestamp: owned("Timestamp"),
            token: members.get("Token").map(str::to_owned),
            topic,
        })
    }

    async fn certificate(&self, url: &str) -> Result<Arc<Certificate>, NewsError> {
        let now = self.clock.now();
        if let Some(known) = self.certificates().known(url, now) {
            return Ok(known);
        }
        let fetched = self.fetch.get(url, LARGEST).await;
        let fetched =
            fetched.map_err(|error| NewsError::Unavailable(format!("the certificate of SNS: {error}")))?;
        if fetched.status != 200 {
            let message = format!("the certificate of SNS was answered with {}", fetched.status);
            return Err(NewsError::Unavailable(message));
        }
        let read =
            Certificate::read(&fetched.body).ok_or(NewsError::Forged("the certificate cannot be read"))?;
        if read.is_self_signed {
            return Err(NewsError::Forged("the certificate is signed by nobody else"));
        }
        let read = Arc::new(read);
        self.certificates().keep(url, &read, now);
        Ok(read)
    }

    /// Confirms a subscription at SNS of the topic's own region, with the token; the message's own URL is not used.
    pub(super) async fn confirm(&self, verified: &Verified) -> Result<(), NewsError> {
        let token = verified.token.as_deref().unwrap_or_default();
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if token.is_empty() || token.len() > 1000 || !token.bytes().all(is_plain) {
            return Err(NewsError::Forged("the token cannot be read"));
        }
        let Topic { arn, .. } = &verified.topic;
        let host = verified.topic.host();
        let arn_coded = arn.replace(':', "%3A");
        let url = format!("https://{host}/?Action=ConfirmSubscription&TopicArn={arn_coded}&Token={token}");
        let fetched = self.fetch.get(&url, LARGEST).await;
        let fetched = fetched.map_err(|error| NewsError::Unavailable(format!("SNS: {error}")))?;
        if fetched.status != 200 {
            let message = format!("SNS answered the confirmation with {}", fetched.status);
            return Err(NewsError::Unavailable(message));
        }
        tracing::info!(topic = arn.as_str(), "subscription was confirmed");
        Ok(())
    }
}

#[cfg(test)]
mod tests;
