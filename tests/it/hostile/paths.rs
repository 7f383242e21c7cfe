//! A20: names and ids that lead elsewhere. Nothing is written outside the data directory, and no id leads out of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::emails_api::{email_to, with};
use crate::harness::server::NONE;
use crate::harness::{Server, ServerOptions, eventually};
use crate::{aegis, mail_proxy, smtp_ingress};

/// Stands in every hostile name, and so in whatever was written by one.
const MARK: &str = "posthaste-a20-escaped";
const CONTENT: &[u8] = b"what a hostile name may put nowhere";

/// A place with a data directory well inside it, so that what climbs out of that is still seen.
struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { directory: tempfile::tempdir().expect("a directory") };
        for inside in [place.data().parent().expect("two levels up"), &place.temporary()] {
            fs::create_dir_all(inside).expect("a directory");
        }
        place
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("a/b/c/data")
    }

    fn temporary(&self) -> PathBuf {
        self.directory.path().join("tmp")
    }
}

/// Every file and directory outside the data directory, with its size and its last change.
type Outside = BTreeMap<PathBuf, (u64, Option<SystemTime>)>;

fn look(at: &Path, data: &Path, outside: &mut Outside) {
    for entry in fs::read_dir(at).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        // What the test itself has the server write its output to.
        let is_output = path.ends_with("stdout") || path.ends_with("stderr");
        if path == data || is_output {
            continue;
        }
        outside.insert(path.clone(), (metadata.len(), metadata.modified().ok()));
        if metadata.is_dir() {
            look(&path, data, outside);
        }
    }
}

/// The place, and the directory that the server runs in.
fn outside(place: &Place, server: &Server) -> Outside {
    let mut found = Outside::new();
    look(place.directory.path(), &place.data(), &mut found);
    let own = fs::read_link(format!("/proc/{}/cwd", server.pid())).expect("a directory it runs in");
    look(&own, &place.data(), &mut found);
    found
}

/// Whatever bears the mark where absolute names and names with many dots would lead.
fn escaped() -> Vec<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let roots = ["/", "/etc", "/tmp", "/var/tmp", "/usr", "/root", "/home", "."].map(PathBuf::from);
    let entries =
        roots.into_iter().chain(home).flat_map(|root| fs::read_dir(root).into_iter().flatten().flatten());
    entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().contains(MARK)).collect()
}

fn names() -> Vec<String> {
    let mut names: Vec<String> = [
        "../../../MARK.txt",
        "../../../../../../../../../../MARK.txt",
        "..\\..\\..\\MARK.txt",
        "/MARK.txt",
        "/etc/MARK.txt",
        "/tmp/MARK.txt",
        "//tmp//MARK.txt",
        "C:\\MARK.txt",
        "C:/MARK.txt",
        "\\\\server\\share\\MARK.txt",
        "~/MARK.txt",
        "....//....//MARK.txt",
        "%2e%2e%2f%2e%2e%2fMARK.txt",
        "..%c0%af..%c0%afMARK.txt",
        "..／..／MARK.txt",
        "/tmp/MARK.txt\0.txt",
        "MARK.txt\0../../x",
        "a\r\nX-Evil: MARK",
        "MARK\u{202e}txt.exe",
        "MARK\"; filename=\"../../x",
        "MARK; name=/etc/x",
        "$(touch /tmp/MARK)",
        "`touch /tmp/MARK`",
        "|touch /tmp/MARK",
        "; touch /tmp/MARK",
        "file:///tmp/MARK.txt",
        "MARK/../../../../tmp/MARK",
        ".",
        "..",
        "-rf",
    ]
    .map(|name| name.replace("MARK", MARK))
    .to_vec();
    names.push(format!("{}{MARK}.txt", "../".repeat(300)));
    names.push(format!("{MARK}{}", "n".repeat(1000)));
    names
}

