//! URLs of webhooks: accepted spellings, and reasons of rejection.

use super::*;

#[test]
fn a_url_is_kept_as_the_parser_prints_it() {
    for (text, printed, host_key) in [
        ("https://example.com", "https://example.com/", "example.com:443"),
        ("HTTPS://EXAMPLE.com:443/a", "https://example.com/a", "example.com:443"),
        ("https://example.com:00443/", "https://example.com/", "example.com:443"),
        ("http://example.com:1/", "http://example.com:1/", "example.com:1"),
        ("https://example.com:65535?q=1", "https://example.com:65535/?q=1", "example.com:65535"),
        ("https://h.example/a/../b?x=@y", "https://h.example/b?x=@y", "h.example:443"),
        ("https://h.example/ü", "https://h.example/%C3%BC", "h.example:443"),
        ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/", "xn--bcher-kva.example:443"),
        ("http://my_service:8080/", "http://my_service:8080/", "my_service:8080"),
        ("https://[2606:4700:0::1111]:8443/", "https://[2606:4700::1111]:8443/", "[2606:4700::1111]:8443"),
    ] {
        let parsed = url(text);
        assert_eq!(parsed.as_str(), printed, "{text}");
        assert_eq!(parsed.host_key(), host_key, "{text}");
        assert_eq!(parsed.origin().split_once("://").unwrap().1, host_key, "{text}");
        assert_eq!(format!("{}:{}", parsed.host(), parsed.port()), host_key, "{text}");
        assert_eq!(parsed.is_https(), printed.starts_with("https:"), "{text}");
        assert_eq!(url(parsed.as_str()), parsed, "{text} again");
    }
}

#[test]
fn other_spellings_of_an_address_become_that_address() {
    for (text, host) in [
        ("http://2130706433/", "127.0.0.1"),
        ("http://017700000001/", "127.0.0.1"),
        ("http://0177.0.0.1/", "127.0.0.1"),
        ("http://0x7f000001/", "127.0.0.1"),
        ("http://0x7f.0.0.0x1/", "127.0.0.1"),
        ("http://0X7F.1/", "127.0.0.1"),
        ("http://127.1/", "127.0.0.1"),
        ("http://127.0.1/", "127.0.0.1"),
        ("http://0/", "0.0.0.0"),
        ("http://2852039166/", "169.254.169.254"),
        ("http://[::ffff:127.0.0.1]/", "[::ffff:7f00:1]"),
        ("http://[0:0:0:0:0:ffff:7f00:0001]/", "[::ffff:7f00:1]"),
        ("http://[::127.0.0.1]/", "[::7f00:1]"),
        ("http://[64:ff9b::127.0.0.1]/", "[64:ff9b::7f00:1]"),
        ("http://[0000::0001]/", "[::1]"),
    ] {
        assert_eq!(url(text).host(), host, "{text}");
        assert!(url(text).address().is_some(), "{text}");
        assert!(literal_verdict(&[], text).is_err(), "{text}");
        assert!(literal_verdict(&[], &text.replace("http:", "https:")).is_err(), "{text}");
    }
}

