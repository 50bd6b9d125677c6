//! Parsers of the values of settings. Each error completes the sentence that begins with the setting.

use std::fmt::Display;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::Path;
use std::str::FromStr;

use ipnet::IpNet;
use log::LevelFilter;
use strum::EnumString;

use super::ConfigError;
use crate::http::site::BaseUrl;

/// Value parser of an address to listen on.
pub const ADDRESS: fn(&str) -> Result<SocketAddr, String> =
    |text| text.parse().map_err(|_| "must be an address with a port such as 127.0.0.1:8080 or [::1]:8080".to_owned());

/// Returns the value parser of a number within a range.
pub fn number<T>(range: RangeInclusive<T>) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: FromStr + PartialOrd + Display + Clone + Send + Sync + 'static,
{
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("must be a number from {} to {}", range.start(), range.end()))
    }
}

/// Returns the value parser of a list's element; `None` for a blank one.
pub(super) fn element<T, E>(
    parse: impl Fn(&str) -> Result<T, E> + Clone,
) -> impl Fn(&str) -> Result<Option<T>, E> + Clone {
    move |text| match text.trim() {
        "" => Ok(None),
        text => parse(text).map(Some),
    }
}

pub(super) fn proxy(text: &str) -> Result<IpNet, String> {
    let address = || text.parse().map(|ip: IpAddr| ip.into());
    text.parse().or_else(|_| address()).map_err(|_| "must be an address or a range such as 10.0.0.0/8".to_owned())
}

pub(super) fn portal_name(text: &str) -> Result<String, String> {
    let is_name = (1..=64).contains(&text.chars().count());
    is_name.then(|| text.to_owned()).ok_or_else(|| "must have 1 to 64 characters".to_owned())
}

pub(super) fn profile_name(text: &str) -> Result<String, String> {
    let is_name = matches!(text.len(), 1..=64)
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
    is_name.then(|| text.to_owned()).ok_or_else(|| "must be 1 to 64 characters of a-z 0-9 _ -".to_owned())
}

pub(super) fn color(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix('#').unwrap_or_default();
    let is_color = digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_color.then(|| text.to_owned()).ok_or_else(|| "must be a color such as #0a6cff".to_owned())
}

pub(super) fn origin(text: &str) -> Result<String, String> {
    let url = text.parse().ok().filter(|url: &BaseUrl| url.prefix().is_empty());
    url.map(|url| url.to_string()).ok_or_else(|| "must be an origin such as https://app.example.com".to_owned())
}

/// Parses a URL that RFC 9116, 2.5.3, allows as a contact.
pub(super) fn contact(text: &str) -> Result<String, String> {
    let url = text.parse::<url::Url>().ok().filter(|url| matches!(url.scheme(), "https" | "mailto" | "tel"));
    url.map(String::from).ok_or_else(|| "must be a URL with mailto:, https: or tel:".to_owned())
}

/// Parses a URL that a monitor of heartbeats gives out.
pub(super) fn heartbeat(text: &str) -> Result<String, String> {
    let url = text.trim().parse::<url::Url>().ok().filter(|url| matches!(url.scheme(), "https" | "http"));
    url.map(String::from).ok_or_else(|| "must be a URL such as https://hc-ping.com/<id>".to_owned())
}

/// Replaces the password of a URL, for texts that people see.
pub(super) fn without_password(text: &str) -> String {
    replace_password(text, ":…")
}

/// Removes the password of a URL.
pub(super) fn stripped_of_password(text: &str) -> String {
    replace_password(text, "")
}

fn replace_password(text: &str, replacement: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let Some((credentials, _)) = rest[..end].rsplit_once('@') else { return text.to_owned() };
    match credentials.split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}{replacement}{}", &rest[credentials.len()..]),
        None => text.to_owned(),
    }
}

pub(super) fn level(text: &str) -> Result<LevelFilter, String> {
    text.parse().map_err(|_| "must be error, warn, info, debug or trace".to_owned())
}

/// Form of the lines of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum LogFormat {
    Text,
    Json,
}

pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    text.parse().map_err(|_| "must be text or json".to_owned())
}

/// Returns an image and its media type.
pub(super) fn read_logo(path: &Path) -> Result<(Vec<u8>, &'static str), ConfigError> {
    let unreadable = |error| ConfigError::Unreadable(path.to_owned(), error);
    let media_type = match path.extension().and_then(|text| text.to_str()).unwrap_or_default() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "svg" => "image/svg+xml",
        _ => return Err(unreadable(std::io::Error::other("a logo must be a .png, .jpg or .svg file"))),
    };
    let bytes = fs::read(path).map_err(unreadable)?;
    if bytes.len() > 64 << 10 {
        return Err(unreadable(std::io::Error::other("a logo must not exceed 64 KiB")));
    }
    Ok((bytes, media_type))
}
