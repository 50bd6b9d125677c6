//! Assets and pictures of the pages.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use hookpost::clock::Clock;
use hookpost::domain::retention::Retention;

use crate::support::Hub;
use crate::support::crawl::crawl;

/// Folder for new pictures of the main pages, if set.
const SCREENSHOTS: &str = "HOOKPOST_SCREENSHOTS";
/// Folder of the README's pictures.
const PICTURES: &str = "docs/screenshots";

/// Size of a file after compression.
fn compressed(path: &str) -> usize {
    let gzip = Command::new("gzip").args(["-9", "--stdout", "--no-name", path]).stdin(Stdio::null()).output().unwrap();
    assert!(gzip.status.success());
    gzip.stdout.len()
}

#[test]
fn the_sheet_and_the_script_have_12_kb_each() {
    for path in ["static/app.css", "static/app.js"] {
        let bytes = compressed(path);
        assert!(bytes <= 12 * 1024, "{path} has {bytes} bytes");
    }
}

/// Starts a hub with the example database, a minute after its last event.
fn example() -> Hub {
    Hub::with(|options| {
        fs::copy("webhooks.db.example", &options.database).unwrap();
        options.clock = Clock::manual(newest() + 60_000);
        options.retention = Retention::new(0, 0);
    })
}

/// Time of the last delivery in the example database.
fn newest() -> i64 {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("webhooks.db");
    fs::copy("webhooks.db.example", &copy).unwrap();
    let connection = hookpost::store::Store::open_for_command(&copy).unwrap();
    let request = hookpost::store::page::PageRequest { limit: 1, cursor: None };
    let filter = hookpost::store::delivery::DeliveryFilter::default();
    let page = hookpost::store::delivery::list(&connection, &filter, &request).unwrap();
    page.rows[0].created_ms
}

/// Names and paths of the pages in the pictures.
fn main_pages(hub: &Hub) -> Vec<(&'static str, String)> {
    let pages = crawl(&hub.administrator(), "/");
    let one = |start: &str| {
        let found = pages.iter().find(|page| page.path.starts_with(start));
        found.unwrap_or_else(|| panic!("no page at {start}")).path.clone()
    };
    let failed = hub.get("/v1/dead-letters?limit=1").expect(200).json();
    let failed = failed["data"][0]["id"].as_str().unwrap().to_owned();
    vec![
        ("overview", "/".to_owned()),
        ("webhook", one("/webhooks/wh_")),
        ("delivery", format!("/deliveries/{failed}")),
        ("failed", "/failed".to_owned()),
    ]
}

mod browser {
    use super::*;
    use crate::support::browser::{Browser, Scheme};

    /// `HOOKPOST_SCREENSHOTS=docs/screenshots cargo test --test it pictures` takes new pictures.
    #[test]
    fn the_pictures_of_the_readme_are_there_and_small() {
        if let Some(folder) = std::env::var_os(SCREENSHOTS) {
            take_pictures(Path::new(&folder));
        }
        let readme = fs::read_to_string("README.md").unwrap();
        let shown: Vec<&str> = readme.split(['(', ')', '"']).filter(|text| text.starts_with(PICTURES)).collect();
        assert!(shown.len() >= 4, "{shown:?}");
        for path in shown {
            let bytes = fs::metadata(path).unwrap_or_else(|error| panic!("{path}: {error}")).len();
            assert!(bytes < 80 << 10, "{path} has {bytes} bytes");
        }
    }

    fn take_pictures(folder: &Path) {
        let hub = example();
        let Some(browser) = Browser::open(&hub) else {
            return;
        };
        fs::create_dir_all(folder).unwrap();
        let pages = main_pages(&hub);
        browser.sign_in("anna");
        browser.resize(1280, 800);
        for (name, path) in pages {
            for (scheme, suffix) in [(Scheme::Light, "light"), (Scheme::Dark, "dark")] {
                browser.prefer(scheme);
                browser.go(&path);
                fs::write(folder.join(format!("{name}-{suffix}.webp")), browser.screenshot()).unwrap();
            }
        }
    }
}
