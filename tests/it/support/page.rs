//! An HTML reader for tests: headings, links, fields, rows, messages.
//!
//! The reader is strict: it panics on unbalanced tags and unknown entities.

use std::fmt;

/// Elements without content.
const VOID: [&str; 9] = ["area", "br", "col", "hr", "img", "input", "link", "meta", "source"];
/// Inline elements. Every other element separates words.
const INLINE: [&str; 14] =
    ["a", "abbr", "b", "code", "em", "i", "kbd", "mark", "small", "span", "strong", "sub", "sup", "time"];
/// Elements with significant white space.
const PREFORMATTED: [&str; 2] = ["pre", "textarea"];

/// An HTML page.
pub struct Page {
    source: String,
    nodes: Vec<Node>,
}

struct Node {
    parent: usize,
    kind: Kind,
}

enum Kind {
    Element { tag: String, attributes: Vec<(String, String)>, children: Vec<usize> },
    Text(String),
}

/// An element of a page.
#[derive(Clone, Copy)]
pub struct Element<'a> {
    page: &'a Page,
    node: usize,
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

impl<'a> Element<'a> {
    /// Tag name in lower case.
    pub fn tag(&self) -> &'a str {
        match &self.page.nodes[self.node].kind {
            Kind::Element { tag, .. } => tag,
            Kind::Text(_) => "",
        }
    }

    /// Value of an attribute; empty for one without a value.
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        self.attributes().iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Names and values of its attributes.
    pub fn attributes(&self) -> &'a [(String, String)] {
        match &self.page.nodes[self.node].kind {
            Kind::Element { attributes, .. } => attributes,
            Kind::Text(_) => &[],
        }
    }

    pub fn has_attribute(&self, name: &str) -> bool {
        self.attribute(name).is_some()
    }

    /// Visible text of the element. White space is collapsed, except in code and text areas.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.add_text(&mut text, false);
        text.trim_end_matches(' ').to_owned()
    }

    /// Text of each descendant that matches a selector.
    pub fn parts(&self, selector: &str) -> Vec<String> {
        self.all(selector).iter().map(Element::text).collect()
    }

    /// Whether a descendant matches a selector.
    pub fn has(&self, selector: &str) -> bool {
        self.find(selector).is_some()
    }

    /// Whether the visible text of the element contains this text.
    pub fn contains(&self, text: &str) -> bool {
        self.text().contains(text)
    }

    /// Returns the descendants that match a selector.
    pub fn all(&self, selector: &str) -> Vec<Element<'a>> {
        let mut found = Vec::new();
        let selector = Selector::parse(selector);
        self.each(&mut |element| {
            if element.node != self.node && selector.matches(element) {
                found.push(element);
            }
        });
        found
    }

    /// Returns the first descendant that matches a selector.
    pub fn find(&self, selector: &str) -> Option<Element<'a>> {
        self.all(selector).into_iter().next()
    }

    /// Names and values of the fields inside, as a browser submits them; with `all`, also of unselected ones.
    fn fields(&self, all: bool) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        self.each(&mut |element| {
            let Some(name) = element.attribute("name") else {
                return;
            };
            let value = element.attribute("value").unwrap_or_default();
            let is_choice = matches!(element.attribute("type"), Some("checkbox" | "radio"));
            match element.tag() {
                "input" if is_choice && !all && !element.has_attribute("checked") => {}
                "input" if is_choice && !element.has_attribute("value") => fields.push((name, "on".to_owned())),
                "input" => fields.push((name, value.to_owned())),
                "button" if all => fields.push((name, value.to_owned())),
                "textarea" => fields.push((name, element.text())),
                "select" => {
                    let options = element.all("option");
                    let chosen = options.iter().find(|option| option.has_attribute("selected")).or(options.first());
                    let offered = if all { options.iter().collect() } else { Vec::from_iter(chosen) };
                    fields.extend(
                        offered.into_iter().map(|option| {
                            (name, option.attribute("value").map_or_else(|| option.text(), str::to_owned))
                        }),
                    );
                }
                _ => {}
            }
        });
        fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn parent(&self) -> Option<Element<'a>> {
        (self.node > 0).then(|| Element { page: self.page, node: self.page.nodes[self.node].parent })
    }

    fn children(&self) -> &'a [usize] {
        match &self.page.nodes[self.node].kind {
            Kind::Element { children, .. } => children,
            Kind::Text(_) => &[],
        }
    }

    /// This element and its descendants, in document order.
    fn each(&self, see: &mut dyn FnMut(Element<'a>)) {
        see(*self);
        for node in self.children() {
            let child = Element { page: self.page, node: *node };
            if !child.tag().is_empty() {
                child.each(see);
            }
        }
    }

    fn add_text(&self, text: &mut String, is_preformatted: bool) {
        if let Kind::Text(part) = &self.page.nodes[self.node].kind {
            if is_preformatted {
                return text.push_str(part);
            }
            for c in part.chars() {
                match c {
                    ' ' | '\n' | '\t' | '\r' => space(text),
                    _ => text.push(c),
                }
            }
            return;
        }
        let is_preformatted = is_preformatted || PREFORMATTED.contains(&self.tag());
        let separates = !INLINE.contains(&self.tag());
        if separates && !is_preformatted {
            space(text);
        }
        for node in self.children() {
            Element { page: self.page, node: *node }.add_text(text, is_preformatted);
        }
        if separates && !is_preformatted {
            space(text);
        }
    }
}

