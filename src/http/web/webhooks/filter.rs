//! Fields of a webhook's filter: rows for simple conditions, and JSON for any others.

use strum::VariantArray;

use super::form::WebhookForm;
use crate::actions::ActionError;
use crate::actions::try_filter::Tried;
use crate::domain::Invalid;
use crate::domain::filter::{Filter, FilterText, Row, RowOperator, of_rows};
use crate::domain::webhook::{Webhook, parse_events};
use crate::http::web::{Fields, Session};

/// Blank rows that are added at a time.
const MORE_ROWS: usize = 4;
/// Maximum rows.
const MAX_ROWS: usize = 40;

/// Typed values of the fields.
#[derive(Debug, Clone, Default)]
pub struct FilterFields {
    /// Those filled in, and blank ones.
    pub rows: Vec<Row>,
    pub json: String,
}

impl FilterFields {
    pub fn of_fields(fields: &Fields) -> FilterFields {
        let operators = fields.all("filter_operator").map(|text| text.parse().unwrap_or_default());
        let texts = fields.all("filter_field").zip(fields.all("filter_value"));
        let rows = texts.zip(operators).take(MAX_ROWS);
        let rows = rows.map(|((field, value), operator)| Row {
            field: field.trim().to_owned(),
            operator,
            value: value.to_owned(),
        });
        FilterFields { rows: rows.collect(), json: fields.text("filter").to_owned() }
    }

    /// Rows of a stored filter, or its JSON if rows cannot express it.
    pub fn of_webhook(webhook: &Webhook) -> FilterFields {
        match webhook.filter.as_deref().map(|filter| (filter.rows(), filter.text())) {
            None => FilterFields::default(),
            Some((Some(rows), _)) if rows.len() <= MAX_ROWS && !rows.is_empty() => {
                FilterFields { rows, json: String::new() }
            }
            Some((_, text)) => FilterFields { rows: Vec::new(), json: text.to_owned() },
        }
    }

    /// Whether a field is filled in.
    pub fn is_given(&self) -> bool {
        !self.json.trim().is_empty()
            || self
                .rows
                .iter()
                .any(|row| !row.field.is_empty() || !row.value.is_empty() || row.operator != RowOperator::default())
    }

    fn add_rows(&mut self) {
        let count = (self.rows.len().max(MORE_ROWS) + MORE_ROWS).min(MAX_ROWS);
        self.rows.resize(count, Row::default());
    }

    /// Rows of the page, at least four, with their numbers.
    pub fn shown_rows(&self) -> impl Iterator<Item = (usize, Row)> + '_ {
        let blank = MORE_ROWS.saturating_sub(self.rows.len());
        (1..).zip(self.rows.iter().cloned().chain(std::iter::repeat_n(Row::default(), blank)))
    }

    /// Operators and their labels.
    pub fn operators() -> impl Iterator<Item = (&'static str, &'static str)> {
        RowOperator::VARIANTS.iter().map(|&operator| (operator.into_str(), label(operator)))
    }

    /// Returns the filter that the fields make. Rows and JSON hold together. The error names the place in its message too,
    /// since the form has one field for all.
    pub fn setting(&self) -> Result<Option<FilterText>, Invalid> {
        let json = Some(self.json.trim()).filter(|json| !json.is_empty());
        if let Some(json) = json {
            parse(json)?;
        }
        let text = match (of_rows(&self.rows)?, json) {
            (Some(rows), Some(json)) => format!("{{\"$and\":[{rows},{json}]}}"),
            (Some(rows), None) => rows,
            (None, Some(json)) => json.to_owned(),
            (None, None) => return Ok(None),
        };
        parse(&text)?;
        Ok(Some(FilterText(text.into())))
    }
}

fn parse(text: &str) -> Result<Filter, Invalid> {
    text.parse().map_err(|invalid: Invalid| match invalid.field.as_deref() {
        Some(place) if place != "filter" => Invalid { message: format!("{place}: {}", invalid.message), ..invalid },
        _ => invalid,
    })
}

fn label(operator: RowOperator) -> &'static str {
    match operator {
        RowOperator::Is => "is, or contains",
        RowOperator::IsNot => "is not",
        RowOperator::AtLeast => "is at least",
        RowOperator::Greater => "is greater than",
        RowOperator::AtMost => "is at most",
        RowOperator::Less => "is less than",
        RowOperator::OneOf => "is one of (a, b)",
        RowOperator::NoneOf => "is none of (a, b)",
        RowOperator::Contains => "contains the text",
        RowOperator::StartsWith => "starts with",
        RowOperator::EndsWith => "ends with",
        RowOperator::Exists => "exists",
        RowOperator::Missing => "does not exist",
        RowOperator::Changed => "has changed",
    }
}

/// Results of the filter's buttons.
#[derive(Default)]
pub struct FilterShown {
    /// Whether the fields are unfolded.
    pub is_open: bool,
    pub tried: Option<Tried>,
}

/// Whether a button of the filter was pressed.
pub fn is_pressed(fields: &Fields) -> bool {
    fields.has("filter_rows") || fields.has("filter_try")
}

/// Adds rows, or tries the filter on the newest events.
pub fn press(
    session: &Session,
    webhook: Option<&Webhook>,
    form: &mut WebhookForm,
    fields: &Fields,
) -> Result<FilterShown, ActionError> {
    if fields.has("filter_rows") {
        form.filter.add_rows();
        return Ok(FilterShown { is_open: true, tried: None });
    }
    let Some(FilterText(text)) = form.filter.setting()? else {
        return Err(Invalid::new("missing_filter", "Enter a condition to try.").in_field("filter").into());
    };
    let tenant = match webhook {
        Some(webhook) => webhook.tenant.clone(),
        None => session.caller().tenant_for(Some(&*form.tenant).filter(|text| !text.is_empty()))?,
    };
    let mut patterns = form.event_texts();
    if patterns.is_empty() {
        patterns.push("*".to_owned());
    }
    let tried = session.app.actions.try_filter(&tenant, &parse_events(&patterns)?, &text.parse()?)?;
    Ok(FilterShown { is_open: true, tried: Some(tried) })
}
