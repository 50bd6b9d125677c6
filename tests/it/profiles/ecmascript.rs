//! Comparison of `profile::ecmascript` with Node: thousands of generated texts, one `node` process.

use std::fmt::Write as _;

use hookpost::profile::ecmascript::stringify;

use super::{REQUIRE_NODE, run, skipped};

/// Seed of the generated texts: a 64-bit number.
const SEED: &str = "HOOKPOST_TEST_SEED";
/// Number of texts of each of the three kinds; 2,500 if unset.
const COUNT: &str = "HOOKPOST_TEST_TEXTS";

/// Reads a JSON array of texts, and prints the result of `JSON.stringify(JSON.parse(text))` for each: null if that
/// throws, and for lone surrogate escapes, which `stringify` rejects because UTF-8 cannot encode them.
const REFERENCE: &str = r#"
const lone = /\\ud[89ab][0-9a-f]{2}(?!\\ud[c-f][0-9a-f]{2})|(?<!\\ud[89ab][0-9a-f]{2})\\ud[c-f][0-9a-f]{2}/i;
const print = (text) => {
    if (lone.test(text.replace(/\\\\/g, "x"))) return null;
    try { return JSON.stringify(JSON.parse(text)); } catch { return null; }
};
const texts = JSON.parse(require("fs").readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(texts.map(print)));
"#;

#[test]
fn prints_what_node_prints_and_refuses_what_node_refuses() {
    let setting = |name| std::env::var_os(name).map(|text| text.to_str().unwrap().parse().unwrap());
    let seed = setting(SEED).unwrap_or(0x5eed);
    let count = setting(COUNT).unwrap_or(2_500);
    let mut generator = Generator(seed);
    let mut texts = handpicked();
    texts.extend((0..count).map(|_| generator.text()));
    texts.extend((0..count).map(|_| format!("[{}]", generator.number())));
    texts.extend((0..count).map(|_| {
        let text = generator.text();
        generator.damaged(&text)
    }));

    let Some(expected) = node(&texts) else {
        return skipped(REQUIRE_NODE, "no node to compare with its JSON.stringify");
    };
    assert_eq!(expected.len(), texts.len());
    for (text, expected) in texts.iter().zip(expected) {
        let printed = stringify(text).ok();
        assert_eq!(printed, expected, "of {text:?} (seed {seed})");
        if let Some(printed) = printed {
            assert_eq!(stringify(&printed).as_ref(), Ok(&printed), "of {text:?}");
        }
    }
}

/// Returns `None` if `node` is not installed.
fn node(texts: &[String]) -> Option<Vec<Option<String>>> {
    let printed = run("node", &["-e", REFERENCE], &serde_json::to_vec(texts).unwrap())?;
    Some(serde_json::from_slice(&printed).unwrap())
}

