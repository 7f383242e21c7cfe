//! The check at accept: whatever could fail when the email is rendered at delivery is found here, all at once.

use super::template::{SOURCE_BYTES_MAX, TemplateError};
use super::wording::{Part, Source, Wording};
use super::{Rendered, schema, template};
use posthaste_mail::text_from_html::text_from_html;
use posthaste_model::draft::Field;
use posthaste_model::email::Parts;
use posthaste_model::refusal::{Fault, FaultCode};
use serde_json::Value as Json;

/// The most that the variables of one email may come to: the bytes of their texts and names, and
/// `BYTES_PER_VALUE` for each value.
const VARIABLES_BYTES_MAX: usize = 1024 * 1024;
const BYTES_PER_VALUE: usize = 8;

/// Renders every part; the faults name the fields of the request.
pub(super) fn check(parts: &Parts, wording: Option<&Wording>) -> Result<Rendered, Vec<Fault>> {
    if parts.variables.values().map(size).sum::<usize>() > VARIABLES_BYTES_MAX {
        let message = format!("the variables are larger than {VARIABLES_BYTES_MAX} bytes");
        return Err(vec![Fault::new(Field::Variables(String::new()), FaultCode::TooLong, message)]);
    }
    let schema = wording.and_then(|wording| wording.schema.as_ref());
    let mut faults = schema.map_or_else(Vec::new, |schema| schema.check(&parts.variables));
    let subject = check_part(Part::Subject, parts, wording, &mut faults);
    let html = check_part(Part::Html, parts, wording, &mut faults);
    let text = check_part(Part::Text, parts, wording, &mut faults);
    if !faults.is_empty() {
        return Err(faults);
    }
    Ok(complete(subject.unwrap_or_default(), html, text))
}

/// Everything because of which a template with these parts could not be kept.
pub fn template_faults(
    subject: Option<&str>,
    html: Option<&str>,
    text: Option<&str>,
    variables_schema: Option<&Json>,
) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (part, source) in [(Part::Subject, subject), (Part::Html, html), (Part::Text, text)] {
        let Some(source) = source else { continue };
        faults.extend(control_character(part, source));
        if source.len() > SOURCE_BYTES_MAX {
            let message = format!("a part of a template may have {SOURCE_BYTES_MAX} bytes");
            faults.push(Fault::new(part.field(), FaultCode::TooLong, message));
        } else if let Err(fault) = template::validate(source) {
            faults.push(Fault::new(part.field(), FaultCode::TemplateSyntax, fault.to_string()));
        }
    }
    faults.extend(variables_schema.and_then(|schema| schema::validate(schema).err()));
    faults
}

/// Adds the text part that an HTML body without one gets.
pub(super) fn complete(subject: String, html: Option<String>, text: Option<String>) -> Rendered {
    let text = text.or_else(|| html.as_deref().map(text_from_html));
    Rendered { subject, html, text }
}

fn check_part(
    part: Part,
    parts: &Parts,
    wording: Option<&Wording>,
    faults: &mut Vec<Fault>,
) -> Option<String> {
    let source = Source::of(part, parts, wording)?;
    match source.render(part, &parts.variables) {
        Ok(text) => {
            faults.extend(control_character(part, &text));
            Some(text.into_owned())
        }
        Err(error) => {
            // A fault of the stored template is told at the field that names it.
            let template = wording.filter(|_| matches!(source, Source::Template(_)));
            add(part, template, error, faults);
            None
        }
    }
}

fn add(part: Part, template: Option<&Wording>, error: TemplateError, faults: &mut Vec<Fault>) {
    let code = match &error {
        TemplateError::Missing(pointers) => {
            for pointer in pointers {
                let field = Field::Variables(pointer.clone());
                if !faults.iter().any(|fault| fault.field == field) {
                    let message = format!("{} names it, and it is missing", part.name());
                    faults.push(Fault::new(field, FaultCode::MissingVariable, message));
                }
            }
            return;
        }
        TemplateError::Syntax(_) => FaultCode::TemplateSyntax,
        TemplateError::Failed(_) | TemplateError::Limit(_) => FaultCode::TemplateError,
    };
    faults.push(match template {
        None => Fault::new(part.field(), code, error.to_string()),
        Some(wording) => {
            let message = format!("{} of template {}: {error}", part.name(), wording.code);
            Fault::new(Field::TemplateCode, code, message)
        }
    });
}

/// A subject is one line. Bodies may have line breaks of any kind, which the message writes as CRLF, but no NUL
/// (RFC 5322, 2.3 and 4.1).
fn control_character(part: Part, text: &str) -> Option<Fault> {
    let (found, message) = match part {
        Part::Subject => (
            text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')),
            "the subject contains a line break or control character",
        ),
        Part::Html | Part::Text => (text.as_bytes().contains(&0), "the body contains NUL"),
    };
    found.then(|| Fault::new(part.field(), FaultCode::ControlCharacter, message))
}

