//! Credentials. Only the hash of a key is ever here.

use super::Sqlite;
use super::clients::{CLIENT, client_at};
use super::rows::{id_at, time_at};
use super::trouble::Trouble;
use super::tx::{Tx, client_number};
use crate::StoreError;
use crate::configuration::Actor;
use crate::record::{damaged, kind_columns, kind_of};
use posthaste_model::client::Client;
use posthaste_model::credential::{Credential, KeyMode, Permission};
use posthaste_model::{ClientId, CredentialId, Rate, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

const COLUMNS: &str =
    "k.id, c.id, k.name, k.prefix, k.key_hash, k.mode, k.permissions, k.domain, k.rate_limit,
    k.is_active, k.expires_at, k.created_at, k.revoked_at, k.retires_at, k.kind, k.public_id, k.secret_hash,
    k.scopes";
/// Where the columns of the client begin, when they follow.
const CLIENT_AT: usize = 18;

fn credential_at(row: &Row<'_>) -> Result<Credential, Trouble> {
    let permissions: String = row.get(6)?;
    let permissions: Option<Vec<Permission>> =
        permissions.split_whitespace().map(Permission::parse).collect();
    let rate: Option<String> = row.get(8)?;
    Ok(Credential {
        id: id_at!(row, 0, CredentialId),
        client_id: id_at!(row, 1, ClientId),
        kind: kind_of(&row.get::<_, String>(14)?, row.get(15)?, row.get(16)?, row.get(17)?)?,
        name: row.get(2)?,
        prefix: row.get(3)?,
        key_hash: row.get(4)?,
        mode: KeyMode::parse(&row.get::<_, String>(5)?).ok_or_else(|| damaged("mode of a credential"))?,
        permissions: permissions.ok_or_else(|| damaged("permissions of a credential"))?,
        domain: row.get(7)?,
        rate_limit: rate
            .map(|text| Rate::parse(&text).map_err(|_| damaged("rate limit of a credential")))
            .transpose()?,
        is_active: row.get(9)?,
        expires_at: time_at(row, 10)?,
        created_at: Timestamp::from_millis(row.get(11)?),
        revoked_at: time_at(row, 12)?,
        retires_at: time_at(row, 13)?,
    })
}

impl Sqlite {
    pub(crate) async fn create_credential(
        &self,
        credential: Credential,
        actor: Actor,
    ) -> Result<(), StoreError> {
        self.write_alone(move |tx| create(tx, &credential, &actor)).await
    }

    pub(crate) async fn credential_by_hash(
        &self,
        hash: [u8; 32],
    ) -> Result<Option<(Credential, Client)>, StoreError> {
        self.readers
            .read(move |connection| {
                let mut statement = connection.prepare_cached(&format!(
                    "SELECT {COLUMNS}, {CLIENT} FROM credentials k JOIN clients c ON c.n = k.client
                     WHERE k.key_hash = ?1"
                ))?;
                let mut rows = statement.query([hash])?;
                let Some(row) = rows.next()? else { return Ok(None) };
                Ok(Some((credential_at(row)?, client_at(row, CLIENT_AT)?)))
            })
            .await
    }

    pub(crate) async fn credential(
        &self,
        client_id: ClientId,
        id: CredentialId,
    ) -> Result<Option<Credential>, StoreError> {
        self.readers
            .read(move |connection| {
                let sql = format!(
                    "SELECT {COLUMNS} FROM credentials k JOIN clients c ON c.n = k.client
                     WHERE c.id = ?1 AND k.id = ?2"
                );
                let mut statement = connection.prepare_cached(&sql)?;
                let mut rows = statement.query(params![client_id.as_bytes(), id.as_bytes()])?;
                rows.next()?.map(credential_at).transpose()
            })
            .await
    }

    pub(crate) async fn credentials(
        &self,
        client_id: Option<ClientId>,
    ) -> Result<Vec<Credential>, StoreError> {
        self.readers.read(move |connection| list(connection, client_id)).await
    }

    pub(crate) async fn revoke_credential(
        &self,
        client_id: Option<ClientId>,
        id: CredentialId,
        at: Timestamp,
        actor: Actor,
    ) -> Result<(), StoreError> {
        self.write_alone(move |tx| {
            let n = number(tx, client_id, id)?;
            // The first revocation is the one that counts.
            tx.connection.execute(
                "UPDATE credentials SET is_active = 0, revoked_at = coalesce(revoked_at, ?2) WHERE n = ?1",
                params![n, at.millis()],
            )?;
            tx.changed(&actor, "credential.revoke", &id.to_string(), None)
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
        self.write_alone(move |tx| {
            let n = number(tx, None, old)?;
            create(tx, &successor, &actor)?;
            tx.connection.execute(
                "UPDATE credentials SET retires_at = ?2 WHERE n = ?1",
                params![n, retires_at.millis()],
            )?;
            tx.changed(&actor, "credential.retire", &old.to_string(), Some(&retires_at.to_string()))
        })
        .await
    }
}

fn create(tx: &mut Tx<'_>, credential: &Credential, actor: &Actor) -> Result<(), Trouble> {
    let client = tx.client(credential.client_id)?;
    let permissions: Vec<&str> = credential.permissions.iter().map(|p| p.as_str()).collect();
    let (public_id, secret_hash, scopes) = kind_columns(&credential.kind);
    tx.connection.execute(
        "INSERT INTO credentials (id, client, name, prefix, key_hash, mode, permissions, domain, rate_limit,
            is_active, expires_at, created_at, revoked_at, retires_at, kind, public_id, secret_hash, scopes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        params![
            credential.id.as_bytes(),
            client,
            credential.name,
            credential.prefix,
            credential.key_hash,
            credential.mode.as_str(),
            permissions.join(" "),
            credential.domain,
            credential.rate_limit.map(|rate| rate.to_string()),
            credential.is_active,
            credential.expires_at.map(Timestamp::millis),
            credential.created_at.millis(),
            credential.revoked_at.map(Timestamp::millis),
            credential.retires_at.map(Timestamp::millis),
            credential.kind.as_str(),
            public_id,
            secret_hash,
            scopes,
        ],
    )?;
    tx.changed(actor, "credential.create", &credential.id.to_string(), Some(&credential.prefix))
}

fn number(tx: &Tx<'_>, client_id: Option<ClientId>, id: CredentialId) -> Result<i64, Trouble> {
    let found = match client_id {
        None => tx
            .connection
            .query_row("SELECT n FROM credentials WHERE id = ?1", [id.as_bytes()], |row| row.get(0))
            .optional()?,
        Some(client_id) => {
            let client = client_number(tx.connection, client_id)?.ok_or(StoreError::NotFound)?;
            let sql = "SELECT n FROM credentials WHERE client = ?1 AND id = ?2";
            tx.connection.query_row(sql, params![client, id.as_bytes()], |row| row.get(0)).optional()?
        }
    };
    Ok(found.ok_or(StoreError::NotFound)?)
}

fn list(connection: &Connection, client_id: Option<ClientId>) -> Result<Vec<Credential>, Trouble> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM credentials k JOIN clients c ON c.n = k.client
         WHERE ?1 IS NULL OR c.id = ?1 ORDER BY k.n"
    ))?;
    let mut rows = statement.query([client_id.as_ref().map(ClientId::as_bytes)])?;
    let mut credentials = Vec::new();
    while let Some(row) = rows.next()? {
        credentials.push(credential_at(row)?);
    }
    Ok(credentials)
}
