//! Values that a form was made of. The form carries a mark of each, so that a save tells what was typed, and what somebody
//! else changed since.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::http::web::Fields;

/// Part of a form: one or several fields with one meaning. The text holds no secret.
#[derive(Debug, Clone)]
pub struct Part {
    pub name: &'static str,
    pub label: &'static str,
    pub text: String,
}

impl Part {
    fn mark(&self) -> String {
        hex::encode(&Sha256::digest(&self.text)[..8])
    }
}

/// Parts of a form that are one field each: names, labels and texts.
pub fn parts(fields: &[(&'static str, &'static str, &str)]) -> Vec<Part> {
    let part = |&(name, label, text): &(&'static str, &'static str, &str)| Part { name, label, text: text.to_owned() };
    fields.iter().map(part).collect()
}

/// Marks of the parts, as the hidden field `made_of`: names and marks, with a dot between the two and spaces between parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MadeOf(String);

impl MadeOf {
    pub fn of(parts: &[Part]) -> MadeOf {
        let marks: Vec<String> = parts.iter().map(|part| format!("{}.{}", part.name, part.mark())).collect();
        MadeOf(marks.join(" "))
    }

    pub fn of_fields(fields: &Fields) -> MadeOf {
        MadeOf(fields.text("made_of").to_owned())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a part differs from what the form was made of. A part without a mark counts as `otherwise`.
    pub fn differs(&self, part: &Part, otherwise: bool) -> bool {
        let mut marks = self.0.split(' ').filter_map(|mark| mark.split_once('.'));
        let known = marks.find(|(name, _)| *name == part.name);
        known.map_or(otherwise, |(_, mark)| mark != part.mark())
    }
}

impl fmt::Display for MadeOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Stored text of a field, if the visitor left the field as it was and somebody else changed it.
pub fn taken<'a>(changed: &'a [ChangedPart], name: &str) -> Option<&'a str> {
    let part = changed.iter().find(|part| part.name == name && part.typed.is_none())?;
    Some(&part.stored)
}

/// Part that was changed after the form was made.
#[derive(Debug, Clone)]
pub struct ChangedPart {
    pub name: &'static str,
    pub label: &'static str,
    /// Stored value.
    pub stored: String,
    /// Typed value, if the visitor changed the part too.
    pub typed: Option<String>,
}

/// Returns what was changed after the form was made and differs from what was typed. `stored` and `typed` have the same
/// parts.
pub fn changed_meanwhile(made_of: &MadeOf, stored: Vec<Part>, typed: Vec<Part>) -> Vec<ChangedPart> {
    let pairs = stored.into_iter().zip(typed);
    let overwritten = pairs.filter(|(stored, typed)| stored.text != typed.text && made_of.differs(stored, false));
    let changed = overwritten.map(|(stored, typed)| ChangedPart {
        name: stored.name,
        label: stored.label,
        typed: made_of.differs(&typed, false).then_some(typed.text),
        stored: stored.text,
    });
    changed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(url: &str, events: &str) -> Vec<Part> {
        super::parts(&[("url", "URL", url), ("events", "Events", events)])
    }

    #[test]
    fn a_part_that_both_changed_has_two_values_and_one_that_only_the_other_changed_has_one() {
        let made_of = MadeOf::of(&parts("a", "x"));
        assert!(changed_meanwhile(&made_of, parts("a", "x"), parts("b", "y")).is_empty());
        // Both changed it to the same value.
        assert!(changed_meanwhile(&made_of, parts("b", "x"), parts("b", "x")).is_empty());
        let changed = changed_meanwhile(&made_of, parts("b", "y"), parts("c", "x"));
        let facts: Vec<_> = changed.iter().map(|part| (part.name, &*part.stored, part.typed.as_deref())).collect();
        assert_eq!(facts, [("url", "b", Some("c")), ("events", "y", None)]);
        // A form that was not made by this server overwrites.
        assert!(changed_meanwhile(&MadeOf::default(), parts("b", "y"), parts("c", "x")).is_empty());
    }
}
