//! The proxies of docs/proxies.md and docs/scaling.md, run as they are written, but for addresses and certificates.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::blocks::{Block, blocks, blocks_for};
use crate::support::page::Page;
use crate::support::process::{PATIENCE, Process, Site, hookpost, run, stdout, wait_until};
use crate::support::skipped;
use crate::support::visitor::PASSWORD;

/// If set, a missing proxy is a failure.
const REQUIRED: &str = "HOOKPOST_TEST_REQUIRE_PROXIES";
/// Address from which requests come, as the proxy sees it. It is not the trusted one.
const CLIENT: &str = "127.0.0.2";

/// A running proxy, and a browser with cookies that sends all requests to it.
struct Proxy {
    folder: TempDir,
    port: u16,
    child: Child,
}

struct Answer {
    status: u16,
    /// Status line and headers.
    head: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Vec<&str> {
        let pairs = self.head.lines().filter_map(|line| line.split_once(": "));
        pairs.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    #[track_caller]
    fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.body);
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Proxy {
    /// Starts the proxy of a block whose servers have other addresses here. `None` if the program is not on this machine.
    fn start(block: &Block, servers: &[(&str, &str)]) -> Option<Proxy> {
        let variable = format!("HOOKPOST_TEST_{}", block.language.to_uppercase());
        let Some(program) = std::env::var_os(&variable) else {
            skipped(REQUIRED, &format!("no {} named by {variable}", block.language));
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let made =
            rcgen::generate_simple_self_signed(["hooks.example.com".to_owned(), "*.hooks.example.com".to_owned()])
                .unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (certificate, key) =
            (file("cert.pem", &made.cert.pem()), file("key.pem", &made.signing_key.serialize_pem()));
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut text = block.text.clone();
        for (documented, actual) in servers {
            assert!(text.contains(documented), "{documented} in {text}");
            text = text.replace(documented, actual);
        }
        let mut command = Command::new(program);
        match block.language.as_str() {
            "caddy" => {
                let global = format!("{{\n\tadmin off\n\tauto_https off\n\thttps_port {port}\n}}\n");
                let tls = format!("hooks.example.com {{\n\ttls {certificate} {key}");
                let config = file("Caddyfile", &(global + &text.replace("hooks.example.com {", &tls)));
                command.args(["run", "--adapter", "caddyfile", "--config", &config]);
            }
            "nginx" => {
                let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                    .map(|part| format!("{part}_temp_path {part};\n"))
                    .concat();
                text = text.replace("listen 443 ssl", &format!("listen 127.0.0.1:{port} ssl"));
                text = text.replace("/etc/ssl/hooks.example.com.pem", &certificate);
                text = text.replace("/etc/ssl/hooks.example.com.key", &key);
                let surroundings = "user root;\ndaemon off;\npid nginx.pid;\nerror_log stderr;\nevents {}\n";
                let config = format!("{surroundings}http {{\naccess_log off;\n{temporary}{text}}}\n");
                command.args(["-p", folder.path().to_str().unwrap(), "-c", &file("nginx.conf", &config)]);
            }
            other => panic!("{other} is no proxy"),
        }
        let log = fs::File::create(folder.path().join("log")).unwrap();
        command.env("HOME", folder.path()).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap();
        let proxy = Proxy { folder, port, child };
        let listens = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        assert!(wait_until(PATIENCE, listens), "{}", fs::read_to_string(proxy.folder.path().join("log")).unwrap());
        Some(proxy)
    }

    /// Command of `curl` for a request from [`CLIENT`], with the cookies of former answers.
    fn curl(&self, url: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("curl");
        let jar = self.folder.path().join("cookies");
        command.args(["-sS", "-k", "-i", "--http1.1", "--max-time", "60", "--interface", CLIENT, "-H", "Expect:"]);
        command.args(["--connect-to", &format!("::127.0.0.1:{}", self.port)]);
        command.arg("-b").arg(&jar).arg("-c").arg(&jar).args(arguments).arg(url).env("NO_PROXY", "*");
        command
    }

    #[track_caller]
    fn request(&self, url: &str, arguments: &[&str]) -> Answer {
        answer(&run(self.curl(url, arguments)))
    }

    /// Submits the form of the page with these fields, as a browser does.
    #[track_caller]
    fn submit(&self, url: &str, page: &str, fields: &[(&str, &str)], arguments: &[&str]) -> Answer {
        let token = Page::read(page).field("form_token").unwrap();
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.append_pair("form_token", &token).extend_pairs(fields);
        let origin = url::Url::parse(url).unwrap().origin().ascii_serialization();
        let (origin, body) = (format!("Origin: {origin}"), body.finish());
        let browser = ["-H", &origin, "-H", "Sec-Fetch-Site: same-origin", "--data-raw", &body];
        self.request(url, &[&browser[..], arguments].concat())
    }
}

#[track_caller]
fn answer(output: &std::process::Output) -> Answer {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = stdout(output);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Not killed: the workers of nginx would go on.
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

fn documented(document: &str, language: &str, purpose: &str) -> Block {
    let mut found = blocks_for(document, purpose);
    found.retain(|block| block.language == language);
    assert_eq!(found.len(), 1, "{document} has one block {language} {purpose}");
    found.remove(0)
}

/// Starts a server as the document says. Returns a key too.
fn serve(base: &str) -> (Site, String, Process) {
    let (site, key) = Site::with_key();
    let mut add = site.command(&["users", "add", "anna", "--role", "administrator"]);
    add.env("HOOKPOST_PASSWORD", PASSWORD);
    assert!(run(add).status.success());
    let flags = ["serve", "--listen", "127.0.0.1:0", "--base-url", base, "--trusted-proxy", "127.0.0.1"];
    let process = Process::start(site.command(&[&flags[..], &["--allow-host", "hooks.example.com"]].concat()));
    (site, key, process)
}

/// Checks pages, API, the client's address, HEAD, waits and large bodies through a proxy.
fn check(language: &str, purpose: &str, base: &str) {
    let (site, key, process) = serve(base);
    let Some(proxy) =
        Proxy::start(&documented("docs/proxies.md", language, purpose), &[("127.0.0.1:8080", &process.address)])
    else {
        return;
    };
    let at = |path: &str| format!("{base}{path}");
    let page = proxy.request(&at("/login"), &[]).expect(200);
    assert_eq!(page.header("strict-transport-security").len(), 1, "{}", page.head);
    for address in Page::read(page.body.as_str()).addresses().iter().filter(|address| address.contains("/static/")) {
        proxy.request(&format!("https://hooks.example.com{address}"), &[]).expect(200);
    }
    let forged = ["-H", "X-Forwarded-For: 6.6.6.6"];
    let wrong = [("name", "anna"), ("password", "a wrong password")];
    proxy.submit(&at("/login"), &page.body, &wrong, &forged).expect(422);
    process.wait_for_log(&format!("a sign-in failed, from {CLIENT}"));
    let right = [("name", "anna"), ("password", PASSWORD)];
    let opened = proxy.submit(&at("/login"), &page.body, &right, &[]).expect(303);
    assert!(opened.header("set-cookie").iter().any(|cookie| cookie.starts_with("__Host-")), "{}", opened.head);
    assert!(proxy.request(&at("/webhooks"), &[]).expect(200).body.contains("anna"));

    let head = proxy.request(&at("/healthz"), &["--head"]).expect(200);
    assert_eq!(head.body, "");
    let authorization = format!("Authorization: Bearer {key}");
    let api = ["-H", &authorization, "-H", "Content-Type: application/json"];
    let call = |path: &str, more: &[&str]| proxy.request(&at(path), &[&api[..], more].concat());
    let now = call("/v1/events?wait_s=0", &[]).expect(200).json();
    let after = format!("/v1/events?wait_s=60&after={}", now["next_cursor"].as_str().unwrap());
    let waiting = proxy.curl(&at(&after), &api).stdout(Stdio::piped()).spawn().unwrap();
    call("/v1/events", &["--data-raw", r#"{"type": "order.paid", "data": {"id": 1}}"#]).expect(202);
    let fed = answer(&waiting.wait_with_output().unwrap()).expect(200);
    assert!(fed.body.contains("order.paid"), "{}", fed.body);

    let body = site.folder().join("body");
    for (path, bytes) in [("/v1/events", (1 << 20) + 1), ("/v1/events/batch", (16 << 20) + 1)] {
        fs::write(&body, vec![b' '; bytes]).unwrap();
        let refused = call(path, &["--data-binary", &format!("@{}", body.display())]).expect(413);
        assert_eq!(refused.json()["error"]["code"], "too_large");
    }
    if purpose == "below-a-path" {
        let moved = proxy.request(base, &[]);
        assert!(
            matches!(moved.status, 302 | 308) && moved.header("location")[0].ends_with("/hookpost/"),
            "{}",
            moved.head
        );
        assert_eq!(proxy.request("https://hooks.example.com/other", &[]).expect(200).body, "Another program");
    }
}

#[test]
fn caddy_serves_a_host_as_documented() {
    check("caddy", "whole-host", "https://hooks.example.com");
}

#[test]
fn caddy_serves_a_path_as_documented() {
    check("caddy", "below-a-path", "https://hooks.example.com/hookpost");
}

#[test]
fn nginx_serves_a_host_as_documented() {
    check("nginx", "whole-host", "https://hooks.example.com");
}

#[test]
fn nginx_serves_a_path_as_documented() {
    check("nginx", "below-a-path", "https://hooks.example.com/hookpost");
}

#[test]
fn caddy_splits_the_api_by_tenant_and_links_lead_to_the_tenants_server() {
    let (_first, a_key, a) = serve("https://a.hooks.example.com");
    let (_second, b_key, b) = serve("https://b.hooks.example.com");
    let servers = [("127.0.0.1:8081", a.address.as_str()), ("127.0.0.1:8082", b.address.as_str())];
    let Some(proxy) = Proxy::start(&documented("docs/scaling.md", "caddy", "by-tenant"), &servers) else { return };
    let call = |tenant: &str, key: &str, path: &str, body: &str| {
        let (route, authorization) = (format!("X-Tenant: {tenant}"), format!("Authorization: Bearer {key}"));
        let headers = ["-H", &route, "-H", &authorization, "-H", "Content-Type: application/json"];
        proxy.request(&format!("https://hooks.example.com{path}"), &[&headers[..], &["--data-raw", body]].concat())
    };
    let event = |tenant: &str| format!(r#"{{"type": "order.paid", "tenant": "{tenant}", "data": {{"id": 1}}}}"#);
    call("acme", &a_key, "/v1/events", &event("acme")).expect(202);
    call("initech", &b_key, "/v1/events", &event("initech")).expect(202);
    for (process, key, tenant) in [(&a, &a_key, "acme"), (&b, &b_key, "initech")] {
        let stored = process.client(key).get("/v1/events");
        let tenants: Vec<&str> =
            stored["data"].as_array().unwrap().iter().map(|e| e["tenant"].as_str().unwrap()).collect();
        assert_eq!(tenants, [tenant]);
    }
    call("initech", &a_key, "/v1/events", &event("initech")).expect(401);
    let lost = proxy.request("https://hooks.example.com/v1/events", &["--data-raw", &event("acme")]).expect(400);
    assert!(lost.body.contains("X-Tenant"), "{}", lost.body);
    proxy.request("https://hooks.example.com/login", &[]).expect(404);

    for (tenant, key, host) in [("globex", &a_key, "a"), ("initech", &b_key, "b")] {
        let base = format!("https://{host}.hooks.example.com");
        let body = format!(r#"{{"tenant": "{tenant}"}}"#);
        let link = call(tenant, key, "/v1/portal-links", &body).expect(201).json()["url"].as_str().unwrap().to_owned();
        assert!(link.starts_with(&format!("{base}/portal?token=")), "{link}");
        let page = proxy.request(&link, &[]).expect(200);
        let token = link.split_once("token=").unwrap().1;
        proxy.submit(&format!("{base}/portal"), &page.body, &[("token", token)], &[]).expect(303);
        proxy.request(&format!("{base}/portal/webhooks"), &[]).expect(200);
        let inbox = call(tenant, key, &format!("/v1/inbox?tenant={tenant}"), "").expect(200).json();
        let inbox = inbox["url"].as_str().unwrap().to_owned();
        assert!(inbox.starts_with(&format!("{base}/in/")), "{inbox}");
        proxy.request(&inbox, &["--data-raw", "{}"]).expect(200);
        proxy.request(&format!("{base}/login"), &[]).expect(200);
    }
    // Both sessions go on: their cookies belong to two hosts.
    proxy.request("https://a.hooks.example.com/portal/webhooks", &[]).expect(200);
}

#[test]
fn the_commands_of_the_split_have_valid_settings() {
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    for block in blocks("docs/scaling.md").iter().filter(|block| block.language == "sh") {
        for line in block.text.replace("\\\n", " ").lines() {
            let Some(flags) = line.strip_prefix("hookpost serve ") else { continue };
            let words: Vec<&str> = ["config", "check"].into_iter().chain(flags.split_whitespace()).collect();
            let mut command = hookpost(&words);
            command.current_dir(Path::new(folder.path()));
            assert_eq!(stdout(&run(command)), "The settings are valid.\n", "{line}");
            count += 1;
        }
    }
    assert_eq!(count, 2);
}
