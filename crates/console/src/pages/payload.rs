//! What an event carries, as it is shown.

use posthaste_client::Event;

use crate::body::Body;

/// Characters of a payload that a page shows.
const SHOWN: usize = 64 * 1024;

/// A payload as text.
pub(super) struct Payload {
    pub(super) content_type: String,
    pub(super) bytes: usize,
    /// None: it is not text.
    pub(super) text: Option<String>,
    /// Whether there is more than is shown.
    pub(super) cut: bool,
}

impl Payload {
    pub(super) fn of(event: &Event) -> Self {
        let body = Body::published(event);
        let whole =
            body.text().map(|text| if event.data.is_some() { indented(text) } else { text.to_owned() });
        let cut = whole.as_ref().is_some_and(|text| text.chars().nth(SHOWN).is_some());
        let text = whole.map(|text| if cut { text.chars().take(SHOWN).collect() } else { text });
        Self { bytes: body.bytes.len(), content_type: body.content_type, text, cut }
    }
}

/// JSON with a line for each value. Only the room between values changes: numbers and texts stay as they are spelled.
fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        // Deep nesting is no reason to fill the memory with spaces.
        out.extend(std::iter::repeat_n("  ", depth.min(40)));
    };
    let mut chars = json.chars().filter({
        let (mut quoted, mut escaped) = (false, false);
        move |c| {
            let keep = quoted || !c.is_ascii_whitespace();
            (quoted, escaped) = next(*c, quoted, escaped);
            keep
        }
    });
    let mut before = None;
    for c in chars.by_ref() {
        let in_text = quoted;
        (quoted, escaped) = next(c, quoted, escaped);
        if in_text {
            out.push(c);
            before = Some(c);
            continue;
        }
        match c {
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                if !matches!(before, Some('{' | '[')) {
                    line(&mut out, depth);
                }
                out.push(c);
            }
            _ => {
                if matches!(before, Some('{' | '[')) {
                    line(&mut out, depth);
                }
                out.push(c);
                match c {
                    '{' | '[' => depth += 1,
                    ',' => line(&mut out, depth),
                    ':' => out.push(' '),
                    _ => {}
                }
            }
        }
        before = Some(c);
    }
    out
}

/// Whether the next character is in a text, and stands after a backslash.
fn next(c: char, quoted: bool, escaped: bool) -> (bool, bool) {
    match (quoted, escaped, c) {
        (true, true, _) => (true, false),
        (true, false, '\\') => (true, true),
        (true, false, '"') => (false, false),
        (false, _, '"') => (true, false),
        _ => (quoted, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_gets_lines_and_keeps_its_spelling() {
        for (json, expect) in [
            ("1", "1"),
            ("{}", "{}"),
            (r#"{ "a" : [ ] }"#, "{\n  \"a\": []\n}"),
            (
                r#"{"b": 1.0, "a":[ 1e3,"x, {y}: \" z" ]}"#,
                "{\n  \"b\": 1.0,\n  \"a\": [\n    1e3,\n    \"x, {y}: \\\" z\"\n  ]\n}",
            ),
            (r#"[{"a":{}},[]]"#, "[\n  {\n    \"a\": {}\n  },\n  []\n]"),
            (r#"["[","}"]"#, "[\n  \"[\",\n  \"}\"\n]"),
            (r#"[""]"#, "[\n  \"\"\n]"),
        ] {
            assert_eq!(indented(json), expect);
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(&indented(json)).unwrap(),
                serde_json::from_str::<serde_json::Value>(json).unwrap()
            );
        }
    }
}
