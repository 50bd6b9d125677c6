//! The condition of a filter that an event does not meet, as a sentence.

use crate::domain::filter::{Found, Mismatch, Order, Test, Values, Wanted};
use crate::text::humanize;

/// Maximum values that a sentence names.
const NAMED: usize = 5;

/// Returns `data.amount must be at least 100, but is 99.`
pub fn sentence(mismatch: &Mismatch<'_>) -> String {
    let place = match mismatch.path.as_str() {
        "" => "the event",
        path => path,
    };
    let (requirement, found) = match &mismatch.wanted {
        Wanted::Test(Test::Changed(changed)) => {
            let (not, has) = if changed.is_changed { ("", "has not") } else { ("not ", "has") };
            (format!("{not}have changed"), has.to_owned())
        }
        Wanted::OneOf(count) if mismatch.found != Found::Nothing => {
            (format!("meet one of {} in $or", conditions(*count)), "meets none".to_owned())
        }
        Wanted::Not if mismatch.found != Found::Nothing => {
            ("not meet the condition in $not".to_owned(), "does".to_owned())
        }
        wanted => (requirement(wanted, &mismatch.found), found(&mismatch.found)),
    };
    format!("{place} must {requirement}, but {found}.")
}

fn requirement(wanted: &Wanted<'_>, found: &Found) -> String {
    match (wanted, found) {
        (Wanted::Value(value), Found::Array(_)) => format!("contain {value}"),
        (Wanted::Value(value), _) => format!("be {value}"),
        (Wanted::Test(test), _) => of_test(test),
        (Wanted::Elements(count), _) => format!("contain an element for each of {}", conditions(*count)),
        (Wanted::OneOf(count), _) => format!("meet one of {} in $or", conditions(*count)),
        (Wanted::Not, _) => "not meet the condition in $not".to_owned(),
        (Wanted::Fields, Found::Array(_)) => "contain an object that meets the conditions on its fields".to_owned(),
        (Wanted::Fields, _) => "be an object that meets the conditions on its fields".to_owned(),
    }
}

fn conditions(count: usize) -> String {
    humanize::counted(count as u64, "condition")
}

fn of_test(test: &Test) -> String {
    match test {
        Test::Equal(value) => format!("equal {}", value.shown()),
        Test::NotEqual(value) => format!("not equal {}", value.shown()),
        Test::Order(order, value) => {
            let order = match order {
                Order::Greater => "greater than",
                Order::AtLeast => "at least",
                Order::Less => "less than",
                Order::AtMost => "at most",
            };
            format!("be {order} {}", value.shown())
        }
        Test::In(Values::List(values)) => format!("be one of {}", named(values.iter().map(|value| value.shown()))),
        Test::NotIn(Values::List(values)) => {
            format!("be none of {}", named(values.iter().map(|value| value.shown())))
        }
        Test::In(Values::Part(part)) => format!("contain {part:?}"),
        Test::NotIn(Values::Part(part)) => format!("be a text without {part:?}"),
        Test::StartsWith(starts) => format!("start with {}", named(starts.iter().map(|start| format!("{start:?}")))),
        Test::EndsWith(ends) => format!("end with {}", named(ends.iter().map(|end| format!("{end:?}")))),
        Test::Exists(true) => "exist".to_owned(),
        Test::Exists(false) => "not exist".to_owned(),
        Test::Changed(_) => "have changed".to_owned(),
    }
}

fn named(values: impl ExactSizeIterator<Item = String>) -> String {
    let more = values.len().saturating_sub(NAMED);
    let first: Vec<String> = values.take(NAMED).collect();
    match (first.len(), more) {
        (0, _) => "no value".to_owned(),
        (_, 0) => first.join(", "),
        (_, more) => format!("{} and {more} more", first.join(", ")),
    }
}

