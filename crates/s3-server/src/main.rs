//! An S3 server for tests, because Debian has none: `s3s` checks every request's AWS Signature Version 4, `s3s-fs` keeps
//! the objects as files in a folder, so that a test can look for what an aborted upload left behind.
//!
//! `S3_ACCESS_KEY_ID=... S3_SECRET_ACCESS_KEY=... s3-server 127.0.0.1:PORT FOLDER BUCKET...`

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

/// A variable that must be there.
fn variable(name: &str) -> Result<String, String> {
    let value = env::var_os(name).and_then(|value| value.into_string().ok());
    value.ok_or_else(|| format!("{name} is missing"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().ok_or("usage: s3-server ADDRESS FOLDER BUCKET...")?;
    let folder = PathBuf::from(arguments.next().ok_or("a folder is missing")?);
    for bucket in arguments {
        fs::create_dir_all(folder.join(bucket))?;
    }
    let files = FileSystem::new(&folder).map_err(|error| format!("{}: {error:?}", folder.display()))?;
    let mut service = S3ServiceBuilder::new(files);
    service
        .set_auth(SimpleAuth::from_single(variable("S3_ACCESS_KEY_ID")?, variable("S3_SECRET_ACCESS_KEY")?));
    let service = service.build();

    let listener = TcpListener::bind(address).await?;
    let connections = Builder::new(TokioExecutor::new());
    loop {
        let (socket, _) = listener.accept().await?;
        let connection = connections.serve_connection(TokioIo::new(socket), service.clone()).into_owned();
        // A client that goes away is no fault of the server.
        #[expect(
            clippy::disallowed_methods,
            reason = "a test server of its own, without the product's tasks"
        )]
        tokio::spawn(async move { drop(connection.await) });
    }
}