/// Offers a file of this name at every door that takes files.
fn offer(server: &Server, bearer: &str, name: &str) {
    let content = BASE64.encode(CONTENT);
    let taken = |what: &str, status: u16, good: u16| {
        assert!(matches!(status, 400 | 413 | 422) || status == good, "{name:?} by {what}: {status}");
    };
    let file = json!([{"filename": name, "mime": "text/plain", "content_base64": content}]);
    let email = with(email_to("user@client.com", "x"), json!({"attachments": file}));
    taken("the Emails API", server.post("/api/emails", &email).status, 202);
    let inline = json!([{"filename": "a.txt", "mime": "text/plain", "content_base64": content, "content_id": name,
        "disposition": "inline"}]);
    let email = with(email_to("user@client.com", "x"), json!({"html": "<p>x</p>", "attachments": inline}));
    taken("its content id", server.post("/api/emails", &email).status, 202);
    let email = with(aegis::message(), json!({"attachments": [{"name": name, "content": content}]}));
    taken("Aegis", aegis::post(server, aegis::KEY, &[], &email).status, 202);
    let file = json!([{"filename": name, "content": content, "content_type": "text/plain"}]);
    let mail = with(mail_proxy::mail(), json!({"attachments": file}));
    let answer = mail_proxy::call(server, "POST", "/mail/send", bearer, &[], Some(&mail));
    taken("the Mail Proxy API", answer.status, 200);
    // A key and an id are names too.
    let can_be_said = !name.chars().any(char::is_control);
    let headers = [("Idempotency-Key", name), ("X-Correlation-Id", name)];
    let headers = if can_be_said { &headers[..] } else { &[] };
    let email = email_to("user@client.com", "x");
    taken("its keys", server.post_with("/api/emails", headers, &email).status, 202);
    by_smtp(server, name, &content);
}

/// A message with such a file, as a client that checks nothing sends it.
fn by_smtp(server: &Server, name: &str, content: &str) {
    let mut session = smtp_ingress::session(server);
    session.envelope("ann@example.com", "bob@client.com");
    let message = format!(
        "From: ann@example.com\r\nTo: bob@client.com\r\nSubject: x\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\nContent-Type: text/plain; name=\"{name}\"\r\n\
         Content-Disposition: attachment; filename=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n{content}\r\n--B--\r\n"
    );
    let reply = session.data(message.as_bytes());
    assert!(matches!(reply.code, 250 | 500..=599), "{name:?} by SMTP: {reply}");
}

/// Opens every file of every message that was kept; what a browser would save it as leads nowhere.
fn open_all(server: &Server) -> usize {
    let get = |path: &str| server.get_with(path, &[("X-Api-Key", NONE)]);
    let mut opened = 0;
    let mut before = String::new();
    loop {
        let page = get(&format!("/inbox/api/messages?limit=100{before}")).expect(200).json();
        for message in page["data"].as_array().expect("a list") {
            let path = format!("/inbox/api/messages/{}", message["id"].as_str().expect("an id"));
            let parts = get(&path).expect(200).json()["parts"].as_array().map_or(0, Vec::len);
            for number in 0..parts {
                let file = get(&format!("{path}/parts/{number}"));
                assert!(matches!(file.status, 200 | 404), "{path}/parts/{number}: {}", file.status);
                let Some(named) = file.header("content-disposition") else { continue };
                let (_, name) = named.split_once("filename=\"").unwrap_or(("", ""));
                let name = name.split('"').next().unwrap_or_default();
                assert!(!name.contains(['/', '\\', '\0', '\r', '\n']), "{named}");
                assert!(!matches!(name, "." | ".."), "{named}");
                assert!(
                    !named.contains("%2F") && !named.contains("%5C") && !named.contains('\u{202e}'),
                    "{named}"
                );
                opened += 1;
            }
        }
        let Some(next) = page["next"].as_str() else { return opened };
        before = format!("&before={next}");
    }
}

