//! Templates: kept only when everything in them can be read, so that a fault is the author's at the time of writing
//! and not every sender's later.

use super::{Admin, fault, refused, words};
use crate::render::{self, Rendered};
use posthaste_model::draft::Field;
use posthaste_model::refusal::{Fault, FaultCode, Refusal};
use posthaste_model::template::Template;
use posthaste_model::{ClientId, TemplateId};
use posthaste_store::Actor;
use serde_json::{Map, Value as Json};

/// The longest code, in characters.
const CODE_CHARS: usize = 64;

/// A template as handed in, not yet judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TemplateDraft {
    /// Its code: letters, digits, `_`, `.` and `-`, the first a letter or digit.
    pub code: String,
    /// A name for people; the code when there is none.
    pub name: Option<String>,
    /// Subject with `{{ }}`.
    pub subject: Option<String>,
    /// HTML body with `{{ }}`.
    pub html: Option<String>,
    /// Text body with `{{ }}`.
    pub text: Option<String>,
    /// JSON Schema of the variables.
    pub variables_schema: Option<Json>,
}

impl Admin {
    /// Makes a template, or a new version of the one with this code; whether it is new.
    pub async fn put_template(
        &self,
        client_id: ClientId,
        draft: TemplateDraft,
        actor: &Actor,
    ) -> Result<(Template, bool), Refusal> {
        let name = judge(&draft).map_err(Refusal::Invalid)?;
        let now = self.clock.now();
        let template = Template {
            id: TemplateId::new(now, self.chance.bytes()),
            client_id,
            code: draft.code,
            version: 1,
            name,
            subject: draft.subject,
            html: draft.html,
            text: draft.text,
            variables_schema: draft.variables_schema,
            created_at: now,
            updated_at: now,
        };
        self.store.put_template(template, actor).await.map_err(refused)
    }

    /// The client's templates, newest versions, by code.
    pub async fn templates(&self, client_id: ClientId) -> Result<Vec<Template>, Refusal> {
        self.store.templates(client_id).await.map_err(refused)
    }

    /// The newest version of a template.
    pub async fn template(&self, client_id: ClientId, code: &str) -> Result<Template, Refusal> {
        let found = self.store.template(client_id, code).await.map_err(refused)?;
        found.ok_or(Refusal::NotFound)
    }

    /// Deletes a template. Emails accepted with it still go out.
    pub async fn delete_template(
        &self,
        client_id: ClientId,
        code: &str,
        actor: &Actor,
    ) -> Result<(), Refusal> {
        let deleted = self.store.delete_template(client_id, code, actor).await.map_err(refused)?;
        if deleted { Ok(()) } else { Err(Refusal::NotFound) }
    }

    /// What the newest version of a template becomes with these variables. Nothing is sent or stored.
    pub async fn preview_template(
        &self,
        client_id: ClientId,
        code: &str,
        variables: Map<String, Json>,
    ) -> Result<Rendered, Refusal> {
        let template = self.template(client_id, code).await?;
        render::preview(&template, variables).map_err(Refusal::Invalid)
    }
}

/// The template's name, or everything that is wrong with it.
fn judge(draft: &TemplateDraft) -> Result<String, Vec<Fault>> {
    let mut faults = Vec::new();
    if !is_code(&draft.code) {
        let message =
            format!("a code has 1 to {CODE_CHARS} letters, digits, _ . or -, the first a letter or digit");
        faults.push(fault("code", FaultCode::InvalidValue, message));
    }
    let name = match &draft.name {
        Some(name) => words::name("name", name).map_err(|found| faults.push(found)).unwrap_or_default(),
        None => draft.code.clone(),
    };
    let is_written = |body: &Option<String>| body.as_ref().is_some_and(|body| !body.is_empty());
    if !is_written(&draft.html) && !is_written(&draft.text) {
        let message = "at least one of html and text is required";
        faults.push(Fault::new(Field::Html, FaultCode::MissingBody, message));
    }
    faults.extend(render::template_faults(
        draft.subject.as_deref(),
        draft.html.as_deref(),
        draft.text.as_deref(),
        draft.variables_schema.as_ref(),
    ));
    if faults.is_empty() { Ok(name) } else { Err(faults) }
}

