//! A request as it came over the wire (RFC 9112): request line, headers, an empty line, the body.

use super::{
    request::{Request, Unreadable, header, is_token},
    shown,
};

/// Reads a request. Lines end in LF or CR LF; the body is everything behind the empty line, as it is.
pub(super) fn read(capture: &[u8]) -> Result<Request, Unreadable> {
    let mut lines = Lines { rest: capture, number: 0 };
    let first = loop {
        let line = lines.next().ok_or(Unreadable::Empty)?;
        // A server ignores empty lines before a request, too (RFC 9112 §2.2).
        if !line.trim().is_empty() {
            break line;
        }
    };
    let (method, target) = request_line(&first).ok_or_else(|| {
        let expected = "expected a request line such as 'POST /hooks HTTP/1.1', or a curl command line";
        Unreadable::line(lines.number, format!("{expected}, not {}", shown(&first)))
    })?;
    let mut headers = Vec::new();
    while let Some(line) = lines.next().filter(|line| !line.is_empty()) {
        headers.push(header(&line).ok_or_else(|| {
            let expected = "expected a header such as 'Name: value', or the empty line before the body";
            Unreadable::line(lines.number, format!("{expected}, not {}", shown(&line)))
        })?);
    }
    let mut request =
        Request { method, url: target, scheme_is_guessed: false, headers, body: lines.rest.to_vec() };
    // Otherwise it is the URL as a whole, as proxies are asked (RFC 9112 §3.2.2).
    if request.url.starts_with('/') {
        request.url = format!("https://{}{}", request.header("host").unwrap_or_default(), request.url);
        request.scheme_is_guessed = true;
    }
    Ok(request)
}

fn request_line(line: &str) -> Option<(String, String)> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let [method, target, version] = words[..] else { return None };
    (is_token(method) && version.starts_with("HTTP/")).then(|| (method.to_owned(), target.to_owned()))
}

/// The lines of the head, and what is behind them.
struct Lines<'c> {
    rest: &'c [u8],
    /// Of the line that was read last.
    number: usize,
}

impl Lines<'_> {
    /// The next line without its end. What is no UTF-8 in it is replaced: no signature has such bytes.
    fn next(&mut self) -> Option<String> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|byte| *byte == b'\n');
        let (line, rest) = match end {
            Some(end) => (&self.rest[..end], &self.rest[end + 1..]),
            None => (self.rest, &[][..]),
        };
        self.rest = rest;
        self.number += 1;
        Some(String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(capture: &str, method: &str, url: &str, headers: &[(&str, &str)], body: &str) {
        let request = read(capture.as_bytes()).unwrap();
        assert_eq!((request.method.as_str(), request.url.as_str()), (method, url));
        let found: Vec<_> =
            request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, headers);
        assert_eq!(String::from_utf8_lossy(&request.body), body);
    }

    #[track_caller]
    fn refused(capture: &str, says: &str) {
        let error = read(capture.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(says), "{error}");
    }

    #[test]
    fn the_parts_of_a_request() {
        let url = "https://a.example/hooks?x=1";
        let host = ("Host", "a.example");
        check("POST /hooks?x=1 HTTP/1.1\r\nHost: a.example\r\n\r\n{}", "POST", url, &[host], "{}");
        check("POST /hooks?x=1 HTTP/1.1\nHost: a.example\n\n{}", "POST", url, &[host], "{}");
        check("\r\nPUT http://b.example/ HTTP/1.1\nX:y\n\n", "PUT", "http://b.example/", &[("X", "y")], "");
        let values = [("a", "b: c"), ("A", ""), ("d", "e")];
        check("GET / HTTP/2\na:  b: c \nA:\nd:\te\n\n", "GET", "https:///", &values, "");
        check("POST / HTTP/1.1", "POST", "https:///", &[], "");
    }

    #[test]
    fn the_body_is_left_as_it_is() {
        let head = "POST / HTTP/1.1\nHost: h\n\n";
        for body in ["", "\n", "{}\n", "{}\r\n", "\r\n\r\na: b\n\n", " {} "] {
            check(&format!("{head}{body}"), "POST", "https://h/", &[("Host", "h")], body);
        }
        let bytes = [head.as_bytes(), &[0xff, 0, b'\n']].concat();
        assert_eq!(read(&bytes).unwrap().body, [0xff, 0, b'\n']);
    }

    #[test]
    fn only_a_url_without_scheme_is_guessed() {
        assert!(read(b"POST / HTTP/1.1\n\n").unwrap().scheme_is_guessed);
        assert!(!read(b"POST http://a/ HTTP/1.1\n\n").unwrap().scheme_is_guessed);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line() {
        refused("", "the input is empty");
        refused("\n \n", "the input is empty");
        refused("webhook-id: 1\n\n{}", "line 1: expected a request line");
        refused("\n{\"a\": 1}", "line 2: expected a request line");
        refused("P@ST / HTTP/1.1\n", "line 1: expected a request line");
        refused("POST /\n", "line 1: expected a request line");
        refused("POST / HTTP/1.1\nHost: h\n{\"a\": 1}", "line 3: expected a header");
        refused("POST / HTTP/1.1\nA: b\n folded\n\n", "line 3: expected a header");
        refused("POST / HTTP/1.1\n:path: /\n\n", "line 2: expected a header");
    }
}
