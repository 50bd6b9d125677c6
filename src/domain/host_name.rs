//! Names of hosts.

use std::str::FromStr;

use super::Invalid;

/// Host name in lower case, without a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(Box<str>);

impl HostName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<HostName, Invalid> {
        let name = text.trim_end_matches('.').to_ascii_lowercase();
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || name.len() > 253 || !name.bytes().all(is_allowed) {
            let message = "A host is a name such as hooks.example.com, without a scheme, port or path.";
            return Err(Invalid::new("invalid_host", message));
        }
        Ok(HostName(name.into()))
    }
}
