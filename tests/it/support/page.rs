//! An HTML reader for tests: headings, links, fields, rows, messages.
//!
//! The reader is strict: it panics on unbalanced tags and unknown entities.

mod element;
mod reader;
mod selector;

use std::fmt;

pub use element::Element;
use reader::{Kind, Node, Reader};

/// An HTML page.
pub struct Page {
    source: String,
    nodes: Vec<Node>,
}

/// A form, identified by its `action`.
pub struct Form<'a>(Element<'a>);

impl Page {
    /// Parses a page. Panics if it is not well-formed.
    #[track_caller]
    pub fn read(source: impl Into<String>) -> Page {
        let source = source.into();
        let nodes = Reader::new(&source).read();
        Page { source, nodes }
    }

    /// The bytes that the server sent.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Visible text. White space is collapsed, except in code and text areas.
    pub fn text(&self) -> String {
        self.root().text()
    }

    /// Whether the visible text contains this text.
    pub fn contains(&self, text: &str) -> bool {
        self.text().contains(text)
    }

    /// Whether the text occurs anywhere in the page: in the source, the visible text or the value of an attribute.
    pub fn holds(&self, text: &str) -> bool {
        let in_attribute = |node: &Node| match &node.kind {
            Kind::Element { attributes, .. } => attributes.iter().any(|(_, value)| value.contains(text)),
            Kind::Text(part) => part.contains(text),
        };
        self.source.contains(text) || self.nodes.iter().any(in_attribute) || self.contains(text)
    }

    /// Returns the elements that match a selector, in document order. A selector is a tag, `#id`, `.class`, `[name]`
    /// and `[name=value]`, joined; a space between two means "inside of".
    pub fn all(&self, selector: &str) -> Vec<Element<'_>> {
        self.root().all(selector)
    }

    /// Returns the first element that matches a selector.
    pub fn find(&self, selector: &str) -> Option<Element<'_>> {
        self.root().find(selector)
    }

    /// Returns the first element that matches a selector. Panics if there is none.
    #[track_caller]
    pub fn get(&self, selector: &str) -> Element<'_> {
        self.find(selector).unwrap_or_else(|| panic!("no {selector} in {self}"))
    }

    /// Whether an element matches a selector.
    pub fn has(&self, selector: &str) -> bool {
        self.find(selector).is_some()
    }

    /// Text of the main heading.
    #[track_caller]
    pub fn heading(&self) -> String {
        self.get("h1").text()
    }

    /// URLs of all links, in document order.
    pub fn links(&self) -> Vec<&str> {
        self.all("a").iter().filter_map(|link| link.attribute("href")).collect()
    }

    /// Whether a link has exactly this URL.
    pub fn links_to(&self, address: &str) -> bool {
        self.links().contains(&address)
    }

    /// Whether a link has a URL that begins with this text.
    pub fn links_below(&self, start: &str) -> bool {
        self.links().iter().any(|address| address.starts_with(start))
    }

    /// URL of the first link whose text contains this text.
    pub fn link(&self, text: &str) -> Option<&str> {
        let links = self.all("a[href]");
        links.iter().find(|link| link.text().contains(text)).and_then(|link| link.attribute("href"))
    }

    /// Whether there is a button, or a link styled as one, with this text.
    pub fn has_button(&self, text: &str) -> bool {
        let buttons = [self.all("button"), self.all("a.button")].concat();
        buttons.iter().any(|button| button.text().contains(text))
    }

    /// URLs of all resources, links and forms of the page.
    pub fn addresses(&self) -> Vec<&str> {
        let elements = self.all("");
        let named = |name| elements.iter().filter_map(move |element| element.attribute(name));
        ["href", "src", "action", "formaction"].into_iter().flat_map(named).collect()
    }

    /// Id of the first webhook with a link on the page.
    #[track_caller]
    pub fn webhook(&self) -> String {
        let link = self.addresses().into_iter().find_map(|address| address.split_once("/webhooks/wh_"));
        let (_, rest) = link.unwrap_or_else(|| panic!("no link to a webhook in {self}"));
        format!("wh_{}", &rest[..26])
    }

    /// URL of the page with older entries, or of the next entry.
    pub fn next(&self) -> Option<&str> {
        self.find("a[rel=next]").and_then(|link| link.attribute("href"))
    }

    /// URL of the page with newer entries, or of the previous entry.
    pub fn previous(&self) -> Option<&str> {
        self.find("a[rel=prev]").and_then(|link| link.attribute("href"))
    }

    /// URLs of the list's rows, in order.
    pub fn rows(&self) -> Vec<&str> {
        self.all("a[data-row]").iter().filter_map(|link| link.attribute("href")).collect()
    }

    /// Ids of the list's rows, in order: the last segment of each path.
    pub fn row_ids(&self) -> Vec<String> {
        let id = |address: &&str| {
            let path = address.split('?').next().unwrap_or_default();
            path.rsplit('/').next().unwrap_or_default().to_owned()
        };
        self.rows().iter().map(id).collect()
    }

    /// Text of each cell with this label, from the first row to the last.
    pub fn column(&self, label: &str) -> Vec<String> {
        self.all(&format!("td[data-label={label:?}]")).iter().map(Element::text).collect()
    }

    /// Description of a term in a description list.
    pub fn fact(&self, term: &str) -> Option<String> {
        let mut parts = self.all("dl dt").into_iter().chain(self.all("dl dd")).collect::<Vec<_>>();
        parts.sort_by_key(|part| part.node);
        let at = parts.iter().position(|part| part.tag() == "dt" && part.text() == term)?;
        parts.get(at + 1).map(Element::text)
    }

    /// Statuses of all badges, by their names in `data-status`.
    pub fn statuses(&self) -> Vec<&str> {
        self.all("[data-status]").iter().filter_map(|badge| badge.attribute("data-status")).collect()
    }

    /// Whether a message about an action contains this text.
    pub fn has_flash(&self, text: &str) -> bool {
        self.all(".flash").iter().any(|flash| flash.contains(text))
    }

    /// The message about a failed action.
    pub fn flash_error(&self) -> Option<String> {
        self.find(".flash.error").map(|flash| flash.text())
    }

    /// The error message of a field.
    pub fn problem(&self, field: &str) -> Option<String> {
        self.find(&format!("#{field}-problem")).map(|problem| problem.text())
    }

    /// The POST form with this URL.
    pub fn form(&self, action: &str) -> Option<Form<'_>> {
        self.find(&format!("form[method=post][action={action:?}]")).map(Form)
    }

    /// All POST forms except those on every page: the one that signs out, and the one of the zone and the theme.
    pub fn forms(&self) -> Vec<Form<'_>> {
        let is_own = |to: &str| !to.ends_with("/logout") && !to.ends_with("/account/display");
        let forms = self.all("form[method=post]").into_iter();
        forms.filter(|form| form.attribute("action").is_none_or(is_own)).map(Form).collect()
    }

    /// Value of the first field with this name; of a select, the value of the selected option.
    pub fn field(&self, name: &str) -> Option<String> {
        let fields = self.root().fields(false);
        fields.into_iter().find_map(|(known, value)| (known == name).then_some(value))
    }

    /// Whether the page has a field with this name.
    pub fn has_field(&self, name: &str) -> bool {
        self.has(&format!("[name={name:?}]"))
    }

    /// Whether the page has a field with this name and value, selected or not.
    pub fn offers(&self, name: &str, value: &str) -> bool {
        self.root().fields(true).iter().any(|field| field.0 == name && field.1 == value)
    }

    fn root(&self) -> Element<'_> {
        Element { page: self, node: 0 }
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl Form<'_> {
    /// Value of the first field with this name.
    pub fn field(&self, name: &str) -> Option<String> {
        self.fields().into_iter().find_map(|(known, value)| (known == name).then_some(value))
    }

    /// Names and values of the fields, as a browser submits them.
    pub fn fields(&self) -> Vec<(String, String)> {
        self.0.fields(false)
    }

    /// URL that the form submits to.
    pub fn action(&self) -> &str {
        self.0.attribute("action").unwrap_or_default()
    }
}

