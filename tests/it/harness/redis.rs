//! A private Redis: on a port of its own, nothing on disk; ended with the value.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use super::wait::eventually;

/// A Redis that can be stopped, started again and made to hang.
pub struct Redis {
    address: SocketAddr,
    child: Option<Child>,
}

impl Redis {
    /// A free port, and nothing that listens there yet.
    pub fn absent() -> Self {
        // Port 0 is no port to Redis: take a free one and let it go again.
        let address =
            TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
        Self { address, child: None }
    }

    /// Starts one.
    ///
    /// # Panics
    /// Without `redis-server`; `./test` installs it.
    #[track_caller]
    pub fn start() -> Self {
        let mut redis = Self::absent();
        redis.begin();
        redis
    }

    /// Starts it where it was, with nothing in it.
    #[track_caller]
    pub fn begin(&mut self) {
        // Another server of its protocol may be tried in its place.
        let program = std::env::var_os("REDIS_SERVER").unwrap_or_else(|| "redis-server".into());
        let mut command = Command::new(program);
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"]);
        command.arg(self.address.port().to_string()).stdin(Stdio::null()).stdout(Stdio::null());
        self.child = Some(command.spawn().expect("redis-server starts; ./test installs it"));
        eventually("Redis listens", || TcpStream::connect(self.address).ok());
    }

    /// Ends it at once.
    pub fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A stopped process is killed as well as a running one.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// What `kill -NAME` would do: `STOP` has it hang, `CONT` go on.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        let pid = self.child.as_ref().expect("it runs").id();
        let status = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status();
        assert!(status.is_ok_and(|status| status.success()), "kill -{name}");
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every key and every value, one after the other.
    #[track_caller]
    pub fn everything(&self) -> String {
        const SCRIPT: &str = "local out = {}
            local read = {string = {'GET'}, hash = {'HGETALL'}, set = {'SMEMBERS'}, list = {'LRANGE', 0, -1},
                zset = {'ZRANGE', 0, -1}}
            for _, key in ipairs(redis.call('KEYS', '*')) do
                table.insert(out, key)
                local how = read[redis.call('TYPE', key).ok]
                local found = how[2] and redis.call(how[1], key, how[2], how[3]) or redis.call(how[1], key)
                if type(found) ~= 'table' then found = {found} end
                for _, value in ipairs(found) do table.insert(out, value) end
            end
            return out";
        let mut asked = Command::new("redis-cli");
        asked.args(["-h", "127.0.0.1", "-p", &self.address.port().to_string(), "--raw", "EVAL", SCRIPT, "0"]);
        let said = asked.output().expect("redis-cli runs");
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.status.success() && !text.starts_with("ERR"), "{text}");
        text
    }

    pub fn url(&self) -> String {
        format!("redis://{}/", self.address)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.end();
    }
}
