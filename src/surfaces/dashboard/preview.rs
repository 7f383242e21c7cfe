//! The frame beside the template editor: a template as it would look, with variables that were given, or with its own
//! variables' names in their places.

use super::visit::Visit;
use super::{Dashboard, client_id};
use crate::render::{self, template::escaped};
use crate::surfaces::http::form::Fields;
use crate::surfaces::inbox::frame;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{Request, StatusCode};
use posthaste_model::draft::Field;
use posthaste_model::refusal::{Fault, FaultCode};
use posthaste_model::template::Template;
use posthaste_model::{ClientId, TemplateId};
use posthaste_store::StoreError;
use serde_json::{Map, Value};

/// Missing variables are asked for so many times: one may come to light by another.
const ROUNDS: usize = 8;

/// `POST /admin/templates/{client}/preview`: what the editor holds, as it would look.
pub(super) async fn written(
    State(dashboard): State<Dashboard>,
    Path(client): Path<String>,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    let visitor = match dashboard.enter(&parts).await {
        Ok(visitor) => visitor,
        Err(refused) => return refused,
    };
    let form = match dashboard.visitors.form(&visitor, &parts, body).await {
        Ok(form) => form,
        Err(refused) => return refused,
    };
    let fields = form.fields().unwrap_or_default();
    let given = |name: &str| fields.get(name).filter(|given| !given.trim().is_empty()).map(str::to_owned);
    let now = dashboard.clock.now();
    let template = Template {
        id: TemplateId::new(now, [0; 10]),
        client_id: client_id(&client).unwrap_or_else(|_| ClientId::from_bytes([0; 16])),
        code: "preview".into(),
        version: 1,
        name: "preview".into(),
        subject: given("subject"),
        html: given("html"),
        text: given("text"),
        variables_schema: None,
        created_at: now,
        updated_at: now,
    };
    let html = match serde_json::from_str(&given("variables").unwrap_or_else(|| "{}".into())) {
        Ok(variables) => shown(&template, variables),
        Err(error) => format!("<p>The variables are no JSON object: {}</p>", escaped(&error.to_string())),
    };
    visitor.finish(frame::answer(&html, "", &[]))
}

/// `GET /admin/templates/{client}/rendered?code=&version=`: a version that is kept, as the editor shows it first.
pub(super) async fn kept(
    State(dashboard): State<Dashboard>,
    Path(client): Path<String>,
    visit: Visit,
) -> Response {
    match dashboard.template_asked(&client, &visit.fields()).await {
        Ok(Some((template, _))) => {
            let html = shown(&template, samples(&template));
            visit.visitor.finish(frame::answer(&html, "", &[]))
        }
        Ok(None) => {
            let hint = "<p>What you write is shown here.</p>";
            visit.visitor.finish(frame::answer(hint, "", &[]))
        }
        Err(StoreError::NotFound) => visit.visitor.refuse(StatusCode::NOT_FOUND, "not_found"),
        Err(error) => visit.visitor.unavailable(&error),
    }
}

impl Dashboard {
    /// The version of a template that an address names, and the number of its newest one; `None`: it names none.
    pub(super) async fn template_asked(
        &self,
        client: &str,
        fields: &Fields<'_>,
    ) -> Result<Option<(Template, u32)>, StoreError> {
        let id = client_id(client)?;
        let Some(code) = fields.get("code").filter(|code| !code.is_empty()) else { return Ok(None) };
        let newest = self.store.template(id, code).await?.ok_or(StoreError::NotFound)?;
        let last = newest.version;
        let template = match fields.get("version").and_then(|text| text.parse().ok()) {
            Some(version) => {
                self.store.template_version(id, code, version).await?.ok_or(StoreError::NotFound)?
            }
            None => newest,
        };
        Ok(Some((template, last)))
    }
}

/// What a template becomes with these variables, or what is in the way, as HTML.
fn shown(template: &Template, variables: Map<String, Value>) -> String {
    match render::preview(template, variables) {
        Ok(rendered) => {
            let text = rendered.text.unwrap_or_default();
            rendered.html.unwrap_or_else(|| format!("<pre>{}</pre>", escaped(&text)))
        }
        Err(faults) => {
            let said = faults.iter().map(|fault| format!("<li>{}</li>", escaped(&told(fault))));
            format!("<ul>{}</ul>", said.collect::<String>())
        }
    }
}

/// A fault with the variable that it is about.
fn told(fault: &Fault) -> String {
    match &fault.field {
        Field::Variables(pointer) if !pointer.is_empty() => format!("{pointer}: {}", fault.message),
        _ => fault.message.clone(),
    }
}

/// Variables with which a template can be shown: each that it names, with its name as the value.
pub(super) fn samples(template: &Template) -> Map<String, Value> {
    let mut variables = Map::new();
    for _ in 0..ROUNDS {
        let Err(faults) = render::preview(template, variables.clone()) else { break };
        let missing = faults.iter().filter_map(|fault| match (&fault.field, fault.code) {
            (Field::Variables(pointer), FaultCode::MissingVariable) => Some(pointer.as_str()),
            _ => None,
        });
        let missing: Vec<&str> = missing.collect();
        let before = variables.clone();
        for pointer in missing {
            put(&mut variables, pointer);
        }
        if variables == before {
            break;
        }
    }
    variables
}

/// Puts a sample at a JSON pointer (RFC 6901), with the objects on the way to it.
fn put(variables: &mut Map<String, Value>, pointer: &str) {
    let names: Vec<String> =
        pointer.split('/').skip(1).map(|name| name.replace("~1", "/").replace("~0", "~")).collect();
    let Some((last, way)) = names.split_last() else { return };
    let mut at = variables;
    for name in way {
        let next = at.entry(name.clone()).or_insert(Value::Null);
        // The text that stood for it before more was known of it.
        if !next.is_object() {
            *next = Value::Object(Map::new());
        }
        let Value::Object(inner) = next else { return };
        at = inner;
    }
    at.entry(last.clone()).or_insert_with(|| Value::String(last.clone()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthaste_model::Timestamp;
    use serde_json::json;

    fn template(html: &str) -> Template {
        let now = Timestamp::from_millis(0);
        Template {
            id: TemplateId::new(now, [0; 10]),
            client_id: ClientId::from_bytes([0; 16]),
            code: "x".into(),
            version: 1,
            name: "x".into(),
            subject: Some("Hi {{ name }}".into()),
            html: Some(html.into()),
            text: None,
            variables_schema: None,
            created_at: now,
            updated_at: now,
        }
    }

    #[test]
    fn a_template_is_shown_with_the_names_of_its_variables() {
        let one = template("<p>Dear {{ name }}, order {{ order.number }} of {{ order.day }}</p>");
        let variables = samples(&one);
        let wanted = json!({"name": "name", "order": {"number": "number", "day": "day"}});
        assert_eq!(Value::Object(variables.clone()), wanted);
        assert_eq!(shown(&one, variables), "<p>Dear name, order number of day</p>");
        assert_eq!(shown(&one, Map::new()).matches("is missing").count(), 2);
        assert_eq!(samples(&template("<p>plain</p>")), samples(&template("<p>{{ name }}</p>")));
    }

    #[test]
    fn a_list_is_not_invented() {
        let one = template("{% for item in items %}{{ item }}{% endfor %}");
        let told = shown(&one, samples(&one));
        assert!(told.starts_with("<ul><li>"), "{told}");
    }
}
