//! Authentication to endpoints: the setting `auth` of a webhook, by which its requests prove their sender besides their
//! signature. Users and API keys of this server are another matter, and in `crate::auth`.
//!
//! Passwords, tokens and client secrets are masked wherever they are shown. A mask that is written back keeps the stored
//! value, unless the value would then be sent to another origin than it was given for.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Invalid;
use super::header::{CustomHeaders, MASK};
use super::target::{MAX_URL_BYTES, TargetUrl};

/// Text without control characters, and without a colon, which ends the name (RFC 7617, section 2).
const USERNAME_PATTERN: &str = r"^[^:\u0000-\u001f\u007f-\u009f]*$";
const MAX_USERNAME: usize = 256;
const PASSWORD_PATTERN: &str = r"^[^\u0000-\u001f\u007f-\u009f]*$";
const MAX_PASSWORD: usize = 512;
/// With this length, the header fits into the client's buffer.
pub const MAX_TOKEN: usize = 4096;
const TOKEN_PATTERN: &str = "^[!-~]*$";
/// `VSCHAR` of RFC 6749, appendix A.
const PRINTABLE_PATTERN: &str = "^[ -~]*$";
const MAX_CLIENT_ID: usize = 256;
const MAX_CLIENT_SECRET: usize = 1024;
/// RFC 6749, section 3.3.
const SCOPE_PATTERN: &str = r"^[!#-\[\]-~]+( [!#-\[\]-~]+)*$";
const MAX_SCOPE: usize = 1024;

/// Authentication to the endpoint. Passwords, tokens and client secrets are masked in responses; a masked value keeps the
/// stored one, unless the webhook's URL or the token URL gets another scheme, host or port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", deny_unknown_fields)]
#[schemars(rename = "EndpointAuth")]
pub enum AuthSpec {
    /// User name and password in the header `Authorization` (RFC 7617).
    #[serde(rename = "basic")]
    Basic {
        #[schemars(length(max = MAX_USERNAME), regex(pattern = USERNAME_PATTERN))]
        username: String,
        #[schemars(length(min = 1, max = MAX_PASSWORD), regex(pattern = PASSWORD_PATTERN))]
        password: String,
    },
    /// A fixed token in the header `Authorization` (RFC 6750).
    #[serde(rename = "bearer")]
    Bearer {
        #[schemars(length(min = 1, max = MAX_TOKEN), regex(pattern = TOKEN_PATTERN))]
        token: String,
    },
    /// Access tokens from a token endpoint, by the grant `client_credentials` (RFC 6749, section 4.4).
    #[serde(rename = "oauth2")]
    OAuth2 {
        /// URL of the token endpoint, under the same rules as the URL of a webhook.
        #[schemars(length(max = MAX_URL_BYTES), regex(pattern = TargetUrl::PATTERN))]
        token_url: String,
        #[schemars(length(min = 1, max = MAX_CLIENT_ID), regex(pattern = PRINTABLE_PATTERN))]
        client_id: String,
        #[schemars(length(min = 1, max = MAX_CLIENT_SECRET), regex(pattern = PRINTABLE_PATTERN))]
        client_secret: String,
        /// Scopes to ask for, separated by spaces.
        #[serde(default)]
        #[schemars(length(max = MAX_SCOPE), regex(pattern = SCOPE_PATTERN))]
        scope: Option<String>,
        /// Parameter `audience` of the token request, which some token endpoints require.
        #[serde(default)]
        #[schemars(length(min = 1, max = MAX_SCOPE), regex(pattern = PRINTABLE_PATTERN))]
        audience: Option<String>,
        /// Where the token request has the client ID and secret.
        #[serde(default)]
        client_auth: ClientAuth,
    },
}

/// Place of the client ID and secret in a token request (RFC 6749, section 2.3.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ClientAuth {
    /// In the header `Authorization`.
    #[default]
    Basic,
    /// In the body, as `client_id` and `client_secret`.
    Body,
}

/// A password, token or client secret. Never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(Box<str>);

impl Credential {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

/// Validated authentication to an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointAuth {
    Basic { username: String, password: Credential },
    Bearer { token: Credential },
    OAuth2(Arc<OAuth2Client>),
}

/// Client of a token endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuth2Client {
    pub token_url: TargetUrl,
    pub client_id: String,
    pub client_secret: Credential,
    pub scope: Option<String>,
    pub audience: Option<String>,
    pub client_auth: ClientAuth,
}

