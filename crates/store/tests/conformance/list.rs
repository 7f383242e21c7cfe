//! Lists: newest first, stable, each filter, each client's own.

use crate::fixture::*;
use posthaste_model::email::{Content, Email, Parts, TemplateRef};
use posthaste_model::outcome::{Failure, Outcome, RecipientOutcome};
use posthaste_model::retry;
use posthaste_model::{EmailId, FailureCode, Status};
use posthaste_store::{EmailFilter, Page, Store};

crate::on_every_engine!(
    shows_what_a_list_shows,
    tells_what_went_wrong_as_the_email_does,
    pages_are_stable_while_mail_arrives,
    every_filter_finds_its_own_indexed_or_not,
    filters_join,
    statuses_join_whatever_state_they_are_in,
    dates_bound_to_the_millisecond,
    nothing_of_another_client_is_found,
);

async fn list(store: &Store, filter: &EmailFilter) -> Vec<EmailId> {
    let page = store.list(acme().id, filter, None, 100).await.unwrap();
    let ids: Vec<EmailId> = page.rows.into_iter().map(|row| row.id).collect();
    assert_eq!(store.count(acme().id, filter).await, Ok(ids.len() as u64), "{filter:?}");
    ids
}

async fn shows_what_a_list_shows(store: &Store) {
    let mut email = email();
    email.recipients.push(to("Bob <bob@client.example>"));
    email.recipients[1].kind = posthaste_model::email::RecipientKind::Bcc;
    let id = accept(store, vec![email]).await[0];
    let page = store.list(acme().id, &EmailFilter::default(), None, 20).await.unwrap();
    assert_eq!(page.next, None);
    let row = &page.rows[0];
    assert_eq!((row.id, row.from.as_str()), (id, "Shop <noreply@example.com>"));
    assert_eq!(
        (row.to.as_slice(), row.subject.as_str()),
        (["ann@client.example".to_owned()].as_slice(), "Selamat datang, Ann")
    );
    assert_eq!((row.status, row.requested_at, row.sent_at), (Status::Queued, NOW, None));
}

async fn tells_what_went_wrong_as_the_email_does(store: &Store) {
    let claims = accept_leased(store, vec![email(), email(), email()]).await;
    let tried = |failure| Outcome::Tried { provider_message_id: None, recipients: vec![(0, failure)] };
    let later = RecipientOutcome::Later(Failure::new(FailureCode::ServerError, "450 busy"));
    let never = RecipientOutcome::Refused(Failure::new(FailureCode::InvalidEmail, "550 5.1.1 no such user"));
    for (claim, outcome) in claims.iter().zip([later, never]) {
        let settled = retry::settle(claim, "smtp", tried(outcome), &policy(), at(1), 0.5).unwrap();
        store.settle(vec![settled]).await.unwrap();
    }
    let page = store.list(acme().id, &EmailFilter::default(), None, 20).await.unwrap();
    let mut told = Vec::new();
    for row in page.rows {
        let whole = record(store, row.id).await;
        assert_eq!(row.error, whole.failure.map(|(_, message)| message).or(whole.error));
        told.push(row.error);
    }
    let texts = |part: &str| told.iter().flatten().filter(|error| error.contains(part)).count();
    assert_eq!((texts("450 busy"), texts("550 5.1.1 no such user"), told.len()), (1, 1, 3), "{told:?}");
}

async fn pages_are_stable_while_mail_arrives(store: &Store) {
    let mut ids = accept(store, (0..25).map(|_| email()).collect()).await;
    ids.reverse();
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page: Page = store.list(acme().id, &EmailFilter::default(), cursor, 10).await.unwrap();
        seen.extend(page.rows.iter().map(|row| row.id));
        accept(store, vec![email(), email()]).await;
        store.catch_up().await.unwrap();
        match page.next {
            // A cursor survives being written down.
            Some(next) => cursor = Some(next.to_string().parse().unwrap()),
            None => break,
        }
    }
    assert_eq!(seen, ids);
}

fn special() -> Email {
    let mut special = email();
    special.recipients = vec![to("Rare@Client.example")];
    special.domain = "other.example".into();
    special.tags = vec!["billing".into(), "july".into()];
    special.event_id = Some(7);
    special.subject = "Invoice No. 42 für Ännchen".into();
    let template = Some(TemplateRef { code: "invoice".into(), version: 1 });
    special.content = Content::Parts(Parts { template, ..Parts::default() });
    special
}

async fn every_filter_finds_its_own_indexed_or_not(store: &Store) {
    let filters = [
        EmailFilter { recipient: Some("rare@client.example".into()), ..EmailFilter::default() },
        EmailFilter { domain: Some("other.example".into()), ..EmailFilter::default() },
        EmailFilter { tag: Some("july".into()), ..EmailFilter::default() },
        EmailFilter { template_code: Some("invoice".into()), ..EmailFilter::default() },
        EmailFilter { event_id: Some(7), ..EmailFilter::default() },
        EmailFilter { q: Some("42 INVOICE ännchen".into()), ..EmailFilter::default() },
        EmailFilter { q: Some("für".into()), ..EmailFilter::default() },
    ];
    let nothing = [
        EmailFilter { recipient: Some("rare".into()), ..EmailFilter::default() },
        EmailFilter { q: Some("invoice 43".into()), ..EmailFilter::default() },
        EmailFilter { q: Some("invoic".into()), ..EmailFilter::default() },
        EmailFilter { tag: Some("jul".into()), ..EmailFilter::default() },
    ];
    accept(store, (0..5).map(|_| email()).collect()).await;
    let first = accept(store, vec![special()]).await[0];
    accept(store, (0..5).map(|_| email()).collect()).await;
    for filter in &filters {
        assert_eq!(list(store, filter).await, [first], "{filter:?}");
    }
    store.catch_up().await.unwrap();
    let second = accept(store, vec![special()]).await[0];
    for filter in &filters {
        assert_eq!(list(store, filter).await, [second, first], "{filter:?}");
    }
    store.catch_up().await.unwrap();
    for filter in &filters {
        assert_eq!(list(store, filter).await, [second, first], "{filter:?}");
        let page = store.list(acme().id, filter, None, 1).await.unwrap();
        let rest = store.list(acme().id, filter, page.next, 1).await.unwrap();
        assert_eq!((page.rows[0].id, rest.rows[0].id, rest.next), (second, first, None));
    }
    for filter in &nothing {
        assert!(list(store, filter).await.is_empty(), "{filter:?}");
    }
}

