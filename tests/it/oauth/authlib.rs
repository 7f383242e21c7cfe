//! A real OAuth2 client library logs in and sends.

use std::process::Command;

use super::client;
use crate::harness::{Server, python};

const SCRIPT: &str = r#"
import sys
from authlib.integrations.requests_client import OAuth2Session
from authlib.jose import jwt, JsonWebKey
import requests

base = sys.argv[1]
for method in ["client_secret_basic", "client_secret_post"]:
    session = OAuth2Session("myawesomeapp", "abc123", scope="basic email", token_endpoint_auth_method=method)
    token = session.fetch_token(base + "/authorize", grant_type="client_credentials")
    assert token["token_type"] == "Bearer" and token["expires_in"] == 3600, token
    keys = JsonWebKey.import_key_set(requests.get(base + "/.well-known/jwks.json").json())
    claims = jwt.decode(token["access_token"], keys)
    claims.validate()
    assert claims["aud"] == "myawesomeapp", claims
    sent = session.post(base + "/send", json={
        "email": "ann@app.example", "to_email": "bob@client.com", "subject": "By authlib", "body": "x"})
    assert sent.status_code == 202 and sent.text == "Start Queue Email", sent.text
    told = session.introspect_token(base + "/oauth/introspect", token=token["access_token"])
    assert told.json()["active"] is True, told.text
    session.revoke_token(base + "/oauth/revoke", token=token["access_token"])
    told = session.introspect_token(base + "/oauth/introspect", token=token["access_token"])
    assert told.json() == {"active": False}, told.text
print("done")
"#;

#[test]
fn authlib_logs_in_sends_introspects_and_revokes() {
    let Some(python) = python::with(&["authlib==1.6.5", "requests"]) else { return };
    let server = Server::inbox();
    client(&server, "myawesomeapp", "abc123", &["basic", "email"]);
    let base = format!("http://{}", server.address());
    let run = Command::new(python)
        .args(["-c", SCRIPT, &base])
        .env("AUTHLIB_INSECURE_TRANSPORT", "1")
        .output()
        .expect("a run");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}
