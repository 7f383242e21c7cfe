//! Microsoft Graph as it behaves: tokens, sendMail as JSON and MIME, drafts with upload sessions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD as BASE64, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{assert_is_full, full, options, small};
use crate::harness::provider::{Answer, Provider, Request, Trouble};
use crate::harness::{Server, ServerOptions, eventually};
use crate::mail_proxy;

const USER: &str = "/v1.0/users/noreply@example.com";

pub fn is_send(request: &Request) -> bool {
    request.path.ends_with("/sendMail") || (request.method == "POST" && request.path.ends_with("/send"))
}

/// What the stand-in remembers.
#[derive(Default)]
pub struct Tenant {
    tokens: usize,
    /// Tokens given before this number are refused.
    good_from: usize,
    roles: Vec<&'static str>,
    drafts: usize,
    /// Bytes uploaded so far, by session: and how many there will be.
    uploads: HashMap<String, (Vec<u8>, usize)>,
    pub files: Vec<Vec<u8>>,
}

pub fn start() -> Provider {
    start_with(vec!["Mail.Send", "Mail.ReadWrite"]).0
}

pub fn start_with(roles: Vec<&'static str>) -> (Provider, Arc<Mutex<Tenant>>) {
    let tenant = Arc::new(Mutex::new(Tenant { roles, ..Tenant::default() }));
    let inside = Arc::clone(&tenant);
    let own = Arc::new(Mutex::new(String::new()));
    let url = Arc::clone(&own);
    let provider = Provider::start(is_send, move |request| {
        let base = url.lock().expect("a url").clone();
        judge(request, &mut inside.lock().expect("a tenant"), &base)
    });
    *own.lock().expect("a url") = provider.url();
    (provider, tenant)
}

pub fn options_for(provider: &Provider) -> ServerOptions {
    options()
        .env("MICROSOFT_TENANT_ID", "tenant-1")
        .env("MICROSOFT_CLIENT_ID", "app-1")
        .env("MICROSOFT_CLIENT_SECRET", "app-secret")
        .env("MICROSOFT_LOGIN_URL", provider.url())
        .env("MICROSOFT_GRAPH_URL", provider.url())
}

fn error(status: u16, code: &str, message: &str) -> Answer {
    let body = json!({"error": {"code": code, "message": message, "innerError": {"request-id": "r-1"}}});
    Answer::new(status, body.to_string())
}

