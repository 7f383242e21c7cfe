//! `S3_ACCESS_KEY_ID=... S3_SECRET_ACCESS_KEY=... s3-server 127.0.0.1:PORT FOLDER BUCKET...`

use std::env;
use std::error::Error;
use std::path::PathBuf;

use posthaste_s3_server::{Login, S3Server};

/// A variable that must be there.
fn variable(name: &str) -> Result<String, String> {
    let value = env::var_os(name).and_then(|value| value.into_string().ok());
    value.ok_or_else(|| format!("{name} is missing"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().ok_or("usage: s3-server ADDRESS FOLDER BUCKET...")?.parse()?;
    let folder = PathBuf::from(arguments.next().ok_or("a folder is missing")?);
    let buckets: Vec<String> = arguments.collect();
    let buckets: Vec<&str> = buckets.iter().map(String::as_str).collect();
    let login = Login {
        access_key_id: variable("S3_ACCESS_KEY_ID")?,
        secret_access_key: variable("S3_SECRET_ACCESS_KEY")?,
    };
    S3Server::start_at(address, &folder, &buckets, login).await?.wait().await;
    Ok(())
}
