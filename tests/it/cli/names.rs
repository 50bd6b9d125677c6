//! Names of the environment, and secrets in files.

use std::fs;

use crate::support::process::{Process, Site, hookpost, refused, run, stderr};

#[test]
fn a_misspelt_variable_is_refused_and_one_of_other_programs_is_a_warning() {
    let (site, _key) = Site::with_key();
    for (misspelt, meant) in [
        ("HOOKPOST_RETENTION_DAY", "HOOKPOST_RETENTION_DAYS"),
        ("HOOKPOST_TRUSTED_PROXIES", "HOOKPOST_TRUSTED_PROXY"),
        ("HOOKPOST_MASTERKEY", "HOOKPOST_MASTER_KEY"),
    ] {
        let mut command = site.serve_command();
        command.env(misspelt, "1");
        let said = refused(command);
        assert!(said.contains(misspelt) && said.contains(&format!("Did you mean {meant}?")), "{said}");
    }
    let mut command = site.serve_command();
    for name in ["HOOKPOST_SERVICE_HOST", "HOOKPOST_PORT_8080_TCP", "HOOKPOST_KEY", "HOOKPOST_URL", "HOOKPOST_TEST_X"] {
        command.env(name, "10.0.0.1");
    }
    let process = Process::start(command);
    process.signal("TERM");
    let (_, said) = process.ended(crate::support::process::PATIENCE);
    assert!(said.contains("HOOKPOST_SERVICE_HOST") && said.contains("HOOKPOST_PORT_8080_TCP"), "{said}");
    assert!(!["HOOKPOST_KEY", "HOOKPOST_URL", "HOOKPOST_TEST_X"].iter().any(|known| said.contains(known)), "{said}");
}

/// Secrets with a command that reads them, and further flags of the command.
const SECRETS: [(&str, &[&str]); 7] = [
    ("HOOKPOST_MASTER_KEY", &["serve", "--print-config"]),
    ("HOOKPOST_SMTP_URL", &["serve", "--print-config", "--smtp-from", "a@example.com"]),
    (
        "HOOKPOST_SMTP_PASSWORD",
        &["serve", "--print-config", "--smtp-url", "smtp://a@example.com", "--smtp-from", "a@example.com"],
    ),
    ("HOOKPOST_HEARTBEAT_URL", &["serve", "--print-config"]),
    ("HOOKPOST_KEY", &["webhooks", "list"]),
    ("HOOKPOST_SECRET", &["sign", "--profile", "generic"]),
    ("HOOKPOST_PASSWORD", &["users", "add", "anna"]),
];

#[test]
fn each_secret_can_be_in_a_file_and_both_or_an_unreadable_file_is_an_error() {
    let site = Site::new();
    site.make_key("admin");
    let file = site.folder().join("secret");
    let path = file.to_str().unwrap();
    for (secret, arguments) in SECRETS {
        let value = match secret {
            "HOOKPOST_SMTP_URL" => "smtp://alerts:pa55word@mail.example.com".to_owned(),
            "HOOKPOST_HEARTBEAT_URL" => "https://hc-ping.com/pa55word".to_owned(),
            "HOOKPOST_MASTER_KEY" => "0f".repeat(32),
            _ => "pa55word pa55word".to_owned(),
        };
        let with = |variables: &[(&str, &str)]| {
            let mut command = hookpost(arguments);
            command.env("HOOKPOST_DB", site.database()).envs(variables.iter().copied());
            command
        };
        let twin = format!("{secret}_FILE");
        fs::write(&file, format!("{value}\r\n")).unwrap();
        let said = |variables: &[(&str, &str)]| {
            let output = run(with(variables));
            let text = stderr(&output).replace("--smtp-url", "HOOKPOST_SMTP_URL");
            (
                output.status.success(),
                text.replace("--heartbeat-url", "HOOKPOST_HEARTBEAT_URL").replace("-file", "_FILE"),
            )
        };
        let (is_done, text) = said(&[(&twin, path)]);
        // No server answers; the key itself was read.
        assert_eq!(is_done, secret != "HOOKPOST_KEY", "{secret}: {text}");
        assert!(secret != "HOOKPOST_KEY" || text.contains("127.0.0.1:8080"), "{text}");
        let (is_done, text) = said(&[(&twin, path), (secret, &value)]);
        assert!(!is_done && text.contains(secret) && text.contains(&twin) && text.contains(path), "{text}");
        assert!(!text.contains("pa55word"), "{text}");
        let (is_done, text) = said(&[(&twin, "/no/such/file")]);
        assert!(!is_done && text.contains(&twin) && text.contains("/no/such/file"), "{secret}: {text}");
    }
    for (twin, flags) in [("--smtp-url-file", &["--smtp-from", "a@example.com"][..]), ("--heartbeat-url-file", &[])] {
        fs::write(&file, "ftp://pa55word\n").unwrap();
        let said = refused(hookpost(&[&["serve", "--print-config", twin, path], flags].concat()));
        assert!(said.contains(twin) && said.contains(path) && !said.contains("pa55word"), "{said}");
    }
    let heartbeat = ["serve", "--print-config", "--heartbeat-url", "https://hc-ping.com/pa55word"];
    let printed = crate::support::process::stdout(&run(hookpost(&heartbeat)));
    assert!(printed.contains("# heartbeat-url is set") && !printed.contains("pa55word"), "{printed}");
}
