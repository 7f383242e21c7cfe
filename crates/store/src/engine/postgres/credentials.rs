//! Credentials. Only the hash of a key is ever here.

use super::Postgres;
use super::audit::changed;
use super::clients::{CLIENT, client_at, must_stand};
use super::columns::{at, instant_at};
use super::rows::{id_at, time_at, uuid_of};
use super::session::Session;
use super::trouble::Trouble;
use crate::StoreError;
use crate::configuration::Actor;
use crate::record::{damaged, kind_columns, kind_of};
use posthaste_model::client::Client;
use posthaste_model::credential::{Credential, KeyMode, Permission};
use posthaste_model::{ClientId, CredentialId, Rate, Timestamp};
use tokio_postgres::Row;

const COLUMNS: &str = "k.id, k.client_id, k.name, k.prefix, k.key_hash, k.mode, k.permissions, k.domain,
    k.rate_limit, k.is_active, k.expires_at, k.created_at, k.revoked_at, k.retires_at,
    k.kind, k.public_id, k.secret_hash, k.scopes";
/// Where the columns of the client begin, when they follow.
const CLIENT_AT: usize = 18;

fn credential_at(row: &Row) -> Result<Credential, Trouble> {
    let permissions: &str = row.try_get(6)?;
    let permissions: Option<Vec<Permission>> =
        permissions.split_whitespace().map(Permission::parse).collect();
    let rate: Option<&str> = row.try_get(8)?;
    let key_hash: &[u8] = row.try_get(4)?;
    Ok(Credential {
        id: id_at!(row, 0, CredentialId),
        client_id: id_at!(row, 1, ClientId),
        kind: kind_of(row.try_get(14)?, at(row, 15)?, at(row, 16)?, at(row, 17)?)?,
        name: at(row, 2)?,
        prefix: at(row, 3)?,
        key_hash: key_hash.try_into().map_err(|_| damaged("hash of a credential"))?,
        mode: KeyMode::parse(row.try_get(5)?).ok_or_else(|| damaged("mode of a credential"))?,
        permissions: permissions.ok_or_else(|| damaged("permissions of a credential"))?,
        domain: at(row, 7)?,
        rate_limit: rate
            .map(|text| Rate::parse(text).map_err(|_| damaged("rate limit of a credential")))
            .transpose()?,
        is_active: at(row, 9)?,
        expires_at: time_at(row, 10)?,
        created_at: instant_at(row, 11)?,
        revoked_at: time_at(row, 12)?,
        retires_at: time_at(row, 13)?,
    })
}

impl Postgres {
    pub(crate) async fn create_credential(
        &self,
        credential: Credential,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let (credential, actor) = (&credential, &actor);
        self.write(1, |db| async move { create(&db, credential, actor).await }).await
    }

    pub(crate) async fn credential_by_hash(
        &self,
        hash: [u8; 32],
    ) -> Result<Option<(Credential, Client)>, StoreError> {
        self.read(|db| async move {
            let sql = format!(
                "SELECT {COLUMNS}, {CLIENT} FROM credentials k JOIN clients c ON c.id = k.client_id
                 WHERE k.key_hash = $1"
            );
            let row = db.maybe(&sql, &[&hash.as_slice()]).await?;
            row.map(|row| Ok((credential_at(&row)?, client_at(&row, CLIENT_AT)?))).transpose()
        })
        .await
    }

    pub(crate) async fn credential(
        &self,
        client_id: ClientId,
        id: CredentialId,
    ) -> Result<Option<Credential>, StoreError> {
        self.read(|db| async move {
            let sql = format!("SELECT {COLUMNS} FROM credentials k WHERE k.client_id = $1 AND k.id = $2");
            let row = db.maybe(&sql, &[&uuid_of!(client_id), &uuid_of!(id)]).await?;
            row.map(|row| credential_at(&row)).transpose()
        })
        .await
    }

    pub(crate) async fn credentials(
        &self,
        client_id: Option<ClientId>,
    ) -> Result<Vec<Credential>, StoreError> {
        self.read(|db| async move {
            let sql = format!(
                "SELECT {COLUMNS} FROM credentials k WHERE $1::uuid IS NULL OR k.client_id = $1 ORDER BY k.n"
            );
            let rows = db.rows(&sql, &[&client_id.map(|id| uuid_of!(id))]).await?;
            rows.iter().map(credential_at).collect()
        })
        .await
    }

    pub(crate) async fn revoke_credential(
        &self,
        client_id: Option<ClientId>,
        id: CredentialId,
        at: Timestamp,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let actor = &actor;
        self.write(1, |db| async move {
            // The first revocation is the one that counts.
            let sql = "UPDATE credentials SET is_active = false, revoked_at = coalesce(revoked_at, $3)
                WHERE id = $1 AND ($2::uuid IS NULL OR client_id = $2)";
            let of_client = client_id.map(|id| uuid_of!(id));
            if db.run(sql, &[&uuid_of!(id), &of_client, &at.millis()]).await? == 0 {
                return Err(StoreError::NotFound.into());
            }
            changed(&db, actor, "credential.revoke", &id.to_string(), None).await
        })
        .await
    }

    pub(crate) async fn rotate_credential(
        &self,
        old: CredentialId,
        retires_at: Timestamp,
        successor: Credential,
        actor: Actor,
    ) -> Result<(), StoreError> {
        let (successor, actor) = (&successor, &actor);
        self.write(1, |db| async move {
            let sql = "UPDATE credentials SET retires_at = $2 WHERE id = $1";
            if db.run(sql, &[&uuid_of!(old), &retires_at.millis()]).await? == 0 {
                return Err(StoreError::NotFound.into());
            }
            create(&db, successor, actor).await?;
            changed(&db, actor, "credential.retire", &old.to_string(), Some(&retires_at.to_string())).await
        })
        .await
    }
}

async fn create(db: &Session, credential: &Credential, actor: &Actor) -> Result<(), Trouble> {
    must_stand(db, credential.client_id).await?;
    let permissions: Vec<&str> = credential.permissions.iter().map(|p| p.as_str()).collect();
    let (public_id, secret_hash, scopes) = kind_columns(&credential.kind);
    db.run(
        "INSERT INTO credentials (id, client_id, name, prefix, key_hash, mode, permissions, domain, rate_limit,
            is_active, expires_at, created_at, revoked_at, retires_at, kind, public_id, secret_hash, scopes)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
        &[
            &uuid_of!(credential.id),
            &uuid_of!(credential.client_id),
            &credential.name,
            &credential.prefix,
            &credential.key_hash.as_slice(),
            &credential.mode.as_str(),
            &permissions.join(" "),
            &credential.domain,
            &credential.rate_limit.map(|rate| rate.to_string()),
            &credential.is_active,
            &credential.expires_at.map(Timestamp::millis),
            &credential.created_at.millis(),
            &credential.revoked_at.map(Timestamp::millis),
            &credential.retires_at.map(Timestamp::millis),
            &credential.kind.as_str(),
            &public_id,
            &secret_hash,
            &scopes,
        ],
    )
    .await?;
    changed(db, actor, "credential.create", &credential.id.to_string(), Some(&credential.prefix)).await
}
