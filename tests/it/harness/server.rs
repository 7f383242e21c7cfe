//! Posthaste as its users run it: the built program, in a directory of its own, on free ports.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::http::{self, Connection, Response};
use super::installation::{Installation, ScaledParts};
use super::options::ServerOptions;
use super::relay::Relay;
use super::wait::{eventually, eventually_within};

/// A running (or stopped) server and its directory. Dropping it kills the process; a failing test prints its logs.
pub struct Server {
    options: ServerOptions,
    directory: TempDir,
    parts: Option<ScaledParts>,
    child: Option<Child>,
    address: Option<SocketAddr>,
    key: String,
}

impl Server {
    /// Starts a server with default options: mail stays in the inbox.
    #[track_caller]
    pub fn inbox() -> Self {
        Self::start(ServerOptions::default())
    }

    /// Starts a server that sends to `relay`.
    #[track_caller]
    pub fn to_relay(relay: &Relay) -> Self {
        Self::start(ServerOptions::to_relay(relay))
    }

    /// Starts a server, waits until it is ready and lets its default client send from example.com.
    #[track_caller]
    pub fn start(options: ServerOptions) -> Self {
        let mut server = Self::start_bare(options);
        // Printed when the listener is open, which may be a moment after it answers.
        server.key = eventually("a key in the banner", || server.key_in_banner());
        server.cli_json(&["domain", "create", "example.com", "--client", "default"]);
        server
    }

    /// Starts a server and waits until it is ready; nothing else.
    #[track_caller]
    pub fn start_bare(options: ServerOptions) -> Self {
        let mut server = Self::prepare(options);
        server.spawn();
        server.wait_ready();
        server
    }

