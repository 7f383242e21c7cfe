//! Chromium with JavaScript switched off. WebDriver finds and presses things by scripts of its own, so this speaks to the
//! browser by its DevTools protocol alone: the document is looked at from outside, mouse and keys come as from a person.

use super::chromium::{Chromium, Looks};
use super::wait::eventually;
use serde_json::{Value, json};

/// A browser in which no script runs.
pub struct Scriptless(Chromium);

impl Scriptless {
    /// Starts one.
    #[track_caller]
    pub fn start(looks: Looks) -> Self {
        let browser = Chromium::start(looks);
        browser.devtools("Emulation.setScriptExecutionDisabled", &json!({"value": true}));
        Self(browser)
    }

    /// Opens an address.
    #[track_caller]
    pub fn open(&self, url: &str) {
        let begun = self.0.devtools("Page.navigate", &json!({"url": url}));
        eventually(&format!("{url} is open"), || {
            let shown = self.0.try_devtools("Page.getFrameTree", &json!({}))?;
            (shown["frameTree"]["frame"]["loaderId"] == begun["loaderId"]).then_some(())
        });
    }

    /// Waits until the page's address holds a text, as after a form was sent.
    #[track_caller]
    pub fn wait_for_url(&self, part: &str) {
        eventually(&format!("the address holds {part}"), || {
            let history = self.0.try_devtools("Page.getNavigationHistory", &json!({}))?;
            let at = usize::try_from(history["currentIndex"].as_u64()?).ok()?;
            history["entries"][at]["url"].as_str()?.contains(part).then_some(())
        });
    }

    /// The number of what a CSS selector finds now.
    fn find(&self, selector: &str) -> Option<u64> {
        let document = self.0.try_devtools("DOM.getDocument", &json!({"depth": 0}))?;
        let wanted = json!({"nodeId": document["root"]["nodeId"], "selector": selector});
        self.0.try_devtools("DOM.querySelector", &wanted)?["nodeId"].as_u64().filter(|node| *node > 0)
    }

    /// Whether a CSS selector finds anything.
    #[track_caller]
    pub fn has(&self, selector: &str) -> bool {
        self.find(selector).is_some()
    }

    /// Waits until a CSS selector finds something, as after a form was sent.
    #[track_caller]
    pub fn wait_for(&self, selector: &str) {
        eventually(selector, || self.has(selector).then_some(()));
    }

    /// The HTML of what a CSS selector finds.
    #[track_caller]
    pub fn html(&self, selector: &str) -> String {
        eventually(selector, || {
            let node = self.find(selector)?;
            let html = self.0.try_devtools("DOM.getOuterHTML", &json!({"nodeId": node}))?;
            html["outerHTML"].as_str().map(str::to_owned)
        })
    }

    /// The middle of what a CSS selector finds, once it can be seen.
    fn middle(&self, selector: &str) -> Option<(f64, f64)> {
        let node = json!({"nodeId": self.find(selector)?});
        self.0.try_devtools("DOM.scrollIntoViewIfNeeded", &node)?;
        let found = self.0.try_devtools("DOM.getContentQuads", &node)?;
        let corners: Vec<f64> = found["quads"][0].as_array()?.iter().filter_map(Value::as_f64).collect();
        let [left, top, .., right, bottom, _, _] = corners[..] else { return None };
        Some((f64::midpoint(left, right), f64::midpoint(top, bottom)))
    }

    /// Clicks what a CSS selector finds.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        let (x, y) = eventually(&format!("{selector} can be seen"), || self.middle(selector));
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1});
            self.0.devtools("Input.dispatchMouseEvent", &event);
        }
    }

    /// Types into a field that is empty.
    #[track_caller]
    pub fn fill(&self, selector: &str, text: &str) {
        self.click(selector);
        self.0.devtools("Input.insertText", &json!({"text": text}));
    }
}
