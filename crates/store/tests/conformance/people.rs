//! Users, their logins, organizers' events and the reports sent of them.

use crate::fixture::*;
use posthaste_model::eo::{EoDelivery, EoEvent, ReportFilter, ReportKey};
use posthaste_model::user::{Language, Role, User, UserChange, UserSession};
use posthaste_model::{EmailId, Status, UserId};
use posthaste_store::{EoBegun, EoFilter, Store, StoreError};
use std::time::Duration;

crate::on_every_engine!(
    a_user_stands_once_and_the_first_only_alone,
    a_change_of_password_ends_the_other_logins,
    a_code_is_used_once,
    deliveries_are_found_by_owner_event_and_status,
    the_same_request_finds_its_delivery,
    notices_are_raised_once,
);

fn user(number: u8, email: &str, role: Role) -> User {
    User {
        id: UserId::new(NOW, [number; 10]),
        email: email.into(),
        name: Some("Ann".into()),
        role,
        password_hash: "$argon2id$".into(),
        language: None,
        sealed_totp: None,
        is_active: true,
        created_at: NOW,
    }
}

fn session(number: u8, user: &User) -> UserSession {
    UserSession {
        hash: [number; 32],
        user_id: user.id,
        created_at: NOW,
        last_seen: NOW,
        address: "127.0.0.1".into(),
        agent: "test".into(),
    }
}

async fn a_user_stands_once_and_the_first_only_alone(store: &Store) {
    assert_eq!(store.has_users().await, Ok(false));
    let ann = user(1, "ann@example.com", Role::Admin);
    store.create_user(ann.clone(), true, &actor()).await.unwrap();
    assert_eq!(store.has_users().await, Ok(true));
    let late = store.create_user(user(2, "eve@example.com", Role::Admin), true, &actor()).await;
    assert_eq!(late, Err(StoreError::NotFound));
    let again = store.create_user(user(3, "ann@example.com", Role::Eo), false, &actor()).await;
    assert_eq!(again, Err(StoreError::Conflict("a user with this address")));
    let bob = user(4, "bob@example.com", Role::Eo);
    store.create_user(bob.clone(), false, &actor()).await.unwrap();
    assert_eq!(store.user(ann.id).await, Ok(Some(ann.clone())));
    assert_eq!(store.user_by_email("bob@example.com").await, Ok(Some(bob.clone())));
    assert_eq!(store.users().await, Ok(vec![ann, bob]));
}

async fn a_change_of_password_ends_the_other_logins(store: &Store) {
    let (ann, bob) = (user(1, "ann@example.com", Role::Admin), user(2, "bob@example.com", Role::Eo));
    for one in [&ann, &bob] {
        store.create_user(one.clone(), false, &actor()).await.unwrap();
    }
    for (number, one) in [(1, &ann), (2, &ann), (3, &bob)] {
        store.open_session(session(number, one)).await.unwrap();
    }
    let language = UserChange { language: Some(Language::En), ..UserChange::default() };
    let changed = store.update_user(ann.id, language, None, &actor()).await.unwrap();
    assert_eq!(changed.language, Some(Language::En));
    assert!(store.session([2; 32]).await.unwrap().is_some(), "a language ends no login");
    let change = UserChange {
        password_hash: Some("new".into()),
        sealed_totp: Some(Some(vec![7])),
        ..UserChange::default()
    };
    let changed = store.update_user(ann.id, change, Some([1; 32]), &actor()).await.unwrap();
    assert_eq!((changed.password_hash.as_str(), changed.sealed_totp.clone()), ("new", Some(vec![7])));
    store.touch_session([1; 32], at(60)).await.unwrap();
    let (kept, whose) = store.session([1; 32]).await.unwrap().unwrap();
    assert_eq!((kept.last_seen, whose), (at(60), changed));
    assert_eq!(store.session([2; 32]).await, Ok(None));
    assert!(store.session([3; 32]).await.unwrap().is_some(), "another's login stays");
    store.close_session([1; 32]).await.unwrap();
    assert_eq!(store.session([1; 32]).await, Ok(None));
    assert_eq!(store.drop_sessions(at(1)).await, Ok(1));
    let nobody = UserId::new(NOW, [9; 10]);
    let missing = store.update_user(nobody, UserChange::default(), None, &actor()).await;
    assert_eq!(missing, Err(StoreError::NotFound));
}

