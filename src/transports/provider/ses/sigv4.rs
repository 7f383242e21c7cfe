//! AWS Signature Version 4, for requests with their parameters in headers
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).

use aws_lc_rs::{digest, hmac};
use posthaste_model::{Secret, Timestamp};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Whose signature, and for what.
pub struct Keys<'a> {
    /// Names the key.
    pub access_key_id: &'a str,
    /// The key.
    pub secret_access_key: &'a Secret,
    /// Of credentials that last for a while.
    pub session_token: Option<&'a Secret>,
    /// Where the service is.
    pub region: &'a str,
    /// Its name in signatures.
    pub service: &'a str,
}

/// What is signed. `path` is as it stands in the request; `query` is empty or canonical already.
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// The path, encoded.
    pub path: &'a str,
    /// The query, canonical.
    pub query: &'a str,
    /// The host.
    pub host: &'a str,
    /// Signed beside `host` and the date.
    pub headers: &'a [(&'static str, String)],
    /// The body.
    pub body: &'a [u8],
}

/// The headers that sign `request`, made at `now`.
pub fn sign(request: &Request<'_>, keys: &Keys<'_>, now: Timestamp) -> Vec<(&'static str, String)> {
    let (day, time) = stamp(now);
    let mut added = vec![("X-Amz-Date", time.clone())];
    if let Some(token) = keys.session_token {
        added.push(("X-Amz-Security-Token", token.expose().to_owned()));
    }
    let (canonical, names) = canonical(request, &added);
    let scope = format!("{day}/{}/{}/aws4_request", keys.region, keys.service);
    let text = format!("{ALGORITHM}\n{time}\n{scope}\n{}", hash(canonical.as_bytes()));
    let mut key = mac(format!("AWS4{}", keys.secret_access_key.expose()).as_bytes(), day.as_bytes());
    for step in [keys.region, keys.service, "aws4_request"] {
        key = mac(key.as_ref(), step.as_bytes());
    }
    let signature = hex(mac(key.as_ref(), text.as_bytes()).as_ref());
    let credential = keys.access_key_id;
    let authorization =
        format!("{ALGORITHM} Credential={credential}/{scope}, SignedHeaders={names}, Signature={signature}");
    added.push(("Authorization", authorization));
    added
}

/// The canonical request, and the names of the signed headers.
fn canonical(request: &Request<'_>, added: &[(&'static str, String)]) -> (String, String) {
    let given =
        request.headers.iter().chain(added).map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()));
    let mut headers: Vec<(String, &str)> = given.chain([("host".to_owned(), request.host)]).collect();
    headers.sort();
    let mut lines = String::new();
    for (name, value) in &headers {
        lines.push_str(&format!("{name}:{}\n", value.trim()));
    }
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let (method, path, query) = (request.method, twice_encoded(request.path), request.query);
    (format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{}", hash(request.body)), names)
}

/// Every service but S3 wants the path, which is encoded already, encoded once more.
fn twice_encoded(path: &str) -> String {
    if path.is_empty() { "/".to_owned() } else { path.replace('%', "%25") }
}

/// `20150830` and `20150830T123600Z`.
fn stamp(now: Timestamp) -> (String, String) {
    let (year, month, day, hour, minute, second, _) = now.civil();
    let date = format!("{year:04}{month:02}{day:02}");
    let time = format!("{date}T{hour:02}{minute:02}{second:02}Z");
    (date, time)
}

fn mac(key: &[u8], text: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text)
}

fn hash(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "2015-08-30T12:36:00Z";

    #[test]
    fn amazons_own_example() {
        let secret = Secret::new("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        let keys = Keys {
            access_key_id: "AKIDEXAMPLE",
            secret_access_key: &secret,
            session_token: None,
            region: "us-east-1",
            service: "service",
        };
        let request = Request {
            method: "GET",
            path: "/",
            query: "",
            host: "example.amazonaws.com",
            headers: &[],
            body: b"",
        };
        let now = Timestamp::parse(AT).unwrap();
        let (text, _) = canonical(&request, &[("X-Amz-Date", stamp(now).1)]);
        let expected = "bb579772317eb040ac9ed261061d46c1f17a8133879d6129b6e1c25292927e63";
        assert_eq!(hash(text.as_bytes()), expected);
        let headers = sign(&request, &keys, now);
        assert_eq!(headers[0], ("X-Amz-Date", "20150830T123600Z".to_owned()));
        let authorization = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
            SignedHeaders=host;x-amz-date, \
            Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
        assert_eq!(headers[1], ("Authorization", authorization.to_owned()));
    }

    #[test]
    fn a_session_token_and_further_headers_are_signed() {
        let (secret, token) = (Secret::new("s"), Secret::new("t"));
        let keys = Keys {
            access_key_id: "A",
            secret_access_key: &secret,
            session_token: Some(&token),
            region: "r",
            service: "ses",
        };
        let headers = [("Content-Type", "application/json".to_owned())];
        let request =
            Request { method: "POST", path: "/a%20b", query: "", host: "h", headers: &headers, body: b"{}" };
        let signed = sign(&request, &keys, Timestamp::parse(AT).unwrap());
        assert!(signed[2].1.contains("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token,"));
        assert_eq!(twice_encoded("/a%20b"), "/a%2520b");
    }
}
