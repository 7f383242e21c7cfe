//! The systems under test, each started fresh for a round in a directory of its own.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::Fault;
use crate::load::Door;
use crate::message::Surface;
use crate::sink::beside;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum System {
    /// Posthaste, by the Emails API.
    Posthaste,
    /// Posthaste, by SMTP.
    PosthasteSmtp,
    /// Posthaste, by the OAuth API.
    Oauth,
    /// Posthaste, by the Mail Proxy API.
    MailProxy,
    /// Posthaste, by the Aegis API.
    Aegis,
    /// Postfix, tuned as its documentation advises for much mail, by SMTP.
    Postfix,
    /// The least a durable relay can do, by SMTP.
    Ceiling,
}

/// DKIM keys that Posthaste shall sign with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Dkim {
    Rsa,
    Ed25519,
}

/// A running system.
pub struct Running {
    pub address: SocketAddr,
    pub door: Door,
    /// Where it tells of its commits, if it does.
    metrics: Option<SocketAddr>,
    /// The root of its processes.
    pub process: u32,
    child: Child,
    directory: TempDir,
    system: System,
}

impl System {
    pub async fn start(self, relay: SocketAddr, dkim: Option<Dkim>) -> Result<Running, Fault> {
        let directory = tempfile::Builder::new().prefix("posthaste-bench").tempdir()?;
        let mut metrics = None;
        let (child, address, door) = match self {
            Self::Posthaste | Self::PosthasteSmtp | Self::Oauth | Self::MailProxy | Self::Aegis => {
                let place = Place { program: beside("posthaste")?, directory: directory.path() };
                let (child, http) = posthaste(&place, relay, dkim).await?;
                metrics = Some(http);
                let (address, door) = match self {
                    Self::PosthasteSmtp => {
                        let address = fs::read_to_string(directory.path().join("data/run/smtp.addr"))?;
                        (address.trim().parse()?, Door::Smtp)
                    }
                    Self::Oauth => (http, Door::Http(Surface::Oauth, place.access_token(http).await?)),
                    Self::MailProxy => (http, Door::Http(Surface::MailProxy, place.mail_token().await?)),
                    Self::Aegis => (http, Door::Http(Surface::Aegis, place.key().await?)),
                    _ => (http, Door::Http(Surface::Emails, place.key().await?)),
                };
                (child, address, door)
            }
            Self::Postfix => postfix(directory.path(), relay).await?,
            Self::Ceiling => ceiling(directory.path(), relay).await?,
        };
        let process = child.id().ok_or("it ended at once")?;
        Ok(Running { address, door, metrics, process, child, directory, system: self })
    }
}

impl System {
    /// Is it one of Posthaste's doors?
    pub fn is_ours(self) -> bool {
        !matches!(self, Self::Postfix | Self::Ceiling)
    }
}

