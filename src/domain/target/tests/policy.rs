//! Forbidden addresses, and the entries that allow them.

use super::*;

#[test]
fn every_forbidden_range_is_closed_from_its_first_to_its_last_address_and_no_further() {
    // Just before, first, last, just after; an empty neighbour lies in another forbidden range.
    for (before, first, last, after) in [
        ("", "0.0.0.0", "0.255.255.255", "1.0.0.0"),
        ("9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"),
        ("100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"),
        ("126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"),
        ("168.63.129.15", "168.63.129.16", "168.63.129.16", "168.63.129.17"),
        ("169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"),
        ("172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"),
        ("191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"),
        ("192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"),
        ("192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"),
        ("192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"),
        ("198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"),
        ("198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"),
        ("203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"),
        ("223.255.255.255", "224.0.0.0", "239.255.255.255", ""),
        ("", "240.0.0.0", "255.255.255.255", ""),
        ("", "::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2000::"),
        ("2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::"),
        (
            "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db8::",
            "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db9::",
        ),
        ("2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::"),
        ("3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::"),
        ("3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""),
    ] {
        for open in [before, after].into_iter().filter(|text| !text.is_empty()) {
            assert!(is_open(&[], open), "{open} is public");
        }
        for closed in [first, last] {
            assert!(!is_open(&[], closed), "{closed} is forbidden");
        }
    }
    for closed in ["::1", "::2", "fc00::", "fdff::1", "fe80::1", "fec0::1", "ff02::1", "100::1", "5f00::1"] {
        assert!(!is_open(&[], closed), "{closed} is forbidden");
    }
    for open in ["8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450:4001::1"] {
        assert!(is_open(&[], open), "{open} is public");
    }
}

#[test]
fn an_ipv4_address_inside_an_ipv6_one_is_judged_in_its_stead_where_it_is_where_packets_go() {
    for prefix in ["::ffff:", "64:ff9b::"] {
        let inside = |address: &str| format!("{prefix}{address}");
        assert!(is_open(&[], &inside("8.8.8.8")), "{prefix}");
        for closed in ["127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0", "192.0.2.1"] {
            assert!(!is_open(&[], &inside(closed)), "{prefix}{closed}");
        }
        assert!(is_open(&["10.0.0.0/8"], &inside("10.0.0.1")), "{prefix}");
        assert!(!is_open(&["::/0"], &inside("10.0.0.1")), "{prefix}");
        assert!(!is_open(&["169.254.0.0/15"], &inside("169.254.169.254")), "{prefix}");
        assert!(is_open(&["169.254.169.254"], &inside("169.254.169.254")), "{prefix}");
    }
    // Compatible, translated (RFC 6145), local NAT64, 6to4, Teredo: forbidden with any IPv4 address inside.
    for closed in [
        "::8.8.8.8",
        "::127.0.0.1",
        "::ffff:0:8.8.8.8",
        "64:ff9b:1::8.8.8.8",
        "64:ff9b::1:808:808",
        "2002:808:808::1",
        "2002:7f00:1::1",
        "2001:0:808:808::1",
    ] {
        assert!(!is_open(&["0.0.0.0/0", "::/0", "hooks.example.com"], closed), "{closed}");
    }
}

#[test]
fn one_forbidden_address_among_many_rejects_the_target() {
    let message = refusal(&[], "https://hooks.example.com/", &["8.8.8.8", "2606:4700::1111", "10.0.0.5", "1.1.1.1"]);
    assert_eq!(
        message,
        "hooks.example.com resolves to 10.0.0.5, which is a private address. \
         To allow it, add it under Settings, Targets, or start the server with --allow-target 10.0.0.5"
    );
}

#[test]
fn a_refusal_names_the_entry_that_opens_what_it_refused() {
    for (target, address, entry) in [
        ("https://127.0.0.1/", "127.0.0.1", "127.0.0.1"),
        ("https://[::1]/", "::1", "::1"),
        ("https://localhost/", "127.0.0.1", "localhost"),
        ("https://app.localhost/", "::1", "app.localhost"),
        ("https://h.example/", "100.64.0.1", "100.64.0.1"),
        ("https://h.example/", "fd00::5", "fd00::5"),
        ("https://h.example/", "::ffff:10.0.0.1", "10.0.0.1"),
        ("https://h.example/", "64:ff9b::10.0.0.1", "10.0.0.1"),
        ("https://h.example/", "169.254.169.254", "169.254.169.254"),
        ("https://h.example/", "fd00:ec2::254", "fd00:ec2::254"),
        ("https://h.example/", "168.63.129.16", "168.63.129.16"),
        ("http://h.example/", "8.8.8.8", "h.example"),
        ("http://8.8.8.8/", "8.8.8.8", "8.8.8.8"),
        ("http://[2606:4700::1]/", "2606:4700::1", "2606:4700::1"),
    ] {
        let refused = policy(&[]).judge(&url(target), &[ip(address)], &[]).unwrap_err();
        assert!(refused.message().ends_with(&format!("--allow-target {entry}")), "{refused}");
        assert_eq!(refused.opened_by().unwrap().to_string(), entry);
        assert!(policy(&[entry]).judge(&url(target), &[ip(address)], &[]).is_ok(), "{entry}");
    }
    let nothing_opens = policy(&[]).judge(&url("https://0.0.0.0/"), &[ip("0.0.0.0")], &[]).unwrap_err();
    assert!(nothing_opens.message().ends_with("No setting opens it"), "{nothing_opens}");
    assert_eq!(nothing_opens.opened_by(), None);
}

#[test]
fn a_mapped_loopback_address_is_refused_in_words_that_show_both_forms() {
    assert_eq!(
        literal_verdict(&[], "https://[::ffff:127.0.0.1]/").unwrap_err(),
        "::ffff:127.0.0.1 stands for 127.0.0.1, which is a loopback address. \
         To allow it, add it under Settings, Targets, or start the server with --allow-target 127.0.0.1"
    );
}

#[test]
fn entries_open_what_they_name_and_nothing_beside_it() {
    let cases: [(&str, &str, &str, bool); 23] = [
        ("10.0.0.0/8", "https://h.example/", "10.255.255.255", true),
        ("10.0.0.0/8", "https://h.example/", "11.0.0.0", true), // Public.
        ("10.0.0.0/9", "https://h.example/", "10.128.0.0", false),
        ("10.0.0.0/8", "https://h.example/", "127.0.0.1", false),
        ("10.0.0.0/8:8080", "https://h.example:8080/", "10.0.0.1", true),
        ("10.0.0.0/8:8080", "https://h.example/", "10.0.0.1", false),
        ("10.0.0.0/8:443", "https://h.example/", "10.0.0.1", true),
        ("127.0.0.0/8", "https://h.example/", "127.9.9.9", true),
        ("127.0.0.1", "https://h.example/", "127.0.0.2", false),
        ("100.64.0.0/10", "https://h.example/", "100.64.3.2", true),
        ("fc00::/7", "https://h.example/", "fd12::1", true),
        ("[fd00::/8]:8080", "https://h.example:8080/", "fd12::1", true),
        ("[fd00::/8]:8080", "https://h.example:8081/", "fd12::1", false),
        ("[::1]:80", "http://h.example/", "::1", true),
        ("h.example", "https://h.example/", "10.0.0.1", true),
        ("H.Example.", "https://h.eXample/", "10.0.0.1", true),
        ("h.example", "https://a.h.example/", "10.0.0.1", false),
        ("h.example", "https://hh.example/", "10.0.0.1", false),
        ("h.example:8080", "https://h.example:8080/", "10.0.0.1", true),
        ("h.example:8080", "https://h.example/", "10.0.0.1", false),
        ("localhost", "https://localhost/", "127.0.0.1", true),
        ("0.0.0.0/0", "https://h.example/", "192.168.1.1", true),
        ("0.0.0.0/0", "https://h.example/", "::1", false),
    ];
    for (entry, target, address, open) in cases {
        let verdict = policy(&[entry]).judge(&url(target), &[ip(address)], &[]);
        assert_eq!(verdict.is_ok(), open, "{entry} for {target} at {address}");
    }
}

#[test]
fn no_entry_opens_the_ranges_that_nobody_can_serve_from() {
    let everything = ["0.0.0.0/0", "::/0", "hooks.example.com"];
    for closed in [
        "0.0.0.0",
        "0.1.2.3",
        "169.254.1.1",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "2001::1",
        "2001:db8::1",
        "2002::1",
        "3fff::1",
        "4000::1",
    ] {
        assert!(!is_open(&everything, closed), "{closed}");
    }
}

#[test]
fn a_metadata_address_opens_only_to_an_entry_for_it_alone() {
    for (address, wider) in [
        ("169.254.169.254", "168.0.0.0/7"),
        ("168.63.129.16", "168.63.129.16/31"),
        ("fd00:ec2::254", "fd00:ec2::254/127"),
    ] {
        let wider = [wider, "0.0.0.0/0", "::/0", "hooks.example.com"];
        assert!(!is_open(&wider, address), "{address} for {wider:?}");
        assert!(is_open(&[address], address), "{address}");
        let prefix = if address.contains(':') { 128 } else { 32 };
        let exact = format!("{address}/{prefix}");
        assert!(is_open(&[&exact], address), "{exact}");
    }
    assert!(is_open(&["169.254.169.254:443"], "169.254.169.254"));
    assert!(!is_open(&["169.254.169.254:80"], "169.254.169.254"));
}

#[test]
fn this_machines_own_addresses_are_closed_unless_an_entry_opens_them() {
    let target = url("https://h.example/");
    let own = [ip("8.8.8.8"), ip("2606:4700::1"), ip("::ffff:9.9.9.9")];
    for address in ["8.8.8.8", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "9.9.9.9"] {
        let refused = policy(&[]).judge(&target, &[ip(address)], &own).unwrap_err();
        assert!(refused.message().contains("this machine's own address"), "{refused}");
        let entry = refused.opened_by().unwrap().to_string();
        assert!(policy(&[&entry]).judge(&target, &[ip(address)], &own).is_ok(), "{address}");
        assert!(policy(&["h.example"]).judge(&target, &[ip(address)], &own).is_ok(), "{address}");
    }
    assert!(policy(&[]).judge(&target, &[ip("8.8.4.4")], &own).is_ok());
}

#[test]
fn plain_http_needs_an_entry_for_the_host_or_for_each_address() {
    let cases: [(&[&str], &[&str], bool); 9] = [
        (&[], &["8.8.8.8"], false),
        (&["h.example"], &["8.8.8.8"], true),
        (&["h.example:8080"], &["8.8.8.8"], false),
        (&["8.8.8.8"], &["8.8.8.8"], true),
        (&["8.8.8.8:80"], &["8.8.8.8"], true),
        (&["8.8.8.8"], &["8.8.8.8", "8.8.4.4"], false),
        (&["8.8.8.8", "8.8.4.4"], &["8.8.8.8", "8.8.4.4"], true),
        (&["10.0.0.0/8"], &["10.1.2.3", "8.8.8.8"], false),
        (&["10.0.0.0/8"], &[], false),
    ];
    for (entries, addresses, open) in cases {
        let addresses: Vec<IpAddr> = addresses.iter().map(|address| ip(address)).collect();
        let verdict = policy(entries).judge(&url("http://h.example/"), &addresses, &[]);
        assert_eq!(verdict.is_ok(), open, "{entries:?} {addresses:?}");
    }
    let message = refusal(&[], "http://h.example/", &["8.8.8.8"]);
    assert!(message.starts_with("Plain HTTP is refused"), "{message}");
}

#[test]
fn without_a_resolver_literal_hosts_and_localhost_are_judged_and_the_rest_waits() {
    let cases: [(&[&str], &str, bool); 14] = [
        (&[], "https://8.8.8.8/", true),
        (&[], "https://10.0.0.1/", false),
        (&["10.0.0.0/8"], "http://10.0.0.1/", true),
        (&[], "https://localhost/", false),
        (&[], "https://LOCALHOST:8443/", false),
        (&[], "https://app.localhost/", false),
        (&["127.0.0.0/8"], "http://app.localhost/", true),
        (&["localhost:3000"], "http://localhost:3000/", true),
        (&[], "https://notlocalhost/", true),
        (&[], "https://hooks.internal/", true),
        (&[], "http://hooks.internal/", false),
        (&["hooks.internal"], "http://hooks.internal/", true),
        (&["10.0.0.0/8"], "http://hooks.internal/", true), // Its addresses decide.
        (&["10.0.0.0/8:8080"], "http://hooks.internal/", false),
    ];
    for (entries, target, open) in cases {
        assert_eq!(literal_verdict(entries, target).is_ok(), open, "{entries:?} {target}");
    }
    let own = policy(&[]).judge_literal(&url("https://8.8.8.8/"), &[ip("8.8.8.8")]);
    assert!(own.is_err());
}
