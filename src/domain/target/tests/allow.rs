//! Entries of `--allow-target`.

use super::*;

#[test]
fn an_entry_prints_in_its_shortest_form_and_reads_back() {
    for (text, printed) in [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.0/8:8080", "10.0.0.0/8:8080"),
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1/32", "127.0.0.1"),
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("::1/128", "::1"),
        ("[::1]:80", "[::1]:80"),
        ("fd00::/8", "fd00::/8"),
        ("[fd00::/8]:8080", "[fd00::/8]:8080"),
        ("Hooks.Internal.", "hooks.internal"),
        ("hooks.internal.:8080", "hooks.internal:8080"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
    ] {
        let entry: AllowEntry = text.parse().expect(text);
        assert_eq!(entry.to_string(), printed, "{text}");
        assert_eq!(printed.parse::<AllowEntry>().unwrap(), entry, "{text}");
    }
}

#[test]
fn a_bad_entry_says_what_is_wrong_with_it() {
    for (text, reason) in [
        ("", "names no host"),
        (".", "names no host"),
        (":80", "names no host"),
        ("https://h.example", "this is a URL"),
        ("h.example:", "port must be"),
        ("h.example:0", "port must be"),
        ("h.example:65536", "port must be"),
        ("h.example:+80", "port must be"),
        ("h.example:http", "port must be"),
        ("[::1]:0", "port must be"),
        ("[::1", "closing bracket"),
        ("[::1]80", "after the bracket"),
        ("[127.0.0.1]:80", "brackets are for IPv6"),
        ("10.0.0.0/33", "address/prefix"),
        ("h.example/8", "address/prefix"),
        ("fd00::/8:8080", "address/prefix"),
        ("fd00::zz", "in brackets"),
        ("10.1.2.3/8", "Write 10.0.0.0/8"),
        ("fd00::1/8", "Write fd00::/8"),
        ("::ffff:10.0.0.0/104", "Write 10.0.0.0/8"),
        ("64:ff9b::127.0.0.1", "Write 127.0.0.1/32"),
        ("127.1", "write the address as 127.0.0.1"),
        ("2130706433", "write the address as 127.0.0.1"),
        ("*.example.com", "contains '*'"),
        ("h example", "contains ' '"),
        ("bücher.example", "contains 'ü'"),
        ("%31.example", "contains '%'"),
        ("a..b", "empty part"),
        ("0.0.0.0", "which cannot be allowed"),
        ("169.254.0.0/16", "a link-local address, which cannot be allowed"),
        ("fe80::/10", "a link-local address, which cannot be allowed"),
        ("224.0.0.0/8", "a multicast address, which cannot be allowed"),
    ] {
        let error = text.parse::<AllowEntry>().expect_err(text);
        assert!(error.message.contains(reason), "{text:?} → {}", error.message);
    }
}
