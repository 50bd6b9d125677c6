//! Encryption of single values at rest: XChaCha20-Poly1305 under the master key, with a random nonce each.
//!
//! Statements call it as SQL functions: `seal(value, 'table.column', row)` and `unseal(sealed, 'table.column', row)`, where
//! `row` identifies the row for good. Column and row are authenticated with the value, so a value that is copied to
//! another row or column does not open. NULL stays NULL. [`SEALED`] lists the columns, for the rotation of the key.
//!
//! Nothing, as an empty text or list, stays as it is.
//!
//! Sealed form: `§`, the id of the key, `:`, and base64 of nonce, ciphertext and tag, as TEXT or BLOB like the value. No
//! plain text begins with `§`: secrets and tokens are ASCII, headers are JSON.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, ffi};
use sha2::{Digest as _, Sha256};

use crate::domain::Invalid;
use crate::random;

/// Column with sealed values.
pub(super) struct Sealed {
    pub(super) table: &'static str,
    pub(super) column: &'static str,
    /// Column that identifies the row for good.
    pub(super) row: &'static str,
    /// Column with the SHA-256 of the value, to find it.
    pub(super) hash: Option<&'static str>,
}

/// All columns with sealed values.
pub(super) const SEALED: [Sealed; 11] = [
    Sealed { table: "webhook", column: "secret", row: "id", hash: None },
    Sealed { table: "webhook", column: "old_secret", row: "id", hash: None },
    Sealed { table: "webhook", column: "ed25519_key", row: "id", hash: None },
    Sealed { table: "webhook", column: "old_ed25519_key", row: "id", hash: None },
    Sealed { table: "webhook", column: "headers", row: "id", hash: None },
    Sealed { table: "webhook", column: "auth", row: "id", hash: None },
    Sealed { table: "webhook", column: "tls", row: "id", hash: None },
    Sealed { table: "inbox", column: "token", row: "tenant", hash: Some("token_hash") },
    // Of received requests, which may carry the secret headers of a webhook. Bound to the inbox.
    Sealed { table: "inbox_request", column: "headers", row: "inbox_seq", hash: None },
    Sealed { table: "user", column: "totp_secret", row: "seq", hash: None },
    // Of calls that may have made a secret.
    Sealed { table: "answer", column: "body", row: "seq", hash: None },
];

const MARK: char = '§';
const NONCE_BYTES: usize = 24;
/// Plain text of a key's proof.
const PROOF: &str = "hookpost";

/// Key of the encryption at rest. Text form: 64 hexadecimal digits. Never shown by `Debug`.
#[derive(Clone)]
pub struct MasterKey {
    cipher: XChaCha20Poly1305,
    id: String,
}

impl MasterKey {
    /// Returns the text of a new key.
    pub(super) fn generate() -> String {
        hex::encode(random::bytes::<32>())
    }

    /// Returns 12 hexadecimal digits that tell keys apart and say nothing about them.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Encrypts a fixed text, by which the key is recognized.
    pub(super) fn proof(&self) -> String {
        self.seal_text(PROOF.as_bytes(), "master_key.proof", b"")
    }

    pub(super) fn fits(&self, proof: &str) -> bool {
        self.open_text(proof, "master_key.proof", b"").as_deref() == Some(PROOF.as_bytes())
    }

    /// Whether a stored value is as [`seal`](Self::seal) leaves it.
    pub(super) fn has_sealed(&self, value: &Value) -> bool {
        key_id(text(value)) == Some(&self.id) || is_nothing(value)
    }

    pub(super) fn seal(&self, value: Value, column: &str, row: &[u8]) -> Value {
        match value {
            value if is_nothing(&value) => value,
            Value::Text(text) => Value::Text(self.seal_text(text.as_bytes(), column, row)),
            Value::Blob(bytes) => Value::Blob(self.seal_text(&bytes, column, row).into_bytes()),
            other => other,
        }
    }

    /// Returns `None` for a value of another key or place, and for a damaged one.
    pub(super) fn open(&self, sealed: &Value, column: &str, row: &[u8]) -> Option<Value> {
        if is_nothing(sealed) {
            return Some(sealed.clone());
        }
        let open = self.open_text(text(sealed), column, row)?;
        match sealed {
            Value::Text(_) => String::from_utf8(open).ok().map(Value::Text),
            _ => Some(Value::Blob(open)),
        }
    }

