//! Requirements of a vendor on URL and headers, for profiles of one vendor.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::domain::Invalid;
use crate::domain::header::{self, CustomHeaders};
use crate::domain::target::{MAX_URL_BYTES, TargetUrl};

const MAX_NAMES: usize = 16;
const MAX_NAME_CHARS: usize = 64;

/// Requirements of a vendor on URL and headers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ProfileEndpoint")]
pub struct EndpointSpec {
    /// URL of a made-up endpoint, shown to people.
    #[schemars(length(max = MAX_URL_BYTES), regex(pattern = TargetUrl::PATTERN))]
    pub url: String,
    /// Parameters that the query of a webhook's URL must have.
    #[serde(default)]
    #[schemars(length(max = MAX_NAMES), inner(length(min = 1, max = MAX_NAME_CHARS)))]
    pub query: Vec<String>,
    /// Custom headers that a webhook must have.
    #[serde(default)]
    #[schemars(length(max = MAX_NAMES), inner(regex(pattern = header::NAME_PATTERN)))]
    pub headers: Vec<String>,
}

impl EndpointSpec {
    /// Checks the fields. The error is the name of the field and the reason.
    pub(super) fn check(&self) -> Result<(), (&'static str, String)> {
        self.url.parse::<TargetUrl>().map_err(|invalid| ("url", invalid.message))?;
        let is_name = |name: &String| (1..=MAX_NAME_CHARS).contains(&name.chars().count());
        if self.query.len() > MAX_NAMES || !self.query.iter().all(is_name) {
            return Err((
                "query",
                "An endpoint needs up to 16 parameters, each named by 1 to 64 characters.".to_owned(),
            ));
        }
        let headers = self.headers.iter().map(|name| (name.clone(), String::new())).collect();
        if self.headers.len() > MAX_NAMES {
            return Err(("headers", "An endpoint needs up to 16 headers.".to_owned()));
        }
        CustomHeaders::parse(headers, &[]).map(drop).map_err(|invalid| ("headers", invalid.message))
    }

    /// Checks that a webhook has what the endpoint needs. `profile` is for the error.
    pub fn require(&self, profile: &str, url: &TargetUrl, headers: &CustomHeaders) -> Result<(), Invalid> {
        let parsed = Url::parse(url.as_str()).ok();
        let has_parameter = |name: &&String| {
            let pairs = parsed.iter().flat_map(Url::query_pairs);
            pairs.into_iter().any(|(known, value)| known == name.as_str() && !value.is_empty())
        };
        if let Some(name) = self.query.iter().find(|name| !has_parameter(name)) {
            let message = format!("The profile {profile} needs the parameter {name} in the URL, as in {}.", self.url);
            return Err(Invalid::new("incomplete_endpoint", message).in_field("url"));
        }
        let has_header = |name: &&String| {
            headers.iter().any(|(known, value)| known.eq_ignore_ascii_case(name) && !value.trim().is_empty())
        };
        if let Some(name) = self.headers.iter().find(|name| !has_header(name)) {
            let message =
                format!("The profile {profile} needs the custom header {name}. The URL is such as {}.", self.url);
            return Err(Invalid::new("incomplete_endpoint", message).in_field("headers"));
        }
        Ok(())
    }
}
