//! Patterns of event types that a webhook subscribes to.

use std::fmt;
use std::str::FromStr;

use super::Invalid;
use super::event::EventType;

/// An exact event type, everything below a name (`content.*`, at any depth), or everything (`*`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum EventPattern {
    Exact(EventType),
    /// The name without the `.*`.
    Below(EventType),
    All,
}

impl EventPattern {
    /// Regular expression of the text, without its length; the same rule as `from_str`.
    pub const PATTERN: &str = r"^(\*|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?)$";

    /// Pattern of Hookpost's own events.
    pub fn of_hookpost() -> EventPattern {
        EventPattern::Below(EventType::hookpost())
    }

    pub fn matches(&self, event_type: &EventType) -> bool {
        match self {
            EventPattern::Exact(name) => name == event_type,
            EventPattern::Below(name) => {
                event_type.as_str().strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('.'))
            }
            EventPattern::All => true,
        }
    }

    /// Whether a type can match both patterns.
    pub fn overlaps(&self, other: &EventPattern) -> bool {
        match (self, other) {
            (EventPattern::All, _) | (_, EventPattern::All) => true,
            (EventPattern::Exact(name), pattern) | (pattern, EventPattern::Exact(name)) => pattern.matches(name),
            (EventPattern::Below(one), EventPattern::Below(two)) => {
                one == two || self.matches(two) || other.matches(one)
            }
        }
    }
}

impl FromStr for EventPattern {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<EventPattern, Invalid> {
        let pattern = match text.strip_suffix(".*") {
            _ if text == "*" => return Ok(EventPattern::All),
            Some(name) => name.parse().map(EventPattern::Below),
            None => text.parse().map(EventPattern::Exact),
        };
        // No event type is long enough to match a longer pattern.
        let fits = text.len() <= EventType::MAX_BYTES;
        pattern.ok().filter(|_| fits).ok_or_else(|| {
            let message = format!(
                "{text:?} is neither an event type such as content.published nor a pattern such as content.* (everything below content) or * (everything)."
            );
            Invalid::new("invalid_event_pattern", message)
        })
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EventPattern::Exact(name) => name.fmt(f),
            EventPattern::Below(name) => write!(f, "{name}.*"),
            EventPattern::All => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_what_its_text_says() {
        for (pattern, event_type, wanted) in [
            ("content.published", "content.published", true),
            ("content.published", "content.published.late", false),
            ("content.*", "content.published", true),
            ("content.*", "content.published.late", true),
            ("content.*", "content", false),
            ("content.*", "contents.published", false),
            ("a.b.*", "a.b.c", true),
            ("*", "anything.at.all", true),
        ] {
            let parsed: EventPattern = pattern.parse().unwrap();
            assert_eq!(parsed.matches(&event_type.parse().unwrap()), wanted, "{pattern} {event_type}");
            assert_eq!(parsed.to_string(), pattern);
        }
    }

    #[test]
    fn patterns_overlap_if_a_type_can_match_both() {
        for (one, two, wanted) in [
            ("order.*", "order.*", true),
            ("order.*", "order.paid", true),
            ("order.*", "order.paid.*", true),
            ("order.*", "*", true),
            ("order.paid", "order.paid", true),
            ("order.*", "order", false),
            ("order.*", "orders.*", false),
            ("order.paid", "order.sent", false),
        ] {
            let (one, two): (EventPattern, EventPattern) = (one.parse().unwrap(), two.parse().unwrap());
            assert_eq!((one.overlaps(&two), two.overlaps(&one)), (wanted, wanted), "{one} {two}");
        }
    }

    #[test]
    fn a_star_anywhere_else_is_refused() {
        let long = format!("{}.*", "a".repeat(127));
        for bad in ["", "*.a", "a*", "a.*.b", "**", ".*", "a..*", "a b", &long] {
            assert!(bad.parse::<EventPattern>().is_err(), "{bad}");
        }
    }
}