async fn filters_join(store: &Store) {
    let mut both = Vec::new();
    for n in 0..40 {
        let mut email = email();
        if n % 2 == 0 {
            email.tags.push("even".into());
        }
        if n % 5 == 0 {
            email.recipients.push(to("fifth@client.example"));
        }
        let id = accept(store, vec![email]).await[0];
        if n % 10 == 0 {
            both.insert(0, id);
        }
    }
    let filter = EmailFilter {
        tag: Some("even".into()),
        recipient: Some("fifth@client.example".into()),
        statuses: vec![Status::Queued],
        q: Some("datang".into()),
        ..EmailFilter::default()
    };
    assert_eq!(list(store, &filter).await, both);
    store.catch_up().await.unwrap();
    assert_eq!(list(store, &filter).await, both);
}

async fn statuses_join_whatever_state_they_are_in(store: &Store) {
    let queued = accept(store, vec![email()]).await[0];
    let mut later = email();
    later.send_at = Some(at(100));
    let scheduled = accept(store, vec![later]).await[0];
    let claims = accept_leased(store, vec![email(), email(), email()]).await;
    let ids: Vec<EmailId> = claims.iter().map(|claim| claim.email.id).collect();
    store
        .settle(vec![
            settlement(&claims[0], Status::Sent, None),
            settlement(&claims[1], Status::Failed, None),
        ])
        .await
        .unwrap();
    for _ in 0..2 {
        let of = |statuses: &[Status]| EmailFilter { statuses: statuses.to_vec(), ..EmailFilter::default() };
        assert_eq!(list(store, &of(&[Status::Queued])).await, [queued]);
        assert_eq!(list(store, &of(&[Status::Scheduled])).await, [scheduled]);
        assert_eq!(list(store, &of(&[Status::Processing])).await, [ids[2]]);
        assert_eq!(list(store, &of(&[Status::Sent])).await, [ids[0]]);
        let mixed = of(&[Status::Failed, Status::Sent, Status::Queued, Status::Failed]);
        assert_eq!(list(store, &mixed).await, [ids[1], ids[0], queued]);
        assert_eq!(list(store, &of(Status::ALL)).await.len(), 5);
        assert!(list(store, &of(&[Status::Bounced])).await.is_empty());
        store.catch_up().await.unwrap();
    }
}

async fn dates_bound_to_the_millisecond(store: &Store) {
    let mut ids = Vec::new();
    // Not in order: a clock that was set back.
    for seconds in [0, 5000, -5000, 3600, 1] {
        ids.push((seconds, accept(store, vec![email_of(at(seconds))]).await[0]));
    }
    for _ in 0..2 {
        for (from, to) in [(0, 1), (0, 3600), (-5000, 5001), (-6000, 0), (2, 3600), (6000, 7000)] {
            let filter =
                EmailFilter { date_from: Some(at(from)), date_to: Some(at(to)), ..EmailFilter::default() };
            let mut wanted: Vec<EmailId> =
                ids.iter().filter(|(s, _)| (from..to).contains(s)).map(|(_, id)| *id).collect();
            wanted.sort_unstable();
            // The newest by the clock or by acceptance: here engines differ.
            let mut found = list(store, &filter).await;
            found.sort_unstable();
            assert_eq!(found, wanted, "{from}..{to}");
        }
        store.catch_up().await.unwrap();
    }
}

async fn nothing_of_another_client_is_found(store: &Store) {
    let mut email = special();
    email.client_id = rival().id;
    let id = accept(store, vec![email]).await[0];
    for _ in 0..2 {
        let filters = [
            EmailFilter::default(),
            EmailFilter { statuses: vec![Status::Queued], ..EmailFilter::default() },
            EmailFilter { recipient: Some("rare@client.example".into()), ..EmailFilter::default() },
            EmailFilter { domain: Some("other.example".into()), ..EmailFilter::default() },
            EmailFilter { tag: Some("july".into()), ..EmailFilter::default() },
            EmailFilter { template_code: Some("invoice".into()), ..EmailFilter::default() },
            EmailFilter { event_id: Some(7), ..EmailFilter::default() },
            EmailFilter { q: Some("invoice".into()), ..EmailFilter::default() },
            EmailFilter { date_from: Some(at(-9)), date_to: Some(at(9)), ..EmailFilter::default() },
        ];
        for filter in &filters {
            assert!(list(store, filter).await.is_empty(), "{filter:?}");
            assert_eq!(store.count(rival().id, filter).await, Ok(1), "{filter:?}");
        }
        assert!(store.email(acme().id, id).await.unwrap().is_none());
        assert!(store.events(acme().id, id).await.unwrap().is_empty());
        let by = posthaste_store::StatsBy::Status;
        assert!(store.stats(acme().id, at(-9), at(9), by).await.unwrap().is_empty());
        store.catch_up().await.unwrap();
    }
}
