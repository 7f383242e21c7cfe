//! The two installations that every journey runs on: embedded, and scaled out on PostgreSQL, RabbitMQ, Redis and S3.
//!
//! The test binary `it` runs the first, `scaled` (a link to the same journeys) the second;
//! `POSTHASTE_TEST_INSTALLATION=embedded|scaled` chooses for both. `tests/services/run` starts the servers; each server
//! under test has a database, a virtual host, a Redis database and a bucket of its own, named after its data directory.

use std::collections::hash_map::DefaultHasher;
use std::ffi::OsString;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::http;

/// Set by `tests/services/run` beside all others.
const POSTGRES_URL: &str = "POSTHASTE_TEST_POSTGRES_URL";
/// Databases of the Redis server that `tests/services/run` starts.
const REDIS_DATABASES: u64 = 100_000;

/// Which parts a server under test stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Installation {
    /// SQLite, files, and the process itself.
    Embedded,
    /// PostgreSQL, RabbitMQ, Redis and S3.
    Scaled,
}

impl Installation {
    /// The one that this run is about.
    pub fn chosen() -> Self {
        match std::env::var_os("POSTHASTE_TEST_INSTALLATION").map(|word| word.to_string_lossy().into_owned())
        {
            Some(word) if word == "scaled" => Self::Scaled,
            Some(word) if word == "embedded" => Self::Embedded,
            Some(word) => panic!("POSTHASTE_TEST_INSTALLATION={word}: is embedded or scaled"),
            None if env!("CARGO_CRATE_NAME") == "scaled" => Self::Scaled,
            None => Self::Embedded,
        }
    }
}

/// A variable of `tests/services/run`. None: the services do not run, and the test is to be skipped.
///
/// # Panics
/// When it is missing under `POSTHASTE_TEST_REQUIRE_SERVICES=1`, as `./test` sets.
#[track_caller]
pub fn service(name: &str) -> Option<String> {
    let found = std::env::var_os(name).and_then(|value| value.into_string().ok());
    if found.is_none() {
        let is_required =
            std::env::var_os("POSTHASTE_TEST_REQUIRE_SERVICES").is_some_and(|value| value == "1");
        assert!(!is_required, "{name} is missing: run the tests by ./test or tests/services/run");
        eprintln!("skipped: {name} is not set; run the tests by ./test or tests/services/run");
    }
    found
}

/// Ends a journey that is about the embedded parts themselves: their files, or a full disk.
macro_rules! embedded_only {
    ($reason:literal) => {
        if $crate::harness::Installation::chosen() == $crate::harness::Installation::Scaled {
            eprintln!(concat!("embedded only: ", $reason));
            return;
        }
    };
}
pub(crate) use embedded_only;

/// Ends a journey that brings all parts of the scaled-out installation itself: once is enough.
macro_rules! scaled_only {
    ($reason:literal) => {
        if $crate::harness::Installation::chosen() == $crate::harness::Installation::Embedded {
            eprintln!(concat!("scaled only: ", $reason));
            return;
        }
    };
}
pub(crate) use scaled_only;

