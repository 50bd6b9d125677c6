//! The selectors of CSS that tests use.

use super::Element;

/// Compounds of a selector, outermost first.
pub(super) struct Selector(Vec<Compound>);

#[derive(Default)]
struct Compound {
    tag: Option<String>,
    classes: Vec<String>,
    attributes: Vec<(String, Option<String>)>,
}

impl Selector {
    #[track_caller]
    pub(super) fn parse(text: &str) -> Selector {
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

    pub(super) fn matches(&self, element: Element<'_>) -> bool {
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
