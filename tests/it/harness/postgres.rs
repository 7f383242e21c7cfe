//! A private PostgreSQL: on a port of its own, in a scratch directory; ended with the value.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::wait::eventually;

/// A PostgreSQL that can crash and be started again.
pub struct Postgres {
    folder: TempDir,
    programs: PathBuf,
    /// It refuses to run as root: then as the account `postgres`.
    account: Option<(u32, u32)>,
    address: SocketAddr,
    child: Option<Child>,
}

impl Postgres {
    /// Makes and starts one, with an empty database.
    ///
    /// # Panics
    /// Without Debian's `postgresql`; `./test` installs it.
    #[track_caller]
    pub fn start() -> Self {
        let mut postgres = Self::prepare();
        let mut initdb = postgres.program("initdb");
        initdb.args(["-U", "posthaste", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]);
        let made = initdb.output().expect("initdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        postgres.begin();
        postgres
    }

    /// A place for one, without data.
    fn prepare() -> Self {
        let address =
            TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
        let folder = tempfile::tempdir().expect("a temporary directory");
        let is_root = fs::metadata("/proc/self").expect("ourselves").uid() == 0;
        let account = is_root.then(account);
        if let Some((user, group)) = account {
            chown(folder.path(), Some(user), Some(group)).expect("a directory of its own");
        }
        Self { folder, programs: programs(), account, address, child: None }
    }

    /// A second server that follows this one. From now on every commit here waits until it is on both disks.
    #[track_caller]
    pub fn standby(&self) -> Self {
        let mut standby = Self::prepare();
        let from = format!("host=127.0.0.1 port={} user=posthaste", self.address.port());
        let mut copy = standby.program("pg_basebackup");
        let copied = copy.args(["-R", "-X", "stream", "-c", "fast", "-d", &from]).output().expect("it runs");
        assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        standby.begin();
        self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.sql("SELECT pg_reload_conf()");
        let following = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        eventually("the standby follows", || (self.sql(following) == "1").then_some(()));
        standby
    }

    /// Has a standby take over: it accepts writes when this returns.
    #[track_caller]
    pub fn promote(&self) {
        assert_eq!(self.sql("SELECT pg_promote()"), "t");
    }

    /// Runs statements; what they answered, as text.
    #[track_caller]
    pub fn sql(&self, statements: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statements]);
        let said = psql.arg(Self::url_at(self.address)).stdin(Stdio::null()).output().expect("psql runs");
        assert!(said.status.success(), "{statements}: {}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8_lossy(&said.stdout).trim_end().to_owned()
    }

    /// Starts it where it was; what was committed is there.
    #[track_caller]
    pub fn begin(&mut self) {
        let mut server = self.program("postgres");
        let port = self.address.port().to_string();
        server.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-p", &port]);
        server.args(["-c", "max_connections=200", "-c", "max_locks_per_transaction=1024"]);
        self.child = Some(server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts"));
        eventually("PostgreSQL takes connections", || {
            let mut asked = Command::new(self.programs.join("pg_isready"));
            asked.args(["-q", "-h", "127.0.0.1", "-p", &port]);
            asked.status().is_ok_and(|status| status.success()).then_some(())
        });
    }

    /// Ends it as a crash would: nothing is finished, nothing written out, and the next start recovers.
    #[track_caller]
    pub fn crash(&mut self) {
        if let Some(mut child) = self.child.take() {
            let line = format!("kill -QUIT {}", child.id());
            let status = Command::new("sh").args(["-c", &line]).status();
            assert!(status.is_ok_and(|status| status.success()), "{line}");
            child.wait().expect("it ends");
        }
    }

    /// Ends all its processes at once, as a machine does that loses power.
    pub fn kill9(&mut self) {
        if let Some(mut child) = self.child.take() {
            let pid = child.id();
            let own = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            // Those that ended by themselves meanwhile are as good.
            let _ = Command::new("sh").args(["-c", &format!("kill -KILL {pid} {own}")]).output();
            child.wait().expect("it ends");
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it is reached by `address`, such as over a line that can be cut.
    pub fn url_at(address: SocketAddr) -> String {
        format!("postgres://posthaste@{address}/postgres")
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.arg("-D").arg(self.folder.path().join("data")).stdin(Stdio::null());
        command.current_dir(self.folder.path());
        if let Some((user, group)) = self.account {
            command.gid(group).uid(user);
        }
        command
    }
}

/// Where Debian puts the servers: the newest of them.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").expect("Debian's postgresql; ./test installs it");
    let newest = versions.flatten().map(|version| version.path().join("bin")).max();
    newest.filter(|bin| bin.join("initdb").exists()).expect("a server; ./test installs it")
}

/// User and group of the account `postgres`.
fn account() -> (u32, u32) {
    let accounts = fs::read_to_string(Path::new("/etc/passwd")).expect("the accounts");
    let found = accounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let (user, group) = (fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?);
        (fields[0] == "postgres").then_some((user, group))
    });
    found.expect("the account postgres; its package makes it")
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = Command::new("sh").args(["-c", &format!("kill -QUIT {}", child.id())]).status();
            let _ = child.wait();
        }
    }
}