impl Running {
    /// Commits of the store so far, where the system counts them.
    pub async fn commits(&self) -> Option<f64> {
        let text = get(self.metrics?, "/metrics").await.ok()?;
        let line = text.lines().find(|line| line.starts_with("posthaste_store_commit_seconds_count"))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    pub async fn stop(mut self) {
        if self.system == System::Postfix {
            let configuration = self.directory.path().join("etc");
            let _ =
                Command::new("/usr/sbin/postfix").arg("-c").arg(configuration).arg("abort").output().await;
        }
        // Ended already is as good.
        let _ = self.child.kill().await;
    }
}

/// Waits until something answers.
pub async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> Result<T, Fault> {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(30) {
        if let Some(found) = condition().await {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(format!("not within 30 s: {what}").into())
}

/// The whole answer to a GET.
pub async fn get(address: SocketAddr, path: &str) -> Result<String, Fault> {
    exchange(address, &format!("GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")).await
}

/// Sends a whole request and reads until the other side closes.
pub async fn exchange(address: SocketAddr, request: &str) -> Result<String, Fault> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

type Started = (Child, SocketAddr, Door);

/// An installation of Posthaste.
struct Place<'a> {
    program: PathBuf,
    directory: &'a Path,
}

impl Place<'_> {
    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        let place = command.current_dir(self.directory).env_clear().env("DATA_DIR", self.data());
        place.stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    /// Runs a command and reads what it printed as JSON.
    async fn run(&self, arguments: &[&str], input: Stdio) -> Result<Value, Fault> {
        let output = self.command().args(arguments).arg("--json").stdin(input).output().await?;
        if output.status.success() {
            Ok(serde_json::from_slice(&output.stdout)?)
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
        }
    }

    async fn key(&self) -> Result<String, Fault> {
        let create = ["key", "create", "--client", "bench", "--rate-limit", NO_LIMIT];
        text(&self.run(&create, Stdio::null()).await?, "key")
    }

    async fn mail_token(&self) -> Result<String, Fault> {
        let create = ["token", "create", "--name", "bench", "--permission", "mail:send"];
        text(&self.run(&create, Stdio::null()).await?, "token")
    }

    async fn access_token(&self, address: SocketAddr) -> Result<String, Fault> {
        let secret = self.directory.join("secret");
        fs::write(&secret, "bench-secret\n")?;
        let create = ["oauth-client", "create", "--id", "bench-oauth", "--secret-stdin", "--scope", "basic"];
        let more = ["--scope", "email", "--client", "bench", "--rate-limit", NO_LIMIT];
        self.run(&[&create[..], &more[..]].concat(), fs::File::open(secret)?.into()).await?;
        let login = json!({
            "grant_type": "client_credentials", "client_id": "bench-oauth", "client_secret": "bench-secret",
            "scope": "basic email",
        })
        .to_string();
        let head = format!(
            "POST /authorize HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            login.len()
        );
        let answer = exchange(address, &(head + &login)).await?;
        let body = answer.split_once("\r\n\r\n").ok_or("no answer")?.1;
        text(&serde_json::from_str(body)?, "access_token")
    }
}

/// More than any round sends.
const NO_LIMIT: &str = "1000000000/min";

fn text(answer: &Value, name: &str) -> Result<String, Fault> {
    Ok(answer[name].as_str().ok_or_else(|| format!("no {name} in {answer}"))?.to_owned())
}

/// A server that is ready, with a client and a domain; where it serves HTTP.
async fn posthaste(
    place: &Place<'_>,
    relay: SocketAddr,
    dkim: Option<Dkim>,
) -> Result<(Child, SocketAddr), Fault> {
    let mut serve = place.command();
    serve
        .args(["serve"])
        .env("HTTP_LISTEN", "127.0.0.1:0")
        .env("SMTP_LISTEN", "127.0.0.1:0")
        .env("POSTHASTE_LIMITS__PER_IP", NO_LIMIT)
        .env("POSTHASTE_LIMITS__PER_KEY", NO_LIMIT)
        .env("POSTHASTE_LIMITS__AEGIS", NO_LIMIT)
        .env("MAIL_FROM_ADDRESS", "noreply@example.com")
        .env("SMTP_HOST", relay.ip().to_string())
        .env("SMTP_PORT", relay.port().to_string())
        .env("SMTP_ENCRYPTION", "none")
        .env("LOG_LEVEL", "warn")
        .stdout(fs::File::create(place.directory.join("stdout"))?)
        .stderr(fs::File::create(place.directory.join("stderr"))?);
    let child = serve.spawn()?;
    let address = until("Posthaste is ready", async || {
        let file = place.data().join("run/http.addr");
        let address: SocketAddr = fs::read_to_string(file).ok()?.trim().parse().ok()?;
        get(address, "/readyz").await.ok()?.starts_with("HTTP/1.1 200").then_some(address)
    })
    .await?;
    place.run(&["client", "create", "--name", "bench"], Stdio::null()).await?;
    // Of no client alone: by SMTP there is no key, and mail is the default client's.
    place.run(&["domain", "create", "example.com"], Stdio::null()).await?;
    if let Some(dkim) = dkim {
        let algorithm = if dkim == Dkim::Rsa { "rsa" } else { "ed25519" };
        place.run(&["domain", "dkim", "example.com", "--new", algorithm], Stdio::null()).await?;
    }
    Ok((child, address))
}

async fn ceiling(directory: &Path, relay: SocketAddr) -> Result<Started, Fault> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["ceiling", "--relay", &relay.to_string(), "--log"])
        .arg(directory.join("log"))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
    let line = lines.next_line().await?.ok_or("the ceiling relay ended")?;
    let address = line.strip_prefix("smtp ").ok_or("an unknown line")?.parse()?;
    Ok((child, address, Door::Smtp))
}

async fn postfix(directory: &Path, relay: SocketAddr) -> Result<Started, Fault> {
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    for name in ["etc", "queue", "data"] {
        fs::create_dir(directory.join(name))?;
    }
    let shell = format!("chmod 755 '{0}' && chown postfix '{0}/data'", directory.display());
    if !Command::new("sh").args(["-c", &shell]).status().await?.success() {
        return Err("Postfix must be installed and run by root".into());
    }
    let main = format!(
        "compatibility_level = 3.6\nqueue_directory = {0}/queue\ndata_directory = {0}/data\n\
         maillog_file = {0}/log\nmaillog_file_prefixes = {0}\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n\
         myhostname = bench.example\nmydestination =\nmynetworks = 127.0.0.0/8\n\
         smtpd_relay_restrictions = permit_mynetworks, reject\nrelayhost = [127.0.0.1]:{1}\n\
         disable_dns_lookups = yes\nalias_maps =\nalias_database =\nlocal_recipient_maps =\n\
         message_size_limit = 50000000\nmailbox_size_limit = 0\nsmtputf8_enable = no\n\
         default_process_limit = 200\nin_flow_delay = 0\nqmgr_message_active_limit = 40000\n\
         initial_destination_concurrency = 50\ndefault_destination_concurrency_limit = 50\n\
         smtp_destination_concurrency_limit = 50\nsmtp_connection_cache_destinations = static:all\n",
        directory.display(),
        relay.port()
    );
    let master = format!(
        "127.0.0.1:{port} inet n - n - - smtpd\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n\
         rewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\n\
         trace unix - - n - 0 bounce\nproxymap unix - - n - - proxymap\nsmtp unix - - n - - smtp\n\
         relay unix - - n - - smtp\nerror unix - - n - - error\nretry unix - - n - - error\n\
         anvil unix - - n - 1 anvil\nscache unix - - n - 1 scache\npostlog unix-dgram n - n - 1 postlogd\n\
         tlsmgr unix - - n 1000? 1 tlsmgr\nlocal unix - n n - - local\nvirtual unix - n n - - virtual\n\
         flush unix n - n 1000? 0 flush\npickup unix n - n 60 1 pickup\nshowq unix n - n - - showq\n\
         verify unix - - n - 1 verify\n"
    );
    fs::write(directory.join("etc/main.cf"), main)?;
    fs::write(directory.join("etc/master.cf"), master)?;
    let child = Command::new("/usr/sbin/postfix")
        .arg("-c")
        .arg(directory.join("etc"))
        .arg("start-fg")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    until("Postfix listens", async || TcpStream::connect(address).await.ok()).await?;
    Ok((child, address, Door::Smtp))
}
