//! Browsers in words, from their `User-Agent` header.

/// Browsers by a part of their header. Most name the ones that they descend from too, so the order matters.
const BROWSERS: [(&str, &str); 9] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Safari/", "Safari"),
];

/// Systems by a part of the header, in an order like that of the browsers.
const SYSTEMS: [(&str, &str); 8] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
    ("BSD", "BSD"),
];

/// Characters of a program's name at most, for headers that name no known browser.
const LONGEST: usize = 32;

/// Returns a browser and its system, such as `Firefox on Linux`. Short, whatever the header holds.
pub fn words(user_agent: &str) -> String {
    let find = |names: &[(&str, &'static str)]| {
        let named = names.iter().find(|(part, _)| user_agent.contains(part));
        named.map(|(_, name)| *name)
    };
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(browser), None) => browser.to_owned(),
        (None, Some(system)) => format!("Unknown browser on {system}"),
        (None, None) => {
            let is_plain = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
            let program: String = user_agent.chars().take_while(is_plain).take(LONGEST).collect();
            if program.is_empty() { "Unknown browser".to_owned() } else { program }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_is_named_by_its_own_name_and_its_system() {
        let chrome =
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36";
        for (header, said) in [
            (chrome, "Chrome on Linux"),
            (&format!("{chrome} Edg/126.0.0.0"), "Edge on Linux"),
            (&format!("{chrome} OPR/112.0.0.0"), "Opera on Linux"),
            ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0", "Firefox on Windows"),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
                "Safari on macOS",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/126.0 Mobile/15E148 Safari/604.1",
                "Chrome on iPhone",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            ("curl/8.5.0", "curl"),
            ("", "Unknown browser"),
            ("<script>alert(1)</script>", "Unknown browser"),
            ("Mozilla/5.0 (X11; FreeBSD amd64)", "Unknown browser on BSD"),
        ] {
            assert_eq!(words(header), said, "{header}");
        }
        assert_eq!(words(&"x".repeat(10_000)).len(), LONGEST);
    }
}
