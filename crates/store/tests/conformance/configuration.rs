//! Clients, credentials, domains, templates, audit.

use crate::fixture::*;
use posthaste_model::client::Retention;
use posthaste_model::credential::{Credential, CredentialKind, KeyMode, Permission};
use posthaste_model::domain::{DkimKey, SendingDomain};
use posthaste_model::template::Template;
use posthaste_model::{CredentialId, DomainId, Rate, TemplateId};
use posthaste_store::{Actor, AuditFilter, Store, StoreError};

crate::on_every_engine!(
    clients_have_unique_names,
    credentials_are_found_by_their_hash,
    a_revoked_credential_stays_revoked,
    a_credential_and_its_successor_change_in_one_commit,
    retention_of_a_client_can_be_set_and_taken_back,
    a_client_can_be_switched_off_and_on,
    domains_belong_to_one_client_or_all,
    dkim_keys_stand_under_their_selector,
    templates_have_versions,
    every_change_raises_the_revision_and_is_audited,
);

async fn clients_have_unique_names(store: &Store) {
    let mut twin = acme();
    twin.id = posthaste_model::ClientId::new(NOW, [7; 10]);
    let refused = store.create_client(twin, &actor()).await;
    assert!(matches!(refused, Err(StoreError::Conflict(_))));
    assert_eq!(store.clients().await, Ok(vec![acme(), rival()]));
    assert_eq!(store.default_client().await, Ok(Some(acme())));
    assert_eq!(store.client(rival().id).await, Ok(Some(rival())));
    assert_eq!(store.client_by_name("rival").await, Ok(Some(rival())));
    assert_eq!(store.client_by_name("nobody").await, Ok(None));
}

fn credential(number: u8) -> Credential {
    Credential {
        id: CredentialId::new(NOW, [number; 10]),
        client_id: acme().id,
        kind: CredentialKind::Key,
        name: Some("shop".into()),
        prefix: "ph_live_abcd".into(),
        key_hash: [number; 32],
        mode: KeyMode::Live,
        permissions: vec![Permission::EmailsSend, Permission::Admin],
        domain: Some("example.com".into()),
        rate_limit: Some(Rate::per_seconds(5, 900)),
        is_active: true,
        expires_at: Some(at(9)),
        created_at: NOW,
        retires_at: None,
        revoked_at: None,
    }
}

async fn credentials_are_found_by_their_hash(store: &Store) {
    let key = credential(1);
    store.create_credential(key.clone(), &actor()).await.unwrap();
    assert_eq!(store.credential_by_hash(&[1; 32]).await, Ok(Some((key.clone(), acme()))));
    assert_eq!(store.credential_by_hash(&[2; 32]).await, Ok(None));
    assert_eq!(store.credential(acme().id, key.id).await, Ok(Some(key.clone())));
    assert_eq!(store.credential(rival().id, key.id).await, Ok(None));
    assert_eq!(store.credentials(Some(acme().id)).await, Ok(vec![key.clone()]));
    assert_eq!(store.credentials(Some(rival().id)).await, Ok(vec![]));
    assert_eq!(store.credentials(None).await.unwrap().len(), 1);
    let again = store.create_credential(key, &actor()).await;
    assert!(matches!(again, Err(StoreError::Conflict(_))));
    // Of two that bear one id, one is made: who starts first makes the first key.
    let twin = Credential { key_hash: [5; 32], ..credential(1) };
    assert!(matches!(store.create_credential(twin, &actor()).await, Err(StoreError::Conflict(_))));
    assert_eq!(store.credential_by_hash(&[5; 32]).await, Ok(None));
    let mut orphan = credential(3);
    orphan.client_id = posthaste_model::ClientId::new(NOW, [7; 10]);
    assert_eq!(store.create_credential(orphan, &actor()).await, Err(StoreError::NotFound));
}

async fn a_revoked_credential_stays_revoked(store: &Store) {
    let id = credential(1).id;
    store.create_credential(credential(1), &actor()).await.unwrap();
    let others = store.revoke_credential(Some(rival().id), id, at(1), &actor()).await;
    assert_eq!(others, Err(StoreError::NotFound));
    store.revoke_credential(None, id, at(1), &actor()).await.unwrap();
    store.revoke_credential(Some(acme().id), id, at(5), &actor()).await.unwrap();
    let found = store.credential(acme().id, id).await.unwrap().unwrap();
    assert_eq!((found.is_active, found.revoked_at), (false, Some(at(1))));
}

