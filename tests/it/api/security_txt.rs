//! `/.well-known/security.txt`.

use crate::support::Hub;

const PATH: &str = "/.well-known/security.txt";

#[test]
fn the_contact_for_vulnerabilities_is_served_where_it_is_set() {
    let mut hub = Hub::start();
    hub.get(PATH).expect(404);
    let contacts = ["mailto:security@example.com", "https://example.com/security"];
    hub.restart_with(|options| options.security_contacts = contacts.map(str::to_owned).to_vec());
    let answer = hub.send("GET", PATH, &[], b"").expect(200);
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    let lines: Vec<&str> = answer.text.lines().collect();
    assert_eq!(lines[..2], contacts.map(|contact| format!("Contact: {contact}")));
    let expires: jiff::Timestamp = lines[2].strip_prefix("Expires: ").unwrap().parse().unwrap();
    let left = expires.as_millisecond() - hub.clock.now_ms();
    assert!((179 * 86_400_000..=180 * 86_400_000).contains(&left), "{left} ms");
    assert_eq!(lines[3..], [format!("Canonical: {}", hub.at(PATH))]);
}
