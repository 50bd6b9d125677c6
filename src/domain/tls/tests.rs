use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};

use super::*;
use crate::domain::Invalid;
use crate::domain::header::MASK;
use crate::domain::time::parse_rfc3339;

/// Made with OpenSSL. The same keys are in several forms.
macro_rules! file {
    ($name:literal) => {
        include_str!(concat!("../../../tests/vectors/tls/", $name))
    };
}

const CERTIFICATE: &str = file!("sec1.crt.pem");
const KEY: &str = file!("sec1.pem");

fn given(certificate: &str, key: &str, ca: &str) -> TlsSettings {
    let text = |text: &str| (!text.is_empty()).then(|| Some(text.to_owned()));
    TlsSettings { client_certificate: text(certificate), client_key: text(key), ca: text(ca) }
}

fn accepted(settings: &TlsSettings) -> Tls {
    settings.apply(None, false).unwrap().unwrap()
}

#[track_caller]
fn refused(settings: &TlsSettings, field: &str, words: &str) {
    assert_refused(settings.apply(None, false), field, words);
}

#[track_caller]
fn assert_refused<T: fmt::Debug>(result: Result<T, Invalid>, field: &str, words: &str) {
    let invalid = result.unwrap_err();
    assert_eq!((invalid.code, invalid.field.as_deref()), ("invalid_tls", Some(field)), "{invalid:?}");
    assert!(invalid.message.contains(words), "{words:?} is not in {:?}", invalid.message);
}

/// A self-signed certificate and its key.
fn self_signed(is_ca: IsCa) -> (String, String) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "somebody");
    params.is_ca = is_ca;
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

#[test]
fn a_certificate_is_described_as_openssl_does() {
    let facts = accepted(&given(CERTIFICATE, KEY, "")).client_facts().remove(0);
    assert_eq!(facts.subject, "O=Example,CN=client");
    assert_eq!(facts.issuer, facts.subject);
    assert_eq!(facts.serial, "3C527B95FD12DA299FBD781022DDD931A14EB3D4");
    assert!(facts.fingerprint.starts_with("A3:09:9D:4C:95:3E:49:DD:") && facts.fingerprint.len() == 95);
    assert_eq!(Ok(facts.not_before_ms), parse_rfc3339("2026-11-22T01:41:49Z"));
    assert_eq!(Ok(facts.not_after_ms), parse_rfc3339("2126-10-29T01:41:49Z"));
    assert!(!facts.is_authority);
}

#[test]
fn keys_of_each_common_form_are_taken_and_encrypted_ones_refused() {
    let (pkcs8_certificate, pkcs8) = self_signed(IsCa::NoCa);
    accepted(&given(&pkcs8_certificate, &pkcs8, ""));
    accepted(&given(CERTIFICATE, KEY, ""));
    accepted(&given(file!("pkcs1.crt.pem"), file!("pkcs1.pem"), ""));
    // As a form in a browser sends it.
    accepted(&given(&CERTIFICATE.replace('\n', "\r\n"), &KEY.replace('\n', "\r\n"), ""));
    for encrypted in [file!("encrypted_pkcs8.pem"), file!("encrypted_pkcs1.pem")] {
        refused(&given(CERTIFICATE, encrypted, ""), "tls.client_key", "is encrypted");
    }
}

#[test]
fn what_cannot_work_is_refused_with_the_reason() {
    let certificate = "tls.client_certificate";
    refused(&given(CERTIFICATE, "", ""), "tls.client_key", "needs its private key");
    refused(&given("", KEY, ""), certificate, "needs its client certificate");
    refused(&given(CERTIFICATE, file!("pkcs1.pem"), ""), "tls.client_key", "does not belong");
    refused(&given(CERTIFICATE, &format!("{KEY}{}", file!("pkcs1.pem")), ""), "tls.client_key", "several private keys");
    refused(&given("hello", KEY, ""), certificate, "is not PEM");
    refused(&given(KEY, KEY, ""), certificate, "Give it as client_key");
    refused(&given(CERTIFICATE, CERTIFICATE, ""), "tls.client_key", "is not PEM");
    refused(&given(CERTIFICATE, CERTIFICATE.split_at(80).0, ""), "tls.client_key", "not complete PEM");
    refused(&given(CERTIFICATE.split_at(80).0, KEY, ""), certificate, "not complete PEM");
    let broken = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
    refused(&given(&format!("{CERTIFICATE}{broken}"), KEY, ""), certificate, "number 2 is not valid X.509");
    let unusable = "-----BEGIN PRIVATE KEY-----\naGVsbG8=\n-----END PRIVATE KEY-----\n";
    refused(&given(CERTIFICATE, unusable, ""), "tls.client_key", "cannot be used");
    refused(&given(CERTIFICATE, MASK, ""), "tls.client_key", "is a mask");
}