/// Adds a space unless the text is empty or ends in white space.
fn space(text: &mut String) {
    if !text.is_empty() && !text.ends_with([' ', '\n']) {
        text.push(' ');
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

/// Compounds of a selector, outermost first.
struct Selector(Vec<Compound>);

#[derive(Default)]
struct Compound {
    tag: Option<String>,
    classes: Vec<String>,
    attributes: Vec<(String, Option<String>)>,
}

impl Selector {
    #[track_caller]
    fn parse(text: &str) -> Selector {
        let mut compounds = vec![Compound::default()];
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = &rest[c.len_utf8()..];
            let compound = compounds.last_mut().unwrap();
            if c == ' ' {
                compounds.push(Compound::default());
            } else if c == '[' {
                let inside = rest.split(']').next().unwrap();
                rest = &rest[inside.len() + 1..];
                let (name, value) = inside.split_once('=').map_or((inside, None), |(name, value)| (name, Some(value)));
                let value = value.map(|value| value.trim_matches('"').to_owned());
                compound.attributes.push((name.to_owned(), value));
            } else {
                let name_from = if c == '#' || c == '.' { rest } else { &text[text.len() - rest.len() - 1..] };
                let end = name_from.find(['#', '.', '[', ' ']).unwrap_or(name_from.len());
                let name = name_from[..end].to_owned();
                rest = &name_from[end..];
                match c {
                    '#' => compound.attributes.push(("id".to_owned(), Some(name))),
                    '.' => compound.classes.push(name),
                    _ => compound.tag = Some(name),
                }
            }
        }
        Selector(compounds)
    }

    fn matches(&self, element: Element<'_>) -> bool {
        let (last, outer) = self.0.split_last().unwrap();
        let mut around = element.parent();
        last.matches(element)
            && outer.iter().rev().all(|compound| {
                while let Some(ancestor) = around {
                    around = ancestor.parent();
                    if compound.matches(ancestor) {
                        return true;
                    }
                }
                false
            })
    }
}

impl Compound {
    fn matches(&self, element: Element<'_>) -> bool {
        let classes = element.attribute("class").unwrap_or_default();
        self.tag.as_deref().is_none_or(|tag| tag == element.tag())
            && self.classes.iter().all(|class| classes.split(' ').any(|known| known == class))
            && self.attributes.iter().all(|(name, value)| {
                element.attribute(name).is_some_and(|known| value.as_deref().is_none_or(|value| value == known))
            })
    }
}

/// HTML parser. The first node is the document.
struct Reader<'a> {
    source: &'a str,
    rest: &'a str,
    nodes: Vec<Node>,
    /// Open elements, outermost first.
    open: Vec<usize>,
}

