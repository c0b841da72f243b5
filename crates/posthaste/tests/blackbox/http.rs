//! Requests that no well-behaved client would send.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
};

use serde_json::Value;

use crate::service::KEY;

/// An answer of the API.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// In lower case.
    pub(crate) head: String,
    /// The same as it was written.
    pub(crate) raw_head: String,
    pub(crate) body: Value,
    /// The body where it is no JSON.
    pub(crate) text: String,
}

/// Sends one request, byte for byte.
pub(crate) fn send(
    address: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let mut stream = TcpStream::connect(address).expect("the service listens");
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    stream.write_all(request.as_bytes()).expect("the head is sent");
    // A body that is too large is refused before it is read to its end.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).expect("the answer is text");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
    let body_json = serde_json::from_str(body).unwrap_or(Value::Null);
    let (raw_head, text) = (head.to_owned(), body.to_owned());
    Answer { status, head: head.to_ascii_lowercase(), raw_head, body: body_json, text }
}

/// Sends JSON with the admin key.
pub(crate) fn json(address: SocketAddr, method: &str, target: &str, body: &str) -> Answer {
    let key = format!("Bearer {KEY}");
    let headers = [("Authorization", key.as_str()), ("Content-Type", "application/json")];
    send(address, method, target, &headers, body.as_bytes())
}
