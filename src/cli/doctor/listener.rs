//! Whether a listener's address is free, or served by this very installation.

use super::Diagnosis;
use crate::config::DataDirectory;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// How long a server may take to say that it lives.
const LIMIT: Duration = Duration::from_secs(2);

/// Looks at the HTTP listener.
pub async fn http(data: &Path, listen: SocketAddr) -> Diagnosis {
    let part = "http.listen";
    // With port 0 a running server stands elsewhere.
    if let Some(address) = DataDirectory::address(data, "http")
        && is_alive(address).await
    {
        return Diagnosis::ok(part, format!("served at {address}"));
    }
    match TcpListener::bind(listen).await {
        Ok(_) => Diagnosis::ok(part, format!("{listen} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let remedy = "stop that program, or choose another address with HTTP_LISTEN";
            Diagnosis::failed(part, format!("{listen} is taken by another program"), remedy)
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let remedy =
                "ports below 1024 need CAP_NET_BIND_SERVICE; or choose a higher one with HTTP_LISTEN";
            Diagnosis::failed(part, format!("{listen} must not be used: {error}"), remedy)
        }
        Err(error) => {
            let remedy = "choose an address of this machine with HTTP_LISTEN";
            Diagnosis::failed(part, format!("{listen} cannot be used: {error}"), remedy)
        }
    }
}

/// Whether somebody answers `GET /livez` there as we do. A server with TLS answers a plain request by closing; it
/// then counts as alive when it is there at all.
async fn is_alive(address: SocketAddr) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        stream
            .write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await
            .ok()?;
        let mut answer = Vec::new();
        stream.take(4096).read_to_end(&mut answer).await.ok()?;
        Some(answer.starts_with(b"HTTP/1.1 200") || !answer.starts_with(b"HTTP/"))
    };
    tokio::time::timeout(LIMIT, asked).await.ok().flatten().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::super::Grade;
    use super::*;

    #[tokio::test]
    async fn a_free_address_is_told_from_a_taken_one() {
        let home = tempfile::tempdir().unwrap();
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        assert_eq!(http(home.path(), address).await.grade, Grade::Failed);
        drop(taken);
        assert_eq!(http(home.path(), address).await.grade, Grade::Ok);
    }
}
