//! Templates: versions, schemas, previews; A23: what a template must not be able to do.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::email_to;
use crate::harness::Server;

fn put(server: &Server, key: &str, template: &Value) -> crate::harness::Response {
    server.post_with("/api/templates", &[("X-Api-Key", key)], template)
}

#[test]
fn a_template_is_created_updated_listed_previewed_and_deleted() {
    let server = Server::inbox();
    let key = server.templates_key();
    let headers = [("X-Api-Key", key.as_str())];
    let template = json!({"code": "welcome", "name": "Welcome", "subject": "Hi {{ name }}", "html": "<p>{{ name }}</p>",
        "text": "Hi {{ name }}", "variables_schema": {"type": "object", "required": ["name"],
        "properties": {"name": {"type": "string"}}}});
    put(&server, &key, &template).expect(201);
    put(&server, &key, &template).expect(200);
    let shown = server.get_with("/api/templates/welcome", &headers).expect(200).json();
    assert_eq!(shown["subject"], "Hi {{ name }}");
    let list = server.get_with("/api/templates", &headers).expect(200).json();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1), "{list}");
    let preview = server
        .post_with("/api/templates/welcome/preview", &headers, &json!({"variables": {"name": "<Ann>"}}))
        .expect(200)
        .json();
    assert_eq!(preview, json!({"subject": "Hi <Ann>", "html": "<p>&lt;Ann&gt;</p>", "text": "Hi <Ann>"}));
    let wrong = json!({"variables": {"name": 5}});
    let problem = server.post_with("/api/templates/welcome/preview", &headers, &wrong).expect(422).json();
    assert!(problem["errors"].to_string().contains("/variables/name"), "{problem:#}");
    let deleted = server.try_request("DELETE", "/api/templates/welcome", &headers, b"").expect("an answer");
    assert!(matches!(deleted.status, 200 | 204), "{}", deleted.status);
    server.get_with("/api/templates/welcome", &headers).expect(404);
}

#[test]
fn who_may_write_templates_may_look_at_them() {
    let server = Server::inbox();
    let key = server.new_key(&["--client", "default", "--permission", "templates:write"]);
    let headers = [("X-Api-Key", key.as_str())];
    put(&server, &key, &json!({"code": "hi", "subject": "Hi", "text": "Hi {{ name }}"})).expect(201);
    server.get_with("/api/templates", &headers).expect(200);
    server.get_with("/api/templates/hi", &headers).expect(200);
    let variables = json!({"variables": {"name": "Ann"}});
    server.post_with("/api/templates/hi/preview", &headers, &variables).expect(200);
    server.get_with("/api/emails", &headers).expect(403);
    let sender = server.new_key(&["--client", "default", "--permission", "emails:send"]);
    server.get_with("/api/templates", &[("X-Api-Key", sender.as_str())]).expect(403);
}

#[test]
fn variables_are_checked_against_the_schema_at_accept() {
    let server = Server::inbox();
    let key = server.templates_key();
    let template = json!({"code": "invoice", "name": "Invoice", "subject": "Invoice", "text": "{{ total }}",
        "variables_schema": {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}});
    put(&server, &key, &template).expect(201);
    let email = |variables: Value| json!({"from": "a@example.com", "to": "b@client.com", "template_code": "invoice", "variables": variables});
    server.post("/api/emails", &email(json!({"total": 5}))).expect(202);
    let problem = server.post("/api/emails", &email(json!({"total": "five"}))).expect(422).json();
    assert!(problem["errors"].to_string().contains("/variables/total"), "{problem:#}");
    server.post("/api/emails", &email(json!({}))).expect(422);
}

#[test]
fn a_syntax_fault_names_line_and_column() {
    let server = Server::inbox();
    let key = server.templates_key();
    let template =
        json!({"code": "bad", "name": "Bad", "subject": "s", "html": "<p>\n{{ oops </p>", "text": "t"});
    let problem = put(&server, &key, &template).expect(422).json();
    let fault = problem["errors"].to_string();
    assert!(fault.contains("/html") && fault.contains("line 2"), "{problem:#}");
}