async fn a_code_is_used_once(store: &Store) {
    let ann = user(1, "ann@example.com", Role::Admin);
    store.create_user(ann.clone(), false, &actor()).await.unwrap();
    assert_eq!(store.use_totp_step(ann.id, 10).await, Ok(true));
    assert_eq!(store.use_totp_step(ann.id, 10).await, Ok(false));
    assert_eq!(store.use_totp_step(ann.id, 9).await, Ok(false));
    assert_eq!(store.use_totp_step(ann.id, 11).await, Ok(true));
}

fn key(number: u8) -> ReportKey {
    ReportKey { key: format!("k{number}"), fingerprint: [number; 32] }
}

/// Writes a delivery down that is new.
async fn begin(store: &Store, delivery: &EoDelivery) -> i64 {
    match store.begin_eo_delivery(delivery.clone(), NOW).await.unwrap() {
        EoBegun::New(id) => id,
        other => panic!("{other:?}"),
    }
}

/// Two organizers with an event each, and a report of each; the first one's email is there.
async fn reports(store: &Store) -> (EoDelivery, EoDelivery, UserId) {
    let (ann, bob) = (user(1, "ann@example.com", Role::Eo), user(2, "bob@example.com", Role::Eo));
    let mut deliveries = Vec::new();
    for (number, owner) in [(1_u8, &ann), (2, &bob)] {
        store.create_user(owner.clone(), false, &actor()).await.unwrap();
        let event = EoEvent {
            id: 0,
            name: format!("Event {number}"),
            client_id: acme().id,
            owner_id: owner.id,
            created_at: NOW,
        };
        let event_id = store.create_eo_event(event.clone(), &actor()).await.unwrap();
        assert_eq!(store.eo_event(event_id).await, Ok(Some(EoEvent { id: event_id, ..event })));
        let mut delivery = EoDelivery {
            id: 0,
            event_id,
            client_id: acme().id,
            user_id: owner.id,
            email_id: EmailId::new(NOW, [number; 10]),
            to_email: "Eo@example.com".into(),
            subject: "Laporan untuk Eo@example.com".into(),
            filter: ReportFilter { date_from: Some("2026-01-01".into()), ..ReportFilter::default() },
            language: Language::En,
            resent_from: None,
            key: Some(key(number)),
            created_at: at(i64::from(number)),
            noticed_at: None,
            seen_at: None,
        };
        delivery.id = begin(store, &delivery).await;
        deliveries.push(delivery);
    }
    let [first, second] = <[EoDelivery; 2]>::try_from(deliveries).unwrap();
    let email = posthaste_model::email::Email { id: first.email_id, client_id: acme().id, ..email() };
    accept(store, vec![email]).await;
    (first, second, ann.id)
}

