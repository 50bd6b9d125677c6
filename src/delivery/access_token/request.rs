//! The request for an access token, and its response (RFC 6749, sections 4.4 and 5).

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use url::form_urlencoded::{Serializer, byte_serialize};

use crate::delivery::endpoint::USER_AGENT;
use crate::delivery::http::client::{ClientResult, Outgoing};
use crate::delivery::sender::Transport;
use crate::domain::attempt::{FailureCause, ReceiverResponse, TokenFault};
use crate::domain::endpoint_auth::{ClientAuth, HEADER, MAX_TOKEN, OAuth2Client, basic, is_token};
use crate::domain::header::MASK;
use crate::domain::json::Object;
use crate::domain::time::{DAY, MINUTE, Millis, SECOND};

/// Lifetime of a token whose response does not say it.
const DEFAULT_LIFETIME: Millis = 5 * MINUTE;
/// Longest time for which a token is kept.
const MAX_LIFETIME: Millis = DAY;
/// Maximum characters of an error from a token endpoint in the log.
const MAX_ERROR: usize = 200;

/// A new access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) token: Box<str>,
    pub(super) lifetime_ms: Millis,
}

/// Requests a token, on behalf of the tenant of the delivery `outgoing` and under its TLS settings.
pub(super) fn grant(
    transport: &dyn Transport,
    client: &OAuth2Client,
    outgoing: &Outgoing<'_>,
    timeout: Duration,
) -> Result<Grant, FailureCause> {
    let (headers, body) = message(client);
    let request = Outgoing { url: client.token_url.as_str(), headers: &headers, body: body.as_bytes(), ..*outgoing };
    read(client, transport.post(&request, timeout))
}

/// Returns the headers and the body of the request.
fn message(client: &OAuth2Client) -> (Vec<(String, String)>, String) {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut headers = vec![
        header("Content-Type", "application/x-www-form-urlencoded"),
        header("Accept", "application/json"),
        header("User-Agent", USER_AGENT),
    ];
    let mut body = Serializer::new(String::new());
    body.append_pair("grant_type", "client_credentials");
    for (name, value) in [("scope", &client.scope), ("audience", &client.audience)] {
        if let Some(value) = value {
            body.append_pair(name, value);
        }
    }
    match client.client_auth {
        ClientAuth::Basic => {
            // Both are form-encoded first (RFC 6749, section 2.3.1).
            let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let value = basic(&encoded(&client.client_id), &encoded(client.client_secret.as_str()));
            headers.push(header(HEADER, &value));
        }
        ClientAuth::Body => {
            body.append_pair("client_id", &client.client_id);
            body.append_pair("client_secret", client.client_secret.as_str());
        }
    }
    (headers, body.finish())
}

fn read(client: &OAuth2Client, result: ClientResult) -> Result<Grant, FailureCause> {
    let origin = client.token_url.origin().to_owned();
    match (result.failure, result.answer) {
        (None, Some(response)) => parse(&response).map_err(|fault| FailureCause::TokenMalformed { origin, fault }),
        (Some(failure), Some(response)) if matches!(failure.cause, FailureCause::Status { .. }) => {
            let (error, description) = refusal(client, &response);
            Err(FailureCause::TokenRefused { origin, code: response.code, error, description })
        }
        (failure, _) => {
            let cause = failure.map(|failure| Box::new(failure.cause));
            Err(FailureCause::TokenUnavailable { origin, cause })
        }
    }
}

/// Successful response (RFC 6749, section 5.1). Types are checked by hand: an error of the parser would quote the token.
#[derive(Deserialize)]
struct Response {
    access_token: Option<Value>,
    token_type: Option<Value>,
    expires_in: Option<Value>,
}

