//! `GET /v1/backup`.

use std::fs;

use hookpost::store::api_key::Scope;
use serde_json::json;

use super::error;
use crate::support::Hub;

#[test]
fn a_backup_comes_whole_and_leaves_nothing_behind() {
    let hub = Hub::start();
    for number in 0..200 {
        hub.publish("order.paid", json!({"number": number, "pad": "x".repeat(2_000)}));
    }
    let (status, bytes) = hub.download("/v1/backup");
    assert_eq!(status, 200);
    assert!(bytes.len() > 400_000, "{}", bytes.len());
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    fs::write(&copy, bytes).unwrap();
    assert_eq!(hookpost::store::backup::check(&copy).unwrap(), Vec::<String>::new());
    let connection = rusqlite::Connection::open(&copy).unwrap();
    let events = connection.query_row("SELECT count(*) FROM event", [], |row| row.get(0));
    assert_eq!(events, Ok(200));
    let beside = fs::read_dir(hub.database().parent().unwrap()).unwrap();
    let left = beside.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().contains("backup")
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn a_backup_needs_an_admin_of_all_tenants() {
    let hub = Hub::start();
    for (scope, tenant) in [(Scope::Read, None), (Scope::Publish, None), (Scope::Admin, Some("acme"))] {
        let key = hub.make_key(scope, tenant, None);
        error(&hub.call_with(&key, "GET", "/v1/backup", None), 403, "forbidden");
    }
}
