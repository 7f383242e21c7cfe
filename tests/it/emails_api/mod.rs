//! The Emails API, `/api/*`: the contract's examples first, then each way to fail.

mod accept;
mod auth;
mod batch;
mod cancel;
mod dry_run;
mod faults;
mod idempotency;
mod links;
mod list;
mod manual;
mod openapi;
mod pointers;
mod read;
mod replay;
mod standing;
pub mod stream;
mod templates;

use serde_json::{Value, json};

/// A small valid email to one recipient.
pub fn email_to(recipient: &str, text: &str) -> Value {
    json!({
        "from": "Example <noreply@example.com>",
        "to": [recipient],
        "subject": "Selamat datang",
        "text": text,
    })
}

/// `email` with the members of `patch` set; `null` removes one.
pub fn with(mut email: Value, patch: Value) -> Value {
    let members = email.as_object_mut().expect("an object");
    for (name, value) in patch.as_object().expect("an object") {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    email
}
