//! Which source each part of an email comes from, and what it becomes. Inline wins part by part over the template.

use super::schema::{Schema, SchemaError};
use super::template::{Compiled, Escape, TemplateError, TemplateFault, render};
use posthaste_model::draft::Field;
use posthaste_model::email::Parts;
use posthaste_model::template::Template;
use serde_json::{Map, Value as Json};
use std::borrow::Cow;

/// A part of an email that is written from a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Subject,
    Html,
    Text,
}

impl Part {
    pub(super) fn field(self) -> Field {
        match self {
            Self::Subject => Field::Subject,
            Self::Html => Field::Html,
            Self::Text => Field::Text,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Html => "html",
            Self::Text => "text",
        }
    }

    fn escape(self) -> Escape {
        if self == Self::Html { Escape::Html } else { Escape::None }
    }
}

/// A version of a template, read once.
#[derive(Debug)]
pub(super) struct Wording {
    pub(super) code: String,
    subject: Option<Compiled<'static>>,
    html: Option<Compiled<'static>>,
    text: Option<Compiled<'static>>,
    pub(super) schema: Option<Schema>,
}

/// Why a stored template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum WordingError {
    #[error("{} of the template: {fault}", part.name())]
    Part { part: Part, fault: TemplateFault },
    #[error("variables_schema of the template: {0}")]
    Schema(SchemaError),
}

impl Wording {
    pub(super) fn new(template: &Template) -> Result<Self, WordingError> {
        let compile = |part, source: &Option<String>| {
            source
                .as_ref()
                .map(|source| Compiled::new(source.clone()))
                .transpose()
                .map_err(|fault| WordingError::Part { part, fault })
        };
        Ok(Self {
            code: template.code.clone(),
            subject: compile(Part::Subject, &template.subject)?,
            html: compile(Part::Html, &template.html)?,
            text: compile(Part::Text, &template.text)?,
            schema: template
                .variables_schema
                .as_ref()
                .map(Schema::new)
                .transpose()
                .map_err(WordingError::Schema)?,
        })
    }

    /// Bytes of its sources.
    pub(super) fn bytes(&self) -> usize {
        [&self.subject, &self.html, &self.text].into_iter().flatten().map(Compiled::bytes).sum()
    }

    fn part(&self, part: Part) -> Option<&Compiled<'static>> {
        match part {
            Part::Subject => self.subject.as_ref(),
            Part::Html => self.html.as_ref(),
            Part::Text => self.text.as_ref(),
        }
    }
}

/// Where a part comes from.
pub(super) enum Source<'a> {
    /// As it stands.
    Literal(&'a str),
    /// Inline, with `{{ }}`.
    Inline(&'a str),
    /// The template's.
    Template(&'a Compiled<'static>),
}

impl<'a> Source<'a> {
    /// The source of `part`, if there is one.
    pub(super) fn of(part: Part, parts: &'a Parts, wording: Option<&'a Wording>) -> Option<Self> {
        let inline = match part {
            Part::Subject => &parts.subject,
            Part::Html => &parts.html,
            Part::Text => &parts.text,
        };
        match inline {
            Some(text) if parts.templated => Some(Self::Inline(text)),
            Some(text) => Some(Self::Literal(text)),
            None => wording?.part(part).map(Self::Template),
        }
    }

    /// The rendered part; borrowed when there is nothing to fill in.
    pub(super) fn render(
        &self,
        part: Part,
        variables: &Map<String, Json>,
    ) -> Result<Cow<'a, str>, TemplateError> {
        match self {
            Self::Literal(text) => Ok(Cow::Borrowed(text)),
            Self::Inline(text) => render(text, variables, part.escape()),
            Self::Template(compiled) => compiled.render(variables, part.escape()),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use posthaste_model::{ClientId, TemplateId, Timestamp};

    /// A template `welcome` with the given parts.
    pub(in crate::render) fn template(parts: Json) -> Wording {
        Wording::new(&stored(parts)).unwrap()
    }

    pub(in crate::render) fn stored(parts: Json) -> Template {
        let text = |name: &str| parts[name].as_str().map(str::to_owned);
        Template {
            id: TemplateId::from_bytes([1; 16]),
            client_id: ClientId::from_bytes([2; 16]),
            code: "welcome".to_owned(),
            version: 1,
            name: "Welcome".to_owned(),
            subject: text("subject"),
            html: text("html"),
            text: text("text"),
            variables_schema: parts.get("variables_schema").cloned(),
            created_at: Timestamp::from_millis(0),
            updated_at: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn says_which_part_of_a_stored_template_is_wrong() {
        let error = Wording::new(&stored(serde_json::json!({"html": "{{"}))).unwrap_err();
        assert_eq!(error.to_string(), "html of the template: line 1, column 3: the tag is not closed");
        let error = Wording::new(&stored(serde_json::json!({"variables_schema": 1}))).unwrap_err();
        assert_eq!(error.to_string(), "variables_schema of the template: a JSON Schema is an object");
    }
}
