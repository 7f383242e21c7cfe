//! Sending domains and their DKIM keys.

use super::Sqlite;
use super::rows::id_at;
use super::trouble::Trouble;
use super::tx::Tx;
use crate::StoreError;
use crate::configuration::Actor;
use posthaste_model::domain::{DkimKey, SendingDomain};
use posthaste_model::{ClientId, DomainId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

const DOMAIN: &str = "SELECT d.id, c.id, d.name, d.default_from, d.bounce_webhook_enabled, d.created_at
    FROM domains d LEFT JOIN clients c ON c.n = d.client";

fn domain_at(row: &Row<'_>) -> rusqlite::Result<SendingDomain> {
    Ok(SendingDomain {
        id: id_at!(row, 0, DomainId),
        client_id: row.get::<_, Option<[u8; 16]>>(1)?.map(ClientId::from_bytes),
        name: row.get(2)?,
        default_from: row.get(3)?,
        bounce_webhook_enabled: row.get(4)?,
        created_at: Timestamp::from_millis(row.get(5)?),
    })
}

fn by_name(connection: &Connection, name: &str) -> Result<Option<SendingDomain>, Trouble> {
    let sql = format!("{DOMAIN} WHERE d.name = ?1");
    Ok(connection.prepare_cached(&sql)?.query_row([name], domain_at).optional()?)
}

impl Sqlite {
    pub(crate) async fn create_domain(&self, domain: SendingDomain, actor: Actor) -> Result<(), StoreError> {
        self.write_alone(move |tx| {
            let client = domain.client_id.map(|id| tx.client(id)).transpose()?;
            tx.connection.execute(
                "INSERT INTO domains (id, client, name, default_from, bounce_webhook_enabled, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    domain.id.as_bytes(),
                    client,
                    domain.name,
                    domain.default_from,
                    domain.bounce_webhook_enabled,
                    domain.created_at.millis()
                ],
            )?;
            tx.changed(&actor, "domain.create", &domain.name, None)
        })
        .await
    }

    pub(crate) async fn domain(&self, name: &str) -> Result<Option<SendingDomain>, StoreError> {
        let name = name.to_owned();
        self.readers.read(move |connection| by_name(connection, &name)).await
    }

    pub(crate) async fn domains(
        &self,
        client_id: Option<ClientId>,
    ) -> Result<Vec<SendingDomain>, StoreError> {
        self.readers
            .read(move |connection| {
                let mut statement = connection.prepare_cached(&format!(
                    "{DOMAIN} WHERE ?1 IS NULL OR d.client IS NULL OR c.id = ?1 ORDER BY d.name"
                ))?;
                let rows = statement.query_map([client_id.as_ref().map(ClientId::as_bytes)], domain_at)?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
    }

    #[expect(clippy::option_option, reason = "leave it, remove it, or set it")]
    pub(crate) async fn update_domain(
        &self,
        name: &str,
        default_from: Option<Option<String>>,
        bounce: Option<bool>,
        actor: Actor,
    ) -> Result<SendingDomain, StoreError> {
        let name = name.to_owned();
        self.write_alone(move |tx| update(tx, &name, default_from.as_ref(), bounce, &actor)).await
    }

    pub(crate) async fn remove_domain(&self, name: &str, actor: Actor) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.write_alone(move |tx| {
            if tx.connection.execute("DELETE FROM domains WHERE name = ?1", [&name])? == 0 {
                return Err(StoreError::NotFound.into());
            }
            tx.changed(&actor, "domain.remove", &name, None)
        })
        .await
    }

    pub(crate) async fn add_dkim_key(&self, key: DkimKey, actor: Actor) -> Result<(), StoreError> {
        self.write_alone(move |tx| {
            by_name(tx.connection, &key.domain)?.ok_or(StoreError::NotFound)?;
            tx.connection.execute(
                "INSERT INTO dkim_keys
                    (domain, selector, sealed_key, algorithm, is_active, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    key.domain,
                    key.selector,
                    key.sealed_key,
                    key.algorithm,
                    key.is_active,
                    key.created_at.millis()
                ],
            )?;
            tx.changed(&actor, "dkim_key.add", &key.domain, Some(&key.selector))
        })
        .await
    }

    pub(crate) async fn activate_dkim_key(
        &self,
        domain: String,
        selector: String,
        actor: Actor,
    ) -> Result<(), StoreError> {
        self.write_alone(move |tx| {
            let changed = tx.connection.execute(
                "UPDATE dkim_keys SET is_active = (selector = ?2) WHERE domain = ?1 AND algorithm =
                    (SELECT algorithm FROM dkim_keys WHERE domain = ?1 AND selector = ?2)",
                params![domain, selector],
            )?;
            if changed == 0 {
                return Err(StoreError::NotFound.into());
            }
            tx.changed(&actor, "dkim_key.activate", &domain, Some(&selector))
        })
        .await
    }

    pub(crate) async fn dkim_keys(&self, domain: &str) -> Result<Vec<DkimKey>, StoreError> {
        let domain = domain.to_owned();
        self.readers
            .read(move |connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT domain, selector, sealed_key, algorithm, is_active, created_at FROM dkim_keys
                     WHERE domain = ?1 ORDER BY created_at, selector",
                )?;
                let rows = statement.query_map([domain], dkim_key_at)?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
    }
}

fn update(
    tx: &mut Tx<'_>,
    name: &str,
    default_from: Option<&Option<String>>,
    bounce: Option<bool>,
    actor: &Actor,
) -> Result<SendingDomain, Trouble> {
    let mut domain = by_name(tx.connection, name)?.ok_or(StoreError::NotFound)?;
    let mut changes = Vec::new();
    if let Some(default_from) = default_from {
        domain.default_from.clone_from(default_from);
        changes.push("default_from");
    }
    if let Some(bounce) = bounce {
        domain.bounce_webhook_enabled = bounce;
        changes.push("bounce_webhook_enabled");
    }
    tx.connection.execute(
        "UPDATE domains SET default_from = ?2, bounce_webhook_enabled = ?3 WHERE name = ?1",
        params![name, domain.default_from, domain.bounce_webhook_enabled],
    )?;
    tx.changed(actor, "domain.update", name, Some(&changes.join(" ")))?;
    Ok(domain)
}

fn dkim_key_at(row: &Row<'_>) -> rusqlite::Result<DkimKey> {
    Ok(DkimKey {
        domain: row.get(0)?,
        selector: row.get(1)?,
        sealed_key: row.get(2)?,
        algorithm: row.get(3)?,
        is_active: row.get(4)?,
        created_at: Timestamp::from_millis(row.get(5)?),
    })
}