fn parse(response: &ReceiverResponse) -> Result<Grant, TokenFault> {
    if response.body_truncated {
        return Err(TokenFault::TooLong);
    }
    let Ok(Object(fields)) = serde_json::from_slice::<Object<Response>>(&response.body) else {
        return Err(TokenFault::NotJson);
    };
    let token = match fields.access_token {
        Some(Value::String(token)) if (1..=MAX_TOKEN).contains(&token.len()) && is_token(&token) => token.into(),
        _ => return Err(TokenFault::NoAccessToken { bytes: MAX_TOKEN }),
    };
    match &fields.token_type {
        Some(Value::String(found)) if found.eq_ignore_ascii_case("bearer") => {}
        Some(Value::String(found)) => return Err(TokenFault::TokenType { found: Some(shortened(found)) }),
        _ => return Err(TokenFault::TokenType { found: None }),
    }
    let lifetime_ms = match fields.expires_in {
        None => DEFAULT_LIFETIME,
        Some(value) => seconds(&value).ok_or(TokenFault::ExpiresIn)?.saturating_mul(SECOND).clamp(0, MAX_LIFETIME),
    };
    Ok(Grant { token, lifetime_ms })
}

/// Reads a number of seconds. Some token endpoints, such as version 1 of Microsoft's, return it as a string.
fn seconds(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|seconds| seconds as i64)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

/// Error response (RFC 6749, section 5.2).
#[derive(Deserialize)]
struct Refusal {
    error: Option<Value>,
    error_description: Option<Value>,
}