    fn seal_text(&self, value: &[u8], column: &str, row: &[u8]) -> String {
        let nonce = random::bytes::<NONCE_BYTES>();
        let payload = Payload { msg: value, aad: &place(column, row) };
        let sealed = self.cipher.encrypt(&XNonce::from(nonce), payload).expect("a column's value is below 256 GiB");
        format!("{MARK}{}:{}", self.id, BASE64.encode([&nonce[..], &sealed].concat()))
    }

    fn open_text(&self, sealed: &str, column: &str, row: &[u8]) -> Option<Vec<u8>> {
        let text = sealed.strip_prefix(MARK)?.strip_prefix(&self.id)?.strip_prefix(':')?;
        let bytes = BASE64.decode(text).ok()?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>()?;
        let payload = Payload { msg: sealed, aad: &place(column, row) };
        self.cipher.decrypt(&XNonce::from(*nonce), payload).ok()
    }
}

/// Returns the id of the key that a value is sealed under; `None` for a plain value.
pub(super) fn key_id(value: &str) -> Option<&str> {
    value.strip_prefix(MARK)?.split_once(':').map(|(id, _)| id)
}

/// Returns the sealed form; empty if the value cannot be one.
pub(super) fn text(value: &Value) -> &str {
    match value {
        Value::Text(text) => text,
        Value::Blob(bytes) => std::str::from_utf8(bytes).unwrap_or_default(),
        _ => "",
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Text(text) => text.is_empty() || text == "[]",
        Value::Null => true,
        _ => false,
    }
}

/// Associated data of a value.
fn place(column: &str, row: &[u8]) -> Vec<u8> {
    [column.as_bytes(), b"\0", row].concat()
}

impl FromStr for MasterKey {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<MasterKey, Invalid> {
        let bytes: Option<[u8; 32]> = hex::decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
        let Some(bytes) = bytes else {
            let message = "A master key is 64 hexadecimal digits. `openssl rand -hex 32` prints one.";
            return Err(Invalid::new("invalid_master_key", message));
        };
        let digest = Sha256::new().chain_update(b"hookpost master key").chain_update(bytes).finalize();
        Ok(MasterKey { cipher: XChaCha20Poly1305::new(&Key::from(bytes)), id: hex::encode(&digest[..6]) })
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({}, …)", self.id)
    }
}

/// Adds the SQL functions to a connection. Without a key, they fail for all but NULL.
pub(super) fn register(connection: &Connection, key: Option<&MasterKey>) -> rusqlite::Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
    let of = key.cloned();
    connection.create_scalar_function("seal", 3, flags, move |context| {
        with_place(context, of.as_ref(), |key, value, column, row| Ok(key.seal(value, column, row)))
    })?;
    let of = key.cloned();
    connection.create_scalar_function("unseal", 3, flags | FunctionFlags::SQLITE_DETERMINISTIC, move |context| {
        with_place(context, of.as_ref(), |key, value, column, row| key.open(&value, column, row).ok_or_else(damaged))
    })
}

fn with_place(
    context: &Context<'_>,
    key: Option<&MasterKey>,
    work: impl FnOnce(&MasterKey, Value, &str, &[u8]) -> rusqlite::Result<Value>,
) -> rusqlite::Result<Value> {
    let value: Value = context.get(0)?;
    if value == Value::Null {
        return Ok(value);
    }
    let row = match context.get_raw(2) {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => bytes.to_vec(),
        ValueRef::Integer(number) => number.to_string().into_bytes(),
        ValueRef::Null | ValueRef::Real(_) => return Err(damaged()),
    };
    work(key.ok_or_else(missing_key)?, value, context.get_raw(1).as_str()?, &row)
}

fn missing_key() -> Error {
    Error::UserFunctionError("this command does not use the master key".into())
}

