//! A Posthaste of any role that can be stopped and started again, on whichever parts its variables name.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

use crate::Fault;
use crate::sink::beside;
use crate::system::{exchange, get, until};

/// Who looks at pages.
pub const ADMIN: &str = "admin@example.com";
const PASSWORD: &str = "correct-horse-battery";

/// A Posthaste in a directory of its own, that can be stopped and started again.
pub struct Node {
    directory: TempDir,
    variables: Vec<(&'static str, String)>,
    child: Option<Child>,
    address: Option<SocketAddr>,
}

impl Node {
    /// One that will send to `relay`; not started yet.
    pub fn new(relay: SocketAddr) -> Result<Self, Fault> {
        let directory = tempfile::Builder::new().prefix("posthaste-bench").tempdir()?;
        let mut node = Self { directory, variables: Vec::new(), child: None, address: None };
        for (name, value) in [
            ("HTTP_LISTEN", "127.0.0.1:0".to_owned()),
            ("SMTP_LISTEN", "127.0.0.1:0".to_owned()),
            ("POSTHASTE_LIMITS__PER_IP", "1000000000/min".to_owned()),
            ("SMTP_HOST", relay.ip().to_string()),
            ("SMTP_PORT", relay.port().to_string()),
            ("SMTP_ENCRYPTION", "none".to_owned()),
            ("LOG_LEVEL", "warn".to_owned()),
            // What several nodes must share.
            ("ENCRYPTION_KEY", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=".to_owned()),
            ("JWT_SECRET", "a secret of the measurement, long enough to sign with".to_owned()),
        ] {
            node.set(name, value);
        }
        Ok(node)
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &'static str, value: String) {
        self.variables.push((name, value));
    }

    /// Where its data lies.
    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    fn command(&self) -> Result<Command, Fault> {
        let mut command = Command::new(beside("posthaste")?);
        command
            .current_dir(self.directory.path())
            .env_clear()
            .env("DATA_DIR", self.data())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        Ok(command)
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&mut self) -> Result<(), Fault> {
        let file = self.data().join("run/http.addr");
        // Of an earlier life.
        let _ = fs::remove_file(&file);
        let output = |name: &str| fs::File::create(self.directory.path().join(name));
        let mut serve = self.command()?;
        serve.arg("serve").stdout(output("stdout")?).stderr(output("stderr")?);
        self.child = Some(serve.spawn()?);
        let address = until("Posthaste is ready", async || {
            let address: SocketAddr = fs::read_to_string(&file).ok()?.trim().parse().ok()?;
            get(address, "/readyz").await.ok()?.starts_with("HTTP/1.1 200").then_some(address)
        })
        .await?;
        self.address = Some(address);
        Ok(())
    }

    /// Asks it to end, and waits until it has.
    pub async fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        if let Some(id) = child.id() {
            let _ = Command::new("kill").arg(id.to_string()).status().await;
        }
        // Ended in whichever way is as good.
        let _ = child.wait().await;
    }

    /// Where it serves HTTP.
    pub fn address(&self) -> Result<SocketAddr, Fault> {
        Ok(self.address.ok_or("it does not run")?)
    }

    /// Its process.
    pub fn process(&self) -> Result<u32, Fault> {
        Ok(self.child.as_ref().and_then(Child::id).ok_or("it does not run")?)
    }

    /// Runs a command of the program; what it printed.
    pub async fn run(&self, arguments: &[&str]) -> Result<Value, Fault> {
        self.run_with(arguments, "").await
    }

    /// The same for a command that reads a secret.
    pub async fn run_with(&self, arguments: &[&str], input: &str) -> Result<Value, Fault> {
        let mut command = self.command()?;
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        child.stdin.take().ok_or("no pipe")?.write_all(input.as_bytes()).await?;
        let output = child.wait_with_output().await?;
        if output.status.success() {
            Ok(serde_json::from_slice(&output.stdout)?)
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
        }
    }

    /// A key without limits of a client that may send from example.com.
    pub async fn key(&self) -> Result<String, Fault> {
        self.run(&["client", "create", "--name", "bench", "--json"]).await?;
        let key = ["key", "create", "--client", "bench", "--rate-limit", "1000000000/min", "--json"];
        let key = self.run(&key).await?["key"].as_str().ok_or("no key")?.to_owned();
        // Of no client alone: by SMTP there is no key, and mail is the default client's.
        self.run(&["domain", "create", "example.com", "--json"]).await?;
        Ok(key)
    }

    /// Makes the user that [`Self::log_in`] is.
    pub async fn admin(&self) -> Result<(), Fault> {
        let create = ["user", "create", "--email", ADMIN, "--role", "admin", "--password-stdin", "--json"];
        self.run_with(&create, PASSWORD).await.map(drop)
    }

    /// What a browser is given that opens the page of the login: its cookie, and the token of its form.
    pub async fn login_page(&self) -> Result<(String, String), Fault> {
        let page =
            exchange(self.address()?, "GET /login HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
                .await?;
        let cookie = between(&page, "posthaste_session=", ';').ok_or("no cookie")?;
        let token = between(&page, "name=\"csrf-token\" content=\"", '"').ok_or("no token")?;
        Ok((cookie, token))
    }

    /// Logs in; what a browser then keeps.
    pub async fn log_in(&self) -> Result<String, Fault> {
        let (cookie, token) = self.login_page().await?;
        let form = format!("_token={token}&email={ADMIN}&password={PASSWORD}");
        let head = format!(
            "POST /login HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nCookie: posthaste_session={cookie}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        let answer = exchange(self.address()?, &head).await?;
        Ok(between(&answer, "posthaste_session=", ';').ok_or_else(|| format!("no login: {answer}"))?)
    }

    /// The page that somebody is shown who logged in.
    pub async fn page(&self, path: &str, cookie: &str) -> Result<String, Fault> {
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nAccept: text/html\r\n\
             Cookie: posthaste_session={cookie}\r\n\r\n"
        );
        let answer = exchange(self.address()?, &head).await?;
        if answer.starts_with("HTTP/1.1 200") { Ok(answer) } else { Err(format!("{path}: {answer}").into()) }
    }

    /// What it answers to a GET with a key: the body.
    pub async fn ask(&self, path: &str, key: &str) -> Result<String, Fault> {
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nX-Api-Key: {key}\r\n\r\n");
        let answer = exchange(self.address()?, &head).await?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("no body")?;
        if head.starts_with("HTTP/1.1 200") { Ok(body.to_owned()) } else { Err(answer.into()) }
    }
}

/// What stands behind a text, up to a character.
fn between(text: &str, before: &str, behind: char) -> Option<String> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split(behind).next()?.to_owned())
}
