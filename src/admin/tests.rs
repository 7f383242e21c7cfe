use super::*;
use crate::blobs::Blobs;
use bytes::Bytes;
use posthaste_model::client::Retention;
use posthaste_model::credential::{ApiKey, KeyMode, Permission};
use posthaste_model::fault::Faults;
use posthaste_model::{Rate, Timestamp};
use posthaste_store::StoreSettings;

/// An installation in a directory of its own, its clock standing still.
struct Installation {
    admin: Admin,
    clock: Clock,
    _home: tempfile::TempDir,
}

async fn installation() -> Installation {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(StoreSettings::new(home.path().join("store.db"))).await.unwrap();
    let blobs = Blobs::files(&home.path().join("blobs"), Faults::none()).unwrap();
    let clock = Clock::manual(Timestamp::from_millis(1_795_000_000_000));
    let chance = Chance::new();
    let vault = Vault::new(&Vault::generate_key(&chance), chance.clone()).unwrap();
    let auth = Auth::of_store(&store, &clock).await;
    let parts = AdminParts {
        store,
        blobs,
        auth,
        vault,
        clock: clock.clone(),
        chance,
        dns: Dns::default(),
        wishes: DnsWishes::default(),
    };
    Installation { admin: Admin::new(parts), clock, _home: home }
}

fn of(name: &str, department: &str) -> NewClient {
    NewClient { department: Some(department.into()), ..NewClient::named(name) }
}

fn actor() -> Actor {
    Actor { kind: "cli".into(), id: Some("uid:0".into()), address: None }
}

/// Field and code of every fault; nothing when it was refused for another reason.
fn faults<T: std::fmt::Debug>(result: Result<T, Refusal>) -> Vec<(String, FaultCode)> {
    let Err(Refusal::Invalid(faults)) = result else { panic!("{result:?}") };
    let name = |fault: Fault| match fault.field {
        Field::Other(name) => (name, fault.code),
        other => panic!("{other:?}"),
    };
    faults.into_iter().map(name).collect()
}

