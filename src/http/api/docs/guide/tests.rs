use super::super::FILES;
use super::*;

fn guide() -> Guide {
    let call = ApiCall {
        id: "publish_event".to_owned(),
        name: "POST /v1/events".to_owned(),
        title: "Publish an event".to_owned(),
        about: String::new(),
    };
    Guide::read(&[call])
}

fn rendered(text: &str) -> (Document, Vec<Section>) {
    let mut sections = Vec::new();
    let calls = BTreeMap::from([("GET /v1/stats", "stats")]);
    (Renderer::new("x", "", &calls).render(text, &mut sections), sections)
}

#[test]
fn the_index_lists_each_served_document_once() {
    let mut listed: Vec<String> =
        groups().into_iter().flat_map(|group| group.entries).map(|entry| entry.name).collect();
    let mut served: Vec<&str> = DOCUMENTS.iter().map(|(name, _)| *name).collect();
    listed.sort();
    served.sort_unstable();
    assert_eq!(listed, served);
}

#[test]
fn every_link_of_a_document_leads_to_a_heading_of_a_served_page_or_to_a_public_address() {
    let guide = guide();
    let mut count = 0;
    for (name, text) in DOCUMENTS.iter().copied().chain([("README", INDEX)]) {
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            assert!(!matches!(event, Event::Start(Tag::Image { .. })), "{name}: pictures are not served");
            let Event::Start(Tag::Link { dest_url, .. }) = event else { continue };
            count += 1;
            let is_file = FILES.iter().any(|(file, ..)| *file == &*dest_url);
            if is_file || dest_url.starts_with("https://") {
                continue;
            }
            let (path, anchor) = dest_url.split_once('#').unwrap_or((&dest_url, ""));
            let target = match path.strip_suffix(".md") {
                _ if path.is_empty() => guide.document(name),
                Some("README") => Some(&guide.index),
                other => other.and_then(|name| guide.document(name)),
            };
            let html = &target.unwrap_or_else(|| panic!("{name} links to {dest_url}")).html;
            assert!(anchor.is_empty() || html.contains(&format!("id=\"{anchor}\"")), "{name}: {dest_url}");
        }
    }
    assert!(count > 30, "{count} links");
}

#[test]
fn links_to_files_become_links_to_pages() {
    for (link, href) in [
        ("[a](filters.md)", "filters"),
        ("[a](filters.md#limits)", "filters#limits"),
        ("[a](README.md)", "../docs"),
        ("[a](#here)", "#here"),
        ("[a](https://example.com/x.md?y)", "https://example.com/x.md?y"),
    ] {
        assert_eq!(rendered(link).0.html, format!("<p><a href=\"{href}\">a</a></p>\n"));
    }
}

#[test]
fn headings_have_anchors_as_on_git_hosts_and_begin_sections() {
    let (document, sections) = rendered(
        "# Title\n\nIntro `x`.\n\n## What a 410 does\n\nOne.\n\n## What a 410 does\n\n| `a_b` | c |\n|-|-|\n| `d_e` | `d_e` |\n",
    );
    assert_eq!(document.title, "Title");
    let anchors: Vec<&str> = document.headings.iter().map(|heading| heading.anchor.as_str()).collect();
    assert_eq!(anchors, ["what-a-410-does", "what-a-410-does-1"]);
    assert!(document.html.contains("<code id=\"d_e\">d_e</code>"), "{}", document.html);
    let found: Vec<_> = sections.iter().map(|section| (section.path.as_str(), section.text.trim())).collect();
    assert_eq!(found[..2], [("x", "Intro x."), ("x#what-a-410-does", "One.")]);
    assert_eq!(sections[1].document, "Title");
}

#[test]
fn code_is_escaped_and_links_to_the_call_that_it_names() {
    let (document, _) = rendered("`GET /v1/stats?tenant=a` `<b>` <b>\n\n```sh x\n<i>\n```\n");
    assert!(document.html.contains("<a href=\"api#stats\"><code>GET /v1/stats?tenant=a</code></a>"));
    assert!(document.html.contains("<code>&lt;b&gt;</code> &lt;b&gt;"), "{}", document.html);
    assert!(document.html.contains("<pre tabindex=\"0\" data-language=\"sh\"><code>&lt;i&gt;\n</code></pre>"));
}
