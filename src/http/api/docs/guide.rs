//! The documents of `docs/`, embedded in the program and rendered as HTML.
//!
//! `docs/README.md` is the index: its headings and links are the contents of every page. Its links and those of the
//! documents name files, so they work in the repository too.

use std::collections::{BTreeMap, HashSet};

use pulldown_cmark::{CodeBlockKind, CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

use super::html::escaped;

macro_rules! embedded {
    ($($name:literal),+ $(,)?) => { &[$(($name, include_str!(concat!("../../../../docs/", $name, ".md")))),+] };
}

const INDEX: &str = include_str!("../../../../docs/README.md");

/// Names and texts of the documents that are served: those for people who use Hookpost.
const DOCUMENTS: &[(&str, &str)] = embedded![
    "quick-start",
    "install",
    "publishing",
    "recipes",
    "receiving",
    "verification",
    "signatures",
    "generic",
    "irisync",
    "iverton",
    "socialsyncer",
    "influship",
    "services",
    "filters",
    "templates",
    "endpoint-authentication",
    "certificates",
    "settings",
    "proxies",
    "sign-in",
    "incidents",
    "tls",
    "upgrades",
    "command-line",
    "failover",
    "monitoring",
    "scaling",
    "errors",
    "limits",
];

pub(super) struct Guide {
    pub(super) groups: Vec<Group>,
    pub(super) index: Document,
    documents: Vec<Document>,
    /// Texts for the search, in the order of the documents.
    pub(super) sections: Vec<Section>,
}

/// A heading of the index, with the documents below it.
pub(super) struct Group {
    pub(super) title: String,
    pub(super) entries: Vec<Entry>,
}

pub(super) struct Entry {
    pub(super) name: String,
    pub(super) title: String,
}

pub(super) struct Document {
    pub(super) name: &'static str,
    pub(super) title: String,
    pub(super) html: String,
    /// Headings of the second level.
    pub(super) headings: Vec<Heading>,
}

pub(super) struct Heading {
    pub(super) anchor: String,
    pub(super) text: String,
}

/// A part of a document under one heading.
pub(super) struct Section {
    /// Path below `/docs/`, with the anchor.
    pub(super) path: String,
    pub(super) document: String,
    /// Empty for the part before the first heading.
    pub(super) heading: String,
    pub(super) text: String,
}

/// A call of the API.
pub(super) struct ApiCall {
    pub(super) id: String,
    /// Method and path.
    pub(super) name: String,
    pub(super) title: String,
    pub(super) about: String,
}

impl Guide {
    /// Renders all documents. Code that names a call of the API links to the reference.
    pub(super) fn read(calls: &[ApiCall]) -> Guide {
        let ids: BTreeMap<&str, &str> = calls.iter().map(|call| (call.name.as_str(), call.id.as_str())).collect();
        let mut sections = Vec::new();
        let mut render = |name, text, folder| Renderer::new(name, folder, &ids).render(text, &mut sections);
        let documents = DOCUMENTS.iter().map(|(name, text)| render(name, text, "")).collect();
        let index = render("", INDEX, "docs/");
        // The index only repeats what the documents say.
        sections.retain(|section| !section.path.is_empty() && !section.path.starts_with('#'));
        sections.extend(calls.iter().map(|call| Section {
            path: format!("{}#{}", super::REFERENCE, call.id),
            document: "API reference".to_owned(),
            heading: call.title.clone(),
            text: format!("{}. {}", call.name, call.about),
        }));
        Guide { groups: groups(), index, documents, sections }
    }

    pub(super) fn document(&self, name: &str) -> Option<&Document> {
        self.documents.iter().find(|document| document.name == name)
    }
}

/// Reads the contents from the headings and links of the index.
fn groups() -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut events = Parser::new(INDEX);
    while let Some(event) = events.next() {
        match event {
            Event::Start(Tag::Heading { level: HeadingLevel::H2, .. }) => {
                let title = events.by_ref().take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_))));
                groups
                    .push(Group { title: title.map(|event| plain(&event).to_owned()).collect(), entries: Vec::new() });
            }
            Event::Start(Tag::Link { dest_url, .. }) => {
                let title = events.by_ref().take_while(|event| !matches!(event, Event::End(TagEnd::Link)));
                let title = title.map(|event| plain(&event).to_owned()).collect();
                if let (Some(name), Some(group)) = (dest_url.strip_suffix(".md"), groups.last_mut()) {
                    group.entries.push(Entry { name: name.to_owned(), title });
                }
            }
            _ => {}
        }
    }
    groups
}

/// Text of an event without markup.
fn plain<'a>(event: &'a Event<'_>) -> &'a str {
    match event {
        Event::Text(text) | Event::Code(text) => text,
        Event::SoftBreak | Event::HardBreak => " ",
        _ => "",
    }
}

struct Renderer<'a> {
    name: &'static str,
    /// Relative path from the page to `/docs/`.
    folder: &'static str,
    calls: &'a BTreeMap<&'a str, &'a str>,
    anchors: HashSet<String>,
    title: String,
    headings: Vec<Heading>,
    sections: Vec<Section>,
    /// Depth of links and headings, where code becomes no link.
    quiet: u32,
}

