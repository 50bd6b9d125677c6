//! Random tokens of sessions, links and forms. A token grants access, so the database stores only its hash.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use crate::random;

/// Generates a token: 32 random bytes as 43 characters of base64url.
pub fn generate() -> String {
    random::text::<32>()
}

/// Returns the hash under which a token is stored. A token of 256 random bits needs no salt.
pub fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Returns the token of the forms of a page, which protects against cross-site requests. Derived from the cookie, which
/// other sites cannot read, and does not reveal it.
pub fn form_token(cookie: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(b"hookpost form\0");
    digest.update(cookie.as_bytes());
    URL_SAFE_NO_PAD.encode(digest.finalize())
}

/// Whether a form carries the token of the cookie that came with it. Compares in constant time.
pub fn is_form_token(given: &str, cookie: &str) -> bool {
    form_token(cookie).as_bytes().ct_eq(given.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_token_belongs_to_one_cookie() {
        let cookie = generate();
        assert_eq!(cookie.len(), 43);
        assert!(is_form_token(&form_token(&cookie), &cookie));
        assert!(!is_form_token(&form_token(&cookie), &generate()));
        assert!(!is_form_token("", &cookie));
        assert!(!form_token(&cookie).contains(&cookie));
    }
}
