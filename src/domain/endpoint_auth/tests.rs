use serde_json::{Value, json};

use super::*;

fn spec(value: Value) -> AuthSpec {
    serde_json::from_value(value).unwrap()
}

fn parsed(value: Value) -> Result<EndpointAuth, Invalid> {
    EndpointAuth::parse(spec(value), None, false)
}

fn oauth2(fields: Value) -> Value {
    let mut value = json!({"type": "oauth2", "token_url": "https://id.example/token", "client_id": "hookpost",
        "client_secret": "hunter2"});
    for (name, field) in fields.as_object().unwrap() {
        value[name] = field.clone();
    }
    value
}

#[test]
fn credentials_are_encoded_as_their_rfcs_say() {
    // RFC 7617, sections 2 and 2.1.
    let basic = |username, password| {
        let auth = parsed(json!({"type": "basic", "username": username, "password": password})).unwrap();
        auth.header_value().unwrap()
    };
    assert_eq!(basic("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert_eq!(basic("test", "123\u{a3}"), "Basic dGVzdDoxMjPCow==");
    let bearer = parsed(json!({"type": "bearer", "token": "mF_9.B5f-4.1JqM"})).unwrap();
    assert_eq!(bearer.header_value().as_deref(), Some("Bearer mF_9.B5f-4.1JqM"));
    assert_eq!(parsed(oauth2(json!({}))).unwrap().header_value(), None);
}

#[test]
fn settings_read_back_as_they_were_given_and_their_secrets_are_masked() {
    for (given, secret) in [
        (json!({"type": "basic", "username": "", "password": "hunter2"}), "password"),
        (json!({"type": "bearer", "token": "hunter2"}), "token"),
        (oauth2(json!({"scope": "a b", "audience": "https://api.example", "client_auth": "body"})), "client_secret"),
    ] {
        let auth = parsed(given.clone()).unwrap();
        assert_eq!(serde_json::to_value(auth.spec()).unwrap(), given);
        let mut masked = given;
        masked[secret] = json!(MASK);
        assert_eq!(serde_json::to_value(auth.masked()).unwrap(), masked);
        assert_eq!(EndpointAuth::parse(auth.masked(), Some(&auth), false).unwrap(), auth);
        assert!(!format!("{auth:?}").contains("hunter2"));
    }
}

#[test]
fn each_fault_names_its_field() {
    let long = |length: usize| "a".repeat(length);
    for (given, field) in [
        (json!({"type": "basic", "username": "a:b", "password": "c"}), "username"),
        (json!({"type": "basic", "username": "a\nb", "password": "c"}), "username"),
        (json!({"type": "basic", "username": long(257), "password": "c"}), "username"),
        (json!({"type": "basic", "username": "a", "password": ""}), "password"),
        (json!({"type": "basic", "username": "a", "password": "c\u{0}"}), "password"),
        (json!({"type": "basic", "username": "a", "password": MASK}), "password"),
        (json!({"type": "bearer", "token": ""}), "token"),
        (json!({"type": "bearer", "token": "a b"}), "token"),
        (json!({"type": "bearer", "token": "a\r\nX-B: c"}), "token"),
        (json!({"type": "bearer", "token": "ä"}), "token"),
        (json!({"type": "bearer", "token": long(4097)}), "token"),
        (oauth2(json!({"token_url": "ftp://id.example/"})), "token_url"),
        (oauth2(json!({"token_url": "https://a:b@id.example/"})), "token_url"),
        (oauth2(json!({"client_id": ""})), "client_id"),
        (oauth2(json!({"client_id": "ä"})), "client_id"),
        (oauth2(json!({"client_secret": "a\n"})), "client_secret"),
        (oauth2(json!({"client_secret": MASK})), "client_secret"),
        (oauth2(json!({"scope": ""})), "scope"),
        (oauth2(json!({"scope": "a  b"})), "scope"),
        (oauth2(json!({"scope": "a\"b"})), "scope"),
        (oauth2(json!({"audience": "\t"})), "audience"),
    ] {
        let refused = parsed(given.clone()).unwrap_err();
        assert_eq!(refused.field, Some(format!("auth.{field}")), "{given}");
        assert!(refused.message.ends_with('.'), "{}", refused.message);
    }
    for unknown in [json!({"type": "digest"}), json!({}), json!({"type": "bearer", "token": "a", "scope": "b"})] {
        assert!(serde_json::from_value::<AuthSpec>(unknown.clone()).is_err(), "{unknown}");
    }
}

#[test]
fn a_stored_secret_is_kept_for_its_own_kind_and_origin_only() {
    let stored = parsed(oauth2(json!({}))).unwrap();
    let change = |fields: Value, is_moved| EndpointAuth::parse(spec(oauth2(fields)), Some(&stored), is_moved);
    let masked = json!({"client_secret": MASK, "scope": "new"});
    let EndpointAuth::OAuth2(kept) = change(masked.clone(), false).unwrap() else { panic!("another kind") };
    assert_eq!((kept.client_secret.as_str(), kept.scope.as_deref()), ("hunter2", Some("new")));
    let same_origin = json!({"client_secret": MASK, "token_url": "https://id.example:443/other"});
    assert!(change(same_origin, false).is_ok());
    for (fields, is_moved) in
        [(masked, true), (json!({"client_secret": MASK, "token_url": "https://evil.example/token"}), false)]
    {
        let refused = change(fields, is_moved).unwrap_err();
        assert_eq!(refused.field.as_deref(), Some("auth.client_secret"));
        assert!(refused.message.contains("another origin"), "{}", refused.message);
    }
    assert!(change(json!({"client_secret": "new", "token_url": "https://new.example/token"}), true).is_ok());
    let bearer = spec(json!({"type": "bearer", "token": MASK}));
    assert_eq!(EndpointAuth::parse(bearer, Some(&stored), false).unwrap_err().field.as_deref(), Some("auth.token"));
}

#[test]
fn an_absent_setting_stays_and_does_not_move() {
    let stored = parsed(json!({"type": "bearer", "token": "hunter2"})).unwrap();
    let changed = |given, is_moved| EndpointAuth::changed(given, Some(stored.clone()), is_moved);
    assert_eq!(changed(None, false).unwrap(), Some(stored.clone()));
    assert_eq!(changed(None, true).unwrap_err().field.as_deref(), Some("auth.token"));
    assert_eq!(changed(Some(None), true).unwrap(), None);
    assert_eq!(EndpointAuth::changed(None, None, true).unwrap(), None);
}
