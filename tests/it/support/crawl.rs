//! Opens every page that links lead to.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::page::Page;
use super::visitor::Visitor;

/// Limit of pages, beyond which the site counts as endless.
const MOST: usize = 600;
/// Pages opened per kind. Other ids and filters lead to similar pages.
const OF_A_KIND: usize = 2;

/// A page with its path.
pub struct CrawledPage {
    pub path: String,
    pub page: Page,
}

/// Follows the links of the server from this path, and opens two pages of each kind. Panics on a broken link.
#[track_caller]
pub fn crawl(visitor: &Visitor<'_>, from: &str) -> Vec<CrawledPage> {
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    let mut known = BTreeSet::from([from.to_owned()]);
    let mut ahead = VecDeque::from([(from.to_owned(), "nowhere".to_owned())]);
    let mut found = Vec::new();
    while let Some((path, parent)) = ahead.pop_front() {
        let count = kinds.entry(kind(&path)).or_default();
        *count += 1;
        if *count > OF_A_KIND {
            continue;
        }
        let answer = visitor.get(&path);
        if answer.status == 303 {
            let to = answer.header("location").unwrap_or_default().to_owned();
            if known.insert(to.clone()) {
                ahead.push_back((to, path));
            }
            continue;
        }
        assert_eq!(answer.status, 200, "{path}, linked from {parent}: {}", answer.text);
        let media_type = answer.header("content-type").unwrap_or_default();
        if !media_type.starts_with("text/html") {
            continue;
        }
        let page = answer.page();
        for link in links(&page) {
            if known.insert(link.clone()) {
                ahead.push_back((link, path.clone()));
            }
        }
        found.push(CrawledPage { path, page });
        assert!(found.len() < MOST, "the site does not end: {kinds:#?}");
    }
    found
}

/// Kind of a page: its path without ids and query values. Combinations of filters are one kind.
pub fn kind(path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let is_id = |part: &str| {
        ["wh_", "dlv_", "evt_", "key_", "att_", "req_"].iter().any(|prefix| part.starts_with(prefix))
            || part.len() > 20
            || (!part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let parts = path.split('/').map(|part| if is_id(part) { "{}" } else { part });
    let mut names: Vec<&str> = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default()).collect();
    names.sort_unstable();
    names.dedup();
    let filter = if names.len() > 1 { "several".to_owned() } else { names.concat() };
    format!("{}?{filter}", parts.collect::<Vec<_>>().join("/"))
}

/// Links to other pages of the server, without fragments.
fn links(page: &Page) -> Vec<String> {
    let addresses = page.links().into_iter().map(|address| address.split('#').next().unwrap_or_default());
    let pages = addresses.filter(|address| address.starts_with('/') && !address.starts_with("/static/"));
    pages.map(str::to_owned).collect()
}
