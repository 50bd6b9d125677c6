//! A folder in which commands of the documents run, with stand-ins for `hookpost`, `cargo` and `curl`.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::process::{PATIENCE, wait_until};

/// Runs the program. What runs until it is stopped is started in the background, and the call returns when it listens. A
/// second server takes the place of the first.
const HOOKPOST: &str = r#"#!/bin/sh
case "$1" in
serve | demo | listen) ;;
*) exec "$PROGRAM" "$@" ;;
esac
case "$*" in *--print-config*) exec "$PROGRAM" "$@" ;; esac
if [ -f "$WORLD/$1.pid" ]; then
    kill -KILL "$(cat "$WORLD/$1.pid")"
fi
start() {
    : > "$WORLD/$1.out"
    "$PROGRAM" "$@" >> "$WORLD/$1.out" 2>&1 < /dev/null &
    echo $! > "$WORLD/$1.pid"
}
start "$@"
for _ in $(seq 400); do
    grep -q http:// "$WORLD/$1.out" && exit 0
    if ! kill -0 $! 2> /dev/null; then
        # The first server holds the database until the last of its threads has ended.
        grep -q 'is serving this database' "$WORLD/$1.out" || break
        start "$@"
    fi
    sleep 0.05
done
cat "$WORLD/$1.out" >&2
exit 1
"#;

/// Runs the program that the test was built with.
const CARGO: &str = r#"#!/bin/sh
case "$*" in
"run --release -- "*) shift 3; exec hookpost "$@" ;;
"test" | "build --release") ;;
*) echo "cargo $*: not expected" >&2; exit 1 ;;
esac
"#;

/// Fails on an error of the server.
const CURL: &str = "#!/bin/sh\nPATH=\"$REAL_PATH\" exec curl --fail-with-body \"$@\"\n";

/// A folder, the ports that its programs listen on, and what was started in it, which is killed on drop.
pub struct World {
    folder: TempDir,
    /// Stand-ins for 8080, the server's, and 9000, the receiver's.
    ports: [u16; 2],
}

impl World {
    pub fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let listeners = [0, 0].map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap());
        let ports = listeners.map(|listener| listener.local_addr().unwrap().port());
        let tools = folder.path().join("bin");
        fs::create_dir(&tools).unwrap();
        for (name, text) in [("hookpost", HOOKPOST), ("cargo", CARGO), ("curl", CURL)] {
            fs::write(tools.join(name), text).unwrap();
            fs::set_permissions(tools.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("webhooks.db.example");
        fs::copy(example, folder.path().join("webhooks.db.example")).unwrap();
        World { folder, ports }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// URL of the server.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    /// Text of a document with the ports of this world.
    pub fn localized(&self, text: &str) -> String {
        let [server, receiver] = self.ports.map(|port| format!("127.0.0.1:{port}"));
        text.replace("127.0.0.1:8080", &server).replace("127.0.0.1:9000", &receiver)
    }

    /// Command with the environment of this world.
    #[expect(clippy::disallowed_methods, reason = "the programs of this machine, after those of the world")]
    pub fn command(&self, program: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(program);
        command
            .current_dir(self.folder())
            .env("PATH", format!("{}:{path}", self.folder().join("bin").display()))
            .env("REAL_PATH", path)
            .env("PROGRAM", env!("CARGO_BIN_EXE_hookpost"))
            .env("WORLD", self.folder())
            .env("TMPDIR", self.folder())
            .env("HOOKPOST_LISTEN", format!("127.0.0.1:{}", self.ports[0]))
            .env("HOOKPOST_URL", self.url())
            .env("CI_COMMIT", "0a1b2c3")
            .stdin(Stdio::null());
        command
    }

    /// Runs a script, which must succeed. Returns its standard output.
    #[track_caller]
    pub fn run(&self, script: &str) -> String {
        let script = format!("set -eu\n{}", self.localized(script));
        let Output { status, stdout, stderr } = self.command("sh").args(["-c", &script]).output().unwrap();
        let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        assert!(status.success(), "{status}\n{script}\n{stdout}\n{stderr}");
        stdout
    }

    /// Starts a server that may deliver to 127.0.0.1. Returns a key of scope `admin`.
    pub fn serve(&self) -> String {
        self.run("hookpost serve --allow-target 127.0.0.1");
        self.run("hookpost keys create --name app --scope admin").trim().to_owned()
    }

    /// Returns what the API says.
    #[track_caller]
    pub fn get(&self, key: &str, path: &str) -> Value {
        let request = ureq::get(format!("{}{path}", self.url())).header("authorization", format!("Bearer {key}"));
        let text = request.call().unwrap().body_mut().read_to_string().unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Makes a call of the API.
    #[track_caller]
    pub fn post(&self, key: &str, path: &str, body: &Value) -> Value {
        let request = ureq::post(format!("{}{path}", self.url()))
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json");
        let text = request.send(body.to_string()).unwrap().body_mut().read_to_string().unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// Waits until all deliveries are finished. Returns their statuses.
    #[track_caller]
    pub fn statuses(&self, key: &str) -> Vec<String> {
        let mut statuses = Vec::new();
        let finished = wait_until(PATIENCE, || {
            let page = self.get(key, "/v1/deliveries");
            let status = |delivery: &Value| delivery["status"].as_str().unwrap().to_owned();
            statuses = page["data"].as_array().unwrap().iter().map(status).collect();
            statuses.iter().all(|status| status != "pending" && status != "retrying")
        });
        assert!(finished, "{statuses:?}");
        statuses
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for name in ["serve", "demo", "listen"] {
            let Ok(id) = fs::read_to_string(self.folder().join(format!("{name}.pid"))) else { continue };
            let id = id.trim();
            let _ = Command::new("kill").args(["-KILL", id]).stderr(Stdio::null()).status();
            // So that nothing is written into the folder while it is removed.
            let is_over = || !Path::new("/proc").join(id).join("exe").exists();
            wait_until(PATIENCE, is_over);
        }
    }
}