fn found(found: &Found) -> String {
    match found {
        Found::Nothing => "the event has no such field".to_owned(),
        Found::Value(value) => format!("is {value}"),
        Found::Array(count) => format!("is an array of {}", humanize::counted(*count as u64, "element")),
        Found::Object => "is an object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::filter::{Content, EventWork, Filter};

    #[test]
    fn the_first_condition_that_does_not_hold_is_named_with_the_value_found() {
        let data = r#"{"amount": 99.50, "country": "FR", "tags": ["a", "b"], "customer": {"plan": "free"},
            "lines": [{"sku": "x"}], "note": null}"#;
        let content = Content::read("order.paid", "acme", "o-1", data, Some(data)).unwrap();
        for (filter, expected) in [
            (r#"{"type": "order.open"}"#, r#"type must be "order.open", but is "order.paid"."#),
            (
                r#"{"data": {"country": "FR", "amount": {"$gte": 100}}}"#,
                "data.amount must be at least 100, but is 99.50.",
            ),
            (r#"{"data": {"amount": {"$gt": 1, "$lt": 10}}}"#, "data.amount must be less than 10, but is 99.50."),
            (
                r#"{"data": {"country": {"$in": ["DE", "AT"]}}}"#,
                r#"data.country must be one of "DE", "AT", but is "FR"."#,
            ),
            (
                r#"{"data": {"amount": {"$nin": [1, 2, 3, 4, 5, 6, 99.5]}}}"#,
                "data.amount must be none of 1, 2, 3, 4, 5 and 2 more, but is 99.50.",
            ),
            (r#"{"data": {"country": {"$in": "DE"}}}"#, r#"data.country must contain "DE", but is "FR"."#),
            (r#"{"data": {"tags": "urgent"}}"#, r#"data.tags must contain "urgent", but is an array of 2 elements."#),
            (
                r#"{"data": {"tags": ["a", "c"]}}"#,
                "data.tags must contain an element for each of 2 conditions, but is an array of 2 elements.",
            ),
            (
                r#"{"data": {"customer": {"plan": {"$startsWith": ["pro", "team"]}}}}"#,
                r#"data.customer.plan must start with "pro", "team", but is "free"."#,
            ),
            (r#"{"data": {"lines": {"sku": "y"}}}"#, r#"data.lines.sku must be "y", but is "x"."#),
            (r#"{"data": {"customer": "me"}}"#, r#"data.customer must be "me", but is an object."#),
            (
                r#"{"data": {"country": {"code": 1}}}"#,
                r#"data.country must be an object that meets the conditions on its fields, but is "FR"."#,
            ),
            (r#"{"data": {"status": "paid"}}"#, r#"data.status must be "paid", but the event has no such field."#),
            (r#"{"data": {"note": {"$exist": false}}}"#, "data.note must not exist, but is null."),
            (r#"{"data": {"status": {"$exist": true}}}"#, "data.status must exist, but the event has no such field."),
            (r#"{"data": {"country": {"$changed": true}}}"#, "data.country must have changed, but has not."),
            (
                r#"{"$or": [{"type": "a"}, {"type": "b"}]}"#,
                "the event must meet one of 2 conditions in $or, but meets none.",
            ),
            (r#"{"$and": [{}, {"data": {"amount": 1}}]}"#, "data.amount must be 1, but is 99.50."),
            (r#"{"$not": {"data": {"country": "FR"}}}"#, "the event must not meet the condition in $not, but does."),
        ] {
            let filter: Filter = filter.parse().unwrap();
            let mismatch = filter.mismatch(&content, &mut EventWork::default()).unwrap();
            assert_eq!(sentence(&mismatch), expected, "{filter:?}");
        }
    }

    #[test]
    fn a_long_value_is_shortened() {
        let data = format!(r#"{{"text": "{}"}}"#, "é".repeat(1_000));
        let content = Content::read("a", "acme", "o-1", &data, None).unwrap();
        let filter: Filter = r#"{"data": {"text": "a"}}"#.parse().unwrap();
        let sentence = sentence(&filter.mismatch(&content, &mut EventWork::default()).unwrap());
        assert!(sentence.len() < 150 && sentence.ends_with("é…."), "{sentence}");
    }
}