/// The parts of one scaled-out installation; those that this value made are removed with it.
#[derive(Debug)]
pub struct ScaledParts {
    name: String,
    postgres: String,
    amqp: String,
    amqp_admin: String,
    redis: String,
    s3: [(&'static str, String); 4],
    bucket: PathBuf,
    is_owner: bool,
}

impl ScaledParts {
    /// The parts that belong to a data directory; made when they are not there.
    ///
    /// # Panics
    /// Without the services.
    #[track_caller]
    pub fn of(data: &Path) -> Self {
        let running = |name: &str| -> String {
            service(name).unwrap_or_else(|| panic!("a journey on the scaled-out installation needs {name}"))
        };
        let mut hasher = DefaultHasher::new();
        data.hash(&mut hasher);
        let hash = hasher.finish();
        let name = format!("journey-{hash:016x}");
        let postgres = running(POSTGRES_URL);
        let (server, _) = postgres.rsplit_once('/').expect("a URL with a database");
        let amqp = running("POSTHASTE_TEST_AMQP_URL");
        let redis = running("POSTHASTE_TEST_REDIS_URL");
        let bucket = PathBuf::from(running("POSTHASTE_TEST_S3_FOLDER")).join(&name);
        let mut parts = Self {
            postgres: format!("{server}/{name}"),
            amqp: format!("{}/{name}", amqp.trim_end_matches('/')),
            amqp_admin: running("POSTHASTE_TEST_AMQP_ADMIN_URL"),
            redis: format!("{}/{}", redis.trim_end_matches('/'), hash % (REDIS_DATABASES - 1) + 1),
            s3: [
                ("S3_ENDPOINT", running("POSTHASTE_TEST_S3_ENDPOINT")),
                ("S3_BUCKET", name.clone()),
                ("S3_ACCESS_KEY_ID", running("POSTHASTE_TEST_S3_ACCESS_KEY_ID")),
                ("S3_SECRET_ACCESS_KEY", running("POSTHASTE_TEST_S3_SECRET_ACCESS_KEY")),
            ],
            is_owner: !bucket.exists(),
            bucket,
            name,
        };
        if parts.is_owner {
            parts.make(&postgres);
        }
        parts
    }

    fn make(&mut self, postgres: &str) {
        fs::create_dir(&self.bucket).expect("a bucket of our own is a folder");
        let sql = format!("CREATE DATABASE \"{}\"", self.name);
        let made = psql(postgres, &sql).output().expect("psql runs");
        assert!(made.status.success(), "{sql}: {}", String::from_utf8_lossy(&made.stderr));
        self.ask_rabbitmq("PUT");
        self.flush_redis();
    }

    /// The variables that name the parts, for a server with these variables of its own already.
    pub fn variables(&self, own: impl Fn(&str) -> bool) -> Vec<(&'static str, OsString)> {
        let mut variables: Vec<(&'static str, OsString)> = Vec::new();
        let mut add = |name: &'static str, value: &str| {
            if !own(name) {
                variables.push((name, value.into()));
            }
        };
        add("DATABASE_URL", &self.postgres);
        add("AMQP_URL", &self.amqp);
        add("REDIS_URL", &self.redis);
        add("ENCRYPTION_KEY", &BASE64.encode([7; 32]));
        add("JWT_SECRET", "a secret of the journeys, long enough to sign with");
        if !own("BLOBS_DIR") {
            for (name, value) in &self.s3 {
                add(name, value);
            }
        }
        variables
    }

    /// Makes (`PUT`) or removes (`DELETE`) the virtual host.
    fn ask_rabbitmq(&self, method: &str) {
        let (login, address) = self
            .amqp_admin
            .strip_prefix("http://")
            .and_then(|rest| rest.trim_end_matches('/').split_once('@'))
            .expect("http://USER:PASSWORD@ADDRESS/");
        let address: SocketAddr = address.parse().expect("an address");
        let authorization = format!("Basic {}", BASE64.encode(login));
        let path = format!("/api/vhosts/{}", self.name);
        let answer = http::request(address, method, &path, &[("Authorization", &authorization)], b"")
            .expect("RabbitMQ");
        assert!(answer.status < 300, "{method} {path}: {}", answer.text());
    }

    fn flush_redis(&self) {
        let (address, database) = self
            .redis
            .strip_prefix("redis://")
            .and_then(|rest| rest.split_once('/'))
            .expect("redis://ADDRESS/DATABASE");
        let mut connection = TcpStream::connect(address).expect("Redis listens");
        write!(connection, "SELECT {database}\r\nFLUSHDB\r\nQUIT\r\n").expect("Redis reads");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("Redis answers");
        assert_eq!(answer, "+OK\r\n+OK\r\n+OK\r\n", "SELECT {database}, FLUSHDB, QUIT");
    }
}

/// `psql` with one statement, ready to run.
fn psql(url: &str, sql: &str) -> Command {
    let mut command = Command::new("psql");
    command.args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql, url]).stdin(Stdio::null());
    command
}

impl Drop for ScaledParts {
    fn drop(&mut self) {
        if !self.is_owner || std::thread::panicking() {
            return;
        }
        self.ask_rabbitmq("DELETE");
        self.flush_redis();
        let _ = fs::remove_dir_all(&self.bucket);
        let (server, _) = self.postgres.rsplit_once('/').expect("a URL with a database");
        let mut dropping = psql(
            &format!("{server}/postgres"),
            &format!("DROP DATABASE IF EXISTS \"{}\" WITH (FORCE)", self.name),
        );
        // Dropping waits for a checkpoint; nobody has to wait for it.
        let _ = dropping.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    }
}
