//! Each fault is told once, at the place where it stands in the request.

use serde_json::{Value, json};

use super::{email_to, with};
use crate::harness::Server;

/// Field and code of every fault, in order.
fn told(problem: &Value) -> Vec<(String, String)> {
    let errors = problem["errors"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    errors.iter().map(|error| (text(&error["field"]), text(&error["code"]))).collect()
}

#[track_caller]
fn assert_told(problem: &Value, wanted: &[(&str, &str)]) {
    let mut found = told(problem);
    let mut wanted: Vec<(String, String)> =
        wanted.iter().map(|(field, code)| ((*field).to_owned(), (*code).to_owned())).collect();
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted, "{problem:#}");
}

#[test]
fn faults_behind_unreadable_elements_keep_their_place_and_are_told_once() {
    let server = Server::inbox();
    let patch = json!({
        "to": [1, {"email": 2}, "zz", {"name": "no address"}],
        "cc": true,
        "bcc": "qq",
        "reply_to": ["a@b.com", "rr"],
        "attachments": [5, {}, {"filename": "a.txt", "content_base64": "@@"}],
    });
    let problem = server.post("/api/emails", &with(email_to("x@y.com", "x"), patch)).expect(422).json();
    assert_told(
        &problem,
        &[
            ("/to/0", "invalid_type"),
            ("/to/1/email", "invalid_type"),
            ("/to/2", "invalid_email"),
            ("/to/3/email", "required"),
            ("/cc", "invalid_type"),
            ("/bcc", "invalid_email"),
            ("/reply_to/1", "invalid_email"),
            ("/attachments/0", "invalid_type"),
            ("/attachments/1/filename", "required"),
            ("/attachments/1/content_base64", "required"),
            ("/attachments/2/content_base64", "invalid_base64"),
        ],
    );
}

#[test]
fn what_is_missing_hides_no_fault_of_what_is_there() {
    let server = Server::inbox();
    let email =
        json!({"from": "a@example.com", "to": "b@client.com", "text": "Halo {{ name }}", "html": "{{ oops"});
    let problem = server.post("/api/emails", &email).expect(422).json();
    assert_told(
        &problem,
        &[("/subject", "required"), ("/variables/name", "missing_variable"), ("/html", "template_syntax")],
    );
}

#[test]
fn the_sender_and_its_domain_are_both_judged() {
    let server = Server::inbox();
    let patch = json!({"from": "nonsense", "domain": "not a domain"});
    let problem = server.post("/api/emails", &with(email_to("x@y.com", "x"), patch)).expect(422).json();
    assert_told(&problem, &[("/from", "invalid_email"), ("/domain", "invalid_domain")]);
}

#[test]
fn a_request_that_is_no_object_has_one_fault() {
    let server = Server::inbox();
    for body in ["[]", "null", "7", "\"x\""] {
        let problem = server.post_raw("/api/emails", &[], body.as_bytes()).expect(422).json();
        assert_told(&problem, &[("", "invalid_type")]);
        assert_eq!(problem["code"], "invalid_type");
    }
}

#[test]
fn an_atomic_batch_names_the_email_and_the_place_in_it() {
    let server = Server::inbox();
    let batch = json!({"emails": [
        email_to("user@client.com", "x"),
        with(email_to("x@y.com", "x"), json!({"to": "zz"})),
        with(email_to("x@y.com", "x"), json!({"to": ["a@b.com", 5, "zz"]})),
    ]});
    let problem = server.post("/api/emails/batch?atomic=true", &batch).expect(422).json();
    assert_told(
        &problem,
        &[
            ("/emails/1/to", "invalid_email"),
            ("/emails/2/to/1", "invalid_type"),
            ("/emails/2/to/2", "invalid_email"),
        ],
    );
    let problem = server.post("/api/emails/batch", &json!({"x": 1, "y": 2})).expect(422).json();
    assert_told(&problem, &[("/emails", "required"), ("/x", "unknown_field"), ("/y", "unknown_field")]);
}

#[test]
fn a_line_break_anywhere_in_metadata_is_refused() {
    let server = Server::inbox();
    let deep = with(email_to("x@y.com", "x"), json!({"metadata": {"a": {"b": ["x\r\ny"]}}}));
    let problem = server.post("/api/emails", &deep).expect(422).json();
    assert_told(&problem, &[("/metadata/a", "control_character")]);
}

#[test]
fn a_name_is_told_from_its_address() {
    let server = Server::inbox();
    let patch = json!({
        "to": [{"email": "a@b.com", "name": "x".repeat(257)}, {"email": "c@b.com", "name": "x\ny"}],
        "cc": {"email": "nobody", "name": "x"},
    });
    let problem = server.post("/api/emails", &with(email_to("x@y.com", "x"), patch)).expect(422).json();
    let told = [("/to/0", "too_long"), ("/to/1", "control_character"), ("/cc", "invalid_email")];
    assert_told(&problem, &told);
}

#[test]
fn two_idempotency_keys_are_refused() {
    let server = Server::inbox();
    let headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")];
    let problem = server.post_with("/api/emails", &headers, &email_to("x@y.com", "x")).expect(422).json();
    assert_told(&problem, &[("/idempotency_key", "invalid_idempotency_key")]);
}