#[test]
fn there_are_bounds_on_bytes_and_certificates() {
    refused(&given(&CERTIFICATE.repeat(11), KEY, ""), "tls.client_certificate", "more than 10");
    refused(&given("", "", &CERTIFICATE.repeat(11)), "tls.ca", "more than 10");
    accepted(&given(&CERTIFICATE.repeat(10), KEY, &CERTIFICATE.repeat(10)));
    for (certificate, key, ca, field) in
        [("x", "", "", "tls.client_certificate"), (CERTIFICATE, "x", "", "tls.client_key"), ("", "", "x", "tls.ca")]
    {
        let long = |text: &str| if text == "x" { "x".repeat(MAX_BYTES + 1) } else { text.to_owned() };
        refused(&given(&long(certificate), &long(key), &long(ca)), field, "longer than 64 KiB");
    }
    let mut params = CertificateParams::new(vec!["a.example".to_owned(); 2_000]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let large = params.self_signed(&key).unwrap().pem();
    refused(&given(&large, &key.serialize_pem(), &large.repeat(2)), "tls", "64 KiB together");
}

#[test]
fn an_authority_issues_certificates_or_is_its_own_issuer() {
    let (authority, _) = self_signed(IsCa::Ca(BasicConstraints::Unconstrained));
    let (alone, _) = self_signed(IsCa::NoCa);
    assert_eq!(accepted(&given("", "", &format!("{authority}{alone}"))).ca_facts().len(), 2);
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    leaf.distinguished_name.push(DnType::CommonName, "server");
    let leaf = leaf.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().pem();
    refused(&given("", "", &leaf), "tls.ca", "of its issuer, CN=Authority");
}

#[test]
fn given_certificates_are_valid_now_and_stored_ones_need_not_be() {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    (params.not_before, params.not_after) = (date_time_ymd(2026, 1, 1), date_time_ymd(2026, 7, 1));
    let key = KeyPair::generate().unwrap();
    let settings = given(&params.self_signed(&key).unwrap().pem(), &key.serialize_pem(), "");
    let at = |text: &str| settings.require_current(parse_rfc3339(text).unwrap());
    assert!(at("2026-01-01T00:00:00Z").is_ok() && at("2026-06-30T23:59:59Z").is_ok());
    assert!(at("2025-12-31T23:56:00Z").is_ok(), "the clock of the issuer may be a little ahead");
    assert_refused(at("2025-12-31T12:00:00Z"), "tls.client_certificate", "not valid before 2026-01-01");
    assert_refused(at("2026-07-01T00:00:01Z"), "tls.client_certificate", "expired at 2026-07-01");
    let tls = accepted(&settings);
    assert_eq!(Ok(tls.ends_ms), parse_rfc3339("2026-07-01T00:00:00Z"));
    let with_ca = given("", "", CERTIFICATE).apply(Some(&tls), false).unwrap().unwrap();
    assert_eq!((with_ca.ends_ms, with_ca.client_facts().len()), (tls.ends_ms, 1));
}

#[test]
fn absent_fields_keep_what_is_stored_and_null_removes_it() {
    let before = accepted(&given(CERTIFICATE, KEY, CERTIFICATE));
    let after = |settings: TlsSettings| settings.apply(Some(&before), false).unwrap();
    assert_eq!(after(TlsSettings::default()).as_ref(), Some(&before));
    assert_eq!(after(given(CERTIFICATE, MASK, "")).as_ref(), Some(&before));
    let without_ca = after(TlsSettings { ca: Some(None), ..TlsSettings::default() }).unwrap();
    assert!(without_ca.ca().is_empty() && without_ca.has_client_certificate());
    let without_client = TlsSettings { client_certificate: Some(None), ..TlsSettings::default() };
    assert!(!after(without_client.clone()).unwrap().has_client_certificate());
    assert_eq!(after(TlsSettings { ca: Some(None), ..without_client }), None);
    let (certificate, key) = self_signed(IsCa::NoCa);
    assert_ne!(after(given(&certificate, &key, "")).unwrap().id(), before.id());
    // A renewed certificate needs another key only if it has one.
    assert_refused(given(&certificate, "", "").apply(Some(&before), false), "tls.client_key", "does not belong");
}

#[test]
fn a_stored_key_does_not_follow_the_url_to_another_origin() {
    let before = accepted(&given(CERTIFICATE, KEY, CERTIFICATE));
    for settings in [TlsSettings::default(), given("", MASK, ""), given(CERTIFICATE, "", "")] {
        assert_refused(settings.apply(Some(&before), true), "tls.client_key", "another origin");
    }
    assert_eq!(given("", KEY, "").apply(Some(&before), true).unwrap().as_ref(), Some(&before));
    let without = TlsSettings { client_certificate: Some(None), ..TlsSettings::default() };
    assert_eq!(without.apply(Some(&before), true).unwrap().unwrap().ca_facts().len(), 1);
}

#[test]
fn what_is_stored_is_read_back_and_never_shown_in_debug_output() {
    for settings in [
        given(CERTIFICATE, KEY, ""),
        given(file!("pkcs1.crt.pem"), file!("pkcs1.pem"), CERTIFICATE),
        given("", "", CERTIFICATE),
    ] {
        let tls = accepted(&settings);
        let text = serde_json::to_string(&tls.spec()).unwrap();
        let spec: TlsSpec = serde_json::from_str(&text).unwrap();
        let read = Tls::of_spec(&spec, tls.ends_ms).unwrap();
        assert_eq!((&read, read.ends_ms), (&tls, tls.ends_ms));
        assert!(read.certified_key().unwrap().is_none_or(|key| key.keys_match().is_ok()));
        let shown = format!("{tls:?} {settings:?} {:?}", tls.id());
        assert_eq!(shown, "Tls(…) TlsSettings(…) TlsId(…)");
    }
}
