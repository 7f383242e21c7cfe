//! A private S3 server that can be stopped, started again and cut off in the middle of a request.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use posthaste_s3_server::{Line, Login, S3Server};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::options::ServerOptions;

const BUCKET: &str = "mail";
const ACCESS_KEY_ID: &str = "journey";
const SECRET_ACCESS_KEY: &str = "a secret of this journey";

/// A bucket of its own, on a thread of its own.
pub struct ObjectStore {
    server: Option<S3Server>,
    address: SocketAddr,
    folder: TempDir,
    runtime: Runtime,
}

impl ObjectStore {
    /// A running one with an empty bucket.
    pub fn start() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let folder = tempfile::tempdir().expect("a directory");
        let mut store = Self { server: None, address: ([127, 0, 0, 1], 0).into(), folder, runtime };
        store.begin();
        store
    }

    /// Starts it where it was, with what was in it.
    pub fn begin(&mut self) {
        let login =
            Login { access_key_id: ACCESS_KEY_ID.into(), secret_access_key: SECRET_ACCESS_KEY.into() };
        let starting = S3Server::start_at(self.address, self.folder.path(), &[BUCKET], login);
        let server = self.runtime.block_on(starting).expect("a free port");
        self.address = server.address();
        self.server = Some(server);
    }

    /// Ends it; what it holds stays.
    pub fn stop(&mut self) {
        self.server = None;
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server keeps its files here.
    pub fn used_by(&self, options: ServerOptions) -> ServerOptions {
        Self::used_at(self.address, options)
    }

    /// [`Self::used_by`] over a line that can be cut.
    pub fn used_at(address: SocketAddr, options: ServerOptions) -> ServerOptions {
        options
            .env("S3_ENDPOINT", format!("http://{address}"))
            .env("S3_BUCKET", BUCKET)
            .env("S3_ACCESS_KEY_ID", ACCESS_KEY_ID)
            .env("S3_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
    }

    /// The line to it, to cut it.
    pub fn line(&self) -> &Line {
        self.running().line()
    }

    /// Uploads neither finished nor aborted.
    pub fn pending_uploads(&self) -> usize {
        self.running().pending_uploads()
    }

    /// Every file in the bucket, under the name it has there.
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).expect("a folder").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push((path.display().to_string(), fs::read(&path).expect("a file")));
                }
            }
        }
        files
    }

    /// Makes every file old: older than any request.
    pub fn age(&self) {
        for (path, _) in self.files() {
            let file = fs::File::options().write(true).open(path).expect("a file");
            let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
            file.set_modified(long_ago).expect("an older file");
        }
    }

    /// The blobs in the bucket.
    pub fn blobs(&self) -> usize {
        fs::read_dir(self.folder.path().join(BUCKET).join("blobs")).map_or(0, Iterator::count)
    }

    fn running(&self) -> &S3Server {
        self.server.as_ref().expect("an object store that runs")
    }
}
