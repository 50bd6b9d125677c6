//! TLS configurations: the common one, and one for each distinct TLS setting of webhooks.
//!
//! Tickets of sessions belong to a configuration and idle connections to a [`TlsId`], so nothing that was made with one
//! certificate, or one set of trusted authorities, serves another. Configurations are made at the first handshake that needs
//! one, and the least recently used are dropped: that costs the next handshake a resumption and the parsing of a key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};

use super::any_certificate::AnyCertificate;
use super::exchange;
use crate::domain::tls::{Tls, TlsId};

/// Configurations kept, of about 5 KiB each, or 20 KiB with an authority of its own: 10 MiB at most.
const MOST_KEPT: usize = 512;

/// Tickets kept for each configuration, eight for each host: webhooks that share a setting mostly share the host.
const TICKETS: usize = 16;

/// Time after which sessions are no longer resumed: a resumed one does not show the certificate of the server.
const RESUMED_FOR: Duration = Duration::from_secs(60 * 60);

/// Source of TLS configurations.
#[derive(Debug)]
pub struct Identities {
    provider: Arc<CryptoProvider>,
    roots: RootCertStore,
    /// Checks certificates of servers against `roots`; shared by settings without authorities of their own.
    verifier: Arc<dyn ServerCertVerifier>,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    common: Arc<ClientConfig>,
    /// When the sessions of the configurations began.
    since: Instant,
    configs: HashMap<TlsId, (Arc<ClientConfig>, u64)>,
    /// Number of uses so far, which orders them.
    uses: u64,
}

impl Identities {
    pub fn new(roots: RootCertStore, trusts_all: bool) -> Result<Identities, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = match trusts_all {
            true => Arc::new(AnyCertificate(Arc::clone(&provider))),
            false => verifier(&provider, roots.clone())?,
        };
        let common = Arc::new(config(&provider, verifier.clone(), None)?);
        let kept = Kept { common, since: Instant::now(), configs: HashMap::new(), uses: 0 };
        Ok(Identities { provider, roots, verifier, kept: Mutex::new(kept) })
    }

    /// Returns the configuration of a setting.
    pub fn config(&self, tls: Option<&Tls>) -> Result<Arc<ClientConfig>, rustls::Error> {
        if let Some(config) = self.find(tls.map(Tls::id), Instant::now()) {
            return Ok(config);
        }
        let Some(tls) = tls else { return Ok(self.lock().common.clone()) };
        // Outside of the lock: parsing an RSA key takes a moment.
        let verifier = match tls.ca() {
            [] => self.verifier.clone(),
            ca => {
                let mut roots = self.roots.clone();
                roots.add_parsable_certificates(ca.iter().cloned());
                self::verifier(&self.provider, roots)?
            }
        };
        let mut config = config(&self.provider, verifier, tls.certified_key()?.map(Arc::new))?;
        config.resumption = Resumption::in_memory_sessions(TICKETS);
        let config = Arc::new(config);
        self.keep(tls.id(), config.clone());
        Ok(config)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: Option<TlsId>, now: Instant) -> Option<Arc<ClientConfig>> {
        let kept = &mut *self.lock();
        if now.duration_since(kept.since) >= RESUMED_FOR {
            let mut common = (*kept.common).clone();
            common.resumption = Resumption::default();
            (kept.common, kept.since) = (Arc::new(common), now);
            kept.configs.clear();
        }
        let Some(id) = id else { return Some(kept.common.clone()) };
        let (config, used) = kept.configs.get_mut(&id)?;
        kept.uses += 1;
        *used = kept.uses;
        Some(config.clone())
    }

    fn keep(&self, id: TlsId, config: Arc<ClientConfig>) {
        let kept = &mut *self.lock();
        kept.uses += 1;
        kept.configs.insert(id, (config, kept.uses));
        if kept.configs.len() > MOST_KEPT {
            let oldest = kept.configs.iter().min_by_key(|(_, (_, used))| *used).map(|(id, _)| *id);
            oldest.and_then(|id| kept.configs.remove(&id));
        }
    }
}

fn verifier(
    provider: &Arc<CryptoProvider>,
    roots: RootCertStore,
) -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
    match WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build() {
        Ok(verifier) => Ok(verifier),
        Err(error) => Err(rustls::Error::General(error.to_string())),
    }
}

fn config(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<dyn ServerCertVerifier>,
    key: Option<Arc<CertifiedKey>>,
) -> Result<ClientConfig, rustls::Error> {
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(Arc::new(Presented(key)));
    Ok(config)
}

/// Client certificate of a configuration. Records that a server asked for one, which explains the end of the handshake.
#[derive(Debug)]
struct Presented(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Presented {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        exchange::with(|exchange| exchange.wants_certificate = true);
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;
    use crate::domain::tls::TlsSettings;

    fn setting(number: usize) -> Tls {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![format!("client-{number}")]).unwrap().self_signed(&key).unwrap();
        let given = TlsSettings {
            client_certificate: Some(Some(certificate.pem())),
            client_key: Some(Some(key.serialize_pem())),
            ca: number.is_multiple_of(2).then(|| Some(certificate.pem())),
        };
        given.apply(None, false).unwrap().unwrap()
    }

    #[test]
    fn sessions_are_resumed_for_an_hour_only() {
        let identities =
            Identities::new(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }, false).unwrap();
        let (common, own) = (identities.config(None).unwrap(), setting(0));
        let config = identities.config(Some(&own)).unwrap();
        let begin = Instant::now();
        let before = begin + RESUMED_FOR - Duration::from_secs(60);
        assert!(Arc::ptr_eq(&identities.find(None, before).unwrap(), &common));
        assert!(Arc::ptr_eq(&identities.find(Some(own.id()), before).unwrap(), &config));
        let later = identities.find(None, begin + RESUMED_FOR).unwrap();
        assert!(!Arc::ptr_eq(&later, &common));
        assert!(identities.find(Some(own.id()), begin + RESUMED_FOR).is_none());
        assert!(Arc::ptr_eq(&identities.find(None, begin + RESUMED_FOR).unwrap(), &later));
    }

    #[test]
    fn equal_settings_share_a_configuration_and_a_bounded_number_is_kept() {
        let identities =
            Identities::new(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }, false).unwrap();
        let common = identities.config(None).unwrap();
        assert!(Arc::ptr_eq(&common, &identities.config(None).unwrap()));
        let first = setting(0);
        let used_first = identities.config(Some(&first)).unwrap();
        let again = Tls::of_spec(&first.spec(), 0).unwrap();
        assert!(Arc::ptr_eq(&used_first, &identities.config(Some(&again)).unwrap()));
        assert!(!Arc::ptr_eq(&common, &used_first));
        let others: Vec<Tls> = (1..MOST_KEPT + 20).map(setting).collect();
        for other in &others {
            let config = identities.config(Some(other)).unwrap();
            assert!(!Arc::ptr_eq(&config, &used_first));
            // In use all the time.
            assert!(Arc::ptr_eq(&used_first, &identities.config(Some(&first)).unwrap()));
        }
        let kept = identities.kept.lock().unwrap();
        assert_eq!(kept.configs.len(), MOST_KEPT);
        assert!(kept.configs.contains_key(&first.id()) && !kept.configs.contains_key(&others[0].id()));
    }
}