/// What Microsoft answers.
fn judge(request: &Request, tenant: &mut Tenant, base: &str) -> Answer {
    if request.path.ends_with("/oauth2/v2.0/token") {
        return login(request, tenant, base);
    }
    if let Some(session) = request.path.strip_prefix("/upload/") {
        return upload(request, tenant, session);
    }
    let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    let number = token.and_then(|token| token.rsplit('-').next()?.parse::<usize>().ok());
    if number.is_none_or(|number| number < tenant.good_from) {
        return error(401, "InvalidAuthenticationToken", "Access token is missing or expired.");
    }
    if !tenant.roles.contains(&"Mail.Send") {
        return error(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.");
    }
    let Some(path) = request.path.strip_prefix("/v1.0/users/").and_then(|path| path.split_once('/')) else {
        let exists = request.path.starts_with(USER);
        return if exists {
            Answer::new(200, r#"{"id":"u"}"#)
        } else {
            error(404, "Request_ResourceNotFound", "no")
        };
    };
    match (request.method.as_str(), path.1) {
        ("POST", "sendMail") => send_mail(request),
        ("POST", "messages") => {
            tenant.drafts += 1;
            match message(&request.json()) {
                Ok(()) => Answer::new(201, json!({"id": format!("draft={}", tenant.drafts)}).to_string()),
                Err(refused) => refused,
            }
        }
        ("DELETE", _) => Answer::new(204, ""),
        ("POST", path) if path.ends_with("/createUploadSession") => {
            let item = &request.json()["AttachmentItem"];
            let size = item["size"].as_u64().unwrap_or(0) as usize;
            if item["attachmentType"] != "file" || !item["name"].is_string() || size < 3_000_000 {
                return error(400, "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize", "too small");
            }
            let name = format!("s{}", tenant.uploads.len());
            tenant.uploads.insert(name.clone(), (Vec::new(), size));
            let opened = json!({"uploadUrl": format!("{base}/upload/{name}"), "nextExpectedRanges": ["0-"]});
            Answer::new(201, opened.to_string())
        }
        ("POST", path) if path.ends_with("/attachments") => {
            let file = request.json();
            if file["@odata.type"] != "#microsoft.graph.fileAttachment" || request.body.len() > 4_000_000 {
                return error(400, "ErrorInvalidRequest", "no file");
            }
            tenant
                .files
                .push(BASE64.decode(file["contentBytes"].as_str().unwrap_or_default()).unwrap_or_default());
            Answer::new(201, "{}")
        }
        ("POST", path) if path.ends_with("/send") => {
            if request.header("content-length") != Some("0") {
                return error(411, "LengthRequired", "Content-Length: 0");
            }
            Answer::new(202, "")
        }
        _ => error(404, "ResourceNotFound", "no such path"),
    }
}

fn login(request: &Request, tenant: &mut Tenant, base: &str) -> Answer {
    let form = String::from_utf8_lossy(&request.body).into_owned();
    let has = |pair: &str| form.split('&').any(|one| one == pair);
    let scope = format!("scope={}%2F.default", base.replace(':', "%3A").replace('/', "%2F"));
    if !has("grant_type=client_credentials") || !has(&scope) {
        return Answer::new(400, r#"{"error":"invalid_request"}"#);
    }
    if !has("client_secret=app-secret") && !has("client_secret=client-own-secret") {
        let said = json!({"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided.\r\nTrace"});
        return Answer::new(401, said.to_string());
    }
    tenant.tokens += 1;
    let claims = URL_SAFE_NO_PAD.encode(json!({"roles": tenant.roles}).to_string());
    let token = format!("e30.{claims}.x-{}", tenant.tokens);
    let said =
        json!({"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token});
    Answer::new(200, said.to_string())
}

/// A message as JSON.
fn message(message: &Value) -> Result<(), Answer> {
    if !message["subject"].is_string()
        || !["HTML", "Text"].iter().any(|kind| message["body"]["contentType"] == *kind)
    {
        return Err(error(400, "ErrorInvalidRequest", "subject and body"));
    }
    let mut count = 0;
    for list in ["toRecipients", "ccRecipients", "bccRecipients"] {
        for one in message[list].as_array().into_iter().flatten() {
            count += 1;
            let address = one["emailAddress"]["address"].as_str().unwrap_or_default();
            if !address.contains('@') || address.starts_with("refused") {
                return Err(error(400, "ErrorInvalidRecipients", &format!("invalid: {address}")));
            }
        }
    }
    if count == 0 {
        return Err(error(400, "ErrorInvalidRecipients", "At least one recipient isn't valid."));
    }
    let headers = message["internetMessageHeaders"].as_array().cloned().unwrap_or_default();
    let is_own = |one: &Value| one["name"].as_str().is_some_and(|name| name.to_lowercase().starts_with("x-"));
    if headers.len() > 5 || !headers.iter().all(is_own) {
        return Err(error(400, "InvalidInternetMessageHeaderCollection", "headers"));
    }
    Ok(())
}

fn send_mail(request: &Request) -> Answer {
    if request.body.len() > 4_000_000 {
        return error(413, "RequestEntityTooLarge", "too large");
    }
    match request.header("content-type") {
        Some("application/json") => {
            let body = request.json();
            let large =
                |file: &Value| file["contentBytes"].as_str().is_some_and(|text| text.len() >= 4_000_000);
            if body["message"]["attachments"].as_array().into_iter().flatten().any(large) {
                return error(413, "ErrorMessageSizeExceeded", "too large");
            }
            message(&body["message"]).map_or_else(|refused| refused, |()| Answer::new(202, ""))
        }
        Some("text/plain") => {
            let Ok(mime) = BASE64.decode(&request.body) else {
                return error(400, "ErrorMimeContentInvalidBase64String", "no base64");
            };
            let text = String::from_utf8_lossy(&mime).into_owned();
            if text.contains("refused@") {
                return error(400, "ErrorInvalidRecipients", "invalid: refused@client.com");
            }
            Answer::new(202, "")
        }
        _ => error(415, "UnsupportedMediaType", "json or text/plain"),
    }
}

fn upload(request: &Request, tenant: &mut Tenant, session: &str) -> Answer {
    if request.header("authorization").is_some() {
        return error(401, "Unauthorized", "no Authorization here");
    }
    let Some((got, size)) = tenant.uploads.get_mut(session) else {
        return error(404, "itemNotFound", "gone");
    };
    let from = got.len();
    let expected = format!("bytes {from}-{}/{size}", from + request.body.len() - 1);
    if request.header("content-range") != Some(&expected) || request.body.len() >= 4 * 1024 * 1024 {
        return error(416, "invalidRange", &expected);
    }
    got.extend_from_slice(&request.body);
    if got.len() == *size {
        tenant.files.push(got.clone());
        return Answer::new(201, "").header("Location", "https://outlook.office.com/x");
    }
    let next = json!({"nextExpectedRanges": [format!("{}-", got.len())]});
    Answer::new(200, next.to_string())
}

/// The MIME of a request.
fn mime(request: &Request) -> Vec<u8> {
    assert_eq!(request.header("content-type"), Some("text/plain"));
    BASE64.decode(&request.body).expect("base64")
}

#[test]
fn what_json_can_say_goes_as_json() {
    let provider = start();
    let server = Server::start(options_for(&provider));
    let id = server.send(&small());
    server.wait_status(&id, "sent");
    let request = &provider.wait_for(1)[0];
    assert_eq!(request.path, format!("{USER}/sendMail"));
    let body = request.json();
    assert_eq!(body["saveToSentItems"], false);
    assert_eq!(body["message"]["body"], json!({"contentType": "Text", "content": "Hello"}));
    assert_eq!(body["message"]["toRecipients"], json!([{"emailAddress": {"address": "ann@client.com"}}]));
    assert_eq!(body["message"]["internetMessageHeaders"][0], json!({"name": "X-Posthaste-Id", "value": id}));
}

#[test]
fn what_only_mime_can_say_goes_as_mime_with_its_blind_copies() {
    let provider = start();
    let server = Server::start(options_for(&provider));
    let id = server.send(&full());
    server.wait_status(&id, "sent");
    let mime = mime(&provider.wait_for(1)[0]);
    assert_is_full(&mime);
    assert!(mime.starts_with(b"Bcc: blind@client.com\r\n"));
}

#[test]
fn large_files_go_by_upload_sessions() {
    let (provider, tenant) = start_with(vec!["Mail.Send", "Mail.ReadWrite"]);
    let server =
        Server::start(options_for(&provider).env("POSTHASTE_ATTACHMENTS__ENFORCE_EVERYWHERE", "false"));
    let content = [&b"%PDF-1.4\n"[..], &vec![b'x'; 9_000_000]].concat();
    let mut email = small();
    email["attachments"] = json!([
        {"filename": "large.pdf", "mime": "application/pdf", "content_base64": BASE64.encode(&content)},
        {"filename": "small.txt", "mime": "text/plain", "content_base64": BASE64.encode("small")},
    ]);
    let id = server.send(&email);
    server.wait_status(&id, "sent");
    let files = tenant.lock().expect("a tenant").files.clone();
    assert_eq!(files.iter().map(Vec::len).collect::<Vec<_>>(), [content.len(), 5]);
    assert!(files[0] == content, "the file arrived whole");
    assert!(provider.wait_for(1)[0].path.ends_with("/messages/draft%3D1/send"));
}

#[test]
fn one_token_serves_many_and_an_expired_one_is_fetched_anew_once() {
    let (provider, tenant) = start_with(vec!["Mail.Send"]);
    let server = Server::start(options_for(&provider));
    let mails: Vec<String> = (0..20).map(|_| server.send(&small())).collect();
    for id in &mails {
        server.wait_status(id, "sent");
    }
    assert_eq!(tenant.lock().expect("a tenant").tokens, 1);
    tenant.lock().expect("a tenant").good_from = 2;
    let id = server.send(&small());
    assert_eq!(server.wait_status(&id, "sent")["retries"], 0);
    assert_eq!(tenant.lock().expect("a tenant").tokens, 2);
    assert_eq!(provider.offered().len(), 22, "the refused one and its repetition");
}

#[test]
fn an_acceptance_is_final_whatever_its_headers_say() {
    let provider = start();
    let server = Server::start(options_for(&provider));
    provider.next([Trouble::Say(Answer::new(202, "").header("Retry-After", "1"))]);
    let id = server.send(&small());
    server.wait_status(&id, "sent");
    let second = server.send(&small());
    server.wait_status(&second, "sent");
    assert_eq!(provider.offered().len(), 2);
}

#[test]
fn the_organizations_mail_goes_by_the_clients_own_application() {
    let (provider, _tenant) = start_with(vec!["Mail.Send"]);
    let server = Server::start(
        options()
            .env("ORG_DOMAINS", "example.com")
            .env("MICROSOFT_LOGIN_URL", provider.url())
            .env("MICROSOFT_GRAPH_URL", provider.url()),
    );
    let admin = mail_proxy::token(&server, "default", &["admin"]);
    let config = json!({
        "sender_email": "noreply@example.com", "ms_tenant_id": "theirs", "ms_client_id": "app-2",
        "ms_client_secret": "client-own-secret",
    });
    mail_proxy::post(&server, &admin, "/auth/sender-config", &config).expect(201);
    let id = mail_proxy::sent(&server, &admin, &mail_proxy::mail());
    eventually("the mail is sent", || {
        let status = mail_proxy::get(&server, &admin, &format!("/mail/status/{id}")).expect(200).json();
        (status["status"] == "sent").then_some(())
    });
    let token =
        provider.requests().into_iter().find(|request| request.path.contains("/token")).expect("a login");
    assert_eq!(token.path, "/theirs/oauth2/v2.0/token");
    assert!(String::from_utf8_lossy(&token.body).contains("client_id=app-2"));
    assert_eq!(provider.wait_for(1)[0].json()["message"]["subject"], "Hello");
    assert!(!server.stderr().contains("client-own-secret"));
}

#[test]
fn legacy_mail_over_smtp_goes_as_it_came() {
    let provider = start();
    let server = Server::start(options_for(&provider).env("ORG_DOMAINS", "example.com"));
    let mut session = crate::smtp_ingress::session(&server);
    session.say("MAIL FROM:<noreply@example.com>").expect("250");
    session.say("RCPT TO:<ann@client.com>").expect("250");
    session.say("RCPT TO:<blind@client.com>").expect("250");
    session.say("DATA").expect("354");
    let message = "From: Old <noreply@example.com>\r\nTo: Ann <ann@client.com>\r\nSubject: Old mail\r\n\
        X-Mailer: ancient\r\n\r\nHello\r\n";
    session.say(&format!("{message}.")).id();
    let mime = mime(&provider.wait_for(1)[0]);
    let text = String::from_utf8_lossy(&mime);
    assert!(text.starts_with("Bcc: blind@client.com\r\nReceived: "), "{text}");
    assert!(text.ends_with(message), "{text}");
}
