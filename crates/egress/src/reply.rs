use http::HeaderMap;
use posthaste_model::Reply;
use reqwest::Response;
use tokio::time::{Instant, timeout_at};

use crate::TransportSettings;

/// The headers that the service heeds, and the one that says how to read the body: they are kept before any others.
const FIRST: [&str; 4] = ["retry-after", "webhook-allowed-origin", "webhook-allowed-rate", "content-type"];

/// Reads as much of an answer as is kept. Dropping the rest closes its connection.
///
/// A success has to be complete before the deadline. Any other status says what it says as soon as it is there: whatever
/// then happens to its body only cuts it short.
pub(crate) async fn read(
    mut response: Response,
    settings: &TransportSettings,
    deadline: Instant,
) -> reqwest::Result<Reply> {
    let status = response.status();
    let headers = kept(response.headers(), settings.header_limit);
    let mut body = Vec::new();
    let read = timeout_at(deadline, read_body(&mut response, &mut body, settings.body_limit)).await;
    let truncated = match read {
        Ok(Ok(truncated)) => truncated,
        Ok(Err(error)) if status.is_success() => return Err(error),
        // The caller's deadline is the same, and ends a success that is not complete.
        Err(_) if status.is_success() => std::future::pending().await,
        Ok(Err(_)) | Err(_) => true,
    };
    Ok(Reply { status: status.as_u16(), headers, body: body.into(), truncated })
}

/// Reads the body into `body` up to `limit` bytes; says whether there was more.
async fn read_body(response: &mut Response, body: &mut Vec<u8>, limit: usize) -> reqwest::Result<bool> {
    while let Some(chunk) = response.chunk().await? {
        let room = limit - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The headers for which there is room. One that is too long takes none from those behind it.
fn kept(headers: &HeaderMap, mut room: usize) -> Vec<(String, String)> {
    let in_turn = |first| headers.iter().filter(move |(name, _)| FIRST.contains(&name.as_str()) == first);
    in_turn(true)
        .chain(in_turn(false))
        .filter_map(|(name, value)| {
            room = room.checked_sub(name.as_str().len() + value.len())?;
            Some((name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        })
        .collect()
}
