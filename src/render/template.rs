//! The language of templates: text with `{{ variable }}`, `{% if %}` and `{% for %}`, in the spelling of Jinja.
//!
//! Templates and variables come from whoever holds a key, so the language is made for hostile input, and is kept
//! so small that its bounds can be proved: no files, no network, no environment, no functions, no arithmetic, no
//! assignment. A template can read its variables, choose, repeat over what it was given, and write. Each step, and
//! each piece of text it reads or writes, is charged against one account (`WORK_MAX`), nesting is bounded where it
//! is parsed (`DEPTH_MAX`), and output where it is written (`OUTPUT_BYTES_MAX`).
//!
//! - `{{ name }}`, `{{ user.name }}`, `{{ items[0].title }}`, `{{ "text" }}`, `{{ 5 }}`;
//!   `{{ a if b else c }}`; names may contain hyphens.
//! - filters: `default(x)`, `upper`, `lower`, `capitalize`, `title`, `trim`, `length`, `first`, `last`, `join(x)`,
//!   `replace(x, y)`, `urlencode`.
//! - `{% if a == 1 and not b %}..{% elif c in d %}..{% else %}..{% endif %}`; `==`, `!=`, `<`, `<=`, `>`, `>=`,
//!   `in`, `not in`, `is defined`, `is none`.
//! - `{% for item in items %}..{% else %}..{% endfor %}`, `{% for key, value in map %}`; inside, `loop.index`,
//!   `loop.index0`, `loop.first`, `loop.last`, `loop.length`.
//! - `{% raw %}..{% endraw %}`, `{# comment #}` (with a blank after `{#`, since `{#` alone is common in CSS);
//!   `-` beside a delimiter trims white space on that side.
//!
//! A variable that is missing is a fault, also in a condition; `default` and `is defined` are the ways to say that
//! it may be. `null` writes nothing. A value is text wherever it lands: it is never read as a template.
//!
//! In HTML every value is escaped, there is no way to switch that off, and the escaping holds for text and for
//! quoted attributes, URLs among them. An attribute must be quoted: no escaping can mend one that is not.

mod escape;
mod evaluate;
mod filter;
mod lexer;
mod parser;
#[cfg(test)]
mod tests;
mod value;

pub use escape::escaped;

use serde_json::{Map, Value as Json};
use std::borrow::Cow;

/// The longest source of one part, in bytes.
pub const SOURCE_BYTES_MAX: usize = 1024 * 1024;
/// The most that one part may become, in bytes.
pub const OUTPUT_BYTES_MAX: usize = 2 * 1024 * 1024;
/// What one rendering may do, in steps; a step is well below a microsecond, and stands for one part of an
/// expression or `TEXT_BYTES_PER_STEP` bytes of text.
const WORK_MAX: u64 = 250_000;
/// Bytes of text read or written for one step.
const TEXT_BYTES_PER_STEP: usize = 16;
/// How deep parentheses, and how deep blocks, may stand in each other.
const DEPTH_MAX: usize = 32;
/// How many missing variables are named at once.
const MISSING_MAX: usize = 20;

/// Where a source is wrong and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct TemplateFault {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What is wrong, for people.
    pub message: String,
}

impl TemplateFault {
    /// The fault at byte `at` of `source`.
    fn new(source: &str, at: usize, message: impl Into<String>) -> Self {
        let before = source.get(..at).unwrap_or(source);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        Self { line, column: before[line_start..].chars().count() + 1, message: message.into() }
    }
}

/// Why a source did not become a text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The source is no template.
    #[error("{0}")]
    Syntax(TemplateFault),
    /// Variables that the source names are missing: JSON pointers, such as `/user/name`, in order of use.
    #[error("missing variables: {}", .0.join(", "))]
    Missing(Vec<String>),
    /// A value is not of the kind that is needed where it stands.
    #[error("{0}")]
    Failed(TemplateFault),
    /// A limit was reached; says which.
    #[error("{0}")]
    Limit(String),
}

/// How values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// For HTML: `& < > " ' \`` become character references.
    Html,
    /// As they are.
    None,
}

/// A source that has been read.
#[derive(Debug)]
pub struct Compiled<'s> {
    source: Cow<'s, str>,
    nodes: Vec<parser::Node>,
    /// There is no tag in it.
    is_plain: bool,
}

impl<'s> Compiled<'s> {
    /// Reads a source; all syntax is checked here.
    pub fn new(source: impl Into<Cow<'s, str>>) -> Result<Self, TemplateFault> {
        let source = source.into();
        if source.len() > SOURCE_BYTES_MAX {
            let message = format!("the template is longer than {SOURCE_BYTES_MAX} bytes");
            return Err(TemplateFault { line: 1, column: 1, message });
        }
        let nodes = parser::parse(&source)?;
        let is_plain = lexer::find_tag(&source, 0).is_none();
        Ok(Self { source, nodes, is_plain })
    }

    /// Bytes of the source.
    pub fn bytes(&self) -> usize {
        self.source.len()
    }

    /// The text with all values filled in; borrowed when there is nothing to fill in. The same template and
    /// variables always give the same text.
    pub fn render(
        &self,
        variables: &Map<String, Json>,
        escape: Escape,
    ) -> Result<Cow<'_, str>, TemplateError> {
        if self.is_plain {
            return Ok(Cow::Borrowed(&self.source));
        }
        evaluate::render(&self.source, &self.nodes, variables, escape).map(Cow::Owned)
    }
}

/// Checks the syntax of a source.
pub fn validate(source: &str) -> Result<(), TemplateFault> {
    Compiled::new(source).map(drop)
}

/// Renders a source; one that has nothing to fill in is handed back as it is.
pub fn render<'s>(
    source: &'s str,
    variables: &Map<String, Json>,
    escape: Escape,
) -> Result<Cow<'s, str>, TemplateError> {
    if lexer::find_tag(source, 0).is_none() {
        return Ok(Cow::Borrowed(source));
    }
    let compiled = Compiled::new(source).map_err(TemplateError::Syntax)?;
    compiled.render(variables, escape).map(|text| Cow::Owned(text.into_owned()))
}
