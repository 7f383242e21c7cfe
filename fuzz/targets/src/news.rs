//! Providers' webhooks: what is not proven changes nothing, whatever it looks like.

use aws_lc_rs::hmac;
use posthaste::base::clock::Clock;
use posthaste::base::metrics::Metrics;
use posthaste::live::Live;
use posthaste::news::{Desk, DeskParts, Fetch, FetchError, Fetched, NewsError, Proofs};
use posthaste_model::{Secret, Timestamp};
use posthaste_store::{Store, StoreSettings};
use serde_json::{Value, json};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// SendGrid's published example: its key, and what is signed, which is the time followed by the body.
const SENDGRID_KEY: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==";
const SENDGRID_TIME: &str = "1600112502";
const SENDGRID_BODY: &str = "[{\"email\":\"hello@world.com\",\"event\":\"dropped\",\"reason\":\"Bounced Address\",\"sg_event_id\":\"ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA\",\"sg_message_id\":\"LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0\",\"smtp-id\":\"<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>\",\"timestamp\":1600112492}]\r\n";
const MAILGUN_KEY: &str = "signing";
const MAILGUN_TIME: &str = "1600112502";
const MAILGUN_TOKEN: &str = "0123456789abcdef";
const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:bounces";

/// The installation's desk, on a store of its own, at the time of the examples.
struct Stage {
    runtime: Runtime,
    desk: Desk,
    certificate: Arc<Served>,
    _home: TempDir,
}

/// Answers every fetch with what the input ends with, as if SNS were anybody.
#[derive(Default)]
struct Served(Mutex<Vec<u8>>);

impl Fetch for Served {
    fn get<'f>(
        &'f self,
        url: &'f str,
        most: usize,
    ) -> Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'f>> {
        assert!(url.starts_with("https://sns.us-east-1.amazonaws.com/"), "{url}");
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        body.truncate(most);
        Box::pin(async move { Ok(Fetched { status: 200, body }) })
    }
}

fn stage() -> &'static Stage {
    static STAGE: OnceLock<Stage> = OnceLock::new();
    STAGE.get_or_init(|| {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join("store.db");
        let store = runtime.block_on(Store::open(StoreSettings::new(path))).expect("a store");
        let certificate = Arc::new(Served::default());
        let desk = Desk::new(DeskParts {
            live: Live::new(store.clone(), None, Default::default(), Metrics::new()),
            store,
            clock: Clock::manual(Timestamp::from_millis(1_600_112_600_000)),
            proofs: Proofs {
                sendgrid_public_keys: vec![SENDGRID_KEY.to_owned()],
                mailgun_signing_keys: vec![Secret::new(MAILGUN_KEY)],
                sns_topic_arns: vec![TOPIC.to_owned()],
                ..Proofs::default()
            },
            fetch: Arc::clone(&certificate) as Arc<dyn Fetch>,
        });
        Stage { runtime, desk, certificate, _home: home }
    })
}

/// SendGrid: signature, time and body, with `\u{1}` between. Proven is only what SendGrid once signed.
pub fn sendgrid(data: &[u8]) {
    let mut pieces = data.splitn(3, |byte| *byte == 1);
    let text = |piece: Option<&[u8]>| piece.and_then(|piece| String::from_utf8(piece.to_vec()).ok());
    let (signature, time) = (text(pieces.next()), text(pieces.next()));
    let body = pieces.next().unwrap_or_default();
    let stage = stage();
    let taken = stage.runtime.block_on(stage.desk.sendgrid(signature.as_deref(), time.as_deref(), body));
    if taken.is_ok() {
        let signed = [time.unwrap_or_default().as_bytes(), body].concat();
        assert_eq!(signed, [SENDGRID_TIME, SENDGRID_BODY].concat().as_bytes());
    } else {
        assert!(matches!(taken, Err(NewsError::Forged(_))), "{taken:?}");
    }
}

