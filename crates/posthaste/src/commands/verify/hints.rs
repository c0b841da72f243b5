use posthaste_signing::Placement;

use super::request::Request;

/// What is odd about a capture, and may be why it does not verify.
pub(super) fn hints(request: &Request, placement: &Placement<'_>, is_valid: bool) -> Vec<String> {
    let mut hints = Vec::new();
    hints.extend(line_break(request));
    let [id, time] = [placement.id, placement.time].map(|place| place.map(|place| place.header()));
    let mut looked_at: Vec<&str> = Vec::new();
    for header in [id, time, Some(placement.signatures)].into_iter().flatten() {
        if !looked_at.contains(&header) && request.values(header).count() > 1 {
            hints.push(format!("the header {header} is there more than once: the first one counts here"));
        }
        looked_at.push(header);
    }
    if is_valid {
        return hints;
    }
    let encoding = |name: &str, value: &str| {
        request.header(name).is_some_and(|found| found.trim().eq_ignore_ascii_case(value))
    };
    if encoding("transfer-encoding", "chunked") {
        hints.push(
            "Transfer-Encoding is chunked: the sizes of the chunks are no part of the body, take them out"
                .to_owned(),
        );
    }
    if placement.signs_url && request.scheme_is_guessed {
        hints.push(format!(
            "the URL is signed, and the capture does not tell its scheme: {} is a guess, --url says what was asked for",
            request.url
        ));
    }
    hints
}

/// A line break that was not sent: editors put it there when a capture is saved.
fn line_break(request: &Request) -> Option<String> {
    let sent: usize = request.header("content-length")?.trim().parse().ok()?;
    let surplus = request.body.len().checked_sub(sent)?;
    let is_break = matches!((surplus, request.body.get(sent..)?), (1, b"\n") | (2, b"\r\n"));
    is_break.then(|| {
        "the input ends in a line break that Content-Length does not count: an editor put it there, take it out"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use posthaste_signing::Profile;

    use super::*;
    use crate::commands::verify::raw;

    #[track_caller]
    fn check(headers: &str, body: &str, expect: &[&str]) {
        let capture = format!("POST / HTTP/1.1\nHost: h\n{headers}\n{body}");
        let request = raw::read(capture.as_bytes()).unwrap();
        let found = hints(&request, &Profile::named("standard").unwrap().placement(), false);
        assert_eq!(found.len(), expect.len(), "{found:?}");
        for (hint, expect) in found.iter().zip(expect) {
            assert!(hint.contains(expect), "{hint}");
        }
    }

    #[test]
    fn a_line_break_that_is_not_counted() {
        let hint = ["ends in a line break that Content-Length does not count"];
        check("Content-Length: 2\n", "{}\n", &hint);
        check("Content-Length: 2\n", "{}\r\n", &hint);
        check("Content-Length: 0\n", "\n", &hint);
        for body in ["{}", "{} ", "{}\n\n", "{", "{}x"] {
            check("Content-Length: 2\n", body, &[]);
        }
        check("", "{}\n", &[]);
        check("Content-Length: 3\n", "{}\n", &[]);
    }

    #[test]
    fn what_else_is_odd() {
        check("Transfer-Encoding: chunked\n", "2\n{}\n0\n\n", &["chunked"]);
        check("Webhook-Id: a\nwebhook-id: b\n", "", &["the header webhook-id is there more than once"]);
        check("X: a\nX: b\n", "", &[]);
    }
}