impl<'a> Reader<'a> {
    fn new(source: &'a str) -> Reader<'a> {
        let kind = Kind::Element { tag: "document".to_owned(), attributes: Vec::new(), children: Vec::new() };
        Reader { source, rest: source, nodes: vec![Node { parent: 0, kind }], open: vec![0] }
    }

    #[track_caller]
    fn read(mut self) -> Vec<Node> {
        while !self.rest.is_empty() {
            if self.rest.starts_with("<!--") {
                self.until("-->");
            } else if self.rest.starts_with("<!") {
                self.until(">");
            } else if self.rest.starts_with("</") {
                let tag = self.until(">")[2..].trim_end().to_owned();
                self.close_option(&tag);
                assert_eq!(self.open_tag(), tag, "</{tag}> closes something else {}", self.place());
                self.open.pop();
            } else if self.rest.starts_with('<') {
                self.element();
            } else {
                let end = self.rest.find('<').unwrap_or(self.rest.len());
                self.text(end);
            }
        }
        assert_eq!(self.open, [0], "an element is left open {}", self.place());
        self.nodes
    }

    /// Parses the tag at the current position; for raw text elements also their content.
    #[track_caller]
    fn element(&mut self) {
        let end = self.rest[1..].find([' ', '\n', '>', '/']).expect("a tag ends") + 1;
        let tag = self.rest[1..end].to_owned();
        self.rest = &self.rest[end..];
        let mut attributes = Vec::new();
        let is_closed = loop {
            self.rest = self.rest.trim_start();
            if let Some(rest) = self.rest.strip_prefix("/>") {
                self.rest = rest;
                break true;
            }
            if let Some(rest) = self.rest.strip_prefix('>') {
                self.rest = rest;
                break VOID.contains(&tag.as_str());
            }
            attributes.push(self.attribute());
        };
        if tag == "option" {
            self.close_option("");
        }
        let node = self.add(Kind::Element { tag: tag.clone(), attributes, children: Vec::new() });
        if is_closed {
            return;
        }
        self.open.push(node);
        if ["script", "style", "textarea", "title"].contains(&tag.as_str()) {
            if tag == "textarea" {
                self.rest = self.rest.strip_prefix('\n').unwrap_or(self.rest);
            }
            let end = self.rest.find(&format!("</{tag}>")).unwrap_or_else(|| panic!("no </{tag}> {}", self.place()));
            self.text(end);
        }
    }

    fn open_tag(&self) -> &str {
        match &self.nodes[*self.open.last().expect("the document is open")].kind {
            Kind::Element { tag, .. } => tag,
            Kind::Text(_) => "",
        }
    }

    /// Closes an open option, whose end tag is optional in HTML.
    fn close_option(&mut self, tag: &str) {
        if tag != "option" && self.open_tag() == "option" {
            self.open.pop();
        }
    }

    /// Parses an attribute with its optional value.
    #[track_caller]
    fn attribute(&mut self) -> (String, String) {
        let end = self.rest.find([' ', '\n', '>', '/', '=']).expect("an attribute ends");
        assert!(end > 0, "no attribute {}", self.place());
        let name = self.rest[..end].to_owned();
        assert!(!name.contains(['"', '\'', '<']), "{name:?} as a name of an attribute {}", self.place());
        self.rest = &self.rest[end..];
        let Some(rest) = self.rest.strip_prefix('=') else {
            return (name, String::new());
        };
        let value = if let Some(quoted) = rest.strip_prefix('"') {
            let end = quoted.find('"').expect("a value ends");
            self.rest = &quoted[end + 1..];
            &quoted[..end]
        } else {
            let end = rest.find([' ', '\n', '>']).expect("a value ends");
            self.rest = &rest[end..];
            &rest[..end]
        };
        (name, decoded(value))
    }

    fn text(&mut self, end: usize) {
        let (text, rest) = self.rest.split_at(end);
        self.rest = rest;
        if !text.is_empty() {
            self.add(Kind::Text(decoded(text)));
        }
    }

    /// Appends a node to the current element.
    fn add(&mut self, kind: Kind) -> usize {
        let parent = *self.open.last().expect("the document is open");
        let node = self.nodes.len();
        self.nodes.push(Node { parent, kind });
        if let Kind::Element { children, .. } = &mut self.nodes[parent].kind {
            children.push(node);
        }
        node
    }

    /// Returns everything up to the mark, and skips the mark.
    #[track_caller]
    fn until(&mut self, mark: &str) -> &'a str {
        let end = self.rest.find(mark).unwrap_or_else(|| panic!("no {mark} {}", self.place()));
        let taken = &self.rest[..end];
        self.rest = &self.rest[end + mark.len()..];
        taken
    }

    /// The current line.
    fn place(&self) -> String {
        let read = &self.source[..self.source.len() - self.rest.len()];
        format!("in line {}: {:?}", read.lines().count(), read.lines().last().unwrap_or_default())
    }
}

/// Decodes entities.
#[track_caller]
fn decoded(text: &str) -> String {
    let mut parts = text.split('&');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once(';').unwrap_or_else(|| panic!("& without an entity in {text:?}"));
        let code = name.strip_prefix("#x").map(|code| u32::from_str_radix(code, 16));
        let code = code.or_else(|| name.strip_prefix('#').map(str::parse));
        decoded.push(match (name, code) {
            ("amp", _) => '&',
            ("lt", _) => '<',
            ("gt", _) => '>',
            ("quot", _) => '"',
            ("nbsp", _) => '\u{a0}',
            (_, Some(Ok(code))) => char::from_u32(code).expect("a character"),
            _ => panic!("&{name}; is unknown"),
        });
        decoded.push_str(rest);
    }
    decoded
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