/// Returns the texts `error` and `error_description` of a response, without the client secret, which it could repeat.
fn refusal(client: &OAuth2Client, response: &ReceiverResponse) -> (Option<String>, Option<String>) {
    let Ok(Object(fields)) = serde_json::from_slice::<Object<Refusal>>(&response.body) else {
        return (None, None);
    };
    let (headers, _) = message(client);
    let header = headers.iter().find(|(name, _)| name == HEADER).and_then(|(_, value)| value.split(' ').nth(1));
    let secret = client.client_secret.as_str();
    let encoded: String = byte_serialize(secret.as_bytes()).collect();
    let secrets = [header.unwrap_or(secret), secret, &encoded];
    let text = |value: Option<Value>| match value {
        Some(Value::String(text)) if !text.is_empty() => {
            Some(shortened(&secrets.iter().fold(text, |text, secret| text.replace(secret, MASK))))
        }
        _ => None,
    };
    (text(fields.error), text(fields.error_description))
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().filter(|c| !c.is_control()).take(MAX_ERROR).collect();
    if text.chars().nth(MAX_ERROR).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::attempt::Failure;
    use crate::domain::endpoint_auth::{AuthSpec, EndpointAuth};

    fn client(fields: Value) -> OAuth2Client {
        let mut spec = json!({"type": "oauth2", "token_url": "https://id.example/token", "client_id": "a:b c",
            "client_secret": "s3cret&+%"});
        for (name, field) in fields.as_object().unwrap() {
            spec[name] = field.clone();
        }
        let auth = EndpointAuth::parse(serde_json::from_value::<AuthSpec>(spec).unwrap(), None, false).unwrap();
        auth.oauth2().unwrap().as_ref().clone()
    }

    fn response(code: u16, body: &str) -> ReceiverResponse {
        ReceiverResponse { code, headers: Vec::new(), body: body.as_bytes().to_vec(), body_truncated: false }
    }

    fn refused(code: u16, body: &str) -> FailureCause {
        let failure = Failure { cause: FailureCause::Status { code }, message: String::new() };
        let result = ClientResult { answer: Some(response(code, body)), failure: Some(failure), ..Default::default() };
        read(&client(json!({})), result).unwrap_err()
    }

    #[test]
    fn the_client_authenticates_in_the_header_or_in_the_body() {
        let (headers, body) = message(&client(json!({"scope": "hooks.write b", "audience": "https://api.example/"})));
        // base64 of "a%3Ab+c:s3cret%26%2B%25"
        let expected = "Basic YSUzQWIrYzpzM2NyZXQlMjYlMkIlMjU=";
        assert!(headers.contains(&("Authorization".to_owned(), expected.to_owned())), "{headers:?}");
        let form = "grant_type=client_credentials&scope=hooks.write+b&audience=https%3A%2F%2Fapi.example%2F";
        assert_eq!(body, form);

        let (headers, body) = message(&client(json!({"client_auth": "body"})));
        assert!(!headers.iter().any(|(name, _)| name == "Authorization"));
        assert_eq!(body, "grant_type=client_credentials&client_id=a%3Ab+c&client_secret=s3cret%26%2B%25");
    }

    #[test]
    fn a_token_is_kept_for_as_long_as_its_endpoint_says_and_a_day_at_most() {
        for (expires_in, lifetime_ms) in [
            ("", 300_000),
            (r#", "expires_in": null"#, 300_000),
            (r#", "expires_in": 3600"#, 3_600_000),
            (r#", "expires_in": 3599.9"#, 3_599_000),
            (r#", "expires_in": "3599""#, 3_599_000),
            (r#", "expires_in": 0"#, 0),
            (r#", "expires_in": -5"#, 0),
            (r#", "expires_in": 1e300"#, 86_400_000),
            (r#", "expires_in": 9223372036854775807, "scope": "a", "more": [{}]"#, 86_400_000),
        ] {
            let body = format!(r#"{{"access_token": "tok", "token_type": "bearer"{expires_in}}}"#);
            let grant = parse(&response(200, &body)).unwrap();
            assert_eq!((&*grant.token, grant.lifetime_ms), ("tok", lifetime_ms), "{body}");
        }
    }

    #[test]
    fn a_response_without_a_usable_token_has_its_own_fault() {
        let no_token = TokenFault::NoAccessToken { bytes: MAX_TOKEN };
        let long = format!(r#"{{"access_token": "{}", "token_type": "Bearer"}}"#, "a".repeat(MAX_TOKEN + 1));
        for (body, fault) in [
            ("", TokenFault::NotJson),
            ("access_token=tok&token_type=bearer", TokenFault::NotJson),
            (r#"["tok", "Bearer", 5]"#, TokenFault::NotJson),
            (r#"{"access_token": "a", "access_token": "b", "token_type": "Bearer"}"#, TokenFault::NotJson),
            ("{}", no_token.clone()),
            (r#"{"access_token": 5, "token_type": "Bearer"}"#, no_token.clone()),
            (r#"{"access_token": "", "token_type": "Bearer"}"#, no_token.clone()),
            (r#"{"access_token": "a\r\nX-B: c", "token_type": "Bearer"}"#, no_token.clone()),
            (&long, no_token),
            (r#"{"access_token": "a"}"#, TokenFault::TokenType { found: None }),
            (r#"{"access_token": "a", "token_type": "mac"}"#, TokenFault::TokenType { found: Some("mac".to_owned()) }),
            (r#"{"access_token": "a", "token_type": "Bearer", "expires_in": "soon"}"#, TokenFault::ExpiresIn),
            (r#"{"access_token": "a", "token_type": "Bearer", "expires_in": {}}"#, TokenFault::ExpiresIn),
        ] {
            assert_eq!(parse(&response(200, body)).unwrap_err(), fault, "{body}");
        }
        let truncated = ReceiverResponse { body_truncated: true, ..response(200, "{}") };
        assert_eq!(parse(&truncated).unwrap_err(), TokenFault::TooLong);
    }

    #[test]
    fn a_refusal_has_the_words_of_the_endpoint_shortened_and_without_the_secret() {
        let long = "é".repeat(500);
        for (body, error, description) in [
            (
                r#"{"error": "invalid_client", "error_description": "No such\nclient"}"#,
                Some("invalid_client"),
                Some("No suchclient"),
            ),
            (r#"{"error": "invalid_scope"}"#, Some("invalid_scope"), None),
            (r#"{"error": {"code": 5}, "error_description": ""}"#, None, None),
            ("<html>", None, None),
            (
                r#"{"error": "s3cret&+% is wrong, s3cret%26%2B%25 too", "error_description": "got YSUzQWIrYzpzM2NyZXQlMjYlMkIlMjU="}"#,
                Some("•••••• is wrong, •••••• too"),
                Some("got ••••••"),
            ),
            (&format!(r#"{{"error": "{long}"}}"#), Some(&format!("{}…", "é".repeat(200))), None),
        ] {
            let expected = FailureCause::TokenRefused {
                origin: "https://id.example:443".to_owned(),
                code: 400,
                error: error.map(str::to_owned),
                description: description.map(str::to_owned),
            };
            assert_eq!(refused(400, body), expected, "{body}");
        }
    }
}
