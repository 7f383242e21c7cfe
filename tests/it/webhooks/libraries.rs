//! The reference libraries of Standard Webhooks verify our calls, in Python and in JavaScript; also while a secret is
//! being replaced.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;
use tempfile::TempDir;

use super::{options, text, wait_for, webhook};
use crate::emails_api::email_to;
use crate::harness::receiver::Received;
use crate::harness::{Receiver, Server, python};

const PYTHON: &str = r"
import json, sys
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
call = json.load(open(sys.argv[1]))
body, headers = call['body'], call['headers']
for secret in call['good']:
    assert Webhook(secret).verify(body, headers)['type'] == 'email.sent'
for secret, body in [(call['bad'], body), (call['good'][0], body + ' ')]:
    try: Webhook(secret).verify(body, headers); sys.exit('verified')
    except WebhookVerificationError: pass
print('fine')
";

const JAVASCRIPT: &str = r"
const { Webhook } = require('standardwebhooks');
const call = JSON.parse(require('fs').readFileSync(process.argv[2], 'utf8'));
for (const secret of call.good)
  if (new Webhook(secret).verify(call.body, call.headers).type !== 'email.sent') throw new Error('type');
for (const [secret, body] of [[call.bad, call.body], [call.good[0], call.body + ' ']]) {
  let ok = false;
  try { new Webhook(secret).verify(body, call.headers); } catch (fault) { ok = true; }
  if (!ok) throw new Error('verified');
}
console.log('fine');
";

/// Two calls: one before a rotation, one while both secrets sign.
fn calls(directory: &Path) -> [PathBuf; 2] {
    let (server, receiver) = (Server::start(options()), Receiver::start());
    let made = webhook(&server, &receiver.url(), &["email.sent"]);
    server.send(&email_to("user@client.com", "grüße"));
    let first = wait_for(&receiver, 1).remove(0);
    let rotated =
        server.post(&format!("/api/webhooks/{}/rotate", text(&made, "id")), &json!({"overlap": "1h"}));
    let rotated = rotated.expect(200).json();
    let (old, new) = (text(&made, "secret"), text(&rotated, "secret"));
    assert_ne!(old, new);
    assert!(rotated["previous_secret_until"].is_string());
    server.send(&email_to("user@client.com", "x"));
    let second = wait_for(&receiver, 2).remove(1);
    assert_eq!(first.header("webhook-signature").split(' ').count(), 1);
    assert_eq!(second.header("webhook-signature").split(' ').count(), 2);
    assert_ne!(first.header("x-aegis-signature"), second.header("x-aegis-signature"));
    [
        saved(directory, "first.json", &first, &[old], new),
        saved(directory, "second.json", &second, &[old, new], "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
    ]
}

fn saved(directory: &Path, name: &str, call: &Received, good: &[&str], bad: &str) -> PathBuf {
    let headers: serde_json::Map<String, serde_json::Value> =
        call.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let body = String::from_utf8(call.body.clone()).expect("UTF-8");
    let path = directory.join(name);
    let call = json!({"headers": headers, "body": body, "good": good, "bad": bad});
    fs::write(&path, call.to_string()).expect("a file");
    path
}

#[track_caller]
fn is_fine(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("fine"), "{said}");
}

#[test]
fn a55_the_reference_libraries_verify_our_calls() {
    let directory = TempDir::new().expect("a directory");
    let calls = calls(directory.path());
    if let Some(python) = python::with(&["standardwebhooks==1.1.0"]) {
        for call in &calls {
            is_fine(Command::new(&python).args(["-c", PYTHON]).arg(call));
        }
    }
    let script = directory.path().join("verify.js");
    fs::write(&script, JAVASCRIPT).expect("a file");
    let installed = Command::new("npm")
        .args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "standardwebhooks@1"])
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .output();
    if !installed.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: standardwebhooks cannot be installed (is npm there, and its registry?)");
        return;
    }
    for call in &calls {
        is_fine(Command::new("node").arg(&script).arg(call));
    }
}