impl EndpointAuth {
    /// Checks new settings. A masked value stands for that of `before`, the stored settings; `is_moved` says that the
    /// webhook's URL gets another origin, which must not get that value. The error names the field.
    pub fn parse(spec: AuthSpec, before: Option<&EndpointAuth>, is_moved: bool) -> Result<EndpointAuth, Invalid> {
        match spec {
            AuthSpec::Basic { username, password } => {
                let stored = match before {
                    Some(EndpointAuth::Basic { password, .. }) => Some(password),
                    _ => None,
                };
                let is_name = |text: &str| !text.contains(':') && has_no_control(text);
                check("username", &username, 0, MAX_USERNAME, is_name, "without colons and control characters")?;
                let rule = Rule { field: "password", max: MAX_PASSWORD, holds: has_no_control, words: NO_CONTROL };
                Ok(EndpointAuth::Basic { username, password: rule.parse(password, stored, is_moved)? })
            }
            AuthSpec::Bearer { token } => {
                let stored = match before {
                    Some(EndpointAuth::Bearer { token }) => Some(token),
                    _ => None,
                };
                let words = "of printable ASCII without spaces";
                let rule = Rule { field: "token", max: MAX_TOKEN, holds: is_token, words };
                Ok(EndpointAuth::Bearer { token: rule.parse(token, stored, is_moved)? })
            }
            AuthSpec::OAuth2 { token_url, client_id, client_secret, scope, audience, client_auth } => {
                let stored = match before {
                    Some(EndpointAuth::OAuth2(client)) => Some(client),
                    _ => None,
                };
                let token_url = parse_token_url(&token_url)?;
                let is_moved = is_moved || stored.is_some_and(|client| client.token_url.origin() != token_url.origin());
                let rule =
                    Rule { field: "client_secret", max: MAX_CLIENT_SECRET, holds: is_printable, words: PRINTABLE };
                let stored = stored.map(|client| &client.client_secret);
                let client_secret = rule.parse(client_secret, stored, is_moved)?;
                check("client_id", &client_id, 1, MAX_CLIENT_ID, is_printable, PRINTABLE)?;
                if let Some(scope) = &scope {
                    let words =
                        "of words of printable ASCII without quotes and backslashes, separated by single spaces";
                    check("scope", scope, 1, MAX_SCOPE, is_scope, words)?;
                }
                if let Some(audience) = &audience {
                    check("audience", audience, 1, MAX_SCOPE, is_printable, PRINTABLE)?;
                }
                let client = OAuth2Client { token_url, client_id, client_secret, scope, audience, client_auth };
                Ok(EndpointAuth::OAuth2(Arc::new(client)))
            }
        }
    }

    /// Returns the settings after a change: `given` if the caller gave any, else the stored ones, which another origin must
    /// not get.
    pub fn changed(
        given: Option<Option<AuthSpec>>,
        before: Option<EndpointAuth>,
        is_moved: bool,
    ) -> Result<Option<EndpointAuth>, Invalid> {
        match (given, before) {
            (Some(given), before) => given.map(|spec| EndpointAuth::parse(spec, before.as_ref(), is_moved)).transpose(),
            (None, Some(before)) if is_moved => Err(given_for_another_origin(before.secret_field())),
            (None, before) => Ok(before),
        }
    }

