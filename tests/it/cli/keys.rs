//! `hookpost keys`.

use std::fs;

use crate::support::process::{Site, stderr, stdout};

#[test]
fn a_key_made_before_the_first_start_makes_the_database_and_works() {
    let site = Site::new();
    let made = site.run(&["keys", "create", "--name", "app", "--scope", "publish"]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    let said = stdout(&made);
    let key = said.strip_suffix('\n').unwrap();
    assert!(key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-'));
    assert!(key.len() >= 32, "the key alone: {said}");
    let process = site.serve();
    process.client(key).publish("one").unwrap().expect(202);
    let refused = process.client(key).call("GET", "/v1/webhooks", None).expect(403);
    assert_eq!(refused.error_code(), "forbidden");
}

#[test]
fn a_key_is_made_and_revoked_while_the_server_runs() {
    let (site, _) = Site::with_key();
    let process = site.serve();
    let key = site.make_key("publish");
    let client = process.client(&key);
    client.publish("one").unwrap().expect(202);

    let listed = stdout(&site.run(&["keys", "list"]));
    assert_eq!(listed.lines().count(), 3, "a header and two keys: {listed}");
    assert!(!listed.contains(&key), "a list never shows a key");
    let line = listed.lines().find(|line| line.contains("publish")).unwrap();
    let id = line.split_whitespace().next().unwrap();
    let revoked = site.run(&["keys", "revoke", id]);
    assert_eq!(revoked.status.code(), Some(0), "{}", stderr(&revoked));
    let refused = client.publish("two").unwrap().expect(401);
    assert_eq!(refused.error_code(), "unauthorized");
    let listed = stdout(&site.run(&["keys", "list"]));
    assert!(!listed.contains(id), "it is still listed: {listed}");
}

#[test]
fn a_key_is_rotated_beside_the_running_server() {
    let (site, _) = Site::with_key();
    let process = site.serve();
    let old = site.make_key("publish");
    let id = |listed: &str| {
        let line = listed.lines().find(|line| line.contains("publish")).unwrap();
        line.split_whitespace().next().unwrap().to_owned()
    };
    let listed = stdout(&site.run(&["keys", "list"]));
    let rotated = site.run(&["keys", "rotate", &id(&listed)]);
    assert_eq!(rotated.status.code(), Some(0), "{}", stderr(&rotated));
    let new = stdout(&rotated).trim().to_owned();
    for key in [&old, &new] {
        process.client(key).publish("one").unwrap().expect(202);
    }
    let listed = stdout(&site.run(&["keys", "list"]));
    assert_eq!(listed.matches("expires 2").count(), 1, "{listed}");
    let at_once = site.run(&["keys", "rotate", &id(&listed), "--overlap-s", "0"]);
    assert_eq!(at_once.status.code(), Some(0), "{}", stderr(&at_once));
    process.client(&new).publish("two").unwrap().expect(401);
    let soon = ["keys", "create", "--name", "a", "--scope", "read", "--expires-at", "2020-01-01T00:00:00Z"];
    assert!(stderr(&site.run(&soon)).contains("in the future"));
}

#[test]
fn mistakes_are_told_in_a_line() {
    let (site, _) = Site::with_key();
    for (arguments, code, why) in [
        (&["keys", "create", "--name", "a", "--scope", "all"][..], 1, "scope"),
        (&["keys", "create", "--name", "a"], 2, "--scope"),
        (&["keys", "create", "--name", "", "--scope", "read"], 1, "name"),
        (&["keys", "create", "--name", "a", "--scope", "read", "--tenant", "no good"], 1, "tenant"),
        (&["keys", "create", "--name", "a", "--scope", "read", "--profile", "nobody"], 1, "profile"),
        (&["keys", "revoke", "key_none"], 1, "there is no key key_none"),
        (&["keys", "revoke"], 2, "id"),
        (&["keys", "rotate", "key_none"], 1, "there is no key key_none"),
        (&["keys", "rotate", "key_none", "--overlap-s", "604801"], 1, "overlap"),
    ] {
        let output = site.run(arguments);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert_eq!(stdout(&output), "", "{arguments:?}");
        assert!(said.contains(why), "{arguments:?}: {said}");
        if code == 1 {
            assert_eq!(said.lines().count(), 1, "{arguments:?}: {said}");
        }
    }
    let listed = stdout(&site.run(&["keys", "list"]));
    assert_eq!(listed.lines().count(), 2, "none was made: {listed}");
}

#[test]
fn a_list_of_no_database_says_so_and_makes_none() {
    let site = Site::new();
    let output = site.run(&["keys", "list"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("does not exist"));
    assert_eq!(fs::read_dir(site.folder()).unwrap().count(), 0);
}