/// Special cases that random texts are unlikely to contain.
fn handpicked() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "\u{feff}1",
        "1 2",
        "nul",
        "nullx",
        "NaN",
        "Infinity",
        "[1,]",
        r#"{"a":1,}"#,
        r#"{"a"}"#,
        "{a:1}",
        "'a'",
        "[\u{a0}1]",
        "\"\t\"",
        "\"\u{7f}\u{2028}\u{2029}/\"",
        r#""\u+123""#,
        r#""\u12é""#,
        r#""\uD83D\uDE00 \ud83d\ude00""#,
        r#""\uD83D""#,
        r#""\uDE00\uD83D""#,
        r#""\uD83D\u0041""#,
        r#""\uD83D\uD83D""#,
        r#""\uD83D\uFFFF""#,
        r#""\uD83D\n""#,
        r#""\\uD83D\\""#,
        "\"\\\u{1f600}\"",
        r#"{"__proto__":{"a":1},"a":2,"__proto__":[3]}"#,
        r#"{"__proto__":null,"1":2}"#,
        r#"{"toJSON":1,"constructor":2,"length":3}"#,
        r#"{"b":1,"a":2,"b":3,"\u0061":4}"#,
        r#"{"4294967295":1,"4294967294":2,"4294967293":3,"4294967296":4,"10":5,"9":6,"x":7,"0":8}"#,
        r#"{"-0":1,"00":2,"01":3,"1.0":4,"1e0":5,"+1":6," 1":7,"":8,"1":9,"\u0030":10}"#,
        r#"{"9007199254740993":1,"9007199254740991":2,"18446744073709551616":3,"2":4}"#,
    ]
    .map(str::to_owned)
    .into();
    for number in [
        "-0",
        "-0.0",
        "-0e9",
        "0e400",
        "1e400",
        "-1e400",
        "1e-400",
        "01",
        "-01",
        "-",
        "1.",
        ".5",
        "+1",
        "1e",
        "1e+",
        "0x1",
        "1e21",
        "1e20",
        "999999999999999999999",
        "999999999999999900000",
        "1e-7",
        "1e-6",
        "0.000001",
        "0.0000001",
        "123e-20",
        "12345678901234567890123",
        "9007199254740993",
        "9007199254740992.9999999999",
        "18446744073709551616",
        "5e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "2.2250738585072011e-308",
        "2.2250738585072014e-308",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "1e99999999999999999999",
        "1e-99999999999999999999",
        "0e99999999999999999999",
        "1E5",
        "1E+5",
        "100000000000000000000000",
    ] {
        texts.push(number.to_owned());
    }
    // Halfway between two doubles, except for the last of many digits.
    for last in ["", "1"] {
        texts.push(format!("9007199254740993.{}{last}", "0".repeat(900)));
    }
    texts.push(format!("0.{}1e1000000", "0".repeat(999_999)));
    texts.push(format!("-1{}.5e-1000000", "0".repeat(1_000_000)));
    texts.push(format!("{}1{}", "[".repeat(128), "]".repeat(128)));
    texts.push(format!("{}1{}", r#"{"b":0,"1":"#.repeat(128), "}".repeat(128)));
    texts
}

#[test]
fn known_answers_hold_without_node() {
    for (text, expected) in [
        (" -0 ", "0"),
        ("[1.0, 1e21, 1E400, 5e-324]", "[1,1e+21,null,5e-324]"),
        ("12345678901234567890123", "1.2345678901234568e+22"),
        (r#"{"b":1,"2":2,"b":3,"1":4}"#, r#"{"1":4,"2":2,"b":3}"#),
        (r#"{"4294967295":1,"4294967294":2}"#, r#"{"4294967294":2,"4294967295":1}"#),
        (r#"{"a":1,"__proto__":2}"#, r#"{"a":1,"__proto__":2}"#),
        (r#""\/ \u000B\u007f \uD83D\uDE00""#, "\"/ \\u000b\u{7f} 😀\""),
    ] {
        assert_eq!(stringify(text).as_deref(), Ok(expected), "of {text}");
    }
}

#[test]
fn refuses_more_than_128_levels_however_many() {
    for levels in [129, 5_000_000] {
        let text = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let refusal = stringify(&text).expect_err("too deep").to_string();
        assert!(refusal.contains("128 levels"), "{refusal}");
    }
}

#[test]
fn a_refusal_says_where_and_what_was_expected() {
    assert_eq!(
        stringify(r#"{"é":tru}"#).expect_err("no value").to_string(),
        "not JSON that can be printed again: expected a value at byte 6"
    );
}

/// SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>), so a seed always generates the same texts.
pub(super) struct Generator(pub(super) u64);

impl Generator {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a random number below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    pub(super) fn text(&mut self) -> String {
        let mut text = String::new();
        self.value(0, &mut text);
        text
    }

    fn value(&mut self, depth: usize, out: &mut String) {
        self.space(out);
        match self.below(if depth < 5 { 10 } else { 5 }) {
            0 => out.push_str(self.pick(&["true", "false", "null"])),
            1 | 2 => *out += &self.number(),
            3 | 4 => self.string(out),
            5 | 6 => {
                out.push('[');
                self.space(out);
                for i in 0..self.below(5) {
                    out.push_str(if i == 0 { "" } else { "," });
                    self.value(depth + 1, out);
                }
                out.push(']');
            }
            _ => {
                out.push('{');
                self.space(out);
                // Occasionally many small members.
                let (members, depth) =
                    if self.below(20) == 0 { (self.below(100), 5) } else { (self.below(8), depth + 1) };
                for i in 0..members {
                    out.push_str(if i == 0 { "" } else { "," });
                    self.space(out);
                    self.name(out);
                    self.space(out);
                    out.push(':');
                    self.value(depth, out);
                }
                out.push('}');
            }
        }
        self.space(out);
    }

    fn space(&mut self, out: &mut String) {
        out.push_str(self.pick(&["", "", "", "", " ", "\n", "\t\r\n "]));
    }

    fn name(&mut self, out: &mut String) {
        const NAMES: &[&str] = &[
            "a",
            "b",
            "c",
            "id",
            "__proto__",
            "toJSON",
            "",
            "0",
            "1",
            "2",
            "10",
            "00",
            "01",
            "-1",
            "-0",
            "1.0",
            "1e1",
            " 1",
            "4294967293",
            "4294967294",
            "4294967295",
            "4294967296",
            "9007199254740991",
            "99999999999999999999",
            "2147483648",
            "\\u0061",
            "\\u0031",
            "\\u00310",
            "é",
            "１",
        ];
        match self.below(4) {
            0 => self.string(out),
            1 => {
                let bits = self.below(36);
                let _ = write!(out, "\"{}\"", self.next() & ((1 << bits) - 1));
            }
            _ => {
                let _ = write!(out, "\"{}\"", self.pick(NAMES));
            }
        }
    }

    fn string(&mut self, out: &mut String) {
        const PIECES: &[&str] = &[
            "a",
            "Z",
            "/",
            "\u{7f}",
            "\u{80}",
            "é",
            "\u{2028}",
            "\u{2029}",
            "\u{feff}",
            "\u{fffd}",
            "\u{ffff}",
            "😀",
            "\u{10ffff}",
            "\\\"",
            "\\\\",
            "\\/",
            "\\b",
            "\\f",
            "\\n",
            "\\r",
            "\\t",
            "\\u0000",
            "\\u001F",
            "\\u000b",
            "\\u0008",
            "\\u007f",
            "\\u0022",
            "\\u005C",
            "\\u2028",
            "\\ud83d\\uDE00",
            "\\uDBFF\\udfff",
            "\\ud7ff",
            "\\ue000",
            "\\uFFFF",
        ];
        out.push('"');
        for _ in 0..self.below(6) {
            match self.below(4) {
                0 => {
                    let code = self.below(0xd800);
                    let _ = write!(out, "\\u{code:04x}");
                }
                1 => {
                    let code = self.below(0x11_0000) as u32;
                    out.extend(char::from_u32(code).filter(|c| !matches!(c, '\0'..=' ' | '"' | '\\')));
                }
                _ => out.push_str(self.pick(PIECES)),
            }
        }
        out.push('"');
    }

    fn number(&mut self) -> String {
        match self.below(4) {
            // Any double, in its shortest and in full form. Some get further digits or a further exponent.
            0 => {
                let double = f64::from_bits(self.next());
                if !double.is_finite() {
                    return "0".to_owned();
                }
                let mut text = match self.below(3) {
                    0 => format!("{double:e}"),
                    1 => format!("{double:.20e}"),
                    _ => format!("{double}"),
                };
                if !text.contains('e') && self.below(2) == 0 {
                    text.push_str(self.pick(&["1", "5", "e1", "e-1", "e-300"]));
                }
                text
            }
            // Halfway between two neighbours, in full: the digits after the double's own decide the rounding.
            1 => {
                let double = (self.next() >> 11) as f64;
                let half = self.pick(&["5", "49999999999999999999999", "50000000000000000000001"]);
                format!("{double}.{half}")
            }
            // Subnormals and the smallest normals.
            2 => {
                let shift = 10 + self.below(54);
                let double = f64::from_bits(self.next() >> shift);
                let precision = self.below(800);
                format!("{double:.precision$e}")
            }
            _ => {
                let mut text = self.pick(&["", "-"]).to_owned();
                match self.below(3) {
                    0 => text.push('0'),
                    _ => {
                        text.push(self.pick(&['1', '2', '5', '9']));
                        self.digits(30, &mut text);
                    }
                }
                if self.below(2) == 0 {
                    text.push('.');
                    text.push_str(self.pick(&["0", "5", "000000", "9"]));
                    self.digits(30, &mut text);
                }
                if self.below(2) == 0 {
                    text.push_str(self.pick(&["e", "E", "e+", "e-", "E-", "e-0", "e+00"]));
                    let bound = self.pick(&[10, 30, 400]);
                    let _ = write!(text, "{}", self.below(bound));
                }
                text
            }
        }
    }

    fn digits(&mut self, bound: usize, out: &mut String) {
        for _ in 0..self.below(bound) {
            out.push(char::from(b'0' + self.below(10) as u8));
        }
    }

    /// Removes, inserts or changes one character, or cuts the text off. The result may still be valid JSON.
    fn damaged(&mut self, text: &str) -> String {
        const STRAY: &[char] = &[
            '"', '\\', '{', '}', '[', ']', ',', ':', '0', '1', '-', '+', '.', 'e', 'u', 'd', 't', ' ', '\n', '\0',
            '\u{1f}', '\u{a0}', '\u{feff}', 'é', '😀',
        ];
        let mut characters: Vec<char> = text.chars().collect();
        let at = self.below(characters.len());
        match self.below(4) {
            0 => drop(characters.remove(at)),
            1 => characters.insert(at, self.pick(STRAY)),
            2 => characters[at] = self.pick(STRAY),
            _ => characters.truncate(at),
        }
        characters.into_iter().collect()
    }
}