#[test]
fn what_is_no_clean_url_is_refused_with_a_reason() {
    for (text, reason) in [
        ("", "is empty"),
        ("example.com", "begin with https://"),
        ("https:example.com", "begin with https://"),
        ("https:/example.com", "begin with https://"),
        ("//example.com/", "begin with https://"),
        ("ftp://example.com/", "begin with https://"),
        ("javascript:alert(1)//://", "begin with https://"),
        ("file:///etc/passwd", "begin with https://"),
        ("https://", "names no host"),
        ("https:///example.com", "names no host"),
        ("https:////example.com", "names no host"),
        ("https://?q", "names no host"),
        ("https://:443/", "names no host"),
        // Characters that the parser would drop or repair.
        ("https://exa\nmple.com/", "control character U+000A"),
        ("https://example.com/\r\nHost: x", "control character U+000D"),
        ("https://example.com/\t", "control character U+0009"),
        ("https://example.com/\0", "control character U+0000"),
        ("https://example.com/\u{7f}", "control character U+007F"),
        ("https://example.com/\u{85}", "control character U+0085"),
        (" https://example.com/", "contains a space"),
        ("https://example.com/ ", "contains a space"),
        ("https://example.com/\u{a0}", "contains a space"),
        ("https://example.com/\u{3000}", "contains a space"),
        ("https:\\\\example.com/", "backslash"),
        ("https://example.com\\@127.0.0.1/", "backslash"),
        ("https://127.0.0.1\\.example.com/", "backslash"),
        // Users and passwords, including empty ones.
        ("https://user@example.com/", "user or password"),
        ("https://user:secret@example.com/", "user or password"),
        ("https://@example.com/", "user or password"),
        ("https://:@example.com/", "user or password"),
        ("https://example.com@127.0.0.1/", "user or password"),
        ("https://example.com:443@127.0.0.1/", "user or password"),
        ("https://a@b@127.0.0.1/", "user or password"),
        // Fragments.
        ("https://example.com/#a", "fragment"),
        ("https://example.com/#", "fragment"),
        ("https://example.com#@127.0.0.1/", "fragment"),
        // Ports.
        ("https://example.com:/", "port must be"),
        ("https://example.com:", "port must be"),
        ("https://example.com:0/", "port must be"),
        ("https://example.com:000/", "port must be"),
        ("https://example.com:65536/", "port must be"),
        ("https://example.com:4294967739/", "port must be"),
        ("https://example.com:99999999999999999999/", "port must be"),
        ("https://example.com:+443/", "port must be"),
        ("https://example.com:-1/", "port must be"),
        ("https://example.com:８０/", "port must be"),
        ("https://[::1]:0/", "port must be"),
        ("https://[::1]:/", "port must be"),
        ("https://[::1]x/", "port must be"),
        // Hosts in disguise.
        ("https://%31%32%37.0.0.1/", "percent-encoded"),
        ("https://127.0.0.1%2f.example.com/", "percent-encoded"),
        ("https://example%E3%80%82com/", "percent-encoded"),
        ("https://%00.example.com/", "percent-encoded"),
        ("https://１２７.0.0.1/", "punycode"),
        ("https://①②⑦.⓪.⓪.①/", "punycode"),
        ("https://127。0。0。1/", "punycode"),
        ("https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", "punycode"),
        ("https://bücher.example/", "punycode"),
        ("https://local\u{ad}host/", "punycode"),
        ("https://[fe80::1%25eth0]/", "zone id"),
        ("https://[fe80::1%eth0]/", "zone id"),
        ("https://localhost./", "ends with a dot"),
        ("https://127.0.0.1./", "ends with a dot"),
        ("https://2130706433./", "ends with a dot"),
        ("https://example.com.:443/", "ends with a dot"),
        ("https://./", "ends with a dot"),
        // Invalid hosts.
        ("https://::1/", "names no host"),
        ("https://fe80::1/", "brackets"),
        ("https://[::1/", "closing bracket"),
        ("https://[]/", "cannot be read"),
        ("https://[127.0.0.1]/", "cannot be read"),
        ("https://[::1::]/", "cannot be read"),
        ("https://1.2.3.256/", "cannot be read"),
        ("https://4294967296/", "cannot be read"),
        ("https://1.2.3.4.5/", "cannot be read"),
        ("https://a.0x/", "cannot be read"),
        ("https://xn--a/", "cannot be read"),
        ("https://a..b/", "empty part"),
        ("https://.a/", "empty part"),
        ("https://{{host}}/", "contains '{'"),
        ("https://*.example.com/", "contains '*'"),
        ("https://a,b/", "contains ','"),
    ] {
        let error = text.parse::<TargetUrl>().expect_err(text);
        assert_eq!(error.code, "invalid_url", "{text}");
        assert!(error.message.contains(reason), "{text:?} → {}", error.message);
    }
}

#[test]
fn a_url_may_have_2048_bytes_and_not_one_more() {
    let of_length = |bytes: usize| format!("https://h.example/{}", "a".repeat(bytes - 18));
    assert_eq!(url(&of_length(MAX_URL_BYTES)).as_str().len(), MAX_URL_BYTES);
    assert!(of_length(MAX_URL_BYTES + 1).parse::<TargetUrl>().is_err());
    let grows_when_printed = format!("https://h.example/{}", "ü".repeat(500));
    assert!(grows_when_printed.len() < MAX_URL_BYTES);
    assert!(grows_when_printed.parse::<TargetUrl>().is_err());
}

#[test]
fn labels_and_names_have_the_lengths_of_dns() {
    let label = |length: usize| format!("https://{}.example/", "a".repeat(length));
    assert!(label(63).parse::<TargetUrl>().is_ok());
    assert!(label(64).parse::<TargetUrl>().is_err());
    let name = |length: usize| format!("https://{}/", &"abcdefg.".repeat(40)[..length]);
    assert!(name(253).parse::<TargetUrl>().is_ok());
    assert!(name(254).parse::<TargetUrl>().is_err());
}

#[test]
fn a_masked_url_ends_at_the_host() {
    for (url, masked) in [
        ("https://hooks.slack.com/services/T0/B0/secret", "https://hooks.slack.com/…"),
        ("https://example.com:8443/?token=secret", "https://example.com:8443/…"),
        ("http://[::1]:80/in/secret", "http://[::1]/…"),
        ("https://example.com", "https://example.com/"),
        ("https://example.com?a=secret", "https://example.com/…"),
    ] {
        assert_eq!(url.parse::<TargetUrl>().unwrap().masked(), masked);
    }
}
