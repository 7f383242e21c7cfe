//! Templates: versions are only ever added.

use super::Postgres;
use super::audit::changed;
use super::clients::must_stand;
use super::columns::{at, instant_at};
use super::rows::{id_at, uuid_of};
use super::session::Session;
use super::trouble::Trouble;
use crate::StoreError;
use crate::configuration::Actor;
use crate::record::damaged;
use posthaste_model::template::Template;
use posthaste_model::{ClientId, TemplateId};
use tokio_postgres::Row;

const COLUMNS: &str = "v.code, v.version, v.id, v.name, v.subject, v.html, v.text, v.variables_schema,
    v.created_at, v.updated_at";
const NEWEST: &str = "FROM templates t JOIN template_versions v USING (client_id, code, version)";

fn template_at(row: &Row, client_id: ClientId) -> Result<Template, Trouble> {
    let schema: Option<&str> = row.try_get(7)?;
    let schema = schema.map(serde_json::from_str).transpose();
    Ok(Template {
        id: id_at!(row, 2, TemplateId),
        client_id,
        code: at(row, 0)?,
        version: version_of(row.try_get(1)?),
        name: at(row, 3)?,
        subject: at(row, 4)?,
        html: at(row, 5)?,
        text: at(row, 6)?,
        variables_schema: schema.map_err(|_| damaged("schema of a template"))?,
        created_at: instant_at(row, 8)?,
        updated_at: instant_at(row, 9)?,
    })
}

/// A version as the model counts it.
fn version_of(column: i32) -> u32 {
    u32::try_from(column).unwrap_or(0)
}

impl Postgres {
    pub(crate) async fn put_template(
        &self,
        template: Template,
        actor: Actor,
    ) -> Result<(Template, bool), StoreError> {
        let (template, actor) = (&template, &actor);
        self.write(1, |db| async move { put(&db, template.clone(), actor).await }).await
    }

    pub(crate) async fn template(
        &self,
        client_id: ClientId,
        code: &str,
    ) -> Result<Option<Template>, StoreError> {
        self.read(|db| async move { newest(&db, client_id, code).await }).await
    }

    pub(crate) async fn template_version(
        &self,
        client_id: ClientId,
        code: &str,
        version: u32,
    ) -> Result<Option<Template>, StoreError> {
        let Ok(version) = i32::try_from(version) else { return Ok(None) };
        self.read(|db| async move {
            let sql = format!(
                "SELECT {COLUMNS} FROM template_versions v
                 WHERE v.client_id = $1 AND v.code = $2 AND v.version = $3"
            );
            let row = db.maybe(&sql, &[&uuid_of!(client_id), &code, &version]).await?;
            row.map(|row| template_at(&row, client_id)).transpose()
        })
        .await
    }

    pub(crate) async fn templates(&self, client_id: ClientId) -> Result<Vec<Template>, StoreError> {
        self.read(|db| async move {
            let sql =
                format!("SELECT {COLUMNS} {NEWEST} WHERE t.client_id = $1 ORDER BY t.code COLLATE \"C\"");
            let rows = db.rows(&sql, &[&uuid_of!(client_id)]).await?;
            rows.iter().map(|row| template_at(row, client_id)).collect()
        })
        .await
    }

    pub(crate) async fn delete_template(
        &self,
        client_id: ClientId,
        code: &str,
        actor: Actor,
    ) -> Result<bool, StoreError> {
        let actor = &actor;
        self.write(1, |db| async move {
            let sql = "DELETE FROM templates WHERE client_id = $1 AND code = $2";
            if db.run(sql, &[&uuid_of!(client_id), &code]).await? == 0 {
                return Ok(false);
            }
            changed(&db, actor, "template.delete", code, Some(&client_id.to_string())).await?;
            Ok(true)
        })
        .await
    }
}

async fn newest(db: &Session, client_id: ClientId, code: &str) -> Result<Option<Template>, Trouble> {
    let sql = format!("SELECT {COLUMNS} {NEWEST} WHERE t.client_id = $1 AND t.code = $2");
    let row = db.maybe(&sql, &[&uuid_of!(client_id), &code]).await?;
    row.map(|row| template_at(&row, client_id)).transpose()
}

async fn put(db: &Session, mut template: Template, actor: &Actor) -> Result<(Template, bool), Trouble> {
    must_stand(db, template.client_id).await?;
    // Two that put the same template take turns, each with a version of its own.
    db.one("SELECT 1 FROM clients WHERE id = $1 FOR UPDATE", &[&uuid_of!(template.client_id)]).await?;
    let before = newest(db, template.client_id, &template.code).await?;
    if let Some(before) = &before {
        template.id = before.id;
        template.created_at = before.created_at;
    }
    let client = uuid_of!(template.client_id);
    // Versions go on after a deletion: email accepted before it names them.
    let last = "SELECT coalesce(max(version), 0) FROM template_versions WHERE client_id = $1 AND code = $2";
    let version: i32 = at::<i32>(&db.one(last, &[&client, &template.code]).await?, 0)? + 1;
    template.version = version_of(version);
    let schema = template.variables_schema.as_ref().map(ToString::to_string);
    db.run(
        "INSERT INTO template_versions (client_id, code, version, id, name, subject, html, text,
            variables_schema, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        &[
            &client,
            &template.code,
            &version,
            &uuid_of!(template.id),
            &template.name,
            &template.subject,
            &template.html,
            &template.text,
            &schema,
            &template.created_at.millis(),
            &template.updated_at.millis(),
        ],
    )
    .await?;
    db.run(
        "INSERT INTO templates (client_id, code, version) VALUES ($1, $2, $3)
         ON CONFLICT (client_id, code) DO UPDATE SET version = excluded.version",
        &[&client, &template.code, &version],
    )
    .await?;
    let detail = format!("version {} of client {}", template.version, template.client_id);
    changed(db, actor, "template.put", &template.code, Some(&detail)).await?;
    Ok((template, before.is_none()))
}