/// A code stands in URLs and log lines as it is.
fn is_code(code: &str) -> bool {
    (1..=CODE_CHARS).contains(&code.len())
        && code.starts_with(|c: char| c.is_ascii_alphanumeric())
        && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::AdminParts;
    use crate::base::chance::Chance;
    use crate::base::clock::Clock;
    use crate::base::vault::Vault;
    use crate::blobs::Blobs;
    use posthaste_model::Timestamp;
    use posthaste_model::client::Client;
    use posthaste_model::fault::Faults;
    use posthaste_store::{Store, StoreSettings};
    use serde_json::json;

    #[test]
    fn a_code_can_stand_in_a_path() {
        for good in ["welcome", "Order-2.confirmed_v3", "7", &"a".repeat(64)] {
            assert!(is_code(good), "{good}");
        }
        for bad in ["", ".", "..", "-a", "_a", "a/b", "a b", "a%2f", "é", "a\n", "a\0", &"a".repeat(65)] {
            assert!(!is_code(bad), "{bad:?}");
        }
    }

    #[test]
    fn tells_all_faults_at_once() {
        let draft = TemplateDraft {
            code: "../x".into(),
            name: Some("a\nb".into()),
            subject: Some("{{ a".into()),
            html: Some(String::new()),
            text: None,
            variables_schema: Some(json!({"$ref": "http://example.com"})),
        };
        let faults = judge(&draft).unwrap_err();
        let codes: Vec<_> = faults.iter().map(|fault| fault.code).collect();
        assert_eq!(
            codes,
            [
                FaultCode::InvalidValue,
                FaultCode::ControlCharacter,
                FaultCode::MissingBody,
                FaultCode::TemplateSyntax,
                FaultCode::InvalidSchema,
            ]
        );
        let draft = TemplateDraft { code: "ok".into(), text: Some("hi".into()), ..TemplateDraft::default() };
        assert_eq!(judge(&draft).as_deref(), Ok("ok"));
    }

    #[tokio::test]
    async fn versions_rise_previews_render_and_the_deleted_are_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (admin, client_id, actor) = rig(folder.path()).await;
        let draft = |text: &str| TemplateDraft {
            code: "welcome".into(),
            subject: Some("Hi".into()),
            text: Some(text.into()),
            ..TemplateDraft::default()
        };
        let (first, created) = admin.put_template(client_id, draft("one {{ n }}"), &actor).await.unwrap();
        assert_eq!((first.version, created, first.name.as_str()), (1, true, "welcome"));
        let (second, created) = admin.put_template(client_id, draft("two {{ n }}"), &actor).await.unwrap();
        assert_eq!((second.version, created, second.id), (2, false, first.id));
        let variables = Map::from_iter([("n".to_owned(), json!(5))]);
        let rendered = admin.preview_template(client_id, "welcome", variables).await.unwrap();
        assert_eq!((rendered.subject.as_str(), rendered.text.as_deref()), ("Hi", Some("two 5")));
        let missing = admin.preview_template(client_id, "welcome", Map::new()).await.unwrap_err();
        assert!(matches!(missing, Refusal::Invalid(faults) if faults[0].code == FaultCode::MissingVariable));

        let other = ClientId::from_bytes([8; 16]);
        assert_eq!(admin.template(other, "welcome").await, Err(Refusal::NotFound));
        assert_eq!(admin.delete_template(other, "welcome", &actor).await, Err(Refusal::NotFound));
        admin.delete_template(client_id, "welcome", &actor).await.unwrap();
        assert_eq!(admin.templates(client_id).await.unwrap(), []);
        assert_eq!(admin.delete_template(client_id, "welcome", &actor).await, Err(Refusal::NotFound));
    }

    async fn rig(folder: &std::path::Path) -> (Admin, ClientId, Actor) {
        let settings = StoreSettings::new(folder.join("test.db"));
        let store = Store::open(settings).await.unwrap();
        let blobs = Blobs::files(&folder.join("blobs"), Faults::none()).unwrap();
        let chance = Chance::new();
        let vault = Vault::new(&Vault::generate_key(&chance), chance.clone()).unwrap();
        let clock = Clock::manual(Timestamp::from_millis(1_790_000_000_000));
        let actor = Actor { kind: "cli".into(), id: None, address: None };
        let client = Client {
            id: ClientId::from_bytes([2; 16]),
            name: "shop".into(),
            department: None,
            is_active: true,
            retention: posthaste_model::client::Retention::default(),
            created_at: clock.now(),
        };
        let client_id = client.id;
        store.create_client(client, &actor).await.unwrap();
        let auth = crate::auth::Auth::of_store(&store, &clock).await;
        (
            Admin::new(AdminParts {
                store,
                blobs,
                auth,
                vault,
                clock,
                chance,
                dns: crate::dns::Dns::default(),
                wishes: crate::admin::DnsWishes::default(),
            }),
            client_id,
            actor,
        )
    }
}
