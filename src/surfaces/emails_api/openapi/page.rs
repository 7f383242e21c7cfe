//! The document as a page to read: server-rendered, no script.

use super::document;
use crate::surfaces::http::problem::KINDS;
use serde_json::Value;
use std::fmt::Write as _;

/// The style of the page, embedded so that it needs nothing else.
pub const STYLE: &str = include_str!("page.css");

/// The page; `style_href` is where [`STYLE`] is served.
pub fn page(style_href: &str) -> String {
    let document = document();
    let mut out = String::with_capacity(64 * 1024);
    let title = text(&document["info"]["title"]);
    let _ = write!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title}</title><link rel=\"stylesheet\" href=\"{style_href}\"></head><body>\
         <header><h1>{title} <small>{}</small></h1><p>{}</p><p><a href=\"/api/openapi.json\">openapi.json</a></p>\
         </header><main>",
        text(&document["info"]["version"]),
        text(&document["info"]["description"]),
    );
    for tag in list(&document["tags"]) {
        let name = tag["name"].as_str().unwrap_or_default();
        let _ = write!(out, "<section><h2>{}</h2><p>{}</p>", escape(name), text(&tag["description"]));
        operations(&mut out, &document, name);
        out.push_str("</section>");
    }
    problems(&mut out);
    schemas(&mut out, &document);
    out.push_str("</main></body></html>");
    out
}

fn operations(out: &mut String, document: &Value, tag: &str) {
    for (path, item) in map(&document["paths"]) {
        for (method, operation) in map(item) {
            if list(&operation["tags"]).iter().any(|one| one == tag) {
                one_operation(out, path, method, operation);
            }
        }
    }
}

fn one_operation(out: &mut String, path: &str, method: &str, operation: &Value) {
    let _ = write!(
        out,
        "<details id=\"{}\"><summary><b class=\"{method}\">{}</b> <code>{}</code> <span>{}</span></summary>",
        text(&operation["operationId"]),
        method.to_uppercase(),
        escape(path),
        text(&operation["summary"]),
    );
    if operation["description"].is_string() {
        let _ = write!(out, "<p>{}</p>", text(&operation["description"]));
    }
    let parameters = list(&operation["parameters"]);
    if !parameters.is_empty() {
        out.push_str("<table><thead><tr><th>parameter</th><th>in</th><th>meaning</th></tr></thead><tbody>");
        for one in parameters {
            let _ = write!(
                out,
                "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
                text(&one["name"]),
                text(&one["in"]),
                text(&one["description"]),
            );
        }
        out.push_str("</tbody></table>");
    }
    if let Some(name) = shape(&operation["requestBody"]["content"]["application/json"]["schema"]) {
        let _ = write!(out, "<p>Body: <a href=\"#shape-{name}\">{name}</a></p>");
    }
    out.push_str("<table><thead><tr><th>status</th><th>answer</th></tr></thead><tbody>");
    for (status, answer) in map(&operation["responses"]) {
        let shapes: Vec<String> = map(&answer["content"])
            .filter_map(|(_, content)| shape(&content["schema"]))
            .map(|name| format!(" <a href=\"#shape-{name}\">{name}</a>"))
            .collect();
        let _ = write!(
            out,
            "<tr><td>{status}</td><td>{}{}</td></tr>",
            text(&answer["description"]),
            shapes.concat()
        );
    }
    out.push_str("</tbody></table></details>");
}

fn problems(out: &mut String) {
    out.push_str(
        "<section><h2>Problems</h2><p>Errors have one shape (RFC 9457); <code>code</code> is stable.</p>\
         <table><thead><tr><th>status</th><th>code</th><th>when</th></tr></thead><tbody>",
    );
    for kind in KINDS {
        let _ = write!(
            out,
            "<tr id=\"problem-{0}\"><td>{1}</td><td><code>{0}</code></td><td>{2}</td></tr>",
            kind.code,
            kind.status,
            escape(kind.meaning),
        );
    }
    out.push_str("</tbody></table></section>");
}

fn schemas(out: &mut String, document: &Value) {
    out.push_str("<section><h2>Shapes</h2>");
    for (name, schema) in map(&document["components"]["schemas"]) {
        let shown = serde_json::to_string_pretty(schema).unwrap_or_default();
        let _ = write!(
            out,
            "<details id=\"shape-{name}\"><summary><code>{name}</code></summary><pre tabindex=\"0\">{}</pre></details>",
            escape(&shown)
        );
    }
    out.push_str("</section>");
}

fn map(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The name of the shape that a schema refers to.
fn shape(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

fn text(value: &Value) -> String {
    escape(value.as_str().unwrap_or_default())
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::operations;

    #[test]
    fn names_every_operation_and_runs_nothing() {
        let page = super::page("/api/docs.css");
        for operation in operations() {
            assert!(page.contains(&format!("id=\"{}\"", operation.id)), "{}", operation.id);
        }
        assert!(!page.contains("<script"));
    }
}
