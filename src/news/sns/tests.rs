//! Messages signed by a key made for these tests (no official signed example exists): what is believed, and that nothing
//! is fetched for what is not.

use super::*;
use crate::base::clock::Clock;
use crate::base::metrics::Metrics;
use crate::live::Live;
use crate::news::{DeskParts, Proofs};
use posthaste_store::{Store, StoreSettings};

const NOW: Timestamp = Timestamp::from_millis(1_796_000_000_000);
const TOPIC: &str = "arn:aws:sns:eu-west-1:123456789012:mail";

fn samples() -> Value {
    serde_json::from_str(include_str!("testdata/messages.json")).unwrap()
}

/// Answers with one certificate and writes down what was asked.
#[derive(Default)]
struct Recorded {
    asked: Mutex<Vec<String>>,
    certificate: Mutex<Option<String>>,
}

impl Fetch for Recorded {
    fn get<'f>(
        &'f self,
        url: &'f str,
        _: usize,
    ) -> Pin<Box<dyn Future<Output = Result<Fetched, FetchError>> + Send + 'f>> {
        Box::pin(async move {
            self.asked.lock().unwrap().push(url.to_owned());
            let certificate = self.certificate.lock().unwrap().clone();
            let body = certificate.ok_or(FetchError("refused".into()))?.into_bytes();
            Ok(Fetched { status: 200, body })
        })
    }
}

struct Stage {
    desk: Desk,
    fetch: Arc<Recorded>,
    clock: Clock,
    _home: tempfile::TempDir,
}

impl Stage {
    async fn new(certificate: Option<&str>) -> Self {
        let proofs = Proofs { sns_topic_arns: vec![TOPIC.into()], ..Proofs::default() };
        Self::believing(proofs, certificate).await
    }

    async fn believing(proofs: Proofs, certificate: Option<&str>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(StoreSettings::new(home.path().join("store.db"))).await.unwrap();
        let fetch = Arc::new(Recorded::default());
        *fetch.certificate.lock().unwrap() = certificate.map(str::to_owned);
        let clock = Clock::manual(NOW);
        let desk = Desk::new(DeskParts {
            live: Live::new(store.clone(), None, Default::default(), Metrics::new()),
            store,
            clock: clock.clone(),
            proofs,
            fetch: Arc::clone(&fetch) as Arc<dyn Fetch>,
        });
        Self { desk, fetch, clock, _home: home }
    }

    async fn with_certificate() -> Self {
        Self::new(samples()["certificate"].as_str()).await
    }

    async fn take(&self, message: &Value) -> Result<(), NewsError> {
        self.desk.ses(message["Type"].as_str(), message.to_string().as_bytes()).await
    }

    fn asked(&self) -> Vec<String> {
        self.fetch.asked.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn both_versions_hold_and_the_certificate_is_fetched_once_a_day() {
    let stage = Stage::with_certificate().await;
    for name in ["v1", "v2", "with_subject"] {
        stage.take(&samples()[name]).await.unwrap();
    }
    assert_eq!(stage.asked().len(), 1);
    stage.clock.advance(KEEP);
    stage.take(&samples()["v1"]).await.unwrap();
    assert_eq!(stage.asked().len(), 2);
}

#[tokio::test]
async fn a_changed_message_is_forged() {
    let stage = Stage::with_certificate().await;
    for (name, value) in [
        ("Message", "{}"),
        ("Subject", "extra"),
        ("SignatureVersion", "2"),
        ("SignatureVersion", "3"),
        ("Signature", "AAAA"),
        ("Signature", ""),
        ("Timestamp", "2026-11-20T10:00:01.000Z"),
        ("Type", "SubscriptionConfirmation"),
    ] {
        let mut message = samples()["v1"].clone();
        message[name] = value.into();
        let taken = stage.take(&message).await;
        assert!(matches!(taken, Err(NewsError::Forged(_))), "{name}: {taken:?}");
    }
    let body = samples()["v1"].to_string();
    let taken = stage.desk.ses(Some("SubscriptionConfirmation"), body.as_bytes()).await;
    assert!(matches!(taken, Err(NewsError::Forged(_))), "the header names another type");
}

#[tokio::test]
async fn nothing_is_fetched_for_foreign_topics_and_from_foreign_hosts() {
    let stage = Stage::with_certificate().await;
    let mut message = samples()["v1"].clone();
    message["TopicArn"] = "arn:aws:sns:eu-west-1:999999999999:mail".into();
    assert!(matches!(stage.take(&message).await, Err(NewsError::Forged(_))));
    for url in [
        "http://sns.eu-west-1.amazonaws.com/x.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.io/x.pem",
        "https://evil.io/sns.eu-west-1.amazonaws.com/x.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.io/x.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/x.pem",
        "https://sns.us-east-1.amazonaws.com/x.pem",
        "https://bucket.s3.amazonaws.com/x.pem",
        "https://sns.eu-west-1.amazonaws.com/x.pem?redirect=1",
        "https://sns.eu-west-1.amazonaws.com/x.txt",
        "https://SNS.eu-west-1.amazonaws.com/../x.pem",
        "https://sns.eu-west-1.amazonaws.com",
        "",
    ] {
        let mut message = samples()["v1"].clone();
        message["SigningCertURL"] = url.into();
        assert!(matches!(stage.take(&message).await, Err(NewsError::Forged(_))), "{url}");
    }
    assert_eq!(stage.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_self_signed_or_unfetched_certificate_is_not_believed() {
    let stage = Stage::new(samples()["self_signed"].as_str()).await;
    assert!(matches!(stage.take(&samples()["v1"]).await, Err(NewsError::Forged(_))));
    let stage = Stage::new(Some("no certificate")).await;
    assert!(matches!(stage.take(&samples()["v1"]).await, Err(NewsError::Forged(_))));
    let stage = Stage::new(None).await;
    assert!(
        matches!(stage.take(&samples()["v1"]).await, Err(NewsError::Unavailable(_))),
        "SNS is to try again"
    );
    let stage = Stage::with_certificate().await;
    stage.clock.set(Timestamp::from_millis(1_500_000_000_000));
    assert!(matches!(stage.take(&samples()["v1"]).await, Err(NewsError::Forged(_))), "before its time");
    let stage = Stage::with_certificate().await;
    stage.clock.set(Timestamp::from_millis(32_503_680_000_000));
    assert!(
        matches!(stage.take(&samples()["v1"]).await, Err(NewsError::Forged(_))),
        "after its time, in 3000"
    );
}

#[tokio::test]
async fn a_topic_that_must_sign_with_sha_256_is_not_believed_with_sha_1() {
    let topics = vec![TOPIC.to_owned()];
    let proofs = Proofs { sns_topic_arns: topics.clone(), sns_v2_topic_arns: topics, ..Proofs::default() };
    let stage = Stage::believing(proofs, samples()["certificate"].as_str()).await;
    assert!(matches!(stage.take(&samples()["v1"]).await, Err(NewsError::Forged(_))));
    assert_eq!(stage.asked(), Vec::<String>::new(), "nothing is fetched for it");
    stage.take(&samples()["v2"]).await.unwrap();
}

#[tokio::test]
async fn a_subscription_is_confirmed_at_sns_whatever_the_message_says() {
    let stage = Stage::with_certificate().await;
    stage.take(&samples()["confirmation"]).await.unwrap();
    let expected = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&\
        TopicArn=arn%3Aaws%3Asns%3Aeu-west-1%3A123456789012%3Amail&Token=2336412f37fb687f5d51e6e2425c464d";
    assert_eq!(stage.asked()[1..], [expected]);
}
