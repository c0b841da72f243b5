use std::error::Error;

use http::HeaderMap;
use svix::webhooks::Webhook;

pub(crate) fn verify(body: &[u8], headers: &HeaderMap, secret: &str) -> Result<(), Box<dyn Error>> {
    Ok(Webhook::new(secret)?.verify(body, headers)?)
}
