//! `hookpost serve`: arguments and messages.

use std::fs;

use crate::support::process::{Site, hookpost, refused, run, stderr, stdout};

#[test]
fn it_says_in_one_line_where_it_listens() {
    let site = Site::new();
    let process = site.serve();
    let database = site.database();
    assert_eq!(
        process.greeting,
        format!(
            "Hookpost {} listens on http://{} (database: {})\n",
            env!("CARGO_PKG_VERSION"),
            process.address,
            database.display()
        )
    );
    assert!(!process.address.ends_with(":0"));
}

#[test]
fn print_config_shows_every_setting_and_its_source_and_starts_nothing() {
    let site = Site::new();
    let mut command = site.command(&["serve", "--print-config", "--workers", "3"]);
    command.env("HOOKPOST_LOG", "warn");
    let output = run(command);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let said = stdout(&output);
    assert!(said.contains("workers = \"3\"  # flag\n"), "{said}");
    assert!(said.contains("log = \"warn\"  # environment\n"), "{said}");
    assert!(said.contains("listen = \"127.0.0.1:8080\"  # default\n"), "{said}");
    assert_eq!(fs::read_dir(site.folder()).unwrap().count(), 0);
}

#[test]
fn a_bad_value_is_refused_in_a_line_that_names_it() {
    let site = Site::new();
    for (flag, value) in [
        ("--workers", "0"),
        ("--workers", "many"),
        ("--http-threads", "65"),
        ("--max-body", "12"),
        ("--retention-days", "1.5"),
        ("--failed-retention-days", "36501"),
        ("--listen", "localhost"),
        ("--allow-target", "10.1.2.3/8"),
        ("--log", "loud"),
        ("--ca-file", "/none/ca.pem"),
        ("--config", "/none/hookpost.toml"),
    ] {
        let said = refused(site.command(&["serve", flag, value]));
        assert!(said.contains(value), "{flag} {value}: {said}");
    }
    assert_eq!(fs::read_dir(site.folder()).unwrap().count(), 0);
}

#[test]
fn an_unknown_default_profile_is_refused_with_the_names_there_are() {
    let site = Site::new();
    let said = refused(site.command(&["serve", "--default-profile", "nobody"]));
    assert!(said.contains("nobody") && said.contains("generic"), "{said}");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for arguments in [&[][..], &["sreve"], &["serve", "--prot", "1"], &["serve", "--workers"], &["keys"]] {
        let output = run(hookpost(arguments));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert_eq!(stdout(&output), "", "{arguments:?}");
        assert!(!stderr(&output).is_empty(), "{arguments:?}");
    }
}

#[test]
fn an_address_in_use_is_named() {
    let (first, second) = (Site::new(), Site::new());
    let process = first.serve();
    let said = refused(second.command(&["serve", "--listen", &process.address]));
    assert!(said.contains(&process.address), "{said}");
    assert!(said.contains("--listen"), "{said}");
}
