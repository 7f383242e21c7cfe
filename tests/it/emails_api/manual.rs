//! The examples of docs/emails-api.md work as they stand.

use std::process::Command;

use serde_json::Value;

use super::email_to;
use crate::harness::Server;

const MANUAL: &str = include_str!("../../../docs/emails-api.md");

#[test]
fn the_manual_s_examples_work_as_they_stand() {
    let server = Server::inbox();
    let id = server.send(&email_to("user@client.com", "x"));
    let examples = MANUAL.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut answers = Vec::new();
    for example in examples {
        let mut shell = Command::new("sh");
        shell.args(["-ec", example]).env("BASE", format!("http://{}", server.address()));
        let output = shell.env("KEY", server.key()).env("ID", &id).output().expect("a shell");
        assert!(output.status.success(), "{example}: {}", String::from_utf8_lossy(&output.stderr));
        let read = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
        answers.extend(read.map(|answer| answer.expect("JSON")));
    }
    assert_eq!(answers.len(), 3, "{answers:?}");
    assert_eq!(answers[0]["status"], "queued");
    assert_eq!((&answers[1]["id"], &answers[1]["status"]), (&id.clone().into(), &"sent".into()));
    assert!(answers[2]["decisions"].as_array().is_some_and(|decisions| !decisions.is_empty()));
}