async fn a_credential_and_its_successor_change_in_one_commit(store: &Store) {
    let (old, successor) = (credential(1), credential(2));
    store.create_credential(old.clone(), &actor()).await.unwrap();
    let nobody = store.rotate_credential(successor.id, at(5), credential(3), &actor()).await;
    assert_eq!(nobody, Err(StoreError::NotFound));
    // A successor that cannot be kept leaves the old one as it was.
    let twin = store.rotate_credential(old.id, at(5), old.clone(), &actor()).await;
    assert!(matches!(twin, Err(StoreError::Conflict(_))), "{twin:?}");
    assert_eq!(store.credentials(None).await, Ok(vec![old.clone()]));
    store.rotate_credential(old.id, at(5), successor.clone(), &actor()).await.unwrap();
    let retired = Credential { retires_at: Some(at(5)), ..old };
    assert_eq!(store.credentials(None).await, Ok(vec![retired.clone(), successor]));
    assert!(retired.is_usable(at(4)) && !retired.is_usable(at(5)));
}

async fn retention_of_a_client_can_be_set_and_taken_back(store: &Store) {
    let week = Some(std::time::Duration::from_secs(7 * 86_400));
    for retention in [
        Retention { bodies: week, records: None },
        Retention { bodies: week, records: week },
        Retention::default(),
    ] {
        let before = store.revision().await.unwrap();
        store.set_client_retention(acme().id, retention, &actor()).await.unwrap();
        assert_eq!(store.client(acme().id).await.unwrap().unwrap().retention, retention);
        assert_eq!(store.revision().await, Ok(before + 1));
    }
    assert_eq!(store.client(rival().id).await, Ok(Some(rival())));
    let nobody = posthaste_model::ClientId::from_bytes([0; 16]);
    let refused = store.set_client_retention(nobody, Retention::default(), &actor()).await;
    assert_eq!(refused, Err(StoreError::NotFound));
}

async fn a_client_can_be_switched_off_and_on(store: &Store) {
    for is_active in [false, true] {
        let before = store.revision().await.unwrap();
        store.set_client_active(acme().id, is_active, &actor()).await.unwrap();
        assert_eq!(store.client(acme().id).await.unwrap().unwrap().is_active, is_active);
        assert_eq!(store.revision().await, Ok(before + 1));
        assert!(store.client(rival().id).await.unwrap().unwrap().is_active);
    }
    let nobody = posthaste_model::ClientId::from_bytes([0; 16]);
    assert_eq!(store.set_client_active(nobody, false, &actor()).await, Err(StoreError::NotFound));
}

fn domain(name: &str, owner: Option<posthaste_model::ClientId>) -> SendingDomain {
    SendingDomain {
        id: DomainId::new(NOW, chance()),
        client_id: owner,
        name: name.into(),
        default_from: None,
        bounce_webhook_enabled: true,
        created_at: NOW,
    }
}

async fn domains_belong_to_one_client_or_all(store: &Store) {
    let own = domain("own.example", Some(acme().id));
    let common = domain("common.example", None);
    for domain in [&own, &common] {
        store.create_domain(domain.clone(), &actor()).await.unwrap();
    }
    let twice = store.create_domain(domain("own.example", None), &actor()).await;
    assert!(matches!(twice, Err(StoreError::Conflict(_))));
    assert_eq!(store.domains(Some(acme().id)).await, Ok(vec![common.clone(), own.clone()]));
    assert_eq!(store.domains(Some(rival().id)).await, Ok(vec![common.clone()]));
    assert_eq!(store.domains(None).await.unwrap().len(), 2);
    let sender = Some(Some("Shop <shop@own.example>".to_owned()));
    let changed = store.update_domain("own.example", sender.clone(), None, &actor()).await.unwrap();
    assert_eq!(changed, SendingDomain { default_from: sender.flatten(), ..own.clone() });
    let changed = store.update_domain("own.example", Some(None), Some(false), &actor()).await.unwrap();
    assert_eq!(changed, SendingDomain { bounce_webhook_enabled: false, ..own });
    assert_eq!(store.domain("own.example").await, Ok(Some(changed)));
    assert_eq!(store.update_domain("x.example", None, None, &actor()).await, Err(StoreError::NotFound));
}

