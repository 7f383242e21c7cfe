//! C34: keys by the thousand, and keys whose time is over.

use std::collections::HashSet;
use std::thread;

use serde_json::{Value, json};

use crate::emails_api::email_to;
use crate::harness::{Connection, Server, embedded_only, eventually};

const KEYS: usize = 10_000;
const CALLERS: usize = 16;

#[test]
fn c34_ten_thousand_keys_are_listed_whole_and_each_works() {
    embedded_only!("the list is one and the same; making so many keys takes its time");
    let server = Server::inbox();
    let admin = server.new_key(&["--client", "default", "--permission", "admin"]);
    let headers = [("X-Api-Key", admin.as_str()), ("Content-Type", "application/json")];
    let make = |connection: &mut Connection, number: usize| -> String {
        let body = json!({"client": "default", "name": format!("key {number}")}).to_string();
        let answer = connection.request("POST", "/api/keys", &headers, body.as_bytes()).expect("an answer");
        answer.expect(201).json()["key"].as_str().expect("a key").to_owned()
    };
    let made: HashSet<String> = thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let (server, make) = (&server, &make);
                scope.spawn(move || {
                    let mut connection = server.connect();
                    let numbers = (caller..KEYS).step_by(CALLERS);
                    numbers.map(|number| make(&mut connection, number)).collect::<Vec<_>>()
                })
            })
            .collect();
        callers.into_iter().flat_map(|caller| caller.join().expect("no panic")).collect()
    });
    assert_eq!(made.len(), KEYS);
    let before = server.memory_kib("VmRSS");
    let listed = server.get_with("/api/keys", &headers).expect(200);
    let grown = server.memory_kib("VmRSS").saturating_sub(before);
    assert!(grown < 100 * 1024, "{grown} KiB");
    let text = listed.text();
    let names: HashSet<String> = listed.json()["data"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["name"].as_str())
        .filter(|name| name.starts_with("key "))
        .map(str::to_owned)
        .collect();
    assert_eq!(names.len(), KEYS);
    let from_shell = server.cli_json(&["key", "list"]);
    assert!(from_shell.as_array().is_some_and(|keys| keys.len() > KEYS));
    for key in made.iter().step_by(KEYS / 20) {
        assert!(!text.contains(key.as_str()), "a key is shown once");
        server.post_with("/api/emails", &[("X-Api-Key", key)], &email_to("user@client.com", "x")).expect(202);
    }
}

#[test]
fn c34_an_expired_key_is_refused_everywhere() {
    let server = Server::inbox();
    let made = server.cli_json(&["key", "create", "--client", "default", "--expires-in", "2s"]);
    let key = made["key"].as_str().expect("a key").to_owned();
    let ask = |path: &str| server.get_with(path, &[("X-Api-Key", &key)]);
    eventually("its time is over", || (ask("/api/emails").status == 401).then_some(()));
    let header = [("X-Api-Key", key.as_str())];
    assert_eq!(ask("/api/emails").expect(401).json()["code"], "unauthorized");
    server.post_with("/api/emails", &header, &email_to("user@client.com", "x")).expect(401);
    let aegis = json!({"to": "bob@client.com", "subject": "Hello", "body": "x"});
    assert_eq!(server.post_with("/send", &header, &aegis).expect(401).json()["code"], "INVALID_API_KEY");
    crate::smtp_ingress::session(&server).login("default", &key).expect("535 5.7.8");
    let listed = server.cli_json(&["key", "list"]);
    let shown = listed.as_array().expect("a list").iter().find(|one| one["id"] == made["id"]);
    assert!(shown.is_some_and(|one| one["expires_at"] != Value::Null), "{shown:?}");
}
