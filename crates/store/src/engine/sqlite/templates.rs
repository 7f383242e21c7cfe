//! Templates: versions are only ever added.

use super::Sqlite;
use super::rows::id_at;
use super::trouble::Trouble;
use super::tx::{Tx, client_number};
use crate::StoreError;
use crate::configuration::Actor;
use crate::record::damaged;
use posthaste_model::template::Template;
use posthaste_model::{ClientId, TemplateId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

const COLUMNS: &str = "v.code, v.version, v.id, v.name, v.subject, v.html, v.text, v.variables_schema,
    v.created_at, v.updated_at";

fn template_at(row: &Row<'_>, client_id: ClientId) -> Result<Template, Trouble> {
    let schema: Option<String> = row.get(7)?;
    let schema = schema.map(|text| serde_json::from_str(&text)).transpose();
    Ok(Template {
        id: id_at!(row, 2, TemplateId),
        client_id,
        code: row.get(0)?,
        version: row.get(1)?,
        name: row.get(3)?,
        subject: row.get(4)?,
        html: row.get(5)?,
        text: row.get(6)?,
        variables_schema: schema.map_err(|_| damaged("schema of a template"))?,
        created_at: Timestamp::from_millis(row.get(8)?),
        updated_at: Timestamp::from_millis(row.get(9)?),
    })
}

impl Sqlite {
    pub(crate) async fn put_template(
        &self,
        template: Template,
        actor: Actor,
    ) -> Result<(Template, bool), StoreError> {
        self.write_alone(move |tx| put(tx, template.clone(), &actor)).await
    }

    pub(crate) async fn template(
        &self,
        client_id: ClientId,
        code: &str,
    ) -> Result<Option<Template>, StoreError> {
        let code = code.to_owned();
        self.readers.read(move |connection| newest(connection, client_id, &code)).await
    }

    pub(crate) async fn template_version(
        &self,
        client_id: ClientId,
        code: &str,
        version: u32,
    ) -> Result<Option<Template>, StoreError> {
        let code = code.to_owned();
        self.readers
            .read(move |connection| {
                let Some(client) = client_number(connection, client_id)? else { return Ok(None) };
                let mut statement = connection.prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM template_versions v
                     WHERE v.client = ?1 AND v.code = ?2 AND v.version = ?3"
                ))?;
                let mut rows = statement.query(params![client, code, version])?;
                rows.next()?.map(|row| template_at(row, client_id)).transpose()
            })
            .await
    }

    pub(crate) async fn templates(&self, client_id: ClientId) -> Result<Vec<Template>, StoreError> {
        self.readers
            .read(move |connection| {
                let Some(client) = client_number(connection, client_id)? else { return Ok(Vec::new()) };
                let mut statement = connection.prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM templates t
                     JOIN template_versions v USING (client, code, version) WHERE t.client = ?1 ORDER BY t.code"
                ))?;
                let mut rows = statement.query([client])?;
                let mut templates = Vec::new();
                while let Some(row) = rows.next()? {
                    templates.push(template_at(row, client_id)?);
                }
                Ok(templates)
            })
            .await
    }

    pub(crate) async fn delete_template(
        &self,
        client_id: ClientId,
        code: &str,
        actor: Actor,
    ) -> Result<bool, StoreError> {
        let code = code.to_owned();
        self.write_alone(move |tx| {
            let Some(client) = client_number(tx.connection, client_id)? else { return Ok(false) };
            let sql = "DELETE FROM templates WHERE client = ?1 AND code = ?2";
            if tx.connection.execute(sql, params![client, code])? == 0 {
                return Ok(false);
            }
            tx.changed(&actor, "template.delete", &code, Some(&client_id.to_string()))?;
            Ok(true)
        })
        .await
    }
}

fn newest(connection: &Connection, client_id: ClientId, code: &str) -> Result<Option<Template>, Trouble> {
    let Some(client) = client_number(connection, client_id)? else { return Ok(None) };
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM templates t JOIN template_versions v USING (client, code, version)
         WHERE t.client = ?1 AND t.code = ?2"
    ))?;
    let mut rows = statement.query(params![client, code])?;
    rows.next()?.map(|row| template_at(row, client_id)).transpose()
}

fn put(tx: &mut Tx<'_>, mut template: Template, actor: &Actor) -> Result<(Template, bool), Trouble> {
    let client = tx.client(template.client_id)?;
    let before = newest(tx.connection, template.client_id, &template.code)?;
    if let Some(before) = &before {
        template.id = before.id;
        template.created_at = before.created_at;
    }
    // Versions go on after a deletion: email accepted before it names them.
    let last: Option<u32> = tx
        .connection
        .query_row(
            "SELECT max(version) FROM template_versions WHERE client = ?1 AND code = ?2",
            params![client, template.code],
            |row| row.get(0),
        )
        .optional()?
        .flatten();
    template.version = last.unwrap_or(0) + 1;
    let schema = template.variables_schema.as_ref().map(ToString::to_string);
    tx.connection.execute(
        "INSERT INTO template_versions (client, code, version, id, name, subject, html, text,
            variables_schema, created_at, updated_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        params![
            client,
            template.code,
            template.version,
            template.id.as_bytes(),
            template.name,
            template.subject,
            template.html,
            template.text,
            schema,
            template.created_at.millis(),
            template.updated_at.millis()
        ],
    )?;
    tx.connection.execute(
        "INSERT OR REPLACE INTO templates (client, code, version) VALUES (?1, ?2, ?3)",
        params![client, template.code, template.version],
    )?;
    let detail = format!("version {} of client {}", template.version, template.client_id);
    tx.changed(actor, "template.put", &template.code, Some(&detail))?;
    Ok((template, before.is_none()))
}