async fn dkim_keys_stand_under_their_selector(store: &Store) {
    let key = |selector: &str, secret: u8| DkimKey {
        domain: "own.example".into(),
        selector: selector.into(),
        sealed_key: vec![secret],
        algorithm: "ed25519".into(),
        is_active: true,
        created_at: NOW,
    };
    assert_eq!(store.add_dkim_key(key("a", 1), &actor()).await, Err(StoreError::NotFound));
    store.create_domain(domain("own.example", None), &actor()).await.unwrap();
    for key in [key("a", 1), key("b", 2)] {
        store.add_dkim_key(key, &actor()).await.unwrap();
    }
    // What it signed must stay signed by it.
    let replaced = store.add_dkim_key(key("a", 3), &actor()).await;
    assert!(matches!(replaced, Err(StoreError::Conflict(_))), "{replaced:?}");
    assert_eq!(store.dkim_keys("own.example").await, Ok(vec![key("a", 1), key("b", 2)]));
    assert_eq!(store.dkim_keys("common.example").await, Ok(vec![]));
    // What was accepted is still signed when the domain is gone.
    store.remove_domain("own.example", &actor()).await.unwrap();
    assert_eq!(store.domain("own.example").await, Ok(None));
    assert_eq!(store.dkim_keys("own.example").await, Ok(vec![key("a", 1), key("b", 2)]));
    assert_eq!(store.remove_domain("own.example", &actor()).await, Err(StoreError::NotFound));
}

fn template(subject: &str) -> Template {
    Template {
        id: TemplateId::new(NOW, chance()),
        client_id: acme().id,
        code: "welcome".into(),
        version: 99,
        name: "Welcome".into(),
        subject: Some(subject.into()),
        html: None,
        text: Some("Halo {{name}}".into()),
        variables_schema: Some(serde_json::json!({"type": "object"})),
        created_at: NOW,
        updated_at: NOW,
    }
}

async fn templates_have_versions(store: &Store) {
    let (first, created) = store.put_template(template("one"), &actor()).await.unwrap();
    assert!(created && first.version == 1);
    let (second, created) = store.put_template(template("two"), &actor()).await.unwrap();
    assert!(!created && second.version == 2 && second.id == first.id);
    assert_eq!(store.template(acme().id, "welcome").await, Ok(Some(second.clone())));
    assert_eq!(store.template_version(acme().id, "welcome", 1).await, Ok(Some(first.clone())));
    assert_eq!(store.templates(acme().id).await, Ok(vec![second]));
    assert_eq!(store.template(rival().id, "welcome").await, Ok(None));
    assert_eq!(store.template_version(rival().id, "welcome", 1).await, Ok(None));
    assert_eq!(store.delete_template(rival().id, "welcome", &actor()).await, Ok(false));
    assert_eq!(store.delete_template(acme().id, "welcome", &actor()).await, Ok(true));
    assert_eq!(store.delete_template(acme().id, "welcome", &actor()).await, Ok(false));
    assert_eq!(store.template(acme().id, "welcome").await, Ok(None));
    assert_eq!(store.template_version(acme().id, "welcome", 1).await, Ok(Some(first)));
    let (third, created) = store.put_template(template("three"), &actor()).await.unwrap();
    assert!(created && third.version == 3, "a version is never given twice");
}

async fn every_change_raises_the_revision_and_is_audited(store: &Store) {
    let before = store.revision().await.unwrap();
    let who = Actor { kind: "api".into(), id: Some("k1".into()), address: Some("192.0.2.1".into()) };
    store.create_credential(credential(1), &who).await.unwrap();
    store.revoke_credential(None, credential(1).id, at(1), &who).await.unwrap();
    let refused = store
        .create_domain(domain("d.example", Some(posthaste_model::ClientId::from_bytes([0; 16]))), &who)
        .await;
    assert_eq!(refused, Err(StoreError::NotFound), "a change that fails leaves no trace");
    store.create_domain(domain("d.example", None), &who).await.unwrap();
    assert_eq!(store.revision().await, Ok(before + 3));
    let of_key = AuditFilter { actor_id: Some("k1".into()), ..AuditFilter::default() };
    let trail = store.audit(None, 10, &of_key).await.unwrap();
    let actions: Vec<&str> = trail.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["domain.create", "credential.revoke", "credential.create"]);
    assert_eq!((&trail[0].actor, trail[0].target.as_str()), (&who, "d.example"));
    let older = store.audit(Some(trail[1].id), 10, &of_key).await.unwrap();
    assert_eq!(older, trail[2..]);
    let by_action = AuditFilter { action: Some("client.create".into()), ..AuditFilter::default() };
    assert_eq!(store.audit(None, 10, &by_action).await.unwrap().len(), 2);
}
