//! Equality of JSON texts: whatever their white space, escapes and order of names, with numbers as they are written. So `1.0`
//! and `1` differ, since receivers get what was written.

use sha2::{Digest as _, Sha256};

use super::filter::Json;

/// Whether two texts are the same JSON. Texts that are not JSON are the same only as bytes.
pub fn is_same(one: &str, other: &str) -> bool {
    one == other || digest(one.as_bytes()) == digest(other.as_bytes())
}

/// Returns a hash that equal JSON has in common. Of bytes that are not JSON, it is that of the bytes.
pub fn digest(text: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    match std::str::from_utf8(text).ok().and_then(Json::read) {
        Some(json) => add(&json, &mut hash),
        None => add_text(b'x', text, &mut hash),
    }
    hash.finalize().into()
}

/// Adds a value, so that no two different values add the same bytes.
fn add(json: &Json<'_>, hash: &mut Sha256) {
    match json {
        Json::Null => hash.update(b"n"),
        Json::Bool(true) => hash.update(b"t"),
        Json::Bool(false) => hash.update(b"f"),
        Json::Number(text) => add_text(b'#', text.as_bytes(), hash),
        Json::Text(text) => add_text(b'"', text.as_bytes(), hash),
        Json::Array(elements) => {
            hash.update(b"[");
            hash.update(elements.len().to_be_bytes());
            elements.iter().for_each(|element| add(element, hash));
        }
        Json::Object(object) => {
            hash.update(b"{");
            hash.update(object.by_name().len().to_be_bytes());
            for member in object.by_name() {
                add_text(b':', member.name.as_bytes(), hash);
                add(&member.value, hash);
            }
        }
    }
}

fn add_text(kind: u8, text: &[u8], hash: &mut Sha256) {
    hash.update([kind]);
    hash.update(text.len().to_be_bytes());
    hash.update(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spelling_of_json_makes_no_difference_and_its_values_do() {
        for (one, other) in [
            (r#"{"a":1,"b":[true,null]}"#, "{ \"b\" : [ true , null ],\n \"a\" : 1 }"),
            (r#""é/""#, r#""\u00e9\/""#),
            ("[]", " [ ] "),
            ("{not json", "{not json"),
        ] {
            assert!(is_same(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("1", "1.0"),
            ("1", "\"1\""),
            ("100000000000000000001", "100000000000000000002"),
            ("[1,2]", "[2,1]"),
            ("[[1],2]", "[[1,2]]"),
            ("[]", "{}"),
            (r#"{"a":"b:c"}"#, r#"{"a:b":"c"}"#),
            (r#"{"a":null}"#, "{}"),
            ("{not json", "{not  json"),
        ] {
            assert!(!is_same(one, other), "{one} {other}");
        }
    }
}