impl<'a> Renderer<'a> {
    fn new(name: &'static str, folder: &'static str, calls: &'a BTreeMap<&'a str, &'a str>) -> Renderer<'a> {
        let sections = vec![Section {
            path: name.to_owned(),
            document: String::new(),
            heading: String::new(),
            text: String::new(),
        }];
        let (title, headings) = (String::new(), Vec::new());
        Renderer { name, folder, calls, anchors: HashSet::new(), title, headings, sections, quiet: 0 }
    }

    fn render(mut self, text: &str, found: &mut Vec<Section>) -> Document {
        let mut events = Parser::new_ext(text, Options::ENABLE_TABLES);
        let mut rendered = Vec::new();
        let mut is_first_cell = false;
        while let Some(event) = events.next() {
            if !self.in_heading(&event) {
                self.collect(&event);
            }
            let event = match event {
                Event::Start(Tag::Heading { level, .. }) => {
                    let inner: Vec<Event<'_>> =
                        events.by_ref().take_while(|event| !matches!(event, Event::End(TagEnd::Heading(_)))).collect();
                    rendered.extend(self.heading(level, inner));
                    continue;
                }
                Event::Start(Tag::Table(_)) => {
                    rendered.push(Event::Html("<div class=\"wide\">".into()));
                    event
                }
                Event::End(TagEnd::Table) => {
                    rendered.push(event);
                    Event::Html("</div>\n".into())
                }
                Event::Start(Tag::TableRow) => {
                    is_first_cell = true;
                    event
                }
                Event::End(TagEnd::TableCell) => {
                    is_first_cell = false;
                    event
                }
                Event::Start(Tag::CodeBlock(kind)) => Event::Html(opening(&kind).into()),
                Event::End(TagEnd::CodeBlock) => Event::Html("</code></pre>\n".into()),
                Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
                    self.quiet += 1;
                    let dest_url = self.target(dest_url);
                    Event::Start(Tag::Link { link_type, dest_url, title, id })
                }
                Event::End(TagEnd::Link) => {
                    self.quiet -= 1;
                    event
                }
                Event::Code(code) => self.code(&code, std::mem::take(&mut is_first_cell)),
                // The documents have no markup of their own: it would be shown as text on one host and not on another.
                Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
                event => event,
            };
            rendered.push(event);
        }
        let mut html = String::new();
        html::push_html(&mut html, rendered.into_iter());
        for section in &mut self.sections {
            section.document.clone_from(&self.title);
        }
        found.append(&mut self.sections);
        Document { name: self.name, title: self.title, html, headings: self.headings }
    }

    fn in_heading(&self, event: &Event<'_>) -> bool {
        matches!(event, Event::Start(Tag::Heading { .. }))
    }

    /// Adds the text of an event to its section.
    fn collect(&mut self, event: &Event<'_>) {
        let Some(section) = self.sections.last_mut() else { return };
        match event {
            Event::End(TagEnd::Paragraph | TagEnd::Item | TagEnd::TableCell | TagEnd::CodeBlock) => {
                section.text.push(' ')
            }
            event => section.text.push_str(plain(event)),
        }
    }

    /// Renders a heading with a link to itself, and begins its section. The first is the title of the document.
    fn heading<'e>(&mut self, level: HeadingLevel, inner: Vec<Event<'e>>) -> Vec<Event<'e>> {
        let text: String = inner.iter().map(|event| plain(event).to_owned()).collect();
        if level == HeadingLevel::H1 {
            self.title.clone_from(&text);
        }
        let anchor = self.anchor(&text);
        let mut rendered = vec![Event::Html(format!("<{level} id=\"{anchor}\">").into())];
        rendered.extend(inner);
        if level != HeadingLevel::H1 {
            let link =
                format!(" <a class=\"anchor\" href=\"#{anchor}\" aria-label=\"Link to {}\">#</a>", escaped(&text));
            rendered.push(Event::Html(link.into()));
            let path = format!("{}#{anchor}", self.name);
            self.sections.push(Section { path, document: String::new(), heading: text.clone(), text: String::new() });
        }
        if level == HeadingLevel::H2 {
            self.headings.push(Heading { anchor, text });
        }
        rendered.push(Event::Html(format!("</{level}>\n").into()));
        rendered
    }

    /// Returns the anchor of a heading, as git hosts make it.
    fn anchor(&mut self, text: &str) -> String {
        let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let base: String = kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect();
        let numbered = (1..).map(|number| format!("{base}-{number}"));
        let mut names = std::iter::once(base.clone()).chain(numbered);
        let anchor = names.find(|name| !self.anchors.contains(name)).unwrap_or(base);
        self.anchors.insert(anchor.clone());
        anchor
    }

    /// Returns the served path of a link to a file.
    fn target<'e>(&self, link: CowStr<'e>) -> CowStr<'e> {
        let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
        let Some(name) = path.strip_suffix(".md") else { return link };
        let hash = if anchor.is_empty() { "" } else { "#" };
        match name {
            "README" => format!("../docs{hash}{anchor}").into(),
            name => format!("{}{name}{hash}{anchor}", self.folder).into(),
        }
    }

    /// Renders code: a link if it names a call, and a target of links if it is the first of a row.
    fn code(&mut self, code: &str, is_row: bool) -> Event<'static> {
        let html = escaped(code);
        let is_name = code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let html = if is_row && is_name && self.anchors.insert(code.to_owned()) {
            format!("<code id=\"{html}\">{html}</code>")
        } else {
            format!("<code>{html}</code>")
        };
        let call = self.calls.get(code.split('?').next().unwrap_or_default()).filter(|_| self.quiet == 0);
        Event::Html(match call {
            Some(id) => format!("<a href=\"{}{}#{id}\">{html}</a>", self.folder, super::REFERENCE).into(),
            None => html.into(),
        })
    }
}

/// Returns the beginning of a code block.
fn opening(kind: &CodeBlockKind<'_>) -> String {
    let language = match kind {
        CodeBlockKind::Fenced(info) => info.split_whitespace().next().unwrap_or_default(),
        CodeBlockKind::Indented => "",
    };
    format!("<pre tabindex=\"0\" data-language=\"{}\"><code>", escaped(language))
}

#[cfg(test)]
mod tests;
