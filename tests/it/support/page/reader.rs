//! The parser, which refuses a page that is not well-formed.

/// Elements without content.
const VOID: [&str; 9] = ["area", "br", "col", "hr", "img", "input", "link", "meta", "source"];

pub(super) struct Node {
    pub(super) parent: usize,
    pub(super) kind: Kind,
}

pub(super) enum Kind {
    Element { tag: String, attributes: Vec<(String, String)>, children: Vec<usize> },
    Text(String),
}

/// HTML parser. The first node is the document.
pub(super) struct Reader<'a> {
    source: &'a str,
    rest: &'a str,
    nodes: Vec<Node>,
    /// Open elements, outermost first.
    open: Vec<usize>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a str) -> Reader<'a> {
        let kind = Kind::Element { tag: "document".to_owned(), attributes: Vec::new(), children: Vec::new() };
        Reader { source, rest: source, nodes: vec![Node { parent: 0, kind }], open: vec![0] }
    }

    #[track_caller]
    pub(super) fn read(mut self) -> Vec<Node> {
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
