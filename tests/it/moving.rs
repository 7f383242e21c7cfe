//! From the embedded store to PostgreSQL, as an operator does it: refused while the server runs, moved once it is
//! stopped, and everything is there when it starts again.

use crate::harness::{Server, embedded_only};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;

/// A database of the server that the tests were given, dropped with the value.
struct Database {
    server: String,
    name: String,
}

impl Database {
    fn create() -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "the tests' own switch, no setting of the program")]
        let server = std::env::var("POSTHASTE_TEST_POSTGRES_URL").ok()?;
        let database = Self { name: format!("moving_{}", std::process::id()), server };
        database.psql(&format!("CREATE DATABASE {}", database.name));
        Some(database)
    }

    fn url(&self) -> String {
        let base = self.server.rsplit_once('/').map_or(self.server.as_str(), |(base, _)| base);
        format!("{base}/{}", self.name)
    }

    fn psql(&self, sql: &str) {
        let status = Command::new("psql").args([&self.server, "-q", "-c", sql]).status();
        assert!(status.is_ok_and(|status| status.success()), "{sql}");
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.psql(&format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

#[test]
fn an_installation_moves_to_postgresql() {
    embedded_only!("it begins on the embedded store, and ends on PostgreSQL");
    let Some(database) = Database::create() else { return };
    let mut embedded = Server::inbox();
    let send = |server: &Server, n: i32| {
        server.send(&json!({
            "from": "shop@example.com", "to": format!("ann{n}@client.example"), "subject": format!("Order {n}"),
            "text": "Hi", "tags": [format!("t{}", n % 2)],
        }))
    };
    let ids: Vec<String> = (0..6).map(|n| send(&embedded, n)).collect();
    let before: Vec<Value> = ids.iter().map(|id| embedded.wait_status(id, "sent")).collect();
    let tagged = embedded.get("/api/emails?tag=t1").json();
    let to = database.url();
    let refused = embedded.cli(&["migrate-store", "--to", &to]);
    assert!(!refused.status.success(), "a server runs");
    embedded.sigterm();

    let moved = embedded.cli_json(&["migrate-store", "--to", &to]);
    let rows = |table: &str| {
        let tables = moved["tables"].as_array().unwrap();
        tables.iter().find(|one| one["table"] == table).unwrap()["rows"].as_u64()
    };
    assert_eq!((rows("emails"), rows("inbox")), (Some(6), Some(6)), "{moved}");
    assert!(!embedded.cli(&["migrate-store", "--to", &to]).status.success(), "it is not empty any more");

    let secret = |name: &str| -> String {
        let path: PathBuf = embedded.data().join("secrets").join(name);
        std::fs::read_to_string(path).unwrap().trim().to_owned()
    };
    let (encryption_key, blobs) = (secret("encryption.key"), embedded.data().join("blobs"));
    embedded.restart_with(|options| {
        options
            .env("DATABASE_URL", &to)
            .env("ENCRYPTION_KEY", encryption_key)
            .env("JWT_SECRET", "a secret of at least thirty-two bytes")
            .env("BLOBS_DIR", blobs)
    });
    for (id, before) in ids.iter().zip(&before) {
        assert_eq!(embedded.email(id), *before);
    }
    assert_eq!(embedded.get("/api/emails?tag=t1").json(), tagged);
    let new = send(&embedded, 7);
    embedded.wait_status(&new, "sent");
}