#[tokio::test]
async fn a_client_is_made_once_and_found_by_name_and_id() {
    let it = installation().await;
    let admin = &it.admin;
    let made = admin.create_client(of(" Tickets ", "Sales"), &actor()).await.unwrap();
    assert_eq!((made.name.as_str(), made.department.as_deref()), ("Tickets", Some("Sales")));
    assert_eq!(admin.client("Tickets").await.unwrap(), made);
    assert_eq!(admin.client(&made.id.to_string()).await.unwrap(), made);
    assert_eq!(admin.client("tickets").await, Err(Refusal::NotFound));
    assert_eq!(admin.client("Tickets\0").await, Err(Refusal::NotFound));
    let again = admin.create_client(NewClient::named("Tickets"), &actor()).await;
    assert!(matches!(again, Err(Refusal::Conflict(_))), "{again:?}");
    let bad = admin.create_client(of("a\nb", ""), &actor()).await;
    assert_eq!(
        faults(bad),
        [("name".into(), FaultCode::ControlCharacter), ("department".into(), FaultCode::Required)]
    );
    assert_eq!(admin.clients().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_is_found_by_its_hash_and_carries_what_was_asked() {
    let it = installation().await;
    let admin = &it.admin;
    let client = admin.create_client(NewClient::named("Tickets"), &actor()).await.unwrap();
    let usual = admin.create_key(NewKey::new("Tickets"), &actor()).await.unwrap();
    assert_eq!(usual.credential.permissions, Permission::DEFAULT);
    let (found, owner) = admin.store.credential_by_hash(&usual.key.hash()).await.unwrap().unwrap();
    assert_eq!((found, owner.id), (usual.credential, client.id));

    let asked = NewKey {
        mode: KeyMode::Test,
        permissions: vec![Permission::Admin, Permission::EmailsSend, Permission::Admin],
        rate_limit: Some(Rate::per_seconds(5, 60)),
        ..NewKey::new(client.id.to_string())
    };
    let made = admin.create_key(asked, &actor()).await.unwrap();
    assert_eq!(made.credential.permissions, [Permission::EmailsSend, Permission::Admin]);
    assert!(made.key.expose().starts_with("ph_test_"));
    assert_eq!(ApiKey::parse(made.key.expose()), Some(made.key));
}

#[tokio::test]
async fn the_default_client_is_made_once_whoever_asks_first() {
    let it = installation().await;
    it.admin.create_client(NewClient::named("Tickets"), &actor()).await.unwrap();
    let actor = actor();
    let (one, other) = tokio::join!(it.admin.default_client(&actor), it.admin.default_client(&actor));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!((one.name.as_str(), one.id), (DEFAULT_CLIENT, other.id));
    assert_eq!(it.admin.default_client(&actor).await.unwrap().id, one.id);
}

#[tokio::test]
async fn a_key_is_bound_only_to_a_domain_its_client_may_use() {
    let it = installation().await;
    let (admin, clock) = (&it.admin, &it.clock);
    for name in ["Ours", "Theirs"] {
        admin.create_client(NewClient::named(name), &actor()).await.unwrap();
    }
    for (name, client) in [("ours.example", Some("Ours")), ("all.example", None)] {
        let new = NewDomain { name: name.into(), client: client.map(str::to_owned), default_from: None };
        admin.create_domain(new, &actor()).await.unwrap();
    }
    let bound = |client: &str, domain: &str| NewKey { domain: Some(domain.into()), ..NewKey::new(client) };
    let made = admin.create_key(bound("Ours", "OURS.example"), &actor()).await.unwrap();
    assert_eq!(made.credential.domain.as_deref(), Some("ours.example"));
    assert!(admin.create_key(bound("Theirs", "all.example"), &actor()).await.is_ok());
    let unknown = [("domain".to_owned(), FaultCode::UnknownDomain)];
    assert_eq!(faults(admin.create_key(bound("Theirs", "ours.example"), &actor()).await), unknown);
    assert_eq!(faults(admin.create_key(bound("Ours", "none.example"), &actor()).await), unknown);
    // Who has no domain of its own may send from any that is nobody's, and so may its key.
    let made = admin.create_key(bound("Theirs", "none.example"), &actor()).await.unwrap();
    assert_eq!(made.credential.domain.as_deref(), Some("none.example"));

    let all_wrong =
        NewKey { name: Some(String::new()), expires_at: Some(clock.now()), ..bound("Nobody", "a b") };
    let found = faults(admin.create_key(all_wrong, &actor()).await);
    let fields: Vec<&str> = found.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(fields, ["client", "name", "expires_at", "domain"]);
}

#[tokio::test]
async fn a_rotated_key_works_for_the_overlap_and_a_revoked_one_never_again() {
    let it = installation().await;
    let (admin, clock) = (&it.admin, &it.clock);
    admin.create_client(NewClient::named("Tickets"), &actor()).await.unwrap();
    let old = admin.create_key(NewKey::new("Tickets"), &actor()).await.unwrap().credential;
    let new = admin.rotate_key(old.id, Duration::from_secs(3600), &actor()).await.unwrap();
    assert_ne!(new.credential.id, old.id);
    assert_eq!(new.credential.permissions, old.permissions);
    clock.advance(Duration::from_secs(3599));
    assert!(admin.key(old.id).await.unwrap().is_usable(clock.now()));
    clock.advance(Duration::from_secs(1));
    assert!(!admin.key(old.id).await.unwrap().is_usable(clock.now()));
    assert!(admin.key(new.credential.id).await.unwrap().is_usable(clock.now()));

    let late = admin.rotate_key(old.id, Duration::ZERO, &actor()).await;
    assert!(matches!(late, Err(Refusal::Conflict(_))), "{late:?}");
    admin.revoke_key(new.credential.id, &actor()).await.unwrap();
    assert!(!admin.key(new.credential.id).await.unwrap().is_usable(clock.now()));
    let nobody = "0192f0c1-0000-7000-8000-000000000000".parse().unwrap();
    assert_eq!(admin.revoke_key(nobody, &actor()).await, Err(Refusal::NotFound));
}

#[tokio::test]
async fn a_revoked_classic_key_stays_revoked_when_the_encryption_key_is_rotated() {
    let it = installation().await;
    let client = it.admin.create_client(NewClient::named("default"), &actor()).await.unwrap();
    let (old, new) = ([1; 32], [2; 32]);
    it.admin.keep_classic_key(&client, &[], &actor()).await.unwrap();
    it.admin.keep_classic_key(&client, &[old], &actor()).await.unwrap();
    let keys = it.admin.keys(Some(client.id)).await.unwrap();
    assert_eq!(keys.len(), 1);
    it.admin.revoke_key(keys[0].id, &actor()).await.unwrap();
    for _ in 0..2 {
        it.admin.keep_classic_key(&client, &[new, old], &actor()).await.unwrap();
        let keys = it.admin.keys(Some(client.id)).await.unwrap();
        assert_eq!(keys.len(), 2);
        assert!(keys.iter().all(|key| !key.is_usable(it.clock.now())), "{keys:?}");
    }
}

#[tokio::test]
async fn the_first_key_is_made_once() {
    let it = installation().await;
    let client = it.admin.create_client(NewClient::named("default"), &actor()).await.unwrap();
    let system = actor();
    // As nodes that start at once do it: each has seen that there is none.
    let both = (it.admin.create_first_key(&client, &system), it.admin.create_first_key(&client, &system));
    let (one, other) = tokio::join!(both.0, both.1);
    let shown: Vec<ApiKey> = [one.unwrap(), other.unwrap()].into_iter().flatten().collect();
    let kept = it.admin.keys(Some(client.id)).await.unwrap();
    assert_eq!((shown.len(), kept.len()), (1, 1), "{kept:?}");
    assert_eq!(shown[0].hash(), kept[0].key_hash, "the one that was shown works");
    assert_eq!(it.admin.create_first_key(&client, &system).await.unwrap().map(|key| key.hash()), None);
}

#[tokio::test]
async fn rotating_never_lengthens_the_old_keys_life() {
    let it = installation().await;
    let (admin, clock) = (&it.admin, &it.clock);
    admin.create_client(NewClient::named("Tickets"), &actor()).await.unwrap();
    let ends_at = clock.now().plus(Duration::from_secs(60));
    let old = NewKey { expires_at: Some(ends_at), ..NewKey::new("Tickets") };
    let old = admin.create_key(old, &actor()).await.unwrap().credential;
    let made = admin.rotate_key(old.id, Duration::from_secs(3600), &actor()).await.unwrap();
    assert_eq!(made.replaces, Some((old.id, ends_at)));
    assert_eq!(admin.key(old.id).await.unwrap().ends_at(), Some(ends_at));
}

#[tokio::test]
async fn a_key_rotated_twice_gives_both_successors_its_whole_life() {
    let it = installation().await;
    let (admin, clock) = (&it.admin, &it.clock);
    admin.create_client(NewClient::named("Tickets"), &actor()).await.unwrap();
    let hour = Duration::from_secs(3600);
    let lives = [None, Some(clock.now().plus(hour * 24 * 365))];
    for expires_at in lives {
        let old = NewKey { expires_at, ..NewKey::new("Tickets") };
        let old = admin.create_key(old, &actor()).await.unwrap().credential;
        let first = admin.rotate_key(old.id, hour, &actor()).await.unwrap();
        let second = admin.rotate_key(old.id, hour * 24, &actor()).await.unwrap();
        for made in [&first, &second] {
            assert_eq!((made.credential.expires_at, made.credential.retires_at), (expires_at, None));
            assert_eq!(made.replaces, Some((old.id, clock.now().plus(hour))), "the earlier end holds");
        }
    }
}

#[tokio::test]
async fn a_client_keeps_nothing_for_no_time_and_no_body_longer_than_its_record() {
    let it = installation().await;
    let admin = &it.admin;
    let days = |n: u64| Some(Duration::from_secs(n * 86_400));
    let of = |bodies, records| NewClient {
        retention: Retention { bodies, records },
        ..NewClient::named("Tickets")
    };
    let none = Some(Duration::ZERO);
    let wrong = admin.create_client(of(none, none), &actor()).await;
    let out = |field: &str| (field.to_owned(), FaultCode::OutOfRange);
    assert_eq!(faults(wrong), [out("retain_bodies"), out("retain_records")]);
    let made = admin.create_client(of(days(7), days(90)), &actor()).await.unwrap();
    assert_eq!(admin.client("Tickets").await.unwrap(), made);
    let longer = ClientChange { retain_bodies: Some(days(91)), ..ClientChange::default() };
    assert_eq!(faults(admin.change_client("Tickets", longer, &actor()).await), [out("retain_bodies")]);
    let both = ClientChange { retain_records: Some(None), ..longer };
    let changed = admin.change_client(&made.id.to_string(), both, &actor()).await.unwrap();
    assert_eq!(changed.retention, Retention { bodies: days(91), records: None });
    assert_eq!(admin.client("Tickets").await.unwrap(), changed);
}

#[tokio::test]
async fn a_domain_keeps_a_default_sender_in_it() {
    let it = installation().await;
    let admin = &it.admin;
    let new = |default_from: &str| NewDomain {
        name: "Bücher.example".into(),
        client: None,
        default_from: Some(default_from.into()),
    };
    let made = admin.create_domain(new("Shop <shop@bücher.example>"), &actor()).await.unwrap();
    assert_eq!(made.name, "xn--bcher-kva.example");
    assert!(made.bounce_webhook_enabled);
    assert!(matches!(
        admin.create_domain(new("a@bücher.example"), &actor()).await,
        Err(Refusal::Conflict(_))
    ));
    let change = |default_from: &str| DomainChange {
        default_from: Some(Some(default_from.to_owned())),
        bounce_webhook_enabled: None,
    };
    let wrong = admin.update_domain("bücher.example", change("a@other.example"), &actor()).await;
    assert_eq!(faults(wrong), [("default_from".into(), FaultCode::FromDomainMismatch)]);
    let wrong = admin.update_domain("bücher.example", change("a@b\r\nX: y"), &actor()).await;
    assert_eq!(faults(wrong), [("default_from".into(), FaultCode::InvalidEmail)]);
    let none = DomainChange { default_from: Some(None), bounce_webhook_enabled: Some(false) };
    let changed = admin.update_domain("bücher.example", none, &actor()).await.unwrap();
    assert_eq!((changed.default_from, changed.bounce_webhook_enabled), (None, false));
    let missing = admin.update_domain("none.example", DomainChange::default(), &actor()).await;
    assert_eq!(missing, Err(Refusal::NotFound));
}

#[tokio::test]
async fn a_signing_key_is_sealed_and_shown_as_its_record() {
    let it = installation().await;
    let admin = &it.admin;
    let new = NewDomain { name: "example.com".into(), client: None, default_from: None };
    admin.create_domain(new, &actor()).await.unwrap();
    assert_eq!(admin.dkim_records("example.com").await.unwrap(), []);
    let made = admin.create_dkim_key("example.com", DkimAlgorithm::Ed25519, &actor()).await.unwrap();
    assert_eq!(made.name, "ph-ed-202611._domainkey.example.com");
    assert!(made.value.starts_with("v=DKIM1; k=ed25519; p="), "{}", made.value);
    assert_eq!(admin.dkim_records("example.com").await.unwrap(), [made]);
    let again = admin.create_dkim_key("example.com", DkimAlgorithm::Ed25519, &actor()).await.unwrap();
    assert!(!again.is_active && again.selector.ends_with("-2"), "it waits for DNS: {again:?}");
    assert_eq!(admin.dkim_records("none.example").await, Err(Refusal::NotFound));
}

#[tokio::test]
async fn every_change_is_in_the_audit_without_secrets() {
    let it = installation().await;
    let admin = &it.admin;
    admin.create_client(NewClient::named("Tickets"), &actor()).await.unwrap();
    let made = admin.create_key(NewKey::new("Tickets"), &actor()).await.unwrap();
    admin.revoke_key(made.credential.id, &actor()).await.unwrap();
    let entries = admin.audit(None, 10, &AuditFilter::default()).await.unwrap();
    assert_eq!(entries.len(), 3);
    assert!(entries.iter().all(|entry| entry.actor == actor()), "{entries:?}");
    assert!(!format!("{entries:?}").contains(made.key.expose()));
}

#[tokio::test]
async fn erasing_asks_for_an_address() {
    let it = installation().await;
    let admin = &it.admin;
    admin.blobs.put(Bytes::from_static(b"of somebody else")).await.unwrap();
    assert_eq!(admin.erase_recipient("nobody@example.com").await.unwrap(), Erased::default());
    let wrong = admin.erase_recipient("nobody").await;
    assert_eq!(faults(wrong), [("address".into(), FaultCode::InvalidEmail)]);
}
