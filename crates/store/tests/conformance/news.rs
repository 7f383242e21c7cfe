//! News: kept once, applied along the arrows, before and after our own record, with tokens that are good once.

use crate::fixture::*;
use posthaste_model::email::Email;
use posthaste_model::news::{News, NewsKind, NewsSource};
use posthaste_model::suppression::address_key;
use posthaste_model::{EmailId, FailureCode, Status, Timestamp};
use posthaste_store::{NewsReport, NewsResult, Span, Store, WebhookToken};
use std::sync::Arc;

crate::on_every_engine!(
    news_is_kept_once_and_moves_the_status,
    news_before_our_own_record_counts,
    the_providers_id_names_the_email_too,
    unknown_mail_is_kept,
    a_clock_that_is_behind_does_not_keep_news_out,
    a_token_is_good_once,
    what_a_transport_took_is_found_by_its_time,
);

fn news(id: EmailId, key: &str, kind: NewsKind) -> News {
    let mut news = News::kept(NewsSource::Sendgrid, key.into(), "{}".into(), at(30));
    news.email_id = Some(id);
    news.kind = Some(kind);
    news
}

fn bounce(id: EmailId, key: &str) -> News {
    let mut news = news(id, key, NewsKind::Bounced);
    (news.code, news.suppress) = (Some(FailureCode::Bounce), Some("bounce"));
    news.detail = Some("550 5.1.1 gone".into());
    news
}

async fn hear(store: &Store, news: News) -> NewsReport {
    match store.record_news(vec![news], None, at(40)).await.unwrap() {
        NewsResult::Recorded(report) => report,
        other => panic!("{other:?}"),
    }
}

/// An email that a transport has taken.
async fn sent(store: &Store) -> Arc<Email> {
    let claim = accept_leased(store, vec![email()]).await.remove(0);
    let mut sent = settlement(&claim, Status::Sent, None);
    sent.provider_message_id = Some("p-1".into());
    store.settle(vec![sent]).await.unwrap();
    claim.email
}

async fn status(store: &Store, id: EmailId) -> Status {
    store.email(acme().id, id).await.unwrap().unwrap().status
}

async fn news_is_kept_once_and_moves_the_status(store: &Store) {
    let email = sent(store).await;
    let events = store.events(acme().id, email.id).await.unwrap().len();
    let report = hear(store, bounce(email.id, "b")).await;
    assert_eq!((report.stored, report.unmatched), (1, 0));
    assert_eq!(report.changed, [(acme().id, email.id)]);
    let again = hear(store, bounce(email.id, "b")).await;
    assert_eq!((again.stored, again.repeated, again.changed.len()), (0, 1, 0));
    hear(store, news(email.id, "d", NewsKind::Delivered)).await;
    let shown = store.email(acme().id, email.id).await.unwrap().unwrap();
    assert_eq!(shown.status, Status::Bounced);
    assert_eq!(shown.failure.map(|(code, _)| code), Some(FailureCode::Bounce));
    assert_eq!(store.events(acme().id, email.id).await.unwrap().len(), events + 2);
    let address = email.recipients[0].mailbox.address.canonical().to_owned();
    let listed = store.suppressed(acme().id, vec![address_key(&address)], at(41)).await.unwrap();
    assert_eq!(listed[0].evidence.as_deref(), Some("550 5.1.1 gone"));
    hear(store, news(email.id, "c", NewsKind::Complained)).await;
    assert_eq!(status(store, email.id).await, Status::Complained);
    assert_eq!(store.last_heard().await.unwrap()[0].at, at(40));
}

async fn news_before_our_own_record_counts(store: &Store) {
    let claim = accept_leased(store, vec![email()]).await.remove(0);
    let email = &claim.email;
    hear(store, news(email.id, "d", NewsKind::Delivered)).await;
    assert_eq!(status(store, email.id).await, Status::Processing, "its holder has the word");
    store.settle(vec![settlement(&claim, Status::Sent, None)]).await.unwrap();
    assert_eq!(status(store, email.id).await, Status::Delivered);
}

async fn the_providers_id_names_the_email_too(store: &Store) {
    let email = sent(store).await;
    let mut by_provider = news(email.id, "d", NewsKind::Delivered);
    by_provider.email_id = None;
    by_provider.provider_ids = vec!["p-0".into(), "p-1".into()];
    assert_eq!(hear(store, by_provider).await.unmatched, 0);
    assert_eq!(status(store, email.id).await, Status::Delivered);
}

async fn a_clock_that_is_behind_does_not_keep_news_out(store: &Store) {
    let email = sent(store).await;
    let mut odd = news(email.id, "d", NewsKind::Delivered);
    odd.email_id = None;
    odd.provider_ids = vec!["p\0".into(), "p-1".into()];
    let before = Timestamp::from_millis(email.requested_at.millis() - 1000);
    store.record_news(vec![odd], None, before).await.unwrap();
    assert_eq!(status(store, email.id).await, Status::Delivered);
    let events = store.events(acme().id, email.id).await.unwrap();
    assert!(events.iter().all(|event| event.event.at >= email.requested_at));
}

async fn unknown_mail_is_kept(store: &Store) {
    let nobody = EmailId::new(NOW, [9; 10]);
    let report = hear(store, bounce(nobody, "x")).await;
    assert_eq!((report.stored, report.unmatched), (1, 1));
    assert_eq!(hear(store, bounce(nobody, "x")).await.repeated, 1);
    store.drop_old(Timestamp::from_millis(0), at(50), at(50), 100).await.unwrap();
    assert_eq!(hear(store, bounce(nobody, "x")).await.stored, 1, "forgotten with its time");
}

async fn what_a_transport_took_is_found_by_its_time(store: &Store) {
    sent(store).await;
    let took = async |name: &str, from, until| {
        store
            .took_mail(vec!["other".into(), name.into()], Span { from: at(from), until: at(until) })
            .await
            .unwrap()
    };
    // Requested at 0, sent at 1.
    assert!(took("smtp", 0, 2).await);
    assert!(took("smtp", -1000, 1000).await);
    assert!(!took("smtp", 0, 1).await, "not sent by then");
    assert!(!took("smtp", 1, 1000).await, "requested before");
    assert!(!took("ses", -1000, 1000).await);
    let waiting = accept_leased(store, vec![email()]).await.remove(0);
    store.settle(vec![settlement(&waiting, Status::Queued, Some(at(9)))]).await.unwrap();
    assert!(!took("smtp", 1, 1000).await);
}

async fn a_token_is_good_once(store: &Store) {
    let token = |body: u8| Some(WebhookToken { token: "t".into(), body: [body; 32], keep_until: at(100) });
    let email = sent(store).await;
    let first =
        store.record_news(vec![news(email.id, "1", NewsKind::Opened)], token(1), at(1)).await.unwrap();
    assert!(matches!(first, NewsResult::Recorded(_)));
    let same = store.record_news(vec![news(email.id, "1", NewsKind::Opened)], token(1), at(2)).await.unwrap();
    assert_eq!(same, NewsResult::Repeated);
    let forged = store.record_news(vec![bounce(email.id, "2")], token(2), at(3)).await.unwrap();
    assert_eq!(forged, NewsResult::TokenUsed);
    assert_eq!(status(store, email.id).await, Status::Sent);
    store.drop_old(Timestamp::from_millis(0), Timestamp::from_millis(0), at(101), 100).await.unwrap();
    let later =
        store.record_news(vec![news(email.id, "3", NewsKind::Opened)], token(2), at(102)).await.unwrap();
    assert!(matches!(later, NewsResult::Recorded(_)));
}
