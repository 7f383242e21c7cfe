//! Sender configs: one a client and address, a change seen by every node.

use crate::fixture::*;
use posthaste_model::SenderConfigId;
use posthaste_store::{SenderConfig, SenderConfigChange, Store, StoreError};

crate::on_every_engine!(a_config_is_its_clients_own, changes_leave_the_rest_and_raise_the_revision,);

fn config(number: u8, client: posthaste_model::ClientId, address: &str) -> SenderConfig {
    SenderConfig {
        id: SenderConfigId::new(NOW, [number; 10]),
        client_id: client,
        sender_email: address.into(),
        sender_key: address.to_ascii_lowercase(),
        ms_tenant_id: "tenant".into(),
        ms_client_id: "application".into(),
        sealed_secret: vec![1, 2, 3],
        is_active: true,
        created_at: NOW,
    }
}

async fn a_config_is_its_clients_own(store: &Store) {
    let (ours, theirs) = (acme().id, rival().id);
    let mine = config(1, ours, "Ann@org.example");
    store.create_sender_config(mine.clone(), &actor()).await.unwrap();
    let again = store.create_sender_config(config(2, ours, "ann@org.example"), &actor()).await;
    assert_eq!(again, Err(StoreError::Conflict("a sender config of this address")));
    store.create_sender_config(config(3, theirs, "ann@org.example"), &actor()).await.unwrap();
    assert_eq!(store.sender_config(ours, mine.id).await, Ok(Some(mine.clone())));
    assert_eq!(store.sender_config(theirs, mine.id).await, Ok(None));
    assert_eq!(store.sender_config_of(ours, "ann@org.example").await, Ok(Some(mine.clone())));
    assert_eq!(store.sender_config_of(ours, "bob@org.example").await, Ok(None));
    assert_eq!(store.sender_configs(ours).await, Ok(vec![mine.clone()]));
    let refused = store.delete_sender_config(theirs, mine.id, &actor()).await;
    assert_eq!(refused, Err(StoreError::NotFound));
    store.delete_sender_config(ours, mine.id, &actor()).await.unwrap();
    assert_eq!(store.delete_sender_config(ours, mine.id, &actor()).await, Err(StoreError::NotFound));
    assert_eq!(store.sender_configs(ours).await, Ok(vec![]));
}

async fn changes_leave_the_rest_and_raise_the_revision(store: &Store) {
    let mine = config(1, acme().id, "ann@org.example");
    store.create_sender_config(mine.clone(), &actor()).await.unwrap();
    let before = store.revision().await.unwrap();
    let change = SenderConfigChange { is_active: Some(false), ..SenderConfigChange::default() };
    let changed = store.update_sender_config(acme().id, mine.id, change, &actor()).await.unwrap();
    assert_eq!(changed, SenderConfig { is_active: false, ..mine.clone() });
    assert!(store.revision().await.unwrap() > before);
    let change = SenderConfigChange {
        ms_tenant_id: Some("other".into()),
        sealed_secret: Some(vec![9]),
        ..SenderConfigChange::default()
    };
    let changed = store.update_sender_config(acme().id, mine.id, change.clone(), &actor()).await.unwrap();
    assert_eq!((changed.ms_tenant_id.as_str(), changed.sealed_secret), ("other", vec![9]));
    assert!(!changed.is_active);
    let refused = store.update_sender_config(rival().id, mine.id, change, &actor()).await;
    assert_eq!(refused, Err(StoreError::NotFound));
}