fn size(value: &Json) -> usize {
    BYTES_PER_VALUE
        + match value {
            Json::String(text) => text.len(),
            Json::Array(items) => items.iter().map(size).sum(),
            Json::Object(map) => map.iter().map(|(key, value)| key.len() + size(value)).sum(),
            _ => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::wording::tests::template;
    use serde_json::json;

    fn parts(inline: Json) -> Parts {
        let mut parts = json!({"templated": true});
        if let (Json::Object(all), Json::Object(inline)) = (&mut parts, inline) {
            all.extend(inline);
        }
        serde_json::from_value(parts).unwrap()
    }

    fn faults(inline: Json, wording: Option<&Wording>) -> Vec<(Field, FaultCode, String)> {
        let faults = check(&parts(inline), wording).unwrap_err();
        faults.into_iter().map(|f| (f.field, f.code, f.message)).collect()
    }

    #[test]
    fn inline_wins_part_by_part() {
        let wording =
            template(json!({"subject": "T {{ n }}", "html": "<b>{{ n }}</b>", "text": "t {{ n }}"}));
        let inline = json!({"html": "<i>{{ n }}</i>", "variables": {"n": "<&"}});
        let rendered = check(&parts(inline), Some(&wording)).unwrap();
        assert_eq!(rendered.subject, "T <&");
        assert_eq!(rendered.html.as_deref(), Some("<i>&lt;&amp;</i>"));
        assert_eq!(rendered.text.as_deref(), Some("t <&"));
    }

    #[test]
    fn html_without_text_gets_one() {
        let inline =
            json!({"subject": "s", "html": "<p>Halo <b>{{ n }}</b></p>", "variables": {"n": "Andi"}});
        let rendered = check(&parts(inline), None).unwrap();
        assert_eq!(rendered.text.unwrap().trim(), "Halo Andi");
        let only_text = check(&parts(json!({"subject": "s", "text": "t"})), None).unwrap();
        assert_eq!((only_text.html, only_text.text.as_deref()), (None, Some("t")));
    }

    #[test]
    fn literal_parts_are_left_alone() {
        let inline = json!({"templated": false, "subject": "{{ x }}", "text": "{% if %}"});
        let rendered = check(&parts(inline), None).unwrap();
        assert_eq!((rendered.subject.as_str(), rendered.text.as_deref()), ("{{ x }}", Some("{% if %}")));
    }

    #[test]
    fn all_faults_are_told_at_once_and_each_variable_once() {
        let schema = json!({"required": ["age"], "properties": {"name": {"type": "integer"}}});
        let wording = template(json!({"text": "{{ age }} {{ list }}", "variables_schema": schema}));
        let inline = json!({"subject": "{{ a }} {{ b }}", "html": "\n {{ a b }}", "variables": {"name": "x", "list": []}});
        let found = faults(inline, Some(&wording));
        let variable = |name: &str| Field::Variables(name.to_owned());
        for (field, code, part) in [
            (variable("/age"), FaultCode::MissingVariable, "requires"),
            (variable("/name"), FaultCode::InvalidVariable, "integer"),
            (variable("/a"), FaultCode::MissingVariable, "subject names it"),
            (variable("/b"), FaultCode::MissingVariable, "subject names it"),
            (Field::Html, FaultCode::TemplateSyntax, "line 2, column 7: expected `}}`"),
        ] {
            let matching = found.iter().filter(|(f, c, m)| (f, c) == (&field, &code) && m.contains(part));
            assert_eq!(matching.count(), 1, "{field:?} {found:?}");
        }
        let wording = template(json!({"text": "{{ list }}"}));
        let found = faults(json!({"subject": "s", "variables": {"list": []}}), Some(&wording));
        assert_eq!((&found[0].0, found[0].1), (&Field::TemplateCode, FaultCode::TemplateError));
        assert!(
            found[0].2.starts_with("text of template welcome: line 1, column 1: this is a list"),
            "{found:?}"
        );
    }

    #[test]
    fn a_variable_brings_no_control_character_into_the_subject_and_no_nul_into_a_body() {
        for bad in ["a\r\nBcc: x@y.z", "\n", "\0", "\x7f", "\u{85}", "\u{2028}", "\t"] {
            let found = faults(json!({"subject": "{{ v }}", "text": "t", "variables": {"v": bad}}), None);
            assert_eq!((&found[0].0, found[0].1), (&Field::Subject, FaultCode::ControlCharacter), "{bad:?}");
        }
        let found = faults(json!({"html": "{{ v }}", "text": "{{ v }}", "variables": {"v": "a\0b"}}), None);
        let fields: Vec<_> = found.iter().map(|fault| &fault.0).collect();
        assert_eq!(fields, [&Field::Html, &Field::Text]);
    }

    #[test]
    fn a_template_is_judged_whole() {
        let sound = template_faults(Some("Hi {{ n }}"), Some("<p>{{ n }}</p>\r\n"), None, Some(&json!({})));
        assert_eq!(sound, []);
        let long = "x".repeat(SOURCE_BYTES_MAX + 1);
        let faults = template_faults(Some("a\nb {{"), Some("{{ a"), Some(&long), Some(&json!(1)));
        let found: Vec<_> = faults.iter().map(|fault| (fault.field.clone(), fault.code)).collect();
        assert_eq!(
            found,
            [
                (Field::Subject, FaultCode::ControlCharacter),
                (Field::Subject, FaultCode::TemplateSyntax),
                (Field::Html, FaultCode::TemplateSyntax),
                (Field::Text, FaultCode::TooLong),
                (Field::Other("variables_schema".to_owned()), FaultCode::InvalidSchema),
            ]
        );
        assert_eq!(faults[2].message, "line 1, column 5: the tag is not closed");
    }

    #[test]
    fn variables_have_a_bound() {
        let many = vec![0; 200_000];
        let found = faults(json!({"text": "t", "variables": {"list": many}}), None);
        assert_eq!(found[0].1, FaultCode::TooLong);
    }
}
