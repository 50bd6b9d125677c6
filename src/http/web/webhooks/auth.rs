//! Authentication to the endpoint in the form of a webhook, and among its settings.

use crate::domain::endpoint_auth::{AuthSpec, ClientAuth};
use crate::domain::header::MASK;
use crate::domain::webhook::Webhook;
use crate::http::web::Fields;

/// Typed values of `webhooks/auth_fields.html`. Secrets are never sent to the browser: a blank one keeps what is stored.
#[derive(Debug, Clone, Default)]
pub struct AuthForm {
    /// `basic`, `bearer` or `oauth2`; empty for none.
    pub kind: String,
    pub username: String,
    pub password: String,
    pub token: String,
    pub token_url: String,
    pub client_id: String,
    pub client_secret: String,
    pub scope: String,
    pub audience: String,
    pub client_in_body: bool,
    /// Kind whose secret is stored; empty for none.
    pub stored_kind: String,
}

impl AuthForm {
    pub fn of_fields(fields: &Fields) -> AuthForm {
        let text = |name: &str| fields.text(name).to_owned();
        let line = |name: &str| fields.text(name).trim().to_owned();
        AuthForm {
            kind: line("auth"),
            username: text("auth_username"),
            password: text("auth_password"),
            token: line("auth_token"),
            token_url: line("auth_token_url"),
            client_id: line("auth_client_id"),
            client_secret: text("auth_client_secret"),
            scope: line("auth_scope"),
            audience: line("auth_audience"),
            client_in_body: fields.text("auth_client_auth") == "body",
            stored_kind: line("auth_stored"),
        }
    }

    /// Values of a stored webhook, without secrets.
    pub fn of_webhook(webhook: &Webhook) -> AuthForm {
        let form = match webhook.auth.as_ref().map(|auth| auth.masked()) {
            None => AuthForm::default(),
            Some(AuthSpec::Basic { username, .. }) => {
                AuthForm { kind: "basic".to_owned(), username, ..AuthForm::default() }
            }
            Some(AuthSpec::Bearer { .. }) => AuthForm { kind: "bearer".to_owned(), ..AuthForm::default() },
            Some(AuthSpec::OAuth2 { token_url, client_id, scope, audience, client_auth, .. }) => AuthForm {
                kind: "oauth2".to_owned(),
                token_url,
                client_id,
                scope: scope.unwrap_or_default(),
                audience: audience.unwrap_or_default(),
                client_in_body: client_auth == ClientAuth::Body,
                ..AuthForm::default()
            },
        };
        AuthForm { stored_kind: form.kind.clone(), ..form }
    }

    /// Returns the setting; `None` for no authentication. A blank secret stands for the stored one.
    pub fn setting(&self) -> Option<AuthSpec> {
        let secret = |typed: &str| if typed.is_empty() { MASK.to_owned() } else { typed.to_owned() };
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        match self.kind.as_str() {
            "basic" => Some(AuthSpec::Basic { username: self.username.clone(), password: secret(&self.password) }),
            "bearer" => Some(AuthSpec::Bearer { token: secret(&self.token) }),
            "oauth2" => Some(AuthSpec::OAuth2 {
                token_url: self.token_url.clone(),
                client_id: self.client_id.clone(),
                client_secret: secret(&self.client_secret),
                scope: given(&self.scope),
                audience: given(&self.audience),
                client_auth: if self.client_in_body { ClientAuth::Body } else { ClientAuth::Basic },
            }),
            _ => None,
        }
    }

    /// Prepares a copy of the webhook, which does not have the stored secret. Returns the name of the secret.
    pub fn drop_stored(&mut self) -> Option<&'static str> {
        self.stored_kind.clear();
        match self.kind.as_str() {
            "basic" => Some("the password"),
            "bearer" => Some("the token"),
            "oauth2" => Some("the client secret"),
            _ => None,
        }
    }

    /// Hint below the secret of a kind.
    pub fn hint(&self, kind: &str) -> &'static str {
        if self.stored_kind == kind { "Blank keeps the stored one." } else { "" }
    }

    pub fn is_kind(&self, kind: &str) -> bool {
        self.kind == kind
    }
}

/// Authentication among the settings of a webhook.
pub struct AuthFacts {
    pub kind: &'static str,
    /// Labels and values, secrets masked.
    pub facts: Vec<(&'static str, String)>,
}

impl AuthFacts {
    pub fn of(webhook: &Webhook) -> Option<AuthFacts> {
        Some(match webhook.auth.as_ref()?.masked() {
            AuthSpec::Basic { username, password } => {
                AuthFacts { kind: "Basic", facts: vec![("User name", username), ("Password", password)] }
            }
            AuthSpec::Bearer { token } => AuthFacts { kind: "Bearer token", facts: vec![("Token", token)] },
            AuthSpec::OAuth2 { token_url, client_id, client_secret, scope, audience, client_auth } => {
                let place = match client_auth {
                    ClientAuth::Basic => "in the Authorization header",
                    ClientAuth::Body => "in the request body",
                };
                let facts = [
                    ("Token URL", Some(token_url)),
                    ("Client ID", Some(client_id)),
                    ("Client secret", Some(client_secret)),
                    ("Scope", scope),
                    ("Audience", audience),
                    ("Client credentials", Some(place.to_owned())),
                ];
                let given = facts.into_iter().filter_map(|(label, value)| Some((label, value?)));
                AuthFacts { kind: "OAuth 2.0 client credentials", facts: given.collect() }
            }
        })
    }
}
