use std::{error::Error, time::SystemTime};

use http::HeaderMap;
use posthaste_signing::{Credential, DEFAULT_TOLERANCE, Profile, Received, Verifier};

const PROFILE: &str = r#"{"profile": "standard", "versions": ["v1a"]}"#;

// `key`: a secret, or a public key as here.
pub(crate) fn verify(body: &[u8], headers: &HeaderMap, key: &str) -> Result<(), Box<dyn Error>> {
    let key: Credential = key.parse()?;
    let verifier = Verifier::new(&Profile::parse(PROFILE)?, [&key])?;
    let header = |name: &str| headers.get(name)?.to_str().ok();
    // Some profiles sign the URL: have it as it was registered.
    let received = Received { method: "POST", url: "https://example.com/hooks", body };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    Ok(verifier.verify(header, &received, now.try_into()?, DEFAULT_TOLERANCE)?)
}
