//! An S3 server for tests, because Debian has none: `s3s` checks every request's AWS Signature Version 4, `s3s-fs` keeps
//! the objects as files in a folder, so that a test can damage or age one and look for what an aborted upload left.
//! It can also fall silent in the middle of a request, as a network does.

mod line;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::path::S3Path;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3Result, s3_error};
use s3s_fs::FileSystem;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

pub use line::Line;

/// Who may call.
#[derive(Clone, Debug)]
pub struct Login {
    /// The access key.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
}

/// A running server; its connections end with it.
#[derive(Debug)]
pub struct S3Server {
    address: SocketAddr,
    folder: PathBuf,
    line: Line,
    task: JoinHandle<()>,
}

impl S3Server {
    /// Serves the folders in `folder` as buckets, `buckets` among them. Port 0 is any free one.
    pub async fn start_at(
        address: SocketAddr,
        folder: &Path,
        buckets: &[&str],
        login: Login,
    ) -> io::Result<Self> {
        for bucket in buckets {
            fs::create_dir_all(folder.join(bucket))?;
        }
        let files = FileSystem::new(folder).map_err(|error| io::Error::other(format!("{error:?}")))?;
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(login.access_key_id, login.secret_access_key));
        service.set_access(BucketsStand(folder.to_owned()));
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let line = Line::default();
        let serving = serve(listener, service.build(), line.clone());
        #[expect(
            clippy::disallowed_methods,
            reason = "a test server of its own, without the product's tasks"
        )]
        let task = tokio::spawn(serving);
        Ok(Self { address, folder: folder.to_owned(), line, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `S3_ENDPOINT` is to be.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The connections, to cut them.
    pub fn line(&self) -> &Line {
        &self.line
    }

    /// Multipart uploads begun and neither completed nor aborted.
    pub fn pending_uploads(&self) -> usize {
        self.files_named(".upload-")
    }

    /// Their parts.
    pub fn pending_parts(&self) -> usize {
        self.files_named(".upload_id-")
    }

    fn files_named(&self, prefix: &str) -> usize {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix)).count()
    }

    /// Serves until it fails, which it does not.
    pub async fn wait(mut self) {
        // Only an abort ends it, and that is ours.
        let _ = (&mut self.task).await;
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Refuses what is in no bucket; `s3s-fs` would make the bucket.
struct BucketsStand(PathBuf);

#[async_trait::async_trait]
impl S3Access for BucketsStand {
    async fn check(&self, request: &mut S3AccessContext<'_>) -> S3Result<()> {
        if request.credentials().is_none() {
            return Err(s3_error!(AccessDenied, "Signature is required"));
        }
        match request.s3_path() {
            S3Path::Bucket { bucket } | S3Path::Object { bucket, .. } if !self.0.join(&**bucket).is_dir() => {
                Err(s3_error!(NoSuchBucket))
            }
            _ => Ok(()),
        }
    }
}

async fn serve(listener: TcpListener, service: S3Service, line: Line) {
    let mut connections = JoinSet::new();
    let http = Builder::new(TokioExecutor::new());
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((socket, _)) = accepted else { continue };
                let socket = TokioIo::new(line.carry(socket));
                let connection = http.serve_connection(socket, service.clone()).into_owned();
                // A client that goes away is no fault of the server.
                connections.spawn(async move { drop(connection.await) });
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}
