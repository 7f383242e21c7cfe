//! What proves that news comes from a provider: keys and topics, judged by their form, so that one that was copied wrongly
//! is found at the start and not when all news has been refused for a day.

use super::Setting;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// `SubjectPublicKeyInfo` of a key on P-256 up to the coordinates of its uncompressed point (RFC 5480).
const P256_SPKI: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];
/// Both coordinates of a point on P-256, in bytes.
const COORDINATES: usize = 64;

/// The public key of SendGrid's signed event webhook: base64 of its `SubjectPublicKeyInfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct SendgridKey(pub(in crate::config) String);

impl Setting for SendgridKey {
    const WRONG: &'static str = "is not the verification key of SendGrid's signed event webhook; copy the whole line that \
         SendGrid shows (Settings, Mail Settings, Event Webhooks, Signature Verification), which begins with MFkw, \
         without BEGIN and END";
    fn read_text(text: &str) -> Option<Self> {
        let key = STANDARD.decode(text).ok()?;
        let coordinates = key.strip_prefix(&P256_SPKI)?;
        (coordinates.len() == COORDINATES).then(|| Self(text.to_owned()))
    }
}

/// Mailgun's signing key for webhooks. Its form is Mailgun's own; what can be told is that no piece of a page or file
/// was copied with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct SigningKey(pub(in crate::config) String);

impl Setting for SigningKey {
    const WRONG: &'static str = "is not a signing key: it holds white space or what is not ASCII; copy the HTTP webhook \
         signing key that Mailgun shows (Sending, Webhooks)";
    const SECRET: bool = true;
    fn read_text(text: &str) -> Option<Self> {
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_plain.then(|| Self(text.to_owned()))
    }
}

/// The ARN of an SNS topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct TopicArn(pub(in crate::config) String);

impl Setting for TopicArn {
    const WRONG: &'static str = "is not the ARN of an SNS topic; write arn:aws:sns:eu-west-1:123456789012:name, which the \
         topic's page shows (not that of a subscription, which has one part more)";
    fn read_text(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let ["arn", "aws" | "aws-cn" | "aws-us-gov", "sns", region, account, name] = parts[..] else {
            return None;
        };
        let is_made_of = |part: &str, more: &[u8]| {
            part.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
        };
        let fits = region.len() >= 3
            && is_made_of(region, b"-")
            && account.len() == 12
            && account.bytes().all(|byte| byte.is_ascii_digit())
            && (1..=256).contains(&name.len())
            && is_made_of(name, b"-_.");
        fits.then(|| Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of the published vector A (07-providers).
    const KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw\
        +2fNNRaINXvVpiglSI8eNEc6wEA3F+g==";

    #[test]
    fn a_key_of_sendgrid_is_whole() {
        assert!(SendgridKey::read_text(KEY).is_some());
        for bad in ["", "pk", &KEY[..100], &KEY[1..], "-----BEGIN PUBLIC KEY-----", &format!("{KEY}AAAA")] {
            assert_eq!(SendgridKey::read_text(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_signing_key_is_one_word() {
        assert!(SigningKey::read_text("key").is_some() && SigningKey::read_text("3f-a_9").is_some());
        for bad in ["", "two words", "k\u{e9}y", "k\ny"] {
            assert_eq!(SigningKey::read_text(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_topic_is_told_from_what_is_not() {
        for good in [
            "arn:aws:sns:us-east-1:123456789012:ses-news",
            "arn:aws-cn:sns:cn-north-1:123456789012:n",
            "arn:aws-us-gov:sns:us-gov-west-1:123456789012:n.fifo",
        ] {
            assert!(TopicArn::read_text(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "ses-news",
            "arn:1",
            "arn:aws:sqs:us-east-1:123456789012:n",
            "arn:aws:sns:us-east-1:1234:n",
            "arn:aws:sns::123456789012:n",
            "arn:aws:sns:us-east-1:123456789012:",
            "arn:aws:sns:us-east-1:123456789012:n:0b5c6f0e-6c5e-4a3f-9d5e-0a1b2c3d4e5f",
            "https://sns.us-east-1.amazonaws.com/",
        ] {
            assert_eq!(TopicArn::read_text(bad), None, "{bad}");
        }
    }
}
