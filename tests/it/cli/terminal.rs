//! Output that appears on a terminal only. The terminal is that of `script` (util-linux).

use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use crate::store::large::fill;
use crate::support::process::{PATIENCE, Site, run, stderr, stdout, wait_until};

/// Runs a command of a site on a terminal, with these variables. Returns all that the terminal shows, or `None` on a
/// machine without `script`.
fn on_terminal(site: &Site, arguments: &[&str], variables: &[(&str, &str)]) -> Option<String> {
    let command = site.command(arguments);
    let quoted = |text: &std::ffi::OsStr| format!("'{}'", text.to_str().unwrap());
    let words: Vec<String> = [command.get_program()].into_iter().chain(command.get_args()).map(quoted).collect();
    let mut script = Command::new("script");
    script.args(["-qec", &words.join(" "), "/dev/null"]).env("TERM", "xterm").env_remove("NO_COLOR");
    match script.envs(variables.iter().copied()).stdin(Stdio::null()).output() {
        Ok(output) => Some(stdout(&output)),
        Err(error) => {
            eprintln!("skipped: script cannot be run: {error}");
            None
        }
    }
}

#[test]
fn long_commands_show_their_progress_on_a_terminal_alone() {
    let (site, _) = Site::with_key();
    fill(&site.database(), 60);
    let copies = [site.folder().join("piped.db"), site.folder().join("shown.db")];
    let [piped, shown] = copies.each_ref().map(|path| path.to_str().unwrap());
    for arguments in [&["backup", piped][..], &["check"]] {
        let output = run(site.command(arguments));
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(stderr(&output), "", "{arguments:?}");
    }
    for (arguments, what) in [(&["backup", shown][..], "Copying"), (&["check"], "Checking")] {
        let Some(text) = on_terminal(&site, arguments, &[]) else { return };
        assert!(text.contains(what) && text.contains(" left"), "{arguments:?}: {text:?}");
        let last = text.rsplit('\r').next().unwrap();
        assert!(!last.contains(" left"), "it is removed at the end: {last:?}");
    }
}

#[test]
fn colors_are_used_on_a_terminal_and_not_with_no_color() {
    let site = Site::new();
    let doctor = ["doctor", "--probe", "http://127.0.0.1:9/", "--listen", "127.0.0.1:0"];
    let Some(text) = on_terminal(&site, &doctor, &[]) else { return };
    assert!(text.contains("\u{1b}[31mproblem\u{1b}[0m  outgoing HTTPS: "), "{text:?}");
    let plain = on_terminal(&site, &doctor, &[("NO_COLOR", "1")]).unwrap();
    assert!(plain.contains("problem  outgoing HTTPS: ") && !plain.contains('\u{1b}'), "{plain:?}");
    let empty = on_terminal(&site, &doctor, &[("NO_COLOR", "")]).unwrap();
    assert!(empty.contains("\u{1b}[31m"), "{empty:?}");
    assert!(!stdout(&run(site.command(&doctor))).contains('\u{1b}'));
}

#[test]
fn a_server_ends_when_its_terminal_is_closed_and_not_by_sighup_alone() {
    let (site, _) = Site::with_key();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let log = site.folder().join("log");
    let words = format!(
        "exec '{}' serve --db '{}' --listen {address} 2>'{}'",
        env!("CARGO_BIN_EXE_hookpost"),
        site.database().display(),
        log.display()
    );
    let mut script = Command::new("script");
    script.args(["-qec", &words, "/dev/null"]).env("TERM", "xterm").env_remove("NO_COLOR");
    let Ok(mut script) = script.stdin(Stdio::piped()).stdout(Stdio::null()).spawn() else {
        eprintln!("skipped: script cannot be run");
        return;
    };
    let serves = || TcpStream::connect(address).is_ok();
    let said = |text: &str| std::fs::read_to_string(&log).unwrap_or_default().contains(text);
    assert!(wait_until(PATIENCE, || serves() && said("listens on")));
    let pid = std::fs::read_to_string(site.folder().join("webhooks.db.lock")).unwrap();
    assert!(Command::new("kill").args(["-HUP", pid.trim()]).status().unwrap().success());
    assert!(wait_until(PATIENCE, || said("the settings were reread")));
    assert!(serves());
    script.kill().unwrap();
    script.wait().unwrap();
    assert!(wait_until(PATIENCE, || said("stopped: everything is on disk")));
    assert!(!serves());
}
