//! Text of an API key: `hookpost_`, 32 random characters and a checksum of 6, so that secret scanners find keys, and a
//! made-up one is refused without a look at the database.
//!
//! The characters are `0-9 A-Z a-z`. The checksum is the CRC-32 (IEEE) of the 32 characters before it in base 62, most
//! significant digit first, as in the tokens of GitHub. Keys of earlier versions, `hp_` and 32 characters of base64url,
//! remain valid.

use crate::random;

const PREFIX: &str = "hookpost_";
const RANDOM_CHARS: usize = 32;
const CHECKSUM_CHARS: usize = 6;
/// Characters of a key that are shown later.
const SHOWN: usize = PREFIX.len() + 6;

const OLD_PREFIX: &str = "hp_";
const OLD_CHARS: usize = 32;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Generates a key with 190 random bits.
pub fn generate() -> String {
    let mut random = String::with_capacity(RANDOM_CHARS);
    while random.len() < RANDOM_CHARS {
        // Six bits each; the values beyond the alphabet are skipped, so that all characters are equally likely.
        let values = random::bytes::<64>().map(|byte| usize::from(byte & 63));
        let chars = values.iter().filter_map(|value| ALPHABET.get(*value)).map(|byte| char::from(*byte));
        random.extend(chars.take(RANDOM_CHARS - random.len()));
    }
    let checksum = checksum(&random);
    format!("{PREFIX}{random}{checksum}")
}

/// Returns the beginning of a key, which identifies it in lists.
pub fn shown(key: &str) -> &str {
    &key[..SHOWN.min(key.len())]
}

/// Whether a text has the form of a key, including the checksum. Any other text is not the key of anybody.
pub fn is_well_formed(text: &str) -> bool {
    if let Some(rest) = text.strip_prefix(OLD_PREFIX) {
        let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        return rest.len() == OLD_CHARS && rest.bytes().all(is_base64url);
    }
    let Some(rest) = text.strip_prefix(PREFIX) else {
        return false;
    };
    rest.len() == RANDOM_CHARS + CHECKSUM_CHARS
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && checksum(&rest[..RANDOM_CHARS]) == rest[RANDOM_CHARS..]
}

fn checksum(random: &str) -> String {
    let mut rest = crc32fast::hash(random.as_bytes());
    let mut digits = [b'0'; CHECKSUM_CHARS];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    digits.map(char::from).iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_ends_with_the_checksum_of_its_random_characters() {
        // CRC-32 of 32 zeros is 0xA0F292D0 (zlib.crc32(b"0" * 32) in Python), in base 62.
        assert_eq!(checksum(&"0".repeat(32)), CHECKSUM_OF_ZEROS);
        assert!(is_well_formed(&format!("hookpost_{}{CHECKSUM_OF_ZEROS}", "0".repeat(32))));
        let key = generate();
        assert_eq!(key.len(), 47);
        assert!(is_well_formed(&key), "{key}");
        assert_ne!(generate(), key);
        assert_eq!(shown(&key).len(), 15);
    }

    const CHECKSUM_OF_ZEROS: &str = "2wjyrI";

    #[test]
    fn any_changed_character_is_noticed() {
        let key = generate();
        for (at, byte) in key.bytes().enumerate() {
            for other in ["0", "z", "_", "é"] {
                let mut changed = key.clone();
                changed.replace_range(at..=at, other);
                assert_eq!(is_well_formed(&changed), changed == key, "{changed} for {key}, {byte}");
            }
        }
        for other in ["", "hookpost_", &key[..46], &format!("{key}0"), &key["hookpost_".len()..]] {
            assert!(!is_well_formed(other), "{other}");
        }
    }

    #[test]
    fn keys_of_earlier_versions_remain_valid() {
        assert!(is_well_formed("hp_4fJ8QwG1nC0bY3uV7kXz2mRtPqLs-a_D"));
        for other in ["hp_", "hp_4fJ8QwG1nC0bY3uV7kXz2mRtPqLs-a_", "hp_4fJ8QwG1nC0bY3uV7kXz2mRtPqLs-a_+"] {
            assert!(!is_well_formed(other), "{other}");
        }
    }
}