#[test]
fn a20_no_name_and_no_id_leads_out_of_the_data_directory() {
    let place = Place::new();
    let options = aegis::moved(ServerOptions::default()).data_at(&place.data());
    let server = Server::start(options.env("TMPDIR", place.temporary()).env("HOME", place.temporary()));
    let bearer = mail_proxy::sender(&server).bearer;
    let admin = server.new_key(&["--client", "default", "--permission", "admin"]);
    // Whatever a first email makes is there.
    let id = server.send(&email_to("user@client.com", "first"));
    server.wait_status(&id, "sent");
    let before = outside(&place, &server);
    for name in names() {
        offer(&server, &bearer, &name);
        let template = json!({"code": name, "name": name, "subject": "Hi", "text": "Hi"});
        let answer = server.post_with("/api/templates", &[("X-Api-Key", &admin)], &template);
        assert!(matches!(answer.status, 201 | 400 | 422), "{name:?} as a template: {}", answer.status);
    }
    eventually("all of it is out", || {
        let counts = server.cli_json(&["queue", "status"]);
        (counts["pending"] == 0 && counts["processing"] == 0).then_some(())
    });
    assert!(open_all(&server) > 20, "files were kept");
    ids(&server, &admin);
    assert_eq!(outside(&place, &server), before, "something outside the data directory changed");
    assert_eq!(escaped(), Vec::<PathBuf>::new());
    in_the_data_directory(&place.data());
}

/// Inside it, no file is named by what a client said.
fn in_the_data_directory(data: &Path) {
    let mut inside = Outside::new();
    look(data, Path::new(""), &mut inside);
    assert!(inside.len() > 3, "{} files", inside.len());
    for path in inside.keys() {
        assert!(!path.to_string_lossy().contains(MARK), "{}", path.display());
    }
}

/// Every documented path, and those of the pages, with ids that lead elsewhere.
fn ids(server: &Server, admin: &str) {
    let document = server.get("/api/openapi.json").expect(200).json();
    let methods = |described: &Value| -> Vec<String> {
        let methods = described.as_object().expect("methods").keys().map(|method| method.to_uppercase());
        methods.filter(|method| matches!(method.as_str(), "GET" | "DELETE")).collect()
    };
    let documented = document["paths"].as_object().expect("paths").iter();
    let mut paths: Vec<(String, Vec<String>)> =
        documented.map(|(path, described)| (path.clone(), methods(described))).collect();
    for path in [
        "/inbox/{id}",
        "/inbox/{id}/html",
        "/inbox/api/messages/{id}",
        "/inbox/api/messages/{id}/source",
        "/inbox/api/messages/{id}/attachments/{id}",
        "/inbox/api/messages/{id}/parts/{id}",
        "/send/{id}/status",
        "/files/{id}",
        "/unsubscribe/{id}",
    ] {
        paths.push((path.to_owned(), vec!["GET".to_owned()]));
    }
    let hostile = [
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e",
        "%2e%2e%2f%2e%2e%2fsecrets",
        "..%5c..%5csecrets",
        "a%5cb",
        "%00",
        "a%00b",
        "%2fetc%2fpasswd",
        "..;",
        "%252e%252e%252f",
        "%ff%fe",
    ];
    let mut tried = 0;
    for (path, methods) in paths.iter().filter(|(path, _)| path.contains('{')) {
        let is_address = path.contains("{email}") || path.contains("{address}");
        for (method, id) in methods.iter().flat_map(|method| hostile.map(|id| (method, id))) {
            let parts = path.split('/').map(|part| if part.starts_with('{') { id } else { part });
            let path = parts.collect::<Vec<_>>().join("/");
            let answer = server.try_request(method, &path, &[("X-Api-Key", admin)], b"").expect("an answer");
            // What is no address is said to be none.
            let is_refused = matches!(answer.status, 400 | 404) || (is_address && answer.status == 422);
            assert!(is_refused, "{method} {path}: {}", answer.status);
            assert!(!answer.text().contains("root:"), "{method} {path}");
            tried += 1;
        }
    }
    assert!(tried > 200, "only {tried} were tried");
}
