//! A real Chromium, driven through chromedriver.

use std::fmt::Debug;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use ureq::http::Method;
use url::{ParseError, Url};

use super::hub::Hub;
use super::skipped;
use super::visitor::PASSWORD;

/// If set, a missing browser is a failure.
pub const REQUIRE_BROWSER: &str = "HOOKPOST_TEST_REQUIRE_BROWSER";

/// A browser with one window on one server.
pub struct Browser {
    site: String,
    client: Client,
    runtime: Runtime,
    driver: Child,
    // Last, so that it is removed after the browser ended.
    _profile: TempDir,
}

/// Preferred color scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Light,
    Dark,
}

impl Browser {
    /// Opens a browser on a hub. Prints a message and returns `None` if this machine has none.
    pub fn open(hub: &Hub) -> Option<Browser> {
        Browser::open_at(&hub.at(""))
    }

    /// Opens a browser on a server.
    pub fn open_at(site: &str) -> Option<Browser> {
        // The gate runs these tests by their name: see tests/it/web/browser/mod.rs.
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        assert!(test == "main" || test.contains("browser::"), "{test} opens a browser outside a module `browser`");
        let found = find("chromedriver").zip(find("chromium"));
        let Some((chromedriver, chromium)) = found else {
            skipped(REQUIRE_BROWSER, "no chromium and chromedriver (Debian: apt-get install chromium chromium-driver)");
            return None;
        };
        let profile = tempfile::tempdir().unwrap();
        let (driver, address) = start(&chromedriver);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let capabilities = capabilities(&chromium, profile.path());
        let client = runtime.block_on(async {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(capabilities.as_object().unwrap().clone());
            builder.connect(&address).await.unwrap()
        });
        Some(Browser { site: site.to_owned(), client, runtime, driver, _profile: profile })
    }

    /// Signs a user of the hub in.
    pub fn sign_in(&self, name: &str) {
        self.go("/login");
        self.fill("#name", name);
        self.fill("#password", PASSWORD);
        self.click("main form button");
        // A click returns before the server has checked the password.
        self.wait_for("nav");
        assert!(!self.path().starts_with("/login"), "{}", self.text("body"));
    }

    /// Opens a path of the server.
    pub fn go(&self, path: &str) {
        let url = format!("{}{path}", self.site);
        self.runtime.block_on(self.client.goto(&url)).unwrap();
    }

    /// Opens a URL.
    pub fn go_to(&self, url: &str) {
        self.runtime.block_on(self.client.goto(url)).unwrap();
    }

    /// Goes on inside a frame of the page.
    #[track_caller]
    pub fn enter_frame(&self, css: &str) {
        let entered = self.runtime.block_on(async {
            let frame = self.client.find(Locator::Css(css)).await?;
            frame.enter_frame().await
        });
        entered.unwrap_or_else(|error| panic!("{css} at {}: {error}", self.path()));
    }

    /// Goes on with the page around the frame.
    pub fn leave_frame(&self) {
        let left = self.runtime.block_on(self.client.clone().enter_parent_frame());
        left.unwrap();
    }

    /// Path and query of the current page.
    pub fn path(&self) -> String {
        let url = self.runtime.block_on(self.client.current_url()).unwrap();
        let query = url.query().map(|query| format!("?{query}"));
        format!("{}{}", url.path(), query.unwrap_or_default())
    }

    #[track_caller]
    pub fn click(&self, css: &str) {
        let clicked = self.runtime.block_on(async {
            let found = self.client.find(Locator::Css(css)).await?;
            found.click().await
        });
        clicked.unwrap_or_else(|error| panic!("{css} at {}: {error}", self.path()));
    }

    /// Clicks the link or button with this text.
    #[track_caller]
    pub fn click_text(&self, text: &str) {
        let xpath = format!("//*[self::a or self::button or self::summary][contains(normalize-space(.), \"{text}\")]");
        let clicked = self.runtime.block_on(async {
            let found = self.client.find(Locator::XPath(&xpath)).await?;
            found.click().await
        });
        clicked.unwrap_or_else(|error| panic!("{text:?} at {}: {error}", self.path()));
    }

    /// Replaces the text of a field.
    #[track_caller]
    pub fn fill(&self, css: &str, text: &str) {
        let filled = self.runtime.block_on(async {
            let found = self.client.find(Locator::Css(css)).await?;
            found.clear().await?;
            found.send_keys(text).await
        });
        filled.unwrap_or_else(|error| panic!("{css} at {}: {error}", self.path()));
    }

    /// Presses keys, wherever the focus is.
    pub fn press(&self, keys: &str) {
        let pressed = self.runtime.block_on(async {
            let focused = self.client.active_element().await?;
            focused.send_keys(keys).await
        });
        pressed.unwrap();
    }

    /// Waits for an element.
    #[track_caller]
    pub fn wait_for(&self, css: &str) {
        let found = self.runtime.block_on(self.client.wait().for_element(Locator::Css(css)));
        found.unwrap_or_else(|error| panic!("{css} at {}: {error}\n{}", self.path(), self.text("body")));
    }

    /// Waits for a text on the page.
    #[track_caller]
    pub fn wait_for_text(&self, text: &str) {
        let xpath = format!("//*[contains(normalize-space(.), \"{text}\")]");
        let found = self.runtime.block_on(self.client.wait().for_element(Locator::XPath(&xpath)));
        found.unwrap_or_else(|error| panic!("{text:?} at {}: {error}\n{}", self.path(), self.text("body")));
    }

