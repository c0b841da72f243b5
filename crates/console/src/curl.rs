//! A request as a command line that makes it again.

use crate::body::Body;

/// Headers that curl makes itself, or that would be wrong the second time.
const NOT_REPEATED: [&str; 3] = ["content-length", "host", "connection"];

/// A request to make again.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) url: &'a str,
    pub(crate) headers: &'a [(String, String)],
    /// None: it has no body.
    pub(crate) body: Option<&'a Body>,
    /// The file that a body is in which is too long for a command line.
    pub(crate) file: &'a str,
}

/// Bytes of a body that still stand in the command line.
const INLINE: usize = 4_096;

/// A body as it can stand in the command line; none: it is too long, no text, or has what is lost on the way through a page
/// into a terminal. HTML makes a line feed of CR LF, and a terminal heeds the other control characters.
pub(crate) fn inline(body: &Body) -> Option<&str> {
    let survives = |c: char| c == '\n' || !c.is_control();
    body.text().filter(|text| text.len() <= INLINE && text.chars().all(survives))
}

/// The command for a POSIX shell. Everything in it that comes from outside is one word, whatever is in it.
pub(crate) fn command(request: &Request<'_>) -> String {
    let Request { method, url, headers, body, file } = request;
    // What begins with '@' is no file name here, and a URL with brackets is one URL.
    let mut lines = vec![format!("curl --globoff -X {} {}", quoted(method), quoted(url))];
    for (name, value) in headers.iter().filter(|(name, _)| !NOT_REPEATED.contains(&&*name.to_lowercase())) {
        // curl leaves out a header that ends with a colon: an empty one ends with a semicolon.
        let header = if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
        lines.push(format!("-H {}", quoted(&header)));
    }
    if let Some(body) = body {
        lines.push(match inline(body) {
            Some(text) => format!("--data-raw {}", quoted(text)),
            None => format!("--data-binary {}", quoted(&format!("@{file}"))),
        });
    }
    lines.join(" \\\n  ")
}

/// One word of a POSIX shell (Shell Command Language, section 2.2.2): nothing between single quotes means anything but
/// another single quote.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    fn body(text: &str) -> Body {
        Body { content_type: "text/plain".into(), bytes: text.as_bytes().to_vec() }
    }

    #[test]
    fn a_request_is_made_again() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let headers =
            [pair("Content-Length", "2"), pair("webhook-id", "e1"), pair("x-empty", ""), pair("x-q", "it's")];
        let request = Request {
            method: "POST",
            url: "https://hook.example/in?a=[1]&b=2",
            headers: &headers,
            body: Some(&body(r#"{"a":"it's"}"#)),
            file: "e1.body",
        };
        assert_eq!(
            command(&request),
            "curl --globoff -X POST 'https://hook.example/in?a=[1]&b=2' \\\n  \
             -H 'webhook-id: e1' \\\n  -H 'x-empty;' \\\n  -H 'x-q: it'\\''s' \\\n  \
             --data-raw '{\"a\":\"it'\\''s\"}'"
        );
    }

    #[test]
    fn a_body_that_does_not_fit_is_in_a_file() {
        let binary = Body { content_type: String::new(), bytes: vec![0xff, 0] };
        let controls =
            ["a\0b", "a\r\nb", "a\rb", "a\tb", "\x03", "\x1b]0;x\x07", "\x7f", "\u{9b}31m"].map(body);
        let long = body(&"a".repeat(INLINE + 1));
        for body in controls.iter().chain([&binary, &long]) {
            let request =
                Request { method: "PUT", url: "http://h/", headers: &[], body: Some(body), file: "e1.body" };
            assert!(command(&request).ends_with("--data-binary @e1.body"), "{}", command(&request));
        }
    }

    #[test]
    fn a_body_of_several_lines_stands_there() {
        let body = body("a\nb – ü");
        let request =
            Request { method: "PUT", url: "http://h/", headers: &[], body: Some(&body), file: "e1.body" };
        assert!(command(&request).ends_with("--data-raw 'a\nb – ü'"), "{}", command(&request));
    }

    #[test]
    fn a_request_may_have_no_body() {
        let request =
            Request { method: "OPTIONS", url: "http://h/", headers: &[], body: None, file: "e1.body" };
        assert_eq!(command(&request), "curl --globoff -X OPTIONS http://h/");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_shell_reads_one_word_whatever_is_in_it(text in "[^\0]{0,40}") {
            let script = format!("printf %s {}", quoted(&text));
            let said = Command::new("sh").args(["-c", &script]).output().unwrap();
            prop_assert!(said.status.success());
            prop_assert_eq!(said.stdout, text.into_bytes());
        }
    }
}