async fn deliveries_are_found_by_owner_event_and_status(store: &Store) {
    let (first, second, ann) = reports(store).await;
    let ids = async |filter: EoFilter| -> Vec<i64> {
        let found = store.eo_deliveries(&filter, 10).await.unwrap();
        found.into_iter().map(|record| record.delivery.id).collect()
    };
    assert_eq!(ids(EoFilter::default()).await, [second.id, first.id]);
    assert_eq!(ids(EoFilter { owner_id: Some(ann), ..EoFilter::default() }).await, [first.id]);
    assert_eq!(ids(EoFilter { event_id: Some(second.event_id), ..EoFilter::default() }).await, [second.id]);
    assert_eq!(ids(EoFilter { before_id: Some(second.id), ..EoFilter::default() }).await, [first.id]);
    assert_eq!(ids(EoFilter { from: Some(at(2)), ..EoFilter::default() }).await, [second.id]);
    assert_eq!(ids(EoFilter { to: Some(at(2)), ..EoFilter::default() }).await, [first.id]);
    let pending = vec![Status::Queued, Status::Scheduled];
    assert_eq!(ids(EoFilter { statuses: pending, ..EoFilter::default() }).await, [second.id, first.id]);
    assert_eq!(ids(EoFilter { statuses: vec![Status::Failed], ..EoFilter::default() }).await, [0_i64; 0]);
    let tally = async |period| {
        let found = store.eo_tally(&EoFilter::default(), Duration::from_secs(period)).await.unwrap();
        found.into_iter().map(|one| (one.begin, one.status, one.count)).collect::<Vec<_>>()
    };
    assert_eq!(tally(1).await, [(at(1), Status::Queued, 1), (at(2), Status::Queued, 1)]);
    assert_eq!(tally(60).await, [(NOW, Status::Queued, 2)]);
    let none = EoFilter { statuses: vec![Status::Failed], ..EoFilter::default() };
    assert_eq!(store.eo_tally(&none, Duration::from_secs(1)).await, Ok(vec![]));
    let found = store.eo_delivery(first.id).await.unwrap().unwrap();
    assert_eq!((found.delivery, found.event_name.as_str()), (first.clone(), "Event 1"));
    assert_eq!(found.outcome.unwrap().status, Status::Queued);
    assert_eq!(store.eo_delivery(second.id).await.unwrap().unwrap().outcome, None);
    assert_eq!(store.erase_eo_address("eo@example.com").await, Ok(2));
    let told = store.remove_eo_event(second.event_id, &actor()).await;
    assert!(matches!(told, Err(StoreError::Conflict(_))), "a report of it stands: {told:?}");
    let erased = store.eo_delivery(first.id).await.unwrap().unwrap().delivery;
    assert_eq!((erased.to_email.as_str(), erased.subject.as_str()), ("erased@erased.invalid", "erased"));
    for one in [first.id, second.id] {
        store.delete_eo_delivery(one).await.unwrap();
    }
    assert!(store.eo_delivery(second.id).await.unwrap().is_none());
    assert!(store.eo_delivery(first.id).await.unwrap().is_some(), "what has an email stays");
    assert_eq!(store.drop_eo_deliveries(at(5)).await, Ok(1));
    assert_eq!(store.eo_events(Some(ann)).await.unwrap().len(), 1);
    assert_eq!(store.eo_events(None).await.unwrap().len(), 2);
    store.remove_eo_event(second.event_id, &actor()).await.unwrap();
    assert_eq!(store.eo_event(second.event_id).await, Ok(None));
    assert_eq!(store.remove_eo_event(second.event_id, &actor()).await, Err(StoreError::NotFound));
}

async fn the_same_request_finds_its_delivery(store: &Store) {
    let (first, second, _) = reports(store).await;
    let again =
        EoDelivery { id: 0, email_id: EmailId::new(at(9), [9; 10]), created_at: at(9), ..first.clone() };
    let asked = async |delivery: EoDelivery, since| store.begin_eo_delivery(delivery, since).await.unwrap();
    assert_eq!(asked(again.clone(), NOW).await, EoBegun::Found(Box::new(first)));
    let other = EoDelivery { key: Some(ReportKey { fingerprint: [7; 32], ..key(1) }), ..again.clone() };
    assert_eq!(asked(other, NOW).await, EoBegun::KeyReused);
    let without = EoDelivery { key: None, ..again.clone() };
    let new = [begin(store, &without).await, begin(store, &without).await];
    assert!(second.id < new[0] && new[0] < new[1], "{new:?}");
    let late = asked(again.clone(), at(5)).await;
    assert!(matches!(late, EoBegun::New(id) if id > new[1]), "a key is forgotten in time: {late:?}");
    let nowhere = store.begin_eo_delivery(EoDelivery { event_id: 999, ..again }, NOW).await;
    assert_eq!(nowhere, Err(StoreError::NotFound));
}

async fn notices_are_raised_once(store: &Store) {
    let (first, second, ann) = reports(store).await;
    let unwritten = store.eo_unwritten(NOW, at(10), 10).await.unwrap();
    assert_eq!(unwritten.len(), 1);
    assert_eq!(unwritten[0].delivery.id, second.id);
    assert_eq!(store.eo_overdue(NOW, at(10), 10).await.unwrap().len(), 2);
    assert_eq!(store.notice_eo_delivery(first.id, at(20)).await, Ok(true));
    assert_eq!(store.notice_eo_delivery(first.id, at(21)).await, Ok(false));
    assert_eq!(store.eo_overdue(NOW, at(10), 10).await.unwrap().len(), 1);
    let noticed = EoFilter { owner_id: Some(ann), is_noticed: true, ..EoFilter::default() };
    assert_eq!(store.eo_deliveries(&noticed, 10).await.unwrap().len(), 1);
    store.dismiss_eo_notice(first.id, at(30)).await.unwrap();
    assert_eq!(store.eo_deliveries(&noticed, 10).await.unwrap().len(), 0);
}
