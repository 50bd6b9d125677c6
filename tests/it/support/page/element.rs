//! Elements: attributes, text, descendants, fields.

use super::Page;
use super::reader::Kind;
use super::selector::Selector;

/// Inline elements. Every other element separates words.
const INLINE: [&str; 14] =
    ["a", "abbr", "b", "code", "em", "i", "kbd", "mark", "small", "span", "strong", "sub", "sup", "time"];
/// Elements with significant white space.
const PREFORMATTED: [&str; 2] = ["pre", "textarea"];

/// An element of a page.
#[derive(Clone, Copy)]
pub struct Element<'a> {
    pub(super) page: &'a Page,
    pub(super) node: usize,
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
    pub(super) fn fields(&self, all: bool) -> Vec<(String, String)> {
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

    pub(super) fn parent(&self) -> Option<Element<'a>> {
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
