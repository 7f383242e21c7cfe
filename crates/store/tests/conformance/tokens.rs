//! Credentials that are no keys, signing keys, and access tokens revoked one by one.

use crate::fixture::*;
use posthaste_model::CredentialId;
use posthaste_model::credential::{
    Credential, CredentialKind, KeyMode, Permission, Scope, oauth_hash, token_hash,
};
use posthaste_store::{SigningKey, Store, StoreError};

crate::on_every_engine!(
    every_kind_of_credential_reads_back,
    the_newest_signing_key_signs,
    a_revoked_token_is_known_until_it_ends,
);

fn credential(number: u8, kind: CredentialKind) -> Credential {
    let id = CredentialId::new(NOW, [number; 10]);
    let key_hash = match &kind {
        CredentialKind::Key => [number; 32],
        CredentialKind::Token => token_hash(id),
        CredentialKind::OauthClient { name, .. } => oauth_hash(name),
    };
    Credential {
        id,
        client_id: acme().id,
        kind,
        name: None,
        prefix: String::new(),
        key_hash,
        mode: KeyMode::Live,
        permissions: vec![Permission::EmailsSend],
        domain: None,
        rate_limit: None,
        is_active: true,
        expires_at: None,
        created_at: NOW,
        revoked_at: None,
        retires_at: None,
    }
}

async fn every_kind_of_credential_reads_back(store: &Store) {
    let app = CredentialKind::OauthClient {
        name: "myawesomeapp".into(),
        secret_hash: "$argon2id$...".into(),
        scopes: vec![Scope::Basic, Scope::Email],
    };
    for (number, kind) in [CredentialKind::Key, CredentialKind::Token, app.clone()].into_iter().enumerate() {
        let credential = credential(u8::try_from(number).unwrap(), kind);
        store.create_credential(credential.clone(), &actor()).await.unwrap();
        let found = store.credential_by_hash(&credential.key_hash).await.unwrap().unwrap();
        assert_eq!(found.0, credential);
    }
    let refused = store.create_credential(credential(9, app), &actor()).await;
    assert!(
        matches!(refused, Err(StoreError::Conflict(_))),
        "one client_id stands for one client: {refused:?}"
    );
}

async fn the_newest_signing_key_signs(store: &Store) {
    assert_eq!(store.signing_keys().await, Ok(vec![]));
    let before = store.revision().await.unwrap();
    let key = |number: u32| SigningKey {
        kid: format!("k{number}"),
        sealed_key: vec![1, 2, 3],
        created_at: at(number.into()),
        retired_at: None,
    };
    store.add_signing_key(key(1), at(0), &actor()).await.unwrap();
    store.add_signing_key(key(2), at(0), &actor()).await.unwrap();
    assert!(store.revision().await.unwrap() > before);
    let retired = SigningKey { retired_at: Some(at(2)), ..key(1) };
    assert_eq!(store.signing_keys().await, Ok(vec![key(2), retired]));
    store.add_signing_key(key(4), at(3), &actor()).await.unwrap();
    let kids: Vec<String> = store.signing_keys().await.unwrap().into_iter().map(|key| key.kid).collect();
    assert_eq!(kids, ["k4", "k2"], "what was retired long ago goes");
}

async fn a_revoked_token_is_known_until_it_ends(store: &Store) {
    let before = store.revision().await.unwrap();
    store.revoke_token([1; 16], at(5), at(1), &actor()).await.unwrap();
    store.revoke_token([1; 16], at(5), at(1), &actor()).await.unwrap();
    assert!(store.revision().await.unwrap() > before, "every node looks again");
    assert_eq!(store.is_token_revoked([1; 16]).await, Ok(true));
    assert_eq!(store.is_token_revoked([2; 16]).await, Ok(false));
    store.revoke_token([2; 16], at(20), at(10), &actor()).await.unwrap();
    assert_eq!(store.is_token_revoked([1; 16]).await, Ok(false), "it ended by itself");
}
