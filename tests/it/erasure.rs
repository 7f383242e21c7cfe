//! G62: a person is erased; then every table, object, key and message of the scaled-out installation is read for their
//! address, and all files of the embedded one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

use crate::emails_api::{email_to, with};
use crate::harness::receiver;
use crate::harness::relay::{Action, Script, Step};
use crate::harness::smtp::Session;
use crate::harness::{
    Broker, ObjectStore, Postgres, Receiver, Redis, Relay, Server, ServerOptions, embedded_only, eventually,
    scaled_only, soon,
};
use crate::smtp_ingress::address_of;
use crate::{mail_proxy, smtp_ingress, webhooks};

/// What no text but the person's own holds.
const CANARY: &str = "canary7319";
const ADDRESS: &str = "Canary7319@client.com";

/// Everything the installation stands on.
struct Stage {
    server: Server,
    // Behind the server: dropped after it.
    postgres: Postgres,
    redis: Redis,
    objects: ObjectStore,
    broker: Broker,
    relay: Relay,
}

impl Stage {
    /// `None`: there is no broker.
    fn start() -> Option<Self> {
        let broker = Broker::given()?;
        let (postgres, redis, objects) = (Postgres::start(), Redis::start(), ObjectStore::start());
        // The first mail is refused by words that name the person.
        let refusal = Action::Reply(format!("550 5.7.1 <{ADDRESS}> does not want this"));
        let relay = Relay::start(Script::accepting().without("PIPELINING").first(1, Step::Rcpt, refusal));
        let options = objects
            .used_by(broker.used_by(ServerOptions::to_relay(&relay)))
            .on_parts_of_its_own()
            .env("DATABASE_URL", Postgres::url_at(postgres.address()))
            .env("REDIS_URL", redis.url())
            .env("WEBHOOKS_ALLOW_PRIVATE", "true")
            .env("POSTHASTE_WEBHOOKS__RETRY_SCHEDULE", "10m")
            .env("MAILGUN_WEBHOOK_SIGNING_KEY", "signing");
        let server = Server::start(options);
        server.wait_healthy();
        Some(Self { server, postgres, redis, objects, broker, relay })
    }

    /// Writes to the person in every way there is.
    fn write_to_the_person(&self) {
        let server = &self.server;
        let refused = server.send(&email_to(ADDRESS, &format!("refused {CANARY}")));
        eventually("it is refused", || (server.email(&refused)["status"] == "failed").then_some(()));
        let mut ids = Vec::new();
        let file = |text: &str| json!([{"filename": "a.txt", "mime": "text/plain", "content_base64": BASE64.encode(text)}]);
        let full = json!({
            "to": [format!("Ann {CANARY} <{ADDRESS}>")], "subject": format!("For {CANARY}"),
            "html": format!("<p>Dear {CANARY}</p>"), "metadata": {"who": CANARY}, "reply_to": ADDRESS,
            "attachments": file(&format!("a file for {CANARY}")),
        });
        let headers = [("Idempotency-Key", "once")];
        let full =
            server.post_with("/api/emails", &headers, &with(email_to(ADDRESS, "x"), full)).expect(202).json();
        ids.push(full["email_id"].as_str().expect("an id").to_owned());
        let both = json!({"to": ["other@client.com"], "bcc": [ADDRESS]});
        ids.push(server.send(&with(email_to(ADDRESS, "to two"), both)));
        let mut session = smtp_ingress::session(server);
        session.envelope("ann@example.com", ADDRESS);
        let raw =
            format!("From: Ann <ann@example.com>\r\nTo: {ADDRESS}\r\nSubject: Hi {CANARY}\r\n\r\nHello\r\n");
        ids.push(session.data(raw.as_bytes()).id());
        let token = mail_proxy::sender(server);
        let mail = with(mail_proxy::mail(), json!({"to": [ADDRESS], "subject": CANARY}));
        ids.push(mail_proxy::sent(server, &token, &mail));
        for id in &ids {
            server.wait_status(id, "sent");
            // Read, so that whatever remembers answers has it.
            server.get(&format!("/api/emails/{id}")).expect(200);
        }
        mail_proxy::get(server, &token, "/mail/history").expect(200);
        server.post("/api/suppressions", &json!({"email": ADDRESS})).expect(201);
        self.tell_news(&ids[0]);
    }

    /// What a provider says of mail to the person: known mail, and mail of which nothing is known.
    fn tell_news(&self, id: &str) {
        for (token, id) in [("a", id), ("b", "0192f0c1-2d3e-7abc-8def-0123456789ab")] {
            let body = crate::news::webhooks::told_by_mailgun("signing", token, ADDRESS, id);
            let key = [("X-Api-Key", crate::harness::server::NONE)];
            self.server.post_raw("/api/webhooks/mailgun", &key, body.as_bytes()).expect(200);
        }
    }

