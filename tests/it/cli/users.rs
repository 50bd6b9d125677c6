//! `hookpost users`.

use crate::support::process::{Site, stderr, stdout};

#[test]
fn a_user_is_added_with_one_of_the_three_roles() {
    let (site, _) = Site::with_key();
    for role in ["administrator", "operator", "viewer"] {
        let added = site.run(&["users", "add", &format!("{role}-1"), "--role", role]);
        assert!(added.status.success(), "{}", stderr(&added));
    }
    let listed = stdout(&site.run(&["users", "list"]));
    for role in ["administrator", "operator", "viewer"] {
        let is_listed = |line: &str| line.starts_with(role) && line.ends_with(&format!("{role}-1"));
        assert!(listed.lines().any(is_listed), "{role} in {listed}");
    }
    let refused = site.run(&["users", "add", "eve", "--role", "root"]);
    assert!(stderr(&refused).contains("administrator, operator, viewer"), "{}", stderr(&refused));
}
