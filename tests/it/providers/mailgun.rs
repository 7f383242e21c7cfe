//! Mailgun as it behaves.

use serde_json::json;

use super::{assert_is_full, full, options};
use crate::harness::provider::{Answer, Provider, Request};
use crate::harness::{Server, ServerOptions};

pub fn is_send(request: &Request) -> bool {
    request.path == "/v3/mg.example.com/messages.mime"
}

pub fn start() -> Provider {
    let mut count = 0;
    Provider::start(is_send, move |request| {
        count += 1;
        match judge(request) {
            Ok(()) => {
                let said =
                    json!({"id": format!("<{count}@mg.example.com>"), "message": "Queued. Thank you."});
                Answer::new(200, said.to_string())
            }
            Err((401, message)) => Answer::new(401, message),
            Err((status, message)) => Answer::new(status, json!({"message": message}).to_string()),
        }
    })
}

pub fn options_for(provider: &Provider) -> ServerOptions {
    options()
        .env("MAILGUN_API_KEY", "key-1")
        .env("MAILGUN_DOMAIN", "mg.example.com")
        .env("MAILGUN_BASE_URL", provider.url())
}

/// A field of a form: name, file name, value.
type Field = (String, Option<String>, Vec<u8>);

/// The fields of a form.
fn form(request: &Request) -> Option<Vec<Field>> {
    let boundary = request.header("content-type")?.strip_prefix("multipart/form-data; boundary=")?;
    let delimiter = format!("--{boundary}");
    let mut fields = Vec::new();
    let mut rest = request.body.strip_prefix(delimiter.as_bytes())?;
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let end = find(part, format!("\r\n{delimiter}").as_bytes())?;
        let (part, behind) = (&part[..end], &part[end + 2 + delimiter.len()..]);
        let head = find(part, b"\r\n\r\n")?;
        let text = String::from_utf8_lossy(&part[..head]).into_owned();
        let word = |name: &str| {
            let from = text.find(&format!("{name}=\""))? + name.len() + 2;
            text[from..].split('"').next().map(str::to_owned)
        };
        fields.push((word("; name")?, word("filename"), part[head + 4..].to_vec()));
        rest = behind;
    }
    (rest == b"--\r\n").then_some(fields)
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// What Mailgun refuses.
fn judge(request: &Request) -> Result<(), (u16, String)> {
    // api:key-1
    if request.header("authorization") != Some("Basic YXBpOmtleS0x") {
        return Err((401, "Forbidden".into()));
    }
    if !is_send(request) {
        return Err((404, "Domain not found".into()));
    }
    let fields = form(request).ok_or((400, "the form cannot be read".to_owned()))?;
    let to: Vec<String> = fields
        .iter()
        .filter(|(name, ..)| name == "to")
        .map(|(_, _, value)| String::from_utf8_lossy(value).into_owned())
        .collect();
    if to.is_empty() {
        return Err((400, "to parameter is missing".into()));
    }
    if let Some(bad) = to.iter().find(|address| !address.contains('@') || address.starts_with("refused")) {
        return Err((400, format!("'{bad}' is not a valid address. please check documentation")));
    }
    match fields.iter().find(|(name, ..)| name == "message") {
        Some((_, Some(_), message)) if !message.is_empty() => Ok(()),
        _ => Err((400, "message parameter is missing".into())),
    }
}

#[test]
fn the_message_arrives_as_it_is_and_everyone_is_on_the_envelope() {
    let provider = start();
    let server = Server::start(options_for(&provider));
    let id = server.send(&full());
    let email = server.wait_status(&id, "sent");
    assert_eq!(email["provider_message_id"], "1@mg.example.com", "{email:#}");
    let fields = form(&provider.wait_for(1)[0]).expect("a form");
    let of = |wanted: &str| -> Vec<String> {
        let of = fields.iter().filter(|(name, ..)| name == wanted);
        of.map(|(_, _, value)| String::from_utf8_lossy(value).into_owned()).collect()
    };
    assert_eq!(of("to"), ["ann@client.com", "bob@client.com", "cc@client.com", "blind@client.com"]);
    assert_eq!((of("v:posthaste_id"), of("o:tag")), (vec![id], vec!["welcome".to_owned()]));
    let (_, _, message) = fields.iter().find(|(name, ..)| name == "message").expect("the message");
    assert_is_full(message);
    assert!(find(message, b"blind@client.com").is_none(), "a blind copy is named nowhere in the message");
}
