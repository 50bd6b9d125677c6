//! Certificates of a webhook: their part of the form, and their facts.

use crate::domain::Invalid;
use crate::domain::time::rfc3339_seconds;
use crate::domain::tls::{Certificate, Tls, TlsSettings};
use crate::http::web::{Fields, Session};

/// Typed values of the certificate fields. A blank field keeps what is stored. The key is never sent to the browser, not even
/// to correct another field.
#[derive(Debug, Clone, Default)]
pub struct TlsForm {
    pub client_certificate: String,
    pub ca: String,
    pub removes_client: bool,
    pub removes_ca: bool,
    client_key: String,
    /// Whether the visitor may set certificates.
    pub is_allowed: bool,
    /// Stored setting.
    pub stored: Vec<CertificateFacts>,
}

/// A stored certificate with what it is for.
#[derive(Debug, Clone)]
pub struct CertificateFacts {
    pub label: &'static str,
    pub is_client: bool,
    pub certificate: Certificate,
}

impl TlsForm {
    pub fn of_fields(fields: &Fields) -> TlsForm {
        let text = |name: &str| fields.text(name).trim().to_owned();
        TlsForm {
            client_certificate: text("tls_client_certificate"),
            client_key: text("tls_client_key"),
            ca: text("tls_ca"),
            removes_client: fields.has("tls_remove_client"),
            removes_ca: fields.has("tls_remove_ca"),
            ..TlsForm::default()
        }
    }

    /// Adds what the page shows beside the typed values.
    pub fn completed(self, session: &Session, stored: Option<&Tls>) -> TlsForm {
        let is_allowed = !session.caller().certificates_denied;
        TlsForm { is_allowed, stored: stored.map_or_else(Vec::new, facts), ..self }
    }

    /// Whether something is typed or stored.
    pub fn is_used(&self) -> bool {
        self.settings().is_some() || (self.is_allowed && !self.stored.is_empty())
    }

    pub fn has_client(&self) -> bool {
        self.stored.iter().any(|stored| stored.is_client)
    }

    pub fn has_ca(&self) -> bool {
        self.stored.iter().any(|stored| !stored.is_client)
    }

    pub fn client_hint(&self) -> String {
        keeps(
            "PEM, followed by its intermediate certificates. For receivers that require one (mTLS).",
            self.has_client(),
        )
    }

    pub fn key_hint(&self) -> String {
        keeps("PEM, not encrypted. It is never shown again.", self.has_client())
    }

    pub fn ca_hint(&self) -> String {
        keeps("PEM. Trusted for this webhook in addition to the public authorities.", self.has_ca())
    }

    /// Refuses a certificate that is typed and removed at once.
    pub fn refuse_ignored(&self) -> Result<(), Invalid> {
        let has_client = !self.client_certificate.is_empty() || !self.client_key.is_empty();
        let field = match self {
            _ if self.removes_client && has_client => "tls.client_certificate",
            _ if self.removes_ca && !self.ca.is_empty() => "tls.ca",
            _ => return Ok(()),
        };
        let message = "Remove is ticked, and a new certificate or key is typed. Untick Remove, or clear the field.";
        Err(Invalid::new("ignored_value", message).in_field(field))
    }

    /// Setting in words, without its key. Untyped, it is the stored one.
    pub fn summary(&self) -> String {
        let is_typed = |text: &str, name: &str| (!text.is_empty()).then(|| format!("new {name}"));
        let is_removed = |ticked: bool, name: &str| ticked.then(|| format!("remove the {name}"));
        let changes = [
            is_typed(&self.client_certificate, "client certificate"),
            is_typed(&self.client_key, "private key"),
            is_typed(&self.ca, "CA certificates"),
            is_removed(self.removes_client, "client certificate"),
            is_removed(self.removes_ca, "CA certificates"),
        ];
        let changes: Vec<String> = changes.into_iter().flatten().collect();
        if !changes.is_empty() {
            return changes.join(", ");
        }
        let fact = |stored: &CertificateFacts| {
            let Certificate { subject, not_after_ms, .. } = &stored.certificate;
            format!("{subject}, valid until {}", rfc3339_seconds(*not_after_ms))
        };
        self.stored.iter().map(fact).collect::<Vec<_>>().join("; ")
    }

    /// Settings that were typed or ticked; `None` if there are none.
    pub fn settings(&self) -> Option<Option<TlsSettings>> {
        let field = |text: &String, is_removed| match text.as_str() {
            _ if is_removed => Some(None),
            "" => None,
            text => Some(Some(text.to_owned())),
        };
        let settings = TlsSettings {
            client_certificate: field(&self.client_certificate, self.removes_client),
            client_key: field(&self.client_key, self.removes_client),
            ca: field(&self.ca, self.removes_ca),
        };
        let is_given = [&settings.client_certificate, &settings.client_key, &settings.ca].iter().any(|f| f.is_some());
        is_given.then_some(Some(settings))
    }
}

fn keeps(hint: &str, is_stored: bool) -> String {
    let rest = if is_stored { " Blank keeps the stored one." } else { "" };
    format!("{hint}{rest}")
}

/// Facts of all certificates of a webhook.
pub fn facts(tls: &Tls) -> Vec<CertificateFacts> {
    let chain = tls.client_facts().into_iter().enumerate().map(|(index, certificate)| CertificateFacts {
        label: if index == 0 { "Client certificate" } else { "Intermediate certificate" },
        is_client: true,
        certificate,
    });
    let ca = tls.ca_facts().into_iter().map(|certificate| CertificateFacts {
        label: "Additional CA certificate",
        is_client: false,
        certificate,
    });
    chain.chain(ca).collect()
}
