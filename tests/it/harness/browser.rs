//! A browser as far as HTTP goes: keeps cookies, reads the token of forms, follows nothing by itself.

use super::http::{self, Response};
use super::server::Server;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::Stdio;

/// The password of every user that a test makes.
pub const PASSWORD: &str = "correct horse battery";

/// Makes a user.
#[track_caller]
pub fn make_user(server: &Server, email: &str, role: &str) {
    let mut command = server.command();
    command.args(["user", "create", "--email", email, "--role", role, "--password-stdin", "--json"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a start");
    child.stdin.take().expect("a pipe").write_all(PASSWORD.as_bytes()).expect("taken");
    let output = child.wait_with_output().expect("an end");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Makes an event; its number.
#[track_caller]
pub fn make_event(server: &Server, name: &str, owner: &str) -> i64 {
    let made = server.cli_json(&["event", "create", "--name", name, "--owner", owner]);
    made["id"].as_i64().expect("a number")
}

/// A browser.
pub struct Browser {
    address: SocketAddr,
    cookies: RefCell<BTreeMap<String, String>>,
    token: RefCell<String>,
}

impl Browser {
    pub fn new(server: &Server) -> Self {
        Self { address: server.address(), cookies: RefCell::default(), token: RefCell::default() }
    }

    /// Logged in as this user.
    #[track_caller]
    pub fn logged_in(server: &Server, email: &str) -> Self {
        let browser = Self::new(server);
        browser.get("/login").expect(200);
        browser.post("/login", &[("email", email), ("password", PASSWORD)]).expect(303);
        browser.get("/account/password").expect(200);
        browser
    }

    /// One cookie.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.borrow().get(name).cloned()
    }

    /// Puts a cookie in, as another browser would have it.
    pub fn put_cookie(&self, name: &str, value: &str) {
        self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
    }

    /// The token of the last page with a form.
    pub fn token(&self) -> String {
        self.token.borrow().clone()
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Response {
        self.send("GET", path, &[("Accept", "text/html")], b"")
    }

    #[track_caller]
    pub fn get_json(&self, path: &str) -> Response {
        self.send("GET", path, &[("Accept", "application/json")], b"")
    }

    /// A form with the token, as a page without a script sends it.
    #[track_caller]
    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let token = self.token();
        self.post_form(path, &[], &[&[("_token", token.as_str())], fields].concat())
    }

    /// A form as a script sends it.
    #[track_caller]
    pub fn ajax(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        let token = self.token();
        self.post_form(path, &[("X-CSRF-TOKEN", token.as_str()), ("Accept", "application/json")], fields)
    }

    /// A form with exactly these headers and fields.
    #[track_caller]
    pub fn post_form(&self, path: &str, headers: &[(&str, &str)], fields: &[(&str, &str)]) -> Response {
        let escape = |text: &str| text.bytes().fold(String::new(), |all, byte| all + &format!("%{byte:02X}"));
        let pairs: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
        let headers = [headers, &[("Content-Type", "application/x-www-form-urlencoded")]].concat();
        self.send("POST", path, &headers, pairs.join("&").as_bytes())
    }

    #[track_caller]
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        let kept = self.cookies.borrow().clone();
        let cookies: Vec<String> = kept.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut all = headers.to_vec();
        if !cookies.is_empty() {
            all.push(("Cookie", &cookies));
        }
        let response = http::request(self.address, method, path, &all, body);
        let response = response.unwrap_or_else(|fault| panic!("{method} {path}: {fault}"));
        for (name, value) in &response.headers {
            if let Some((name, value)) =
                value.split_once('=').filter(|_| name.eq_ignore_ascii_case("set-cookie"))
            {
                let value = value.split(';').next().unwrap_or_default();
                self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
            }
        }
        let text = response.text();
        if let Some(at) = text.find("name=\"csrf-token\" content=\"") {
            let token = text[at + 27..].split('"').next().unwrap_or_default();
            token.clone_into(&mut self.token.borrow_mut());
        }
        response
    }
}
