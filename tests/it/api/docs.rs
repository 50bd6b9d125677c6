//! `/docs`: the documents and the reference of the API.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::error;
use super::openapi::{calls, specification};
use crate::support::Hub;
use crate::support::hub::Answer;

fn page(hub: &Hub, path: &str) -> Answer {
    let page = hub.send("GET", path, &[], b"").expect(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{path}");
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self'; "), "{policy}");
    page
}

/// Values of an attribute in a page.
fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    let mark = format!("{attribute}=\"");
    html.split(&mark).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// Path that a relative link leads to, without its anchor.
fn resolved(from: &str, link: &str) -> String {
    let base = url::Url::parse(&format!("http://a.test/below{from}")).unwrap();
    let url = base.join(link).unwrap();
    let path =
        url.path().strip_prefix("/below").unwrap_or_else(|| panic!("{link} on {from} leaves the path of the proxy"));
    path.to_owned()
}

#[test]
fn every_link_of_every_page_leads_to_a_page_and_an_anchor_below_any_path() {
    let hub = Hub::start();
    let mut pages: BTreeMap<String, String> = BTreeMap::new();
    let mut queue = VecDeque::from(["/docs".to_owned()]);
    let mut links = BTreeSet::new();
    while let Some(path) = queue.pop_front() {
        if pages.contains_key(&path) {
            continue;
        }
        let html = page(&hub, &path).text;
        for word in [" style=", "http-equiv", "<style", "<img", "onclick", "javascript:"] {
            assert!(!html.contains(word), "{path}: {word}");
        }
        assert_eq!(html.matches("<script").count(), 1, "{path}");
        assert_eq!(html.matches("<h1").count(), 1, "{path}");
        let ids = values(&html, " id");
        assert_eq!(ids.len(), ids.iter().collect::<BTreeSet<_>>().len(), "{path} has an id twice: {ids:?}");
        for link in [values(&html, "href"), values(&html, "src"), values(&html, "action")].concat() {
            if link.starts_with("https://") {
                continue;
            }
            let target = resolved(&path, link);
            let anchor = link.split_once('#').map_or("", |(_, anchor)| anchor);
            links.insert((path.clone(), target.clone(), anchor.to_owned()));
            if target.starts_with("/docs") && !target.contains('.') {
                queue.push_back(target);
            } else {
                hub.send("GET", &target, &[], b"").expect(200);
            }
        }
        pages.insert(path, html);
    }
    for (from, target, anchor) in &links {
        if !anchor.is_empty() {
            assert!(pages[target].contains(&format!("id=\"{anchor}\"")), "{from} links to {target}#{anchor}");
        }
    }
    assert!(pages.len() > 15 && links.len() > 300, "{} pages, {} links", pages.len(), links.len());
}

#[test]
fn the_reference_shows_every_call() {
    let hub = Hub::start();
    let html = page(&hub, "/docs/api").text;
    for call in calls(&specification(&hub)) {
        let id = call.operation["operationId"].as_str().unwrap();
        assert!(html.contains(&format!("<h3 id=\"{id}\">")), "{id}");
        assert!(html.contains(&call.path), "{}", call.path);
    }
    error(&hub.send("GET", "/docs/nothing", &[], b""), 404, "not_found");
    for (path, kind) in [("/docs.css", "text/css"), ("/docs.js", "text/javascript")] {
        let file = hub.send("GET", path, &[], b"").expect(200);
        assert_eq!(file.header("content-type"), Some(format!("{kind}; charset=utf-8").as_str()));
        assert!(!file.text.contains("url("));
    }
}

#[test]
fn a_document_reads_as_in_the_repository() {
    let hub = Hub::start();
    let html = page(&hub, "/docs/receiving").text;
    for part in [
        "<h1 id=\"receiving-deliveries\">Receiving deliveries</h1>",
        "<h2 id=\"duplicates\">",
        "<a href=\"verification\">verification</a>",
        "<a href=\"api#rotate_secret\"><code>POST /v1/webhooks/{id}/secret/rotate</code></a>",
        "<a href=\"../docs/receiving\" aria-current=\"page\">",
        "<th>response</th>",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    // Each error code has an anchor, which a program can link to.
    assert!(page(&hub, "/docs/errors").text.contains("<code id=\"event_id_reused\">"));
}

#[test]
fn the_search_finds_sections_with_their_headings_and_shows_markup_as_text() {
    let hub = Hub::start();
    let html = page(&hub, "/docs?q=replay+WINDOW").text;
    let first = html.split("<ol class=\"hits\">").nth(1).unwrap();
    assert!(first.trim_start().starts_with("<li><a href=\"docs/receiving#the-replay-window\">"), "{first}");
    assert!(html.contains("value=\"replay WINDOW\""));
    let html = page(&hub, "/docs?q=event_id_reused").text;
    assert!(html.contains("<mark>event_id_reused</mark>") && html.contains("docs/errors#events"), "{html}");
    // Calls of the API are found too.
    assert!(page(&hub, "/docs?q=rotate+secret").text.contains("docs/api#rotate_secret"));
    let html = page(&hub, "/docs?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E").text;
    assert!(html.contains("No section contains all of these words") && !html.contains("<script>"), "{html}");
    for query in ["%00", "%F0%9F%98%80%F0", "a+b+c+d+e+f+g+h+i+j", &"x".repeat(3_000), "+", ""] {
        page(&hub, &format!("/docs?q={query}"));
    }
    error(&hub.send("GET", "/docs?page=1", &[], b""), 422, "unknown_parameter");
}
