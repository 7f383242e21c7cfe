//! Amazon SES as it behaves: it recomputes the signature.

use std::time::Duration;

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::{assert_is_full, full, options, small};
use crate::harness::provider::{Answer, Provider, Request, Trouble};
use crate::harness::{Server, ServerOptions, eventually, soon};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const PATH: &str = "/v2/email/outbound-emails";

pub fn is_send(request: &Request) -> bool {
    request.path == PATH
}

pub fn start() -> Provider {
    let mut count = 0;
    Provider::start(is_send, move |request| {
        count += 1;
        match judge(request) {
            Ok(()) => Answer::new(200, json!({"MessageId": format!("ses-{count}")}).to_string()),
            Err((status, kind, message)) => {
                Answer::new(status, json!({"message": message}).to_string()).header("x-amzn-ErrorType", kind)
            }
        }
    })
}

pub fn options_for(provider: &Provider) -> ServerOptions {
    options()
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", SECRET)
        .env("AWS_SESSION_TOKEN", "session")
        .env("SES_CONFIGURATION_SET", "events")
        .env("SES_BASE_URL", provider.url())
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// The signature that the request should bear, by the headers that it says are signed.
fn signature(request: &Request, scope: &str, names: &str) -> Option<String> {
    let mut headers = String::new();
    for name in names.split(';') {
        headers.push_str(&format!("{name}:{}\n", request.header(name)?));
    }
    let canonical =
        format!("{}\n{}\n\n{headers}\n{names}\n{}", request.method, request.path, sha256(&request.body));
    let time = request.header("x-amz-date")?;
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for step in scope.split('/') {
        key = mac(&key, step);
    }
    Some(hex(&mac(&key, &text)))
}

/// What SES refuses.
fn judge(request: &Request) -> Result<(), (u16, &'static str, String)> {
    let refuse = |status, kind, message: &str| Err((status, kind, message.to_owned()));
    let authorization = request.header("authorization").unwrap_or_default();
    let parts = authorization.strip_prefix("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/");
    let Some((scope, rest)) = parts.and_then(|rest| rest.split_once(", SignedHeaders=")) else {
        return refuse(403, "InvalidClientTokenId", "The security token included in the request is invalid");
    };
    let (names, signed) = rest.split_once(", Signature=").unwrap_or_default();
    let day = request.header("x-amz-date").and_then(|time| time.get(..8)).unwrap_or_default();
    let is_whole = ["host", "x-amz-date", "x-amz-security-token"]
        .iter()
        .all(|name| names.split(';').any(|n| n == *name));
    if scope != format!("{day}/eu-west-1/ses/aws4_request")
        || !is_whole
        || signature(request, scope, names).as_deref() != Some(signed)
    {
        return refuse(403, "SignatureDoesNotMatch", "The request signature we calculated does not match");
    }
    let body = request.json();
    if body["Content"]["Raw"]["Data"]
        .as_str()
        .and_then(|data| BASE64.decode(data).ok())
        .is_none_or(|m| m.is_empty())
    {
        return refuse(400, "BadRequestException", "Raw message is missing");
    }
    let mut count = 0;
    for list in ["ToAddresses", "CcAddresses", "BccAddresses"] {
        for address in body["Destination"][list].as_array().into_iter().flatten() {
            count += 1;
            let address = address.as_str().unwrap_or_default();
            if !address.contains('@') || !address.is_ascii() || address.starts_with("refused") {
                return refuse(400, "BadRequestException", &format!("Illegal address: {address}"));
            }
        }
    }
    if count == 0 || count > 50 {
        return refuse(400, "BadRequestException", "Recipient count exceeds 50");
    }
    if body["ConfigurationSetName"] != "events" {
        return refuse(404, "NotFoundException", "Configuration set does not exist");
    }
    Ok(())
}

#[test]
fn the_message_arrives_as_it_is_and_everyone_is_on_the_envelope() {
    let provider = start();
    let server = Server::start(options_for(&provider));
    let id = server.send(&full());
    let email = server.wait_status(&id, "sent");
    assert_eq!(email["provider_message_id"], "ses-1", "{email:#}");
    let body = provider.wait_for(1)[0].json();
    let everyone = json!({
        "ToAddresses": ["ann@client.com", "bob@client.com"],
        "CcAddresses": ["cc@client.com"],
        "BccAddresses": ["blind@client.com"],
    });
    assert_eq!(body["Destination"], everyone);
    assert_eq!(body["FromEmailAddress"], "noreply@example.com");
    assert_eq!(body["EmailTags"], json!([{"Name": "posthaste_id", "Value": id}]));
    let raw = BASE64.decode(body["Content"]["Raw"]["Data"].as_str().expect("a message")).expect("base64");
    assert_is_full(&raw);
}

#[test]
fn a_wrong_clock_is_put_right_by_the_answer() {
    let provider = start();
    let server = Server::start(options_for(&provider));
    let expired = Answer::new(400, r#"{"message":"Signature expired"}"#)
        .header("x-amzn-ErrorType", "RequestExpired")
        .header("Date", "Wed, 01 Jan 2031 00:00:00 GMT");
    provider.next([Trouble::Say(expired)]);
    let id = server.send(&small());
    let email = server.wait_status(&id, "sent");
    assert_eq!(email["retries"], 0, "within the same attempt");
    let offered = provider.offered();
    let signed_at = offered[1].header("x-amz-date").expect("a date");
    assert!(signed_at.starts_with("20310101T0000"), "{signed_at}");
}

/// Everyone that the requests taken were for, in their order.
fn envelopes(provider: &Provider) -> Vec<Vec<String>> {
    let to = |request: &Request| {
        let list = request.json()["Destination"]["ToAddresses"].as_array().cloned().unwrap_or_default();
        list.iter().filter_map(|address| address.as_str().map(str::to_owned)).collect()
    };
    provider.taken().iter().map(to).collect()
}

fn to_many(count: usize) -> (Vec<String>, Value) {
    let everyone: Vec<String> = (0..count).map(|n| format!("r{n}@client.com")).collect();
    let mut email = small();
    email["to"] = json!(everyone);
    (everyone, email)
}

fn all_sent(server: &Server, id: &str) -> Value {
    eventually("everyone has it", || {
        let email = server.email(id);
        let recipients = email["recipients"].as_array().cloned().unwrap_or_default();
        recipients.iter().all(|one| one["status"] == "sent").then_some(email)
    })
}

#[test]
fn more_recipients_than_one_request_takes_go_in_several() {
    let provider = start();
    let server = Server::start(options_for(&provider).env("POSTHASTE_LIMITS__RECIPIENTS", "120"));
    let (everyone, email) = to_many(110);
    let id = server.send(&email);
    let email = all_sent(&server, &id);
    let envelopes = envelopes(&provider);
    assert_eq!(envelopes.iter().map(Vec::len).collect::<Vec<_>>(), [50, 50, 10]);
    assert_eq!(envelopes.concat(), everyone);
    assert_eq!((&email["provider_message_id"], &email["retries"]), (&json!("ses-1"), &json!(0)));
    for (index, id) in [(0, "ses-1"), (50, "ses-2"), (109, "ses-3")] {
        let reply = email["recipients"][index]["last_reply"].as_str().expect("a reply");
        assert!(reply.ends_with(&format!("as {id}")), "{reply}");
    }
    let messages: Vec<Value> =
        provider.taken().iter().map(|request| request.json()["Content"]["Raw"]["Data"].clone()).collect();
    assert!(messages.windows(2).all(|pair| pair[0] == pair[1]), "the same message for everyone");
}

#[test]
fn of_several_requests_only_what_was_not_taken_goes_again() {
    let provider = start();
    let server = Server::start(options_for(&provider).env("POSTHASTE_LIMITS__RECIPIENTS", "120"));
    let (everyone, email) = to_many(110);
    provider.next([Trouble::Slow(Duration::ZERO), Trouble::Say(Answer::new(503, "{}"))]);
    let id = server.send(&email);
    let email = all_sent(&server, &id);
    let mut reached = envelopes(&provider).concat();
    reached.sort();
    let mut expected = everyone;
    expected.sort();
    assert_eq!(reached, expected, "each exactly once");
    assert_eq!(provider.offered().len(), 4);
    assert_eq!(email["status"], "sent");
}

/// While the provider wants a pause nobody is offered to it; who came onto the list meanwhile has come to an end.
#[test]
fn a_suppressed_recipient_ends_while_the_others_wait() {
    let provider = start();
    let server = Server::start(options_for(&provider));
    let mut both = small();
    both["to"] = json!(["gone@client.com", "here@client.com"]);
    both["send_at"] = json!(soon(Duration::from_secs(3)));
    let id = server.send(&both);
    server.post("/api/suppressions", &json!({"email": "gone@client.com"})).expect(201);
    provider.next([Trouble::Say(Answer::new(429, "{}").header("Retry-After", "7"))]);
    server.send(&small());
    let email = server.wait_status(&id, "sent");
    let at = |kind: &str| {
        let events = email["events"].as_array().expect("events");
        let found = events.iter().find(|event| event["type"] == kind);
        found.map_or_else(|| panic!("no {kind} in {email:#}"), |event| event["at"].clone())
    };
    let [failed, sent] = [at("failed"), at("sent")].map(|at| at.as_str().expect("a time").to_owned());
    assert!(failed < sent, "{failed} {sent}: {email:#}");
    assert_eq!(email["recipients"][0]["status"], "failed");
    assert_eq!(email["retries"], 0, "neither was an attempt");
    assert_eq!(envelopes(&provider).last(), Some(&vec!["here@client.com".to_owned()]));
}
