//! A logged attempt as a `curl` command, for sending it by hand.

use super::header::MASK;

/// Longer bodies go through a pipe: one argument of a program is 128 KiB at most on Linux.
const MAX_ARGUMENT_BYTES: usize = 100_000;

/// Headers that curl sets itself.
const OWN: [&str; 3] = ["host", "content-length", "connection"];

/// Returns the POSIX shell command that repeats the request of an attempt; a single command whatever the URL, the headers
/// and the body contain. Masked header values become placeholders such as `<Authorization>`. The signature is the
/// original one, so a receiver that checks the age of the timestamp rejects it after a few minutes.
pub fn command(url: &str, headers: &[(String, String)], body: &[u8]) -> String {
    let body = quoted(&String::from_utf8_lossy(body));
    let piped = body.len() > MAX_ARGUMENT_BYTES;
    let mut lines = vec![format!("curl --include --globoff --request POST {}", quoted(url))];
    for (name, value) in headers {
        if !OWN.contains(&name.to_ascii_lowercase().as_str()) {
            lines.push(format!("--header {}", quoted(&header(name, value))));
        }
    }
    lines.push(if piped { "--data-binary @-".to_owned() } else { format!("--data-raw {body}") });
    let command = lines.join(" \\\n  ");
    if piped { format!("printf '%s' {body} | {command}") } else { command }
}

fn header(name: &str, value: &str) -> String {
    match value {
        MASK => format!("{name}: <{name}>"),
        // With a colon and nothing after it curl takes the header away.
        "" => format!("{name};"),
        _ => format!("{name}: {value}"),
    }
}

/// Text in single quotes, within which a shell interprets nothing.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    /// The arguments that `sh` passes to curl, then its standard input.
    fn run(command: &str) -> Vec<String> {
        let script = format!("curl() {{ printf '%s\\0' \"$@\"; cat; }}\n{command}\n");
        let mut child = Command::new("sh").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        text.split('\0').map(str::to_owned).collect()
    }

    fn pairs(headers: &[(&str, &str)]) -> Vec<(String, String)> {
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_shell_hands_over_every_body_as_it_was_sent() {
        let url = "https://[::1]:8443/a?b={c}&d=$(touch /tmp/x);'e'";
        for body in [
            "{}",
            "",
            "@/etc/passwd",
            r#"{"a":"it's \"quoted\" \\ `id` $(id) $HOME !! %s \u0027 \n"}"#,
            "''''",
            "'; touch /tmp/never; '",
            "{\n\t\"a\" : \"日本 😀 \u{2028}\"\r\n}\n",
            "\\",
            "-d",
        ] {
            let arguments = run(&command(url, &[], body.as_bytes()));
            let expected = ["--include", "--globoff", "--request", "POST", url, "--data-raw", body, ""];
            assert_eq!(arguments, expected);
        }
    }

    #[test]
    fn a_body_too_long_for_an_argument_goes_through_a_pipe() {
        let body = "it's 100 % 日".repeat(40_000);
        let arguments = run(&command("https://a.test/", &[], body.as_bytes()));
        assert_eq!(arguments[5..7], ["--data-binary", "@-"]);
        assert!(arguments[7] == body);
    }

    #[test]
    fn headers_are_as_sent_and_masked_ones_are_placeholders() {
        let headers = pairs(&[
            ("Host", "a.test"),
            ("Content-Type", "application/json"),
            ("X-Quote", "it's `id` \"$HOME\" \\"),
            ("Authorization", MASK),
            ("X-Empty", ""),
            ("Content-Length", "2"),
        ]);
        let arguments = run(&command("https://a.test/", &headers, b"{}"));
        assert_eq!(
            arguments[5..13],
            [
                "--header",
                "Content-Type: application/json",
                "--header",
                "X-Quote: it's `id` \"$HOME\" \\",
                "--header",
                "Authorization: <Authorization>",
                "--header",
                "X-Empty;",
            ]
        );
        assert_eq!(arguments[13..], ["--data-raw", "{}", ""]);
    }
}