#[test]
fn a_page_is_read_as_a_person_and_a_browser_read_it() {
    let page = Page::read(
        "<!doctype html><h1>A &#60;b&#62;  <em>c</em></h1><p class=\"flash error\">No</p><!-- <i> -->\
         <form method=post action=\"/x?a=1&#38;b=2\"><input name=\"n\" value=\"1\"><input type=checkbox name=c value=2>\
         <input type=radio name=r value=3 checked><select name=s><option>x\
         <option selected value=y>z</option></select><textarea name=t>\na\n b</textarea></form>\
         <p id=\"n-problem\">Bad<br>value</p><a data-row href=\"/d/1?x\">one</a><a rel=next href=\"/2\">Older</a>\
         <dl><dt>Type</dt><dd>a.b</dd></dl><pre>1  2</pre>",
    );
    assert_eq!(page.heading(), "A <b> c");
    assert_eq!(page.flash_error().as_deref(), Some("No"));
    assert_eq!(page.problem("n").as_deref(), Some("Bad value"));
    let fields = [("n", "1"), ("r", "3"), ("s", "y"), ("t", "a\n b")].map(|(a, b)| (a.to_owned(), b.to_owned()));
    assert_eq!(page.form("/x?a=1&b=2").unwrap().fields(), fields);
    assert!(page.offers("c", "2") && page.offers("s", "x") && !page.offers("c", "3"));
    assert_eq!((page.rows(), page.row_ids()), (vec!["/d/1?x"], vec!["1".to_owned()]));
    assert_eq!((page.next(), page.previous(), page.link("on")), (Some("/2"), None, Some("/d/1?x")));
    assert_eq!(page.fact("Type").as_deref(), Some("a.b"));
    assert!(page.contains("1  2") && page.has("form textarea[name=t]") && !page.has("p textarea"));
    assert!(page.holds("/x?a=1&b=2") && page.holds("/x?a=1&#38;b=2") && !page.contains("/x"));
}

#[test]
fn a_page_whose_tags_do_not_match_is_refused() {
    for source in ["<p><b></p></b>", "<p>", "</p>", "<p title=\"a\"b\">x</p>", "a & b", "&bogus;"] {
        assert!(std::panic::catch_unwind(|| Page::read(source)).is_err(), "{source}");
    }
}
