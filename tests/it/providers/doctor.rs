//! What the doctor says of Microsoft.

use serde_json::Value;

use super::graph;
use crate::harness::Server;
use crate::harness::provider::Provider;

fn examine(provider: &Provider, arguments: &[&str], secret: &str) -> (bool, Value) {
    let options = graph::options_for(provider).env("MICROSOFT_CLIENT_SECRET", secret);
    let server = Server::prepare(options);
    let output = server.cli(&[&["doctor", "graph", "--json"], arguments].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!text.contains(secret), "{text}");
    (
        output.status.success(),
        serde_json::from_str(&text).unwrap_or_else(|fault| panic!("{fault}: {output:?}")),
    )
}

fn check<'a>(found: &'a Value, name: &str) -> &'a Value {
    let checks = found["checks"].as_array().expect("checks");
    let named = checks.iter().find(|one| one["name"].as_str().is_some_and(|text| text.ends_with(name)));
    named.unwrap_or_else(|| panic!("no {name}: {found:#}"))
}

#[test]
fn the_missing_permission_and_the_mailbox_are_named() {
    let whole = graph::start();
    let (is_fine, found) = examine(&whole, &["--user", "noreply@example.com"], "app-secret");
    assert!(is_fine, "{found:#}");
    assert_eq!(check(&found, "mailbox noreply@example.com")["status"], "ok");
    assert_eq!(check(&found, "permission Mail.Send")["status"], "ok");
    let (is_fine, found) = examine(&whole, &["--user", "nobody@example.com"], "app-secret");
    assert!(!is_fine, "{found:#}");
    let (poor, _tenant) = graph::start_with(vec!["User.Read.All"]);
    let (is_fine, found) = examine(&poor, &[], "app-secret");
    assert!(!is_fine);
    let remedy = check(&found, "permission Mail.Send")["remedy"].as_str().expect("a remedy");
    assert!(remedy.contains("Grant admin consent"), "{remedy}");
    let (is_fine, found) = examine(&whole, &[], "wrong-secret");
    assert!(!is_fine);
    assert!(
        check(&found, "login")["remedy"].as_str().is_some_and(|text| text.contains("Value")),
        "{found:#}"
    );
}
