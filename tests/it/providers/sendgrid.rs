//! SendGrid as it behaves.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::{full, options};
use crate::harness::provider::{Answer, Provider, Request};
use crate::harness::{Server, ServerOptions};

pub fn is_send(request: &Request) -> bool {
    request.path == "/v3/mail/send"
}

pub fn start() -> Provider {
    let mut count = 0;
    Provider::start(is_send, move |request| {
        count += 1;
        judge(request).map_or_else(
            |(status, message, field)| {
                let error = json!({"errors": [{"message": message, "field": field, "help": null}]});
                Answer::new(status, error.to_string())
            },
            |()| Answer::new(202, "").header("X-Message-Id", format!("sg-{count}")),
        )
    })
}

pub fn options_for(provider: &Provider) -> ServerOptions {
    options().env("SENDGRID_API_KEY", "SG.key").env("SENDGRID_BASE_URL", provider.url())
}

type Refusal = (u16, &'static str, Option<String>);

/// What SendGrid refuses.
fn judge(request: &Request) -> Result<(), Refusal> {
    let bad = |message, field: Option<&str>| Err((400, message, field.map(str::to_owned)));
    if request.method != "POST" {
        return Err((405, "method not allowed", None));
    }
    if request.header("authorization") != Some("Bearer SG.key") {
        return Err((401, "The provided authorization grant is invalid, expired, or revoked", None));
    }
    if request.header("content-type") != Some("application/json") {
        return Err((415, "unsupported", None));
    }
    let body = request.json();
    let mut seen = HashSet::new();
    let personalizations = body["personalizations"].as_array().cloned().unwrap_or_default();
    if personalizations.is_empty() || personalizations.len() > 1000 {
        return bad("personalizations", Some("personalizations"));
    }
    for (number, one) in personalizations.iter().enumerate() {
        if one["to"].as_array().is_none_or(Vec::is_empty) {
            return bad("The to array is required", Some(&format!("personalizations.{number}.to")));
        }
        for list in ["to", "cc", "bcc"] {
            for (at, to) in one[list].as_array().into_iter().flatten().enumerate() {
                let field = format!("personalizations.{number}.{list}.{at}.email");
                let address = to["email"].as_str().unwrap_or_default();
                if !address.contains('@') || address.starts_with("refused") {
                    return bad("Does not contain a valid address.", Some(&field));
                }
                if !seen.insert(address.to_lowercase()) {
                    return bad("Each email address should be unique", Some("personalizations"));
                }
            }
        }
    }
    if body["from"]["email"].as_str().is_none_or(|from| !from.contains('@')) {
        return bad("The from email does not contain a valid address.", Some("from.email"));
    }
    if body["subject"].as_str().is_none_or(str::is_empty) {
        return bad("The subject is required.", Some("subject"));
    }
    judge_content(&body)
}

fn judge_content(body: &Value) -> Result<(), Refusal> {
    let bad = |message, field: &str| Err((400, message, Some(field.to_owned())));
    let content = body["content"].as_array().cloned().unwrap_or_default();
    let types: Vec<&str> = content.iter().filter_map(|one| one["type"].as_str()).collect();
    if content.is_empty() || content.iter().any(|one| one["value"].as_str().is_none_or(str::is_empty)) {
        return bad(
            "The content value must be a string at least one character in length.",
            "content.0.value",
        );
    }
    let rank = |kind: &str| ["text/plain", "text/html"].iter().position(|one| *one == kind).unwrap_or(2);
    if !types.is_sorted_by_key(|kind| rank(kind)) {
        return bad("If present, text/plain and text/html may only be provided first.", "content");
    }
    for file in body["attachments"].as_array().into_iter().flatten() {
        let has = |name: &str| file[name].as_str().is_some_and(|text| !text.is_empty());
        if !has("content") || !has("filename") || (file["disposition"] == "inline" && !has("content_id")) {
            return bad("attachments", "attachments.0");
        }
    }
    for (name, value) in body["headers"].as_object().into_iter().flatten() {
        let reserved =
            ["received", "dkim-signature", "content-type", "to", "from", "subject", "reply-to", "cc", "bcc"];
        if reserved.contains(&&*name.to_lowercase()) || !value.is_string() {
            return bad("reserved header", "headers");
        }
    }
    let args = body["custom_args"].as_object().cloned().unwrap_or_default();
    if args.values().any(|value| !value.is_string()) {
        return bad("custom_args must be strings", "custom_args");
    }
    Ok(())
}

#[test]
fn every_field_arrives() {
    let provider = start();
    let server = Server::start(options_for(&provider));
    let id = server.send(&full());
    let email = server.wait_status(&id, "sent");
    assert_eq!(email["provider_message_id"], "sg-1", "{email:#}");
    assert_eq!(email["provider"], "sendgrid");
    let body = provider.wait_for(1)[0].json();
    let everyone = json!([{
        "to": [{"email": "ann@client.com", "name": "Ann"}, {"email": "bob@client.com"}],
        "cc": [{"email": "cc@client.com"}],
        "bcc": [{"email": "blind@client.com"}],
    }]);
    assert_eq!(body["personalizations"], everyone);
    assert_eq!(body["from"], json!({"email": "noreply@example.com", "name": "Example"}));
    assert_eq!(body["reply_to"], json!({"email": "desk@example.com"}));
    assert_eq!((&body["subject"], &body["custom_args"]["posthaste_id"]), (&json!("Grüße"), &json!(id)));
    assert_eq!(body["content"][0], json!({"type": "text/plain", "value": "Something else"}));
    assert!(body["content"][1]["value"].as_str().is_some_and(|html| html.contains("cid:logo")));
    assert_eq!(body["headers"]["X-Campaign"], "spring");
    assert!(body["headers"]["Message-ID"].is_string());
    assert_eq!(body["categories"], json!(["welcome"]));
    let files = body["attachments"].as_array().expect("files");
    let pdf = files.iter().find(|file| file["filename"] == "a.pdf").expect("the file");
    assert_eq!((&pdf["content"], &pdf["disposition"]), (&json!("JVBERi0xLjQK"), &json!("attachment")));
    let logo = files.iter().find(|file| file["filename"] == "logo.png").expect("the picture");
    assert_eq!((&logo["content_id"], &logo["disposition"]), (&json!("logo"), &json!("inline")));
}
