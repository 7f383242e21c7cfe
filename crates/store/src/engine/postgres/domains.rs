//! Sending domains and their DKIM keys.

use super::Postgres;
use super::audit::changed;
use super::clients::must_stand;
use super::columns::{at, instant_at};
use super::rows::{id_at, uuid_of};
use super::session::Session;
use super::trouble::Trouble;
use crate::StoreError;
use crate::configuration::Actor;
use posthaste_model::domain::{DkimKey, SendingDomain};
use posthaste_model::{ClientId, DomainId};
use tokio_postgres::Row;
use uuid::Uuid;

const DOMAIN: &str =
    "SELECT d.id, d.client_id, d.name, d.default_from, d.bounce_webhook_enabled, d.created_at
    FROM domains d";

fn domain_at(row: &Row) -> Result<SendingDomain, Trouble> {
    let client: Option<Uuid> = row.try_get(1)?;
    Ok(SendingDomain {
        id: id_at!(row, 0, DomainId),
        client_id: client.map(|id| ClientId::from_bytes(*id.as_bytes())),
        name: at(row, 2)?,
        default_from: at(row, 3)?,
        bounce_webhook_enabled: at(row, 4)?,
        created_at: instant_at(row, 5)?,
    })
}

impl Postgres {
    pub(crate) async fn create_domain(&self, domain: SendingDomain, actor: Actor) -> Result<(), StoreError> {
        let (domain, actor) = (&domain, &actor);
        self.write(1, |db| async move {
            if let Some(client) = domain.client_id {
                must_stand(&db, client).await?;
            }
            db.run(
                "INSERT INTO domains (id, client_id, name, default_from, bounce_webhook_enabled, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6)",
                &[
                    &uuid_of!(domain.id),
                    &domain.client_id.map(|id| uuid_of!(id)),
                    &domain.name,
                    &domain.default_from,
                    &domain.bounce_webhook_enabled,
                    &domain.created_at.millis(),
                ],
            )
            .await?;
            changed(&db, actor, "domain.create", &domain.name, None).await
        })
        .await
    }

    pub(crate) async fn domain(&self, name: &str) -> Result<Option<SendingDomain>, StoreError> {
        self.read(|db| async move {
            let row = db.maybe(&format!("{DOMAIN} WHERE d.name = $1"), &[&name]).await?;
            row.map(|row| domain_at(&row)).transpose()
        })
        .await
    }

    pub(crate) async fn domains(
        &self,
        client_id: Option<ClientId>,
    ) -> Result<Vec<SendingDomain>, StoreError> {
        self.read(|db| async move {
            // By bytes, as the embedded store sorts them, whatever the database's collation.
            let sql = format!(
                "{DOMAIN} WHERE $1::uuid IS NULL OR d.client_id IS NULL OR d.client_id = $1
                 ORDER BY d.name COLLATE \"C\""
            );
            let rows = db.rows(&sql, &[&client_id.map(|id| uuid_of!(id))]).await?;
            rows.iter().map(domain_at).collect()
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
        let (default_from, actor) = (&default_from, &actor);
        self.write(1, |db| async move { update(&db, name, default_from.as_ref(), bounce, actor).await }).await
    }

    pub(crate) async fn remove_domain(&self, name: &str, actor: Actor) -> Result<(), StoreError> {
        let actor = &actor;
        self.write(1, |db| async move {
            if db.run("DELETE FROM domains WHERE name = $1", &[&name]).await? == 0 {
                return Err(StoreError::NotFound.into());
            }
            changed(&db, actor, "domain.remove", name, None).await
        })
        .await
    }

    pub(crate) async fn add_dkim_key(&self, key: DkimKey, actor: Actor) -> Result<(), StoreError> {
        let (key, actor) = (&key, &actor);
        self.write(1, |db| async move {
            let domain = db.maybe("SELECT 1 FROM domains WHERE name = $1", &[&key.domain]).await?;
            domain.ok_or(StoreError::NotFound)?;
            db.run(
                "INSERT INTO dkim_keys (domain, selector, sealed_key, algorithm, is_active, created_at)
                 VALUES ($1, $2, $3, $4, $5, $6)",
                &[
                    &key.domain,
                    &key.selector,
                    &key.sealed_key,
                    &key.algorithm,
                    &key.is_active,
                    &key.created_at.millis(),
                ],
            )
            .await?;
            changed(&db, actor, "dkim_key.add", &key.domain, Some(&key.selector)).await
        })
        .await
    }

    pub(crate) async fn activate_dkim_key(
        &self,
        domain: String,
        selector: String,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let (domain, selector, actor) = (&domain, &selector, &actor);
        self.write(1, |db| async move {
            let sql = "UPDATE dkim_keys SET is_active = (selector = $2) WHERE domain = $1 AND algorithm =
                (SELECT algorithm FROM dkim_keys WHERE domain = $1 AND selector = $2)";
            if db.run(sql, &[domain, selector]).await? == 0 {
                return Err(StoreError::NotFound.into());
            }
            changed(&db, actor, "dkim_key.activate", domain, Some(selector)).await
        })
        .await
    }

    pub(crate) async fn dkim_keys(&self, domain: &str) -> Result<Vec<DkimKey>, StoreError> {
        self.read(|db| async move {
            let sql = "SELECT domain, selector, sealed_key, algorithm, is_active, created_at FROM dkim_keys
                WHERE domain = $1 ORDER BY created_at, selector COLLATE \"C\"";
            db.rows(sql, &[&domain]).await?.iter().map(dkim_key_at).collect()
        })
        .await
    }
}

async fn update(
    db: &Session,
    name: &str,
    default_from: Option<&Option<String>>,
    bounce: Option<bool>,
    actor: &Actor,
) -> Result<SendingDomain, Trouble> {
    let row = db.maybe(&format!("{DOMAIN} WHERE d.name = $1 FOR UPDATE"), &[&name]).await?;
    let mut domain = domain_at(&row.ok_or(StoreError::NotFound)?)?;
    let mut changes = Vec::new();
    if let Some(default_from) = default_from {
        domain.default_from.clone_from(default_from);
        changes.push("default_from");
    }
    if let Some(bounce) = bounce {
        domain.bounce_webhook_enabled = bounce;
        changes.push("bounce_webhook_enabled");
    }
    db.run(
        "UPDATE domains SET default_from = $2, bounce_webhook_enabled = $3 WHERE name = $1",
        &[&name, &domain.default_from, &domain.bounce_webhook_enabled],
    )
    .await?;
    changed(db, actor, "domain.update", name, Some(&changes.join(" "))).await?;
    Ok(domain)
}

fn dkim_key_at(row: &Row) -> Result<DkimKey, Trouble> {
    Ok(DkimKey {
        domain: at(row, 0)?,
        selector: at(row, 1)?,
        sealed_key: at(row, 2)?,
        algorithm: at(row, 3)?,
        is_active: at(row, 4)?,
        created_at: instant_at(row, 5)?,
    })
}
