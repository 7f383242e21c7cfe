//! `/admin/templates`: a client's templates, an editor with a preview that follows the writing, and the versions.

use super::preview::samples;
use super::visit::{Change, Visit, id_of};
use super::{Dashboard, When};
use crate::admin::templates::TemplateDraft;
use crate::surfaces::http::form::Fields;
use crate::surfaces::web::shell::Shell;
use crate::surfaces::web::visitor::escaped;
use axum::extract::{Path, State};
use axum::response::Response;
use posthaste_model::ClientId;
use posthaste_store::StoreError;

#[derive(askama::Template)]
#[template(path = "dashboard/templates.html")]
struct TemplatesPage {
    shell: Shell,
    clients: Vec<(ClientId, String, bool)>,
    client: String,
    templates: Vec<Row>,
}

struct Row {
    code: String,
    name: String,
    version: u32,
    at: When,
    address: String,
}

#[derive(askama::Template)]
#[template(path = "dashboard/template.html")]
struct TemplatePage {
    shell: Shell,
    client: String,
    code: String,
    name: String,
    subject: String,
    html: String,
    text: String,
    variables: String,
    version: u32,
    newest: u32,
    versions: Vec<(u32, String)>,
    /// Where the frame finds what is shown first.
    rendered: String,
}

/// `GET /admin/templates?client=`.
pub(super) async fn list(State(dashboard): State<Dashboard>, visit: Visit) -> Response {
    let fields = visit.fields();
    visit.shown(dashboard.templates_page(visit.shell("templates"), fields.get("client")).await)
}

/// `GET /admin/templates/{client}?code=&version=`; without a code an empty editor.
pub(super) async fn edit(
    State(dashboard): State<Dashboard>,
    Path(client): Path<String>,
    visit: Visit,
) -> Response {
    visit.shown(dashboard.template_page(visit.shell("templates"), &client, &visit.fields()).await)
}

/// `POST /admin/templates/{client}`: a new template, or a new version.
pub(super) async fn put(
    State(dashboard): State<Dashboard>,
    Path(client): Path<String>,
    change: Change,
) -> Response {
    let fields = change.fields();
    let given = |name: &str| fields.get(name).filter(|given| !given.trim().is_empty()).map(str::to_owned);
    let code = given("code").unwrap_or_default().trim().to_owned();
    let put = async {
        let id = id_of(&client)?;
        // What the editor does not show stays as it is.
        let variables_schema =
            dashboard.admin.template(id, &code).await.ok().and_then(|one| one.variables_schema);
        let draft = TemplateDraft {
            code: code.clone(),
            name: given("name"),
            subject: given("subject"),
            html: given("html"),
            text: given("text"),
            variables_schema,
        };
        dashboard.admin.put_template(id, draft, &change.actor()).await
    };
    let put = put.await;
    let editor = || format!("/admin/templates/{}?code={}", escaped(&client), escaped(&code));
    let to = if put.is_ok() { editor() } else { list_of(&client) };
    change.answer(put, &to)
}

/// `POST /admin/templates/{client}/delete`.
pub(super) async fn delete(
    State(dashboard): State<Dashboard>,
    Path(client): Path<String>,
    change: Change,
) -> Response {
    let fields = change.fields();
    let code = fields.get("code").unwrap_or_default();
    let deleted = async { dashboard.admin.delete_template(id_of(&client)?, code, &change.actor()).await };
    change.answer(deleted.await, &list_of(&client))
}

/// Where a client's templates are listed.
fn list_of(client: &str) -> String {
    format!("/admin/templates?client={}", escaped(client))
}

impl Dashboard {
    async fn templates_page(&self, shell: Shell, asked: Option<&str>) -> Result<TemplatesPage, StoreError> {
        let (clients, chosen) = self.choice(asked).await?;
        let templates = self.store.templates(chosen).await?.into_iter().map(|template| Row {
            address: format!("/admin/templates/{chosen}?code={}", escaped(&template.code)),
            at: self.moment(template.updated_at),
            code: template.code,
            name: template.name,
            version: template.version,
        });
        Ok(TemplatesPage { shell, templates: templates.collect(), client: chosen.to_string(), clients })
    }

    async fn template_page(
        &self,
        shell: Shell,
        client: &str,
        fields: &Fields<'_>,
    ) -> Result<TemplatePage, StoreError> {
        let Some((template, last)) = self.template_asked(client, fields).await? else {
            return Ok(TemplatePage {
                shell,
                client: client.to_owned(),
                code: String::new(),
                name: String::new(),
                subject: String::new(),
                html: String::new(),
                text: String::new(),
                variables: "{}".to_owned(),
                version: 0,
                newest: 0,
                versions: Vec::new(),
                rendered: format!("/admin/templates/{client}/rendered"),
            });
        };
        let code = template.code.clone();
        let address =
            |version: u32| format!("/admin/templates/{client}?code={}&version={version}", escaped(&code));
        Ok(TemplatePage {
            rendered: format!(
                "/admin/templates/{client}/rendered?code={}&version={}",
                escaped(&code),
                template.version
            ),
            variables: serde_json::Value::Object(samples(&template)).to_string(),
            shell,
            client: client.to_owned(),
            code: template.code,
            name: template.name,
            subject: template.subject.unwrap_or_default(),
            html: template.html.unwrap_or_default(),
            text: template.text.unwrap_or_default(),
            version: template.version,
            newest: last,
            versions: (1..=last).rev().take(20).map(|version| (version, address(version))).collect(),
        })
    }
}