    /// Checks that no header of the webhook or its profile, whose names are `reserved` in lower case, is the one that
    /// authentication sets.
    pub fn check_headers(headers: &CustomHeaders, reserved: &[String]) -> Result<(), Invalid> {
        if headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(HEADER)) {
            return Err(invalid("auth", "auth and the custom header Authorization exclude each other. Remove one."));
        }
        if reserved.iter().any(|name| name.eq_ignore_ascii_case(HEADER)) {
            return Err(invalid("auth", "The webhook's profile sets the header Authorization itself. Remove auth."));
        }
        Ok(())
    }

    /// Returns the settings with their secrets, for the encrypted column.
    pub fn spec(&self) -> AuthSpec {
        self.with_secret(Credential::as_str)
    }

    /// Returns the settings with masks in place of secrets.
    pub fn masked(&self) -> AuthSpec {
        self.with_secret(|_| MASK)
    }

    fn with_secret(&self, shown: impl Fn(&Credential) -> &str) -> AuthSpec {
        match self {
            EndpointAuth::Basic { username, password } => {
                AuthSpec::Basic { username: username.clone(), password: shown(password).to_owned() }
            }
            EndpointAuth::Bearer { token } => AuthSpec::Bearer { token: shown(token).to_owned() },
            EndpointAuth::OAuth2(client) => AuthSpec::OAuth2 {
                token_url: client.token_url.to_string(),
                client_id: client.client_id.clone(),
                client_secret: shown(&client.client_secret).to_owned(),
                scope: client.scope.clone(),
                audience: client.audience.clone(),
                client_auth: client.client_auth,
            },
        }
    }

    /// Returns the value of the header [`HEADER`]; `None` if each request needs an access token.
    pub fn header_value(&self) -> Option<String> {
        match self {
            EndpointAuth::Basic { username, password } => Some(basic(username, password.as_str())),
            EndpointAuth::Bearer { token } => Some(bearer(token.as_str())),
            EndpointAuth::OAuth2(_) => None,
        }
    }

    pub fn oauth2(&self) -> Option<&Arc<OAuth2Client>> {
        match self {
            EndpointAuth::OAuth2(client) => Some(client),
            EndpointAuth::Basic { .. } | EndpointAuth::Bearer { .. } => None,
        }
    }

    fn secret_field(&self) -> &'static str {
        match self {
            EndpointAuth::Basic { .. } => "password",
            EndpointAuth::Bearer { .. } => "token",
            EndpointAuth::OAuth2(_) => "client_secret",
        }
    }
}

/// Header with the credentials.
pub const HEADER: &str = "Authorization";

/// Returns the header value for a user name and password (RFC 7617).
pub fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{username}:{password}")))
}

/// Returns the header value for a token (RFC 6750, section 2.1).
pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// Whether a text can be the token of the header.
pub fn is_token(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Parses the URL of a token endpoint. The error names the field.
pub fn parse_token_url(text: &str) -> Result<TargetUrl, Invalid> {
    text.parse().map_err(|invalid: Invalid| invalid.in_field("auth.token_url"))
}

const NO_CONTROL: &str = "without control characters";
const PRINTABLE: &str = "of printable ASCII";

fn has_no_control(text: &str) -> bool {
    !text.contains(char::is_control)
}

fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
}

fn is_scope(text: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && is_token(word) && !word.contains(['"', '\\']);
    text.split(' ').all(is_word)
}

/// Rule for a secret.
struct Rule {
    field: &'static str,
    max: usize,
    holds: fn(&str) -> bool,
    words: &'static str,
}

impl Rule {
    /// Checks a secret, or returns the stored one for a mask.
    fn parse(&self, given: String, stored: Option<&Credential>, is_moved: bool) -> Result<Credential, Invalid> {
        let name = name_of(self.field);
        match stored {
            _ if given != MASK => {
                check(self.field, &given, 1, self.max, self.holds, self.words)?;
                Ok(Credential(given.into()))
            }
            Some(_) if is_moved => Err(given_for_another_origin(self.field)),
            Some(stored) => Ok(stored.clone()),
            None => Err(invalid(&format!("auth.{}", self.field), format!("No {name} is stored yet. Give the {name}."))),
        }
    }
}

fn check(
    field: &str,
    text: &str,
    min: usize,
    max: usize,
    holds: impl Fn(&str) -> bool,
    words: &str,
) -> Result<(), Invalid> {
    if (min..=max).contains(&text.chars().count()) && holds(text) {
        return Ok(());
    }
    let message = format!("The {} must have {min} to {max} characters, {words}.", name_of(field));
    Err(invalid(&format!("auth.{field}"), message))
}

/// Name of a field for people.
fn name_of(field: &str) -> &str {
    match field {
        "username" => "user name",
        "client_id" => "client ID",
        "client_secret" => "client secret",
        field => field,
    }
}

fn given_for_another_origin(field: &str) -> Invalid {
    let name = name_of(field);
    let message = format!(
        "The {name} was given for another origin, and the URL has a new one. Give the {name} again, or remove the \
         authentication."
    );
    invalid(&format!("auth.{field}"), message)
}

fn invalid(field: &str, message: impl Into<String>) -> Invalid {
    Invalid::new("invalid_auth", message).in_field(field)
}

#[cfg(test)]
mod tests;
