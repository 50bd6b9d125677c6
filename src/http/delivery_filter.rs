//! Filter of deliveries, as the API and the pages take it.

use crate::domain::Invalid;
use crate::domain::several::Several;
use crate::store::delivery::DeliveryFilter;

/// Texts of a filter, without its tenant and its times.
#[derive(Default)]
pub(super) struct DeliveryTexts<'a> {
    pub webhook: Option<&'a str>,
    pub event: Option<&'a str>,
    pub status: Option<&'a str>,
    pub event_type: Option<&'a str>,
    pub code: Option<&'a str>,
    pub error: Option<&'a str>,
    pub test: Option<&'a str>,
}

impl DeliveryTexts<'_> {
    /// Parses the texts. Errors name the fields of the API.
    pub(super) fn parse(&self) -> Result<DeliveryFilter, Invalid> {
        let invalid = |message: &str| Invalid::new("invalid_parameter", message);
        let webhook = |text: &str| text.parse().map_err(|_| invalid("Enter a webhook ID such as wh_…."));
        let error = |text: &str| text.parse().map_err(|_| invalid("Enter an error code such as timeout."));
        let test = |text: &str| text.parse().map_err(|_| invalid("Tests must be true or false.").in_field("test"));
        let in_field = |invalid: Invalid| invalid.in_field("event_id");
        Ok(DeliveryFilter {
            webhooks: several("webhook_id", self.webhook, webhook)?,
            event: self.event.map(str::parse).transpose().map_err(in_field)?,
            statuses: several("status", self.status, str::parse)?,
            types: several("event_type", self.event_type, str::parse)?,
            codes: several("response_code", self.code, str::parse)?,
            errors: several("error_code", self.error, error)?,
            test: self.test.map(test).transpose()?,
            ..DeliveryFilter::default()
        })
    }
}

/// Parses the values of a field; none if it is not given.
pub(super) fn several<T: PartialEq>(
    field: &str,
    text: Option<&str>,
    parse: impl Fn(&str) -> Result<T, Invalid>,
) -> Result<Several<T>, Invalid> {
    let values = text.map(|text| Several::parse_with(text, parse)).transpose();
    Ok(values.map_err(|invalid| invalid.in_field(field))?.unwrap_or_default())
}