/// The product's bound is 200 ms, which `bench/run refusals` measures. The median of a few leaves out a moment in which the
/// machine did other work; the rest is for a build without optimisations on a machine that runs other tests.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Has an email refused, at once; answers the faults.
#[track_caller]
fn refused_at_once(server: &Server, what: &str, email: &Value) -> String {
    let mut told = String::new();
    let mut waits = [Duration::ZERO; 5];
    for wait in &mut waits {
        let began = Instant::now();
        let answer = server.post("/api/emails", email);
        *wait = began.elapsed();
        assert_eq!(answer.status, 422, "{what}: {}", answer.text());
        told = answer.json()["errors"].to_string();
        assert!(told.len() < 20_000, "{what}: {} bytes of faults", told.len());
    }
    waits.sort_unstable();
    assert!(waits[2] < AT_ONCE, "{what} took {waits:?}");
    told
}

#[test]
fn a23_a_template_stays_in_its_sandbox() {
    let server = Server::inbox();
    let hostile = [
        "{% for a in range(1000000000) %}x{% endfor %}",
        "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
        "{% include 'self' %}",
        "{% extends 'self' %}",
        "{% import '/etc/passwd' as p %}",
        "{% include 'http://127.0.0.1/' %}",
        "{{ 'x' * 1000000000 }}",
        "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{{ env('PATH') }}",
        "{{ env }}",
        "{{ self.__class__.__mro__ }}",
        "{{ open('/etc/passwd') }}",
        "{{ undefined_thing }}",
    ];
    for text in hostile {
        let told = refused_at_once(&server, text, &email_to("user@client.com", text));
        assert!(told.contains("/text") || told.contains("/variables"), "{text}: {told}");
        assert!(!told.contains("root:"), "{text}: {told}");
    }
    for (open, shut) in [("(", ")"), ("[", "]"), ("not ", ""), ("a[", "]")] {
        let nested = format!("{{{{ {}1{} }}}}", open.repeat(5000), shut.repeat(5000));
        refused_at_once(&server, open, &email_to("user@client.com", &nested));
    }
    let blocks = format!("{}{}", "{% if 1 %}".repeat(5000), "{% endif %}".repeat(5000));
    refused_at_once(&server, "blocks", &email_to("user@client.com", &blocks));
    server.send(&email_to("user@client.com", "still alive"));
}

/// Everything here is in the language: what stops it is that each step and each byte is counted.
#[test]
fn a23_legal_work_without_end_is_refused_by_its_steps_and_its_size() {
    let server = Server::inbox();
    let around = |inside: &str| {
        let (open, shut) = (["{% for a in l %}"; 3].concat(), ["{% endfor %}"; 3].concat());
        format!("{open}{inside}{shut}")
    };
    let long = "y".repeat(100_000);
    // A billion rounds, with and without a text; a hundred megabytes in a thousand pieces; work in filters and
    // conditions alone.
    let rows = [
        ("rounds", around("x"), "steps"),
        ("empty rounds", around(""), "steps"),
        ("output", format!("{{% for a in l %}}{long}{{% endfor %}}"), "longer than"),
        ("filters", around("{{ s | upper | lower | replace('y', 'yy') | length }}"), "steps"),
        ("conditions", around("{% if a == 'b' or a in s %}x{% endif %}"), "steps"),
    ];
    for (what, text, why) in rows {
        let email = json!({"from": "a@example.com", "to": "b@client.com", "subject": "s", "text": text,
            "variables": {"l": vec!["item"; 1000], "s": long}});
        let told = refused_at_once(&server, what, &email);
        assert!(told.contains(why), "{what}: {told}");
    }
}

#[test]
fn a23_a_variable_is_escaped_wherever_it_stands_in_html() {
    let server = Server::inbox();
    let html = "<p title=\"{{ v }}\"><a href=\"https://a.example/?q={{ v }}\">{{ v }}</a></p>";
    let email = json!({"from": "a@example.com", "to": "b@client.com", "subject": "s", "html": html,
        "variables": {"v": "\"><script>alert('1')</script>&"}});
    let id = server.send(&email);
    let content = server.get(&format!("/api/emails/{id}/content")).expect(200).json();
    let shown = content["html"].as_str().expect("HTML");
    assert!(!shown.contains("<script") && !shown.contains("('1')"), "{shown}");
    assert_eq!(shown.matches("&quot;&gt;&lt;script&gt;").count(), 3, "{shown}");
}

#[test]
fn a23_a_variable_is_never_rendered_as_a_template() {
    let server = Server::inbox();
    let email = json!({"from": "a@example.com", "to": "b@client.com", "subject": "{{ v }}", "text": "{{ v }}",
        "variables": {"v": "{{ 6 * 7 }}{% for %}"}});
    let id = server.send(&email);
    let content = server.get(&format!("/api/emails/{id}/content")).expect(200).json();
    assert_eq!(content["text"], "{{ 6 * 7 }}{% for %}");
}
