mod allow;
mod policy;
mod url;

use std::net::IpAddr;

use super::{AllowEntry, MAX_URL_BYTES, TargetPolicy, TargetUrl};

fn url(text: &str) -> TargetUrl {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn policy(entries: &[&str]) -> TargetPolicy {
    TargetPolicy::new(entries.iter().map(|entry| entry.parse().unwrap()).collect())
}

/// Whether a host name that resolves to this address may be called over HTTPS.
fn is_open(entries: &[&str], address: &str) -> bool {
    let target = url("https://hooks.example.com/");
    policy(entries).judge(&target, &[ip(address)], &[]).is_ok()
}

fn refusal(entries: &[&str], target: &str, addresses: &[&str]) -> String {
    let addresses: Vec<IpAddr> = addresses.iter().map(|address| ip(address)).collect();
    let verdict = policy(entries).judge(&url(target), &addresses, &[]);
    verdict.unwrap_err().message().to_owned()
}

fn literal_verdict(entries: &[&str], target: &str) -> Result<(), String> {
    let verdict = policy(entries).judge_literal(&url(target), &[]);
    verdict.map_err(|refusal| refusal.message().to_owned())
}
