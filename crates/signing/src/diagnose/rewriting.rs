//! What happens to bodies on their way.

use std::fmt::Write as _;
use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use crate::given::Given;

/// What a body may have been before something rewrote it, with the words for it.
pub(super) fn rewritings(body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut all = vec![
        ("with a line break behind it", [body, b"\n"].concat()),
        ("with a line break (CR LF) behind it", [body, b"\r\n"].concat()),
        ("without the line break at its end", without_break(body).to_vec()),
        ("without the white space around it", body.trim_ascii().to_vec()),
        ("without the byte order mark before it", body.strip_prefix(BOM).unwrap_or(body).to_vec()),
        ("with a byte order mark before it", [BOM, body].concat()),
    ];
    if let Ok(text) = std::str::from_utf8(body) {
        let unix = text.replace("\r\n", "\n");
        all.push(("with line breaks as CR LF", unix.replace('\n', "\r\n").into_bytes()));
        all.push(("with line breaks as LF", unix.into_bytes()));
    }
    if let Ok(value) = serde_json::from_slice::<Given>(body) {
        all.extend(as_json(&value));
    }
    // Names in another order than they were given.
    if let Ok(sorted) = serde_json::from_slice::<serde_json::Value>(body) {
        all.push(("with the names of its JSON sorted", sorted.to_string().into_bytes()));
    }
    all.retain(|(_, other)| other != body);
    all
}

const BOM: &[u8] = "\u{feff}".as_bytes();

fn without_break(body: &[u8]) -> &[u8] {
    let body = body.strip_suffix(b"\n").unwrap_or(body);
    body.strip_suffix(b"\r").unwrap_or(body)
}

/// A JSON value as common libraries write it.
fn as_json(value: &Given) -> Vec<(&'static str, Vec<u8>)> {
    let written = [
        ("with its JSON minified", write(value, serde_json::ser::CompactFormatter)),
        ("with its JSON written with a space after commas and colons", write(value, Spaced)),
        ("with its JSON indented by two spaces", write(value, PrettyFormatter::new())),
        ("with its JSON indented by four spaces", write(value, PrettyFormatter::with_indent(b"    "))),
        ("with its JSON indented by tabs", write(value, PrettyFormatter::with_indent(b"\t"))),
    ];
    let mut all = Vec::new();
    for (how, json) in written {
        let Some(json) = json else { continue };
        all.push((how, escaped(&json).into_bytes()));
        // As PHP does, with and without the other escapes.
        all.push((how, json.replace('/', "\\/").into_bytes()));
        all.push((how, escaped(&json.replace('/', "\\/")).into_bytes()));
        all.push((how, json.into_bytes()));
    }
    all
}

fn write(value: &Given, formatter: impl Formatter) -> Option<String> {
    let mut json = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut json, formatter)).ok()?;
    String::from_utf8(json).ok()
}

/// JSON with everything but ASCII escaped. Outside of its strings there is nothing to escape.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            text.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string does not fail.
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
    text
}

/// As Python's `json.dumps` writes: one line, with spaces.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(sent: &str, received: &str, expect: &str) {
        let found = rewritings(received.as_bytes()).into_iter().find(|(_, other)| other == sent.as_bytes());
        assert_eq!(
            found.map(|(how, _)| how),
            Some(expect),
            "{:?}",
            rewritings(received.as_bytes())
                .iter()
                .map(|(how, text)| (how, String::from_utf8_lossy(text)))
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn what_was_sent_is_found() {
        check("{}\n", "{}", "with a line break behind it");
        check("{}\r\n", "{}", "with a line break (CR LF) behind it");
        check("{}", "{}\n", "without the line break at its end");
        check("{}", "{}\r\n", "without the line break at its end");
        check("a b", " a b \n", "without the white space around it");
        check("\u{feff}{}", "{}", "with a byte order mark before it");
        check("{}", "\u{feff}{}", "without the byte order mark before it");
        check("a\r\nb\r\n", "a\nb\n", "with line breaks as CR LF");
        check("a\nb", "a\r\nb", "with line breaks as LF");

        let minified = "with its JSON minified";
        check(r#"{"b":1,"a":[1,2]}"#, "{\"b\": 1, \"a\": [1, 2]}", minified);
        check(r#"{"b":"\u017e\ud83d\udc0e"}"#, r#"{"b":"ž🐎"}"#, minified);
        check(r#"{"b":"ž🐎"}"#, r#"{"b":"\u017e\ud83d\udc0e"}"#, minified);
        check(r#"{"b":"a\/ž"}"#, r#"{"b":"a/ž"}"#, minified);
        check(r#"{"b":"a\/\u017e"}"#, r#"{"b":"a/ž"}"#, minified);
        let spaced = "with its JSON written with a space after commas and colons";
        check("{\"b\": 1, \"a\": [1, 2]}", r#"{"b":1,"a":[1,2]}"#, spaced);
        check("{\n  \"b\": 1\n}", r#"{"b":1}"#, "with its JSON indented by two spaces");
        check("{\n    \"b\": 1\n}", r#"{"b":1}"#, "with its JSON indented by four spaces");
        check("{\n\t\"b\": 1\n}", r#"{"b":1}"#, "with its JSON indented by tabs");
        check(r#"{"a":2,"b":1}"#, r#"{"b": 1, "a": 2}"#, "with the names of its JSON sorted");
    }

    #[test]
    fn the_body_itself_is_no_rewriting() {
        for body in ["", "{}", "{\"a\":1}", "plain"] {
            assert!(rewritings(body.as_bytes()).iter().all(|(_, other)| other != body.as_bytes()), "{body}");
        }
    }
}
