use strum::VariantArray;

use super::*;
use crate::profile::{builtin, find};

fn custom(fields: serde_json::Value) -> Profile {
    let mut spec = serde_json::json!({
        "name": "custom",
        "envelope": "data",
        "retry": {"delays_s": []},
    });
    for (name, value) in fields.as_object().unwrap() {
        spec[name] = value.clone();
    }
    Profile::parse(serde_json::from_value(spec).unwrap()).unwrap()
}

fn header(profile: &Profile, standard_headers: bool) -> Option<(String, Credential)> {
    snippet(profile, standard_headers, Language::Node).map(|of| (of.header, of.credential))
}

#[test]
fn each_snippet_is_short_whole_and_reads_the_secret_from_the_environment() {
    for profile in builtin().values() {
        for language in Language::VARIANTS {
            for snippet in [snippet(profile, true, *language).unwrap(), ed25519_snippet(profile, *language)] {
                let code = &snippet.code;
                let name = format!("{} {language}:\n{code}", profile.name());
                let limit = if *language == Language::Go { 60 } else { 40 };
                assert!(code.lines().count() <= limit, "{} {name}", code.lines().count());
                assert!(code.lines().all(|line| line.len() <= 120), "{name}");
                assert!(!code.contains("{{") && !code.contains("\n@") && !code.contains("\n\n\n\n"), "{name}");
                let is_key = snippet.credential == Credential::PublicKey;
                assert_eq!(code.contains("WEBHOOK_SECRET_OLD"), !is_key, "{name}");
                assert_eq!(code.contains("WEBHOOK_PUBLIC_KEY"), is_key, "{name}");
                let ecmascript = profile.spec().body == Body::Ecmascript;
                assert_eq!(snippet.note.is_some(), ecmascript, "{name}");
            }
        }
    }
}

#[test]
fn the_only_signature_is_checked_or_else_the_standard_one() {
    let own = |name: &str| Some((name.to_owned(), Credential::Secret));
    let standard = Some(("webhook-signature".to_owned(), Credential::StandardSecret));
    let of = |name: &str, standard| header(&find(name).unwrap(), standard);
    assert_eq!(of("generic", true), own("X-Webhook-Signature"));
    assert_eq!(of("standard", false), standard);
    assert_eq!(of("socialsyncer", true), standard);
    assert_eq!(of("socialsyncer", false), own("X-SocialSyncerAPI-Signature"));
    let unsigned = custom(serde_json::json!({}));
    assert_eq!(header(&unsigned, true), standard);
    assert_eq!(header(&unsigned, false), None);
    // The end of the timestamp is ambiguous, or the profile sends none.
    for (content, template) in [
        ("{timestamp}.{body}", "{timestamp}{signature}"),
        ("{timestamp}.{body}", "{timestamp},{signature},{timestamp}"),
        ("{timestamp}.{body}", "{signature}"),
        ("{body}", "t={timestamp},{signature}"),
    ] {
        let signatures = serde_json::json!([
            {"header": "X-Own", "content": content, "encoding": "hex", "template": template},
        ]);
        let odd = custom(serde_json::json!({"signatures": signatures}));
        assert_eq!(header(&odd, false), None, "{content} {template}");
        if template != "{signature}" {
            assert_eq!(header(&odd, true), standard, "{content} {template}");
        }
    }
}
