//! The systems under test, each started fresh for a round in a directory of its own.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::Fault;
use crate::load::Door;
use crate::sink::beside;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum System {
    /// Posthaste, by HTTP.
    Posthaste,
    /// Posthaste, by SMTP.
    PosthasteSmtp,
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
            Self::Posthaste | Self::PosthasteSmtp => {
                let (child, address, door) = posthaste(directory.path(), relay, dkim).await?;
                metrics = Some(address);
                if self == Self::Posthaste {
                    (child, address, door)
                } else {
                    let address = fs::read_to_string(directory.path().join("data/run/smtp.addr"))?;
                    (child, address.trim().parse()?, Door::Smtp)
                }
            }
            Self::Postfix => postfix(directory.path(), relay).await?,
            Self::Ceiling => ceiling(directory.path(), relay).await?,
        };
        let process = child.id().ok_or("it ended at once")?;
        Ok(Running { address, door, metrics, process, child, directory, system: self })
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
async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> Result<T, Fault> {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(30) {
        if let Some(found) = condition().await {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(format!("not within 30 s: {what}").into())
}

async fn get(address: SocketAddr, path: &str) -> Result<String, Fault> {
    let mut stream = TcpStream::connect(address).await?;
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n").as_bytes())
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

type Started = (Child, SocketAddr, Door);

async fn posthaste(directory: &Path, relay: SocketAddr, dkim: Option<Dkim>) -> Result<Started, Fault> {
    let program = beside("posthaste")?;
    let data = directory.join("data");
    let command = || -> Command {
        let mut command = Command::new(&program);
        command
            .current_dir(directory)
            .env_clear()
            .env("DATA_DIR", &data)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    };
    let mut serve = command();
    serve
        .args(["serve"])
        .env("HTTP_LISTEN", "127.0.0.1:0")
        .env("SMTP_LISTEN", "127.0.0.1:0")
        .env("POSTHASTE_LIMITS__PER_IP", "1000000000/min")
        .env("SMTP_HOST", relay.ip().to_string())
        .env("SMTP_PORT", relay.port().to_string())
        .env("SMTP_ENCRYPTION", "none")
        .env("LOG_LEVEL", "warn")
        .stdout(fs::File::create(directory.join("stdout"))?)
        .stderr(fs::File::create(directory.join("stderr"))?);
    let child = serve.spawn()?;
    let address = until("Posthaste is ready", async || {
        let address: SocketAddr = fs::read_to_string(data.join("run/http.addr")).ok()?.trim().parse().ok()?;
        get(address, "/readyz").await.ok()?.starts_with("HTTP/1.1 200").then_some(address)
    })
    .await?;
    let run = async |arguments: &[&str]| -> Result<Value, Fault> {
        let output = command().args(arguments).output().await?;
        if output.status.success() {
            Ok(serde_json::from_slice(&output.stdout)?)
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
        }
    };
    run(&["client", "create", "--name", "bench", "--json"]).await?;
    let key = ["key", "create", "--client", "bench", "--rate-limit", "1000000000/min", "--json"];
    let key = run(&key).await?["key"].as_str().ok_or("no key")?.to_owned();
    // Of no client alone: by SMTP there is no key, and mail is the default client's.
    run(&["domain", "create", "example.com", "--json"]).await?;
    if let Some(dkim) = dkim {
        let algorithm = if dkim == Dkim::Rsa { "rsa" } else { "ed25519" };
        run(&["domain", "dkim", "example.com", "--new", algorithm, "--json"]).await?;
    }
    Ok((child, address, Door::Http(key)))
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