    /// Everything but the process.
    pub fn prepare(options: ServerOptions) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        if let Some(toml) = &options.toml {
            fs::write(directory.path().join("posthaste.toml"), toml).expect("a configuration file");
        }
        let mut server =
            Self { options, directory, parts: None, child: None, address: None, key: String::new() };
        if server.options.installation == Installation::Scaled {
            server.parts = Some(ScaledParts::of(&server.data()));
        }
        server
    }

    /// Starts the process, without waiting for anything.
    pub fn spawn(&mut self) {
        let served = self.command();
        let Some(line) = &self.options.under else { return self.spawn_as(served) };
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{line} && exec \"$0\" \"$@\"")).arg(served.get_program());
        command.args(served.get_args());
        command.current_dir(self.directory.path()).env_clear();
        command.envs(served.get_envs().filter_map(|(name, value)| Some((name, value?))));
        self.spawn_as(command);
    }

    fn spawn_as(&mut self, mut command: Command) {
        // Left by an earlier life; absent is as good.
        let _ = fs::remove_file(self.address_file());
        self.address = None;
        let log = |name: &str| -> File {
            let path = self.directory.path().join(name);
            OpenOptions::new().create(true).append(true).open(path).expect("a log file")
        };
        command.arg("serve").stdin(Stdio::null());
        if let Some((role, _)) = &self.options.role {
            command.args(["--role", role]);
        }
        command.stdout(log("stdout")).stderr(log("stderr"));
        self.child = Some(command.spawn().expect("the program starts"));
    }

    /// Waits until `/readyz` says yes.
    #[track_caller]
    pub fn wait_ready(&mut self) {
        let file = self.address_file();
        eventually("the server is ready", || {
            if let Some(status) = self.exited() {
                panic!("the server ended ({status}) before it was ready:\n{}", self.stderr());
            }
            let address: SocketAddr = fs::read_to_string(&file).ok()?.trim().parse().ok()?;
            self.address = Some(address);
            let ready = http::request(address, "GET", "/readyz", &[], b"").ok()?;
            (ready.status == 200).then_some(())
        });
    }

    /// Waits until every part works: a start does not wait for the broker, where there is one.
    #[track_caller]
    pub fn wait_healthy(&self) {
        eventually("every part works", || {
            let health = http::request(self.address(), "GET", "/health", &[], b"").ok()?;
            (health.status == 200).then_some(())
        });
    }

    fn address_file(&self) -> PathBuf {
        let name = self.options.role.as_ref().map_or("http.addr", |(_, file)| file);
        self.data().join("run").join(name)
    }

    /// The program, in this server's directory and environment.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_posthaste"));
        command.current_dir(self.directory.path()).env_clear().env("DATA_DIR", self.data());
        command.envs(self.options.env.iter().map(|(name, value)| (name, value)));
        if let Some(parts) = &self.parts {
            command.envs(parts.variables(|name| self.options.env.iter().any(|(own, _)| own == name)));
        }
        if self.options.toml.is_some() {
            command.arg("--config").arg(self.directory.path().join("posthaste.toml"));
        }
        command
    }

    /// Runs a command of the program to its end.
    pub fn cli(&self, arguments: &[&str]) -> Output {
        let mut command = self.command();
        command.env_remove("POSTHASTE_FAULT").args(arguments).stdin(Stdio::null());
        command.output().expect("the program runs")
    }

    /// Runs a command with `--json` and reads what it printed.
    #[track_caller]
    pub fn cli_json(&self, arguments: &[&str]) -> Value {
        let output = self.cli(&[arguments, &["--json"]].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|fault| panic!("{fault}: {arguments:?}"))
    }

    /// Makes a client with a key; answers the key.
    #[track_caller]
    pub fn new_client(&self, name: &str) -> String {
        self.cli_json(&["client", "create", "--name", name]);
        self.new_key(&["--client", name])
    }

    /// Makes a key.
    #[track_caller]
    pub fn new_key(&self, arguments: &[&str]) -> String {
        let made = self.cli_json(&[&["key", "create"], arguments].concat());
        made["key"].as_str().expect("a key").to_owned()
    }

    /// A key of the default client that may write templates too.
    #[track_caller]
    pub fn templates_key(&self) -> String {
        let permissions = ["emails:send", "emails:read", "emails:cancel", "templates:write"];
        let arguments: Vec<&str> = permissions.iter().flat_map(|name| ["--permission", name]).collect();
        self.new_key(&[&["--client", "default"], &arguments[..]].concat())
    }

    pub fn key(&self) -> &str {
        &self.key
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("a running server").id()
    }

    pub fn data(&self) -> PathBuf {
        self.options.data.clone().unwrap_or_else(|| self.directory.path().join("data"))
    }

    /// Where it serves HTTP.
    pub fn address(&self) -> SocketAddr {
        self.address.expect("a server that is ready")
    }

    pub fn stdout(&self) -> String {
        fs::read_to_string(self.directory.path().join("stdout")).unwrap_or_default()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.directory.path().join("stderr")).unwrap_or_default())
            .into_owned()
    }

    /// The key that its start showed, if it showed one.
    pub fn key_in_banner(&self) -> Option<String> {
        let banner = self.stdout();
        let from = banner.find("ph_live_").or_else(|| banner.find("ph_test_"))?;
        // Up to what follows it: the rest may not have been written yet.
        let end = banner[from..].find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
        Some(banner[from..from + end].to_owned())
    }

    /// Sends a request with the default client's key.
    pub fn try_request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        let mut all = vec![("X-Api-Key", self.key())];
        if method == "POST" && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            all.push(("Content-Type", "application/json"));
        }
        all.extend(headers.iter().filter(|(_, value)| *value != NONE));
        if headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("x-api-key")) {
            all.remove(0);
        }
        http::request(self.address(), method, path, &all, body)
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        self.get_with(path, &[])
    }

    #[track_caller]
    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        self.try_request("GET", path, headers, b"").unwrap_or_else(|fault| panic!("GET {path}: {fault}"))
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Response {
        self.post_with(path, &[], body)
    }

    #[track_caller]
    pub fn post_with(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Response {
        self.post_raw(path, headers, body.to_string().as_bytes())
    }

    #[track_caller]
    pub fn post_raw(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        self.try_request("POST", path, headers, body).unwrap_or_else(|fault| panic!("POST {path}: {fault}"))
    }

    /// Has an email accepted; answers its id.
    #[track_caller]
    pub fn send(&self, email: &Value) -> String {
        let answer = self.post("/api/emails", email).expect(202).json();
        answer["email_id"].as_str().expect("an id").to_owned()
    }

    /// The email as the API shows it.
    #[track_caller]
    pub fn email(&self, id: &str) -> Value {
        self.get(&format!("/api/emails/{id}")).expect(200).json()
    }

    /// Waits until the email has a status; answers it whole.
    #[track_caller]
    pub fn wait_status(&self, id: &str, status: &str) -> Value {
        let mut last = Value::Null;
        eventually(&format!("the email becomes {status}"), || {
            last = self.email(id);
            let is_over = matches!(last["status"].as_str(), Some("failed" | "cancelled"));
            assert!(!is_over || last["status"] == status, "{last:#}");
            (last["status"] == status).then(|| last.clone())
        })
    }

    /// A kept-open connection.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        Connection::open(self.address()).expect("the server listens")
    }

    /// What `kill -NAME` would do.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let status = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status();
        assert!(status.is_ok_and(|status| status.success()), "kill -{name}");
    }

    /// Ends the process as a power cut would.
    pub fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Ended already: as good.
            let _ = child.kill();
            let _ = child.wait();
        }
        self.address = None;
    }

    /// Asks the process to end and waits until it has.
    #[track_caller]
    pub fn sigterm(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait_exit(Duration::from_secs(40))
    }

    /// The exit status, if the process has ended.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    /// Waits until the process has ended.
    #[track_caller]
    pub fn wait_exit(&mut self, patience: Duration) -> ExitStatus {
        let status = eventually_within(patience, "the server ends", || self.exited());
        self.child = None;
        status
    }

    /// Starts again on the same data, with the same options.
    #[track_caller]
    pub fn restart(&mut self) {
        self.kill9();
        self.spawn();
        self.wait_ready();
    }

    /// Changes the options of the next start.
    pub fn change(&mut self, change: impl FnOnce(ServerOptions) -> ServerOptions) {
        self.options = change(self.options.clone());
    }

    /// Starts again on the same data with changed options.
    #[track_caller]
    pub fn restart_with(&mut self, change: impl FnOnce(ServerOptions) -> ServerOptions) {
        self.kill9();
        self.change(change);
        self.spawn();
        self.wait_ready();
    }

    /// Resident memory in KiB, now (`VmRSS`) or at its highest (`VmHWM`).
    pub fn memory_kib(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap_or_default();
        line.split_ascii_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or(0)
    }
}

/// A header with this value is not sent: `("X-Api-Key", NONE)` sends no key.
pub const NONE: &str = "\0";

impl Drop for Server {
    fn drop(&mut self) {
        self.kill9();
        if std::thread::panicking() {
            let log = self.stderr();
            let lines: Vec<&str> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(100)..].join("\n");
            eprintln!("--- the server's output\n{}\n--- the end of its log\n{end}", self.stdout());
        }
    }
}