/// Error of a value that does not open, which the store takes for a damaged value.
fn damaged() -> Error {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_MISMATCH), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> MasterKey {
        hex::encode([byte; 32]).parse().unwrap()
    }

    fn plain(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn a_sealed_value_opens_in_its_place_under_its_key_only() {
        let key_1 = key(1);
        let sealed = key_1.seal(plain("hunter2"), "webhook.secret", b"row");
        assert!(!text(&sealed).contains("hunter2") && key_1.has_sealed(&sealed) && !key(2).has_sealed(&sealed));
        assert_eq!(key_1.open(&sealed, "webhook.secret", b"row"), Some(plain("hunter2")));
        assert_eq!(key_1.open(&sealed, "webhook.secret", b"other"), None);
        assert_eq!(key_1.open(&sealed, "webhook.old_secret", b"row"), None);
        assert_eq!(key(2).open(&sealed, "webhook.secret", b"row"), None);
        // The id of the key is no part of what is authenticated, and does not help.
        let renamed = plain(&text(&sealed).replace(key_1.id(), key(2).id()));
        assert_eq!(key(2).open(&renamed, "webhook.secret", b"row"), None);
        let mut letters: Vec<char> = text(&sealed).chars().collect();
        let changed = letters.len() - 3;
        letters[changed] = if letters[changed] == 'A' { 'B' } else { 'A' };
        assert_eq!(key_1.open(&plain(&letters.iter().collect::<String>()), "webhook.secret", b"row"), None);
        for text in ["hunter2", "§", "§:", "[[]]"] {
            assert_eq!(key_1.open(&plain(text), "webhook.secret", b"row"), None, "{text}");
        }
    }

    #[test]
    fn bytes_stay_bytes_and_nothing_stays_as_it_is() {
        let bytes = Value::Blob(vec![0, 255, 7]);
        let sealed = key(1).seal(bytes.clone(), "user.totp_secret", b"7");
        assert!(matches!(sealed, Value::Blob(_)) && key(1).has_sealed(&sealed));
        assert_eq!(key(1).open(&sealed, "user.totp_secret", b"7"), Some(bytes));
        for nothing in [plain(""), plain("[]"), Value::Null] {
            assert_eq!(key(1).seal(nothing.clone(), "webhook.headers", b"row"), nothing);
            assert_eq!(key(1).open(&nothing, "webhook.headers", b"row"), Some(nothing));
        }
    }

    #[test]
    fn the_same_value_is_never_sealed_to_the_same_text() {
        let sealed = |_| text(&key(1).seal(plain("hunter2"), "webhook.secret", b"row")).to_owned();
        assert_eq!((0..100).map(sealed).collect::<std::collections::BTreeSet<_>>().len(), 100);
    }

    #[test]
    fn statements_seal_and_unseal_and_a_wrong_place_is_a_damaged_value() {
        let connection = Connection::open_in_memory().unwrap();
        register(&connection, Some(&key(1))).unwrap();
        let text = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, Option<String>>(0));
        let open = text("SELECT unseal(seal('a', 'user.totp', 7), 'user.totp', 7)").unwrap();
        assert_eq!(open.as_deref(), Some("a"));
        assert_eq!(text("SELECT seal(NULL, 'user.totp', 7)").unwrap(), None);
        assert_eq!(text("SELECT unseal(NULL, 'user.totp', 7)").unwrap(), None);
        let moved = text("SELECT unseal(seal('a', 'user.totp', 7), 'user.totp', 8)").unwrap_err();
        assert!(crate::store::StoreError::from(moved).is_damage());
        register(&connection, None).unwrap();
        let text = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, Option<String>>(0));
        assert!(text("SELECT seal('a', 'user.totp', 7)").unwrap_err().to_string().contains("master key"));
        assert_eq!(text("SELECT seal(NULL, 'user.totp', 7)").unwrap(), None);
    }

    #[test]
    fn a_key_is_64_hexadecimal_digits_and_is_never_shown() {
        let text = "ab".repeat(32);
        let parsed: MasterKey = format!("{}\n", text.to_uppercase()).parse().unwrap();
        assert_eq!(parsed.id(), text.parse::<MasterKey>().unwrap().id());
        assert!(!format!("{parsed:?}").contains("abab"));
        for bad in ["", "ab", &"ab".repeat(33), &"zz".repeat(32)] {
            assert!(bad.parse::<MasterKey>().is_err(), "{bad}");
        }
        assert!(MasterKey::generate().parse::<MasterKey>().is_ok());
    }
}
