//! Headless Chromium, driven by chromedriver (W3C WebDriver) over plain HTTP.

use super::http;
use super::wait::eventually;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};

/// The key of an element in WebDriver's answers (W3C WebDriver, section 11).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// How a browser is to be.
#[derive(Clone, Copy, Default)]
pub struct Looks {
    /// As wide as a phone.
    pub phone: bool,
}

/// A browser with one window.
pub struct Chromium {
    driver: Child,
    /// Kept open: a driver whose output nobody takes dies of it.
    _said: BufReader<ChildStdout>,
    address: SocketAddr,
    session: String,
}

impl Chromium {
    /// Starts a driver and a browser.
    #[track_caller]
    pub fn start(looks: Looks) -> Self {
        let mut driver = Command::new("chromedriver")
            .args(["--port=0"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed (apt-get install chromium chromium-driver)");
        let mut said = BufReader::new(driver.stdout.take().expect("a pipe"));
        let address = SocketAddr::from(([127, 0, 0, 1], port_in(&mut said)));
        let mut browser = Self { driver, _said: said, address, session: String::new() };
        let size = if looks.phone { "--window-size=390,844" } else { "--window-size=1280,900" };
        let mut options = json!({
            "args": ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", size],
        });
        if looks.phone {
            options["mobileEmulation"] =
                json!({"deviceMetrics": {"width": 390, "height": 844, "pixelRatio": 2.0}});
        }
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"},
            // What a click brings may come a moment after it: a selector waits for its element.
            "timeouts": {"script": 120_000, "implicit": 30_000},
        }}});
        let made = browser.call("POST", "/session", &wanted);
        browser.session = format!("/session/{}", made["sessionId"].as_str().expect("a session"));
        browser
    }

    #[track_caller]
    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        self.try_call(method, path, body).unwrap_or_else(|fault| panic!("{method} {path}: {fault:#}"))
    }

    /// The answer, or what is wrong.
    #[track_caller]
    fn try_call(&self, method: &str, path: &str, body: &Value) -> Result<Value, Value> {
        let body = if method == "GET" { Vec::new() } else { body.to_string().into_bytes() };
        let headers = [("Content-Type", "application/json")];
        let answer = http::request(self.address, method, path, &headers, &body);
        let answer = answer.unwrap_or_else(|fault| panic!("{method} {path}: {fault}")).json();
        if answer["value"]["error"].is_null() { Ok(answer["value"].clone()) } else { Err(answer) }
    }

    #[track_caller]
    fn tell(&self, what: &str, body: &Value) -> Value {
        self.call("POST", &format!("{}{what}", self.session), body)
    }

    /// Opens an address.
    #[track_caller]
    pub fn open(&self, url: &str) {
        self.tell("/url", &json!({"url": url}));
    }

    /// What Chromium itself answers to a command of its DevTools protocol.
    #[track_caller]
    pub fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.tell("/goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    /// The same where it may be refused, such as of a page that is just going.
    #[track_caller]
    pub fn try_devtools(&self, command: &str, parameters: &Value) -> Option<Value> {
        let path = format!("{}/goog/cdp/execute", self.session);
        self.try_call("POST", &path, &json!({"cmd": command, "params": parameters})).ok()
    }

    /// From now on pages are asked for, and shown, as people want them who prefer the dark (or the light).
    #[track_caller]
    pub fn prefer(&self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.devtools("Emulation.setEmulatedMedia", &json!({"features": features}));
    }

    /// From now on the window is as large as this, without being opened anew.
    #[track_caller]
    pub fn resize(&self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// The whole page as a picture (PNG), also what lies below the window.
    #[track_caller]
    pub fn picture(&self) -> Vec<u8> {
        // A bar beside the window would take its part of the width, and the picture would be cut by as much.
        self.devtools("Emulation.setScrollbarsHidden", &json!({"hidden": true}));
        let size = self.devtools("Page.getLayoutMetrics", &json!({}))["cssContentSize"].clone();
        let clip = json!({"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1});
        let wanted = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let taken = self.devtools("Page.captureScreenshot", &wanted);
        BASE64.decode(taken["data"].as_str().expect("a picture")).expect("base64")
    }

    /// What a script answers; its body ends with `return`.
    #[track_caller]
    pub fn ask(&self, script: &str) -> Value {
        self.tell("/execute/sync", &json!({"script": script, "args": []}))
    }

    /// What a script answers later, by the function that is its last argument.
    #[track_caller]
    pub fn ask_later(&self, script: &str) -> Value {
        self.tell("/execute/async", &json!({"script": script, "args": []}))
    }

    /// Waits until a script answers true; a page that is just going or coming answers none.
    #[track_caller]
    pub fn wait_for(&self, what: &str, script: &str) {
        let path = format!("{}/execute/sync", self.session);
        let wanted = json!({"script": script, "args": []});
        let is_true = || self.try_call("POST", &path, &wanted).is_ok_and(|answer| answer == json!(true));
        eventually(what, || is_true().then_some(()));
    }

    #[track_caller]
    fn element(&self, selector: &str) -> String {
        let found = self.tell("/element", &json!({"using": "css selector", "value": selector}));
        found[ELEMENT].as_str().unwrap_or_else(|| panic!("{selector}")).to_owned()
    }

    /// What a call about the element that a CSS selector finds answers. A page that lives may be drawn anew between the
    /// finding and the call; then the element is found again.
    #[track_caller]
    fn call_of(&self, selector: &str, method: &str, what: &str, body: &Value) -> Value {
        eventually(selector, || {
            let path = format!("{}/element/{}{what}", self.session, self.element(selector));
            match self.try_call(method, &path, body) {
                Ok(answer) => Some(answer),
                Err(fault) if fault["value"]["error"] == json!("stale element reference") => None,
                Err(fault) => panic!("{selector}: {method} {what}: {fault:#}"),
            }
        })
    }

    /// Clicks what a CSS selector finds.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        self.call_of(selector, "POST", "/click", &json!({}));
    }

    /// Types into a field, over what stands there.
    #[track_caller]
    pub fn fill(&self, selector: &str, text: &str) {
        self.call_of(selector, "POST", "/clear", &json!({}));
        self.call_of(selector, "POST", "/value", &json!({"text": text}));
    }

    /// The text that is seen of an element.
    #[track_caller]
    pub fn text(&self, selector: &str) -> String {
        self.call_of(selector, "GET", "/text", &Value::Null).as_str().unwrap_or_default().to_owned()
    }

    /// Presses a key (its WebDriver code point) wherever the focus is.
    #[track_caller]
    pub fn press(&self, key: char) {
        let keys = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        self.tell("/actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": keys}]}));
    }

    /// Types wherever the focus is.
    #[track_caller]
    pub fn type_in(&self, text: &str) {
        for key in text.chars() {
            self.press(key);
        }
    }

    /// The page's address.
    pub fn url(&self) -> String {
        let path = format!("{}/url", self.session);
        self.call("GET", &path, &Value::Null).as_str().unwrap_or_default().to_owned()
    }

    /// What the console complained of since it was asked last.
    pub fn complaints(&self) -> Vec<String> {
        let entries = self.tell("/se/log", &json!({"type": "browser"}));
        let lines = entries.as_array().cloned().unwrap_or_default().into_iter();
        let bad = lines.filter(|one| matches!(one["level"].as_str(), Some("SEVERE" | "WARNING")));
        bad.map(|one| one["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Whether nothing sticks out of the window.
    #[track_caller]
    pub fn fits(&self) -> bool {
        self.ask("return document.documentElement.scrollWidth <= window.innerWidth + 1") == json!(true)
    }
}

/// The port that a driver says it listens on.
fn port_in(said: &mut BufReader<ChildStdout>) -> u16 {
    let lines = said.lines().map_while(Result::ok);
    let ports = lines.filter_map(|line| {
        let (_, port) = line.split_once("started successfully on port ")?;
        port.trim_end_matches('.').trim().parse().ok()
    });
    ports.into_iter().next().expect("a port")
}

impl Drop for Chromium {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            // Ended already: as good.
            let _ = http::request(self.address, "DELETE", &self.session, &[], b"");
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Keys by their WebDriver code points.
pub mod keys {
    pub const ENTER: char = '\u{e007}';
    pub const ESCAPE: char = '\u{e00c}';
    pub const TAB: char = '\u{e004}';
}