    /// The tables that hold the text, with how many rows of each; bytes are read as text too.
    fn tables(&self, text: &str) -> Vec<String> {
        let names = self.postgres.sql(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1",
        );
        assert!(names.lines().count() > 20, "{names}");
        // In whichever case, as the server writes bytes.
        let in_hex = |byte: u8| format!("({:02x}|{:02x})", byte, byte.to_ascii_uppercase());
        let hex: String = text.bytes().map(in_hex).collect();
        let counts: Vec<String> = names
            .lines()
            .map(|name| {
                format!("SELECT '{name} ' || count(*) FROM {name} t WHERE t::text ~* '{text}|{hex}' HAVING count(*) > 0")
            })
            .collect();
        self.postgres.sql(&counts.join(" UNION ALL ")).lines().map(str::to_owned).collect()
    }

    /// The objects that hold the text.
    fn objects(&self, text: &str) -> Vec<String> {
        let holds = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_ascii_lowercase().contains(text);
        let files = self.objects.files().into_iter();
        files.filter(|(name, bytes)| holds(name.as_bytes()) || holds(bytes)).map(|(name, _)| name).collect()
    }

    fn cache(&self) -> String {
        self.redis.everything().to_ascii_lowercase()
    }
}

#[test]
fn g62_an_erased_person_is_in_no_table_object_cache_or_queue() {
    scaled_only!("it reads every part, and brings its own");
    let Some(stage) = Stage::start() else { return };
    let server = &stage.server;
    // One that hears of everything, and one that is always away: what it was to be told waits.
    let (receiver, away) = (Receiver::start(), Receiver::answering(|_, _| Some(receiver::status(500))));
    for receiver in [&receiver, &away] {
        webhooks::webhook(server, &receiver.url(), &["email.sent", "email.failed", "email.delivered"]);
    }
    let ahead = json!({"send_at": soon(Duration::from_secs(3600))});
    let later = server.send(&with(email_to(ADDRESS, &format!("later {CANARY}")), ahead));
    stage.write_to_the_person();
    webhooks::wait_for(&receiver, 3);
    let before = (stage.tables(CANARY), stage.objects(CANARY));
    eprintln!("before: {before:?}");
    for table in ["heads 6", "contents 5", "news 2", "suppressions 1"] {
        assert!(before.0.iter().any(|found| found == table), "the search finds what is there: {before:?}");
    }
    assert_eq!(before.1.len(), 1, "{before:?}");

    // A file that was used in the last five minutes stays for the next round of retention: let them pass.
    stage.objects.age();
    let admin = server.new_key(&["--client", "default", "--permission", "admin"]);
    let asked = [("X-Api-Key", admin.as_str())];
    let erased = server.try_request("DELETE", &format!("/api/recipients/{ADDRESS}"), &asked, b"");
    let erased = erased.expect("an answer").expect(200).json();
    eprintln!("erased: {erased}");
    assert_eq!(stage.tables(CANARY), Vec::<String>::new(), "{erased}");
    assert_eq!(stage.objects(CANARY), Vec::<String>::new(), "{erased}");
    assert!(!stage.cache().contains(CANARY), "{}", stage.cache());
    for queue in ["due.1", "due.2", "due.3", "due.4", "due.5", "dead"] {
        while let Some((body, _)) = stage.broker.take(queue) {
            assert!(!body.to_ascii_lowercase().contains(CANARY), "{queue}: {body}");
        }
    }
    assert_eq!(server.email(&later)["status"], "cancelled");
    // The digest that stays keeps them from being written to again.
    let sent = stage.relay.messages().len();
    let again = server.post("/api/emails", &email_to(ADDRESS, "again")).json();
    assert_ne!(again["status"], "queued", "{again}");
    assert_eq!(stage.relay.messages().len(), sent);
}

/// The places under the data directory whose bytes hold the text, by a name of the file's.
fn files_with(folder: &Path, text: &str) -> Vec<PathBuf> {
    let holds =
        |bytes: &[u8]| bytes.windows(text.len()).any(|part| part.eq_ignore_ascii_case(text.as_bytes()));
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else if std::fs::read(&path).is_ok_and(|bytes| holds(&bytes)) {
            found.push(path);
        }
    }
    found
}

#[test]
fn g62_of_messages_by_api_and_smtp_nothing_is_left_on_disk_at_once() {
    embedded_only!("its files are read");
    let server = Server::inbox();
    let person = "canary62@client.com";
    server.wait_status(&server.send(&email_to(person, "halo canary62")), "sent");
    let mut session = Session::open(address_of(&server, "smtp"));
    session.envelope("ann@example.com", person);
    let id = session.data(format!("To: {person}\r\nSubject: s\r\n\r\nhalo canary62\r\n").as_bytes()).id();
    server.wait_status(&id, "sent");
    assert!(!files_with(&server.data(), "canary62").is_empty(), "it is there before");
    let key = server.new_key(&["--client", "default", "--permission", "admin"]);
    let path = format!("/api/recipients/{person}");
    let erased = server.try_request("DELETE", &path, &[("X-Api-Key", &key)], b"").expect("an answer");
    let erased = erased.expect(200).json();
    assert_eq!(
        erased["files"], 2,
        "the message in the inbox, and the one that came as it is there: {erased}"
    );
    assert_eq!(files_with(&server.data(), "canary62"), Vec::<PathBuf>::new());
}