    /// Waits until a script returns `true`.
    #[track_caller]
    pub fn wait_until(&self, script: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.script(script) != true {
            assert!(Instant::now() < deadline, "{script} at {}: {}", self.path(), self.text("body"));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Visible text of an element.
    #[track_caller]
    pub fn text(&self, css: &str) -> String {
        let text = self.runtime.block_on(async {
            let found = self.client.find(Locator::Css(css)).await?;
            found.text().await
        });
        text.unwrap_or_else(|error| panic!("{css} at {}: {error}", self.path()))
    }

    /// Runs a script. Returns its result.
    pub fn script(&self, script: &str) -> Value {
        let run = self.client.execute(script, Vec::new());
        self.runtime.block_on(run).unwrap()
    }

    /// Runs a script. Returns the value that the script passes to its last argument, a function.
    pub fn script_async(&self, script: &str) -> Value {
        let run = self.client.execute_async(script, Vec::new());
        self.runtime.block_on(run).unwrap()
    }

    /// Resizes the window to the viewport of a phone or a screen.
    pub fn resize(&self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// Sets the preferred color scheme.
    pub fn prefer(&self, scheme: Scheme) {
        let value = match scheme {
            Scheme::Light => "light",
            Scheme::Dark => "dark",
        };
        let features = json!([{"name": "prefers-color-scheme", "value": value}]);
        self.devtools("Emulation.setEmulatedMedia", json!({"features": features}));
    }

    /// Moves the pointer over an element.
    #[track_caller]
    pub fn point_at(&self, css: &str) {
        let script = format!(
            "const element = document.querySelector({css:?});
             element.scrollIntoView({{block: 'nearest'}});
             const box = element.getBoundingClientRect();
             return [box.x + box.width / 2, box.y + box.height / 2];"
        );
        let at = self.script(&script);
        self.devtools("Input.dispatchMouseEvent", json!({"type": "mouseMoved", "x": at[0], "y": at[1]}));
    }

    /// Waits for a cookie whose name ends so. Scripts cannot read each cookie.
    #[track_caller]
    pub fn wait_for_cookie(&self, suffix: &str, value: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let cookies = self.runtime.block_on(self.client.get_all_cookies()).unwrap();
            if cookies.iter().any(|cookie| cookie.name().ends_with(suffix) && cookie.value() == value) {
                return;
            }
            assert!(Instant::now() < deadline, "no cookie {suffix} of {value}: {cookies:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Shows the page as it is printed, or as on a screen again.
    pub fn print_view(&self, is_on: bool) {
        self.devtools("Emulation.setEmulatedMedia", json!({"media": if is_on { "print" } else { "" }}));
    }

    /// Sets the time zone of the browser's clock.
    pub fn move_to(&self, zone: &str) {
        self.devtools("Emulation.setTimezoneOverride", json!({"timezoneId": zone}));
    }

    /// Turns the scripts of pages on or off.
    pub fn allow_script(&self, is_allowed: bool) {
        let value = json!({"value": !is_allowed});
        self.devtools("Emulation.setScriptExecutionDisabled", value);
    }

    /// Returns and clears the console: script errors, policy violations, failed loads.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.issue("se/log", json!({"type": "browser"}));
        let entries = log.as_array().cloned().unwrap_or_default();
        let severe = entries.iter().filter(|entry| entry["level"] == "SEVERE" || entry["level"] == "WARNING");
        severe.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Takes a picture of the window as WebP, after the transitions of colors have ended.
    pub fn screenshot(&self) -> Vec<u8> {
        self.script_async(
            "const done = arguments[arguments.length - 1];
             requestAnimationFrame(() => Promise.allSettled(document.getAnimations()
                 .filter(one => one instanceof CSSTransition).map(one => one.finished)).then(() => done()));",
        );
        let picture = self.devtools("Page.captureScreenshot", json!({"format": "webp", "quality": 85}));
        let text = picture["data"].as_str().unwrap();
        base64::engine::general_purpose::STANDARD.decode(text).unwrap()
    }

    fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({"cmd": command, "params": parameters});
        self.issue("goog/cdp/execute", body)
    }

    fn issue(&self, path: &'static str, body: Value) -> Value {
        let extension = Extension { path, body };
        self.runtime.block_on(self.client.issue_cmd(extension)).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let closed = self.client.clone().close();
        // A browser that is gone already is closed.
        let _ = self.runtime.block_on(closed);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// A command of chromedriver beyond the WebDriver standard.
#[derive(Debug)]
struct Extension {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/{}", self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

fn capabilities(chromium: &Path, profile: &Path) -> Value {
    let profile = format!("--user-data-dir={}", profile.display());
    json!({
        "browserName": "chrome",
        "goog:loggingPrefs": {"browser": "ALL"},
        "goog:chromeOptions": {
            "binary": chromium,
            // In the order of the list: no window, as root too, nothing but what it is told to load.
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--disable-quic", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", "--lang=en", profile,
            ],
        },
    })
}

/// Starts chromedriver. It takes a free port of IPv6 and then the same one of IPv4, which another test may have: it
/// then ends, and is started again.
fn start(chromedriver: &Path) -> (Child, String) {
    let mut output = String::new();
    for _ in 0..5 {
        let mut command = Command::new(chromedriver);
        let mut driver = command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        for line in BufReader::new(driver.stdout.take().unwrap()).lines().map_while(Result::ok) {
            if let Some((_, port)) = line.split_once("successfully on port ") {
                let port = port.trim_end_matches('.');
                return (driver, format!("http://127.0.0.1:{port}"));
            }
            output += &line;
        }
        driver.wait().unwrap();
    }
    panic!("chromedriver did not start: {output}");
}

fn find(program: &str) -> Option<PathBuf> {
    let places = ["/usr/bin", "/usr/local/bin", "/usr/lib/chromium"];
    let mut found = places.iter().map(|place| Path::new(place).join(program));
    found.find(|path| path.exists())
}