/// A signature of Mailgun's, over its time and its token.
fn mailgun_signature() -> Value {
    let key = hmac::Key::new(hmac::HMAC_SHA256, MAILGUN_KEY.as_bytes());
    let tag = hmac::sign(&key, format!("{MAILGUN_TIME}{MAILGUN_TOKEN}").as_bytes());
    let hex = tag.as_ref().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    json!({"timestamp": MAILGUN_TIME, "token": MAILGUN_TOKEN, "signature": hex})
}

/// Mailgun: proven is only what was signed once, and with one body.
pub fn mailgun(data: &[u8]) {
    static FIRST: OnceLock<Vec<u8>> = OnceLock::new();
    let stage = stage();
    let taken = stage.runtime.block_on(stage.desk.mailgun(data));
    if taken.is_ok() {
        let body: Value = serde_json::from_slice(data).expect("JSON that was understood");
        let (signature, expected) = (&body["signature"], mailgun_signature());
        assert_eq!(signature["token"], expected["token"], "{body}");
        assert_eq!(signature["signature"], expected["signature"], "{body}");
        assert_eq!(FIRST.get_or_init(|| data.to_vec()), data, "one token with two bodies");
    } else {
        assert!(matches!(taken, Err(NewsError::Forged(_))), "{taken:?}");
    }
}

/// SNS: a message and, behind `\u{1}`, the certificate that its host would give. Nothing is ever proven, nothing is asked
/// for anywhere but at SNS, and no certificate is too odd to be read.
pub fn sns(data: &[u8]) {
    let (message, certificate) = match data.iter().position(|byte| *byte == 1) {
        Some(at) => (&data[..at], &data[at + 1..]),
        None => (data, &[][..]),
    };
    let stage = stage();
    *stage.certificate.0.lock().unwrap_or_else(PoisonError::into_inner) = certificate.to_vec();
    for header in [None, Some("Notification"), Some("SubscriptionConfirmation")] {
        let taken = stage.runtime.block_on(stage.desk.ses(header, message));
        assert!(matches!(taken, Err(NewsError::Forged(_))), "{taken:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::smoke;

    const SENDGRID_SIGNATURE: &str =
        "MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=";

    #[test]
    fn sendgrid_news() {
        smoke(
            sendgrid,
            &[
                &format!("{SENDGRID_SIGNATURE}\u{1}{SENDGRID_TIME}\u{1}{SENDGRID_BODY}"),
                "\u{1}\u{1}[]",
                "MEUCIA==\u{1}1\u{1}{}",
            ],
        );
    }

    #[test]
    fn mailgun_news() {
        let signed = json!({
            "signature": mailgun_signature(),
            "event-data": {"event": "delivered", "id": "x", "timestamp": 1_600_112_502.5, "recipient": "a@b.com"},
        });
        smoke(
            mailgun,
            &[&signed.to_string(), "{\"signature\":{\"timestamp\":1,\"token\":2,\"signature\":3}}", "[]"],
        );
    }

    #[test]
    fn sns_news() {
        let message = json!({
            "Type": "Notification", "MessageId": "m", "TopicArn": TOPIC, "Subject": "s", "Message": "{}",
            "Timestamp": "2020-09-14T19:43:00.000Z", "SignatureVersion": "1", "Signature": "AAAA",
            "SigningCertURL": "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0.pem",
        });
        let made =
            rcgen::generate_simple_self_signed(["sns.amazonaws.com".to_owned()]).expect("a certificate");
        let mut confirmation = message.clone();
        confirmation["Type"] = "SubscriptionConfirmation".into();
        confirmation["Token"] = "t".into();
        confirmation["SubscribeURL"] = "http://127.0.0.1/".into();
        smoke(
            sns,
            &[
                &format!("{message}\u{1}{}", made.cert.pem()),
                &format!("{confirmation}\u{1}-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"),
                "{\"TopicArn\":\"arn:aws:sns:us-east-1:123456789012:bounces\"}",
                "[]",
            ],
        );
    }
}
