//! A private Postfix: its own configuration, queue and port, mail into maildirs; ended with the value.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::wait::eventually;

/// Where Debian puts it.
const POSTFIX: &str = "/usr/sbin/postfix";

/// A running Postfix that takes mail for ann and bob at example.org, each into a maildir.
pub struct Postfix {
    directory: TempDir,
    master: Child,
    address: SocketAddr,
}

impl Postfix {
    /// Starts one.
    ///
    /// # Panics
    /// Without Postfix, or without root: its master needs it. `./test` installs it.
    pub fn start() -> Self {
        assert!(Path::new(POSTFIX).exists(), "Postfix is missing; ./test installs it");
        let directory = tempfile::Builder::new().prefix("posthaste-postfix").tempdir().expect("a directory");
        // Port 0 is not for Postfix: take a free one and let it go again.
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        configure(directory.path(), port);
        let master = Command::new(POSTFIX)
            .arg("-c")
            .arg(directory.path().join("etc"))
            .arg("start-fg")
            .env("MAIL_CONFIG", directory.path().join("etc"))
            .stdin(Stdio::null())
            .stdout(log(directory.path()))
            .stderr(log(directory.path()))
            .spawn()
            .expect("Postfix starts");
        let mut postfix = Self { directory, master, address };
        eventually("Postfix listens", || {
            if let Ok(Some(status)) = postfix.master.try_wait() {
                panic!("Postfix ended: {status}\n{}", postfix.log());
            }
            TcpStream::connect(address).ok()
        });
        postfix
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The messages delivered to a local part, as they lie in the maildir.
    pub fn delivered_to(&self, local_part: &str) -> Vec<Vec<u8>> {
        let new = self.directory.path().join("mail").join(local_part).join("new");
        let Ok(entries) = fs::read_dir(new) else { return Vec::new() };
        entries.filter_map(|entry| fs::read(entry.ok()?.path()).ok()).collect()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let stopped =
            Command::new(POSTFIX).arg("-c").arg(self.directory.path().join("etc")).arg("abort").output();
        if stopped.is_err() {
            // The master alone, then; its children follow it.
            let _ = self.master.kill();
        }
        let _ = self.master.wait();
        if std::thread::panicking() {
            eprintln!("--- Postfix\n{}", self.log());
        }
    }
}

fn log(directory: &Path) -> fs::File {
    fs::OpenOptions::new().create(true).append(true).open(directory.join("log")).expect("a log file")
}

fn configure(directory: &Path, port: u16) {
    let path = |name: &str| -> PathBuf { directory.join(name) };
    for name in ["etc", "queue", "data", "mail"] {
        fs::create_dir(path(name)).expect("a directory");
    }
    // Postfix's own account writes the maildirs; nobody but this test sees the directory's name.
    let ids = |flag: &str| -> String {
        let output = Command::new("id").args([flag, "postfix"]).output().expect("id");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let (user, group) = (ids("-u"), ids("-g"));
    let own = Command::new("chown").args(["-R", "postfix"]).arg(path("data")).arg(path("mail")).status();
    assert!(own.is_ok_and(|status| status.success()), "chown needs root, as Postfix does");
    let open = Command::new("chmod").arg("755").arg(directory).status();
    assert!(open.is_ok_and(|status| status.success()), "chmod");
    let main = format!(
        "compatibility_level = 3.6\nqueue_directory = {queue}\ndata_directory = {data}\n\
         maillog_file = {log}\nmaillog_file_prefixes = {log_directory}\n\
         inet_interfaces = 127.0.0.1\ninet_protocols = ipv4\nmyhostname = mx.example.org\nmydestination =\n\
         mynetworks = 127.0.0.0/8\nsmtpd_relay_restrictions = permit_mynetworks, reject\n\
         virtual_mailbox_domains = example.org\nvirtual_mailbox_base = {mail}\n\
         virtual_mailbox_maps = texthash:{map}\nvirtual_uid_maps = static:{user}\nvirtual_gid_maps = static:{group}\n\
         virtual_minimum_uid = 1\nalias_maps =\nalias_database =\nlocal_recipient_maps =\n\
         smtputf8_enable = yes\ndisable_dns_lookups = yes\nmessage_size_limit = 50000000\n\
         virtual_mailbox_limit = 0\nmailbox_size_limit = 0\n",
        queue = path("queue").display(),
        data = path("data").display(),
        log = path("log").display(),
        log_directory = directory.display(),
        mail = path("mail").display(),
        map = path("etc/mailboxes").display(),
    );
    let master = format!(
        "127.0.0.1:{port} inet n - n - - smtpd\n\
         pickup unix n - n 60 1 pickup\ncleanup unix n - n - 0 cleanup\nqmgr unix n - n 300 1 qmgr\n\
         rewrite unix - - n - - trivial-rewrite\nbounce unix - - n - 0 bounce\ndefer unix - - n - 0 bounce\n\
         trace unix - - n - 0 bounce\nverify unix - - n - 1 verify\nflush unix n - n 1000? 0 flush\n\
         proxymap unix - - n - - proxymap\nproxywrite unix - - n - 1 proxymap\nsmtp unix - - n - - smtp\n\
         relay unix - - n - - smtp\nerror unix - - n - - error\nretry unix - - n - - error\n\
         discard unix - - n - - discard\nlocal unix - n n - - local\nvirtual unix - n n - - virtual\n\
         lmtp unix - - n - - lmtp\nanvil unix - - n - 1 anvil\nscache unix - - n - 1 scache\n\
         showq unix n - n - - showq\npostlog unix-dgram n - n - 1 postlogd\n"
    );
    fs::write(path("etc/main.cf"), main).expect("main.cf");
    fs::write(path("etc/master.cf"), master).expect("master.cf");
    fs::write(path("etc/mailboxes"), "ann@example.org ann/\nbob@example.org bob/\n").expect("the map");
}
