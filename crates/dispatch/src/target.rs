use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, Entry, USER_AGENT},
};
use posthaste_egress::{
    ClientIdentity, Guard, InvalidCertificates, InvalidIdentity, InvalidTarget, Method, TargetUrl,
    TlsIdentity, TrustedRoots,
};
use posthaste_model::{
    self as model, Auth, BodyFormat, Credentials, Endpoint, EndpointId, EndpointSecret, Timestamp, Wire,
};
use posthaste_signing::{InvalidProfile, KeyError, Profile, SealError, Sealer, SignError, Signer, Zeroizing};

use crate::{DispatchSettings, WireSettings, token::Tokens};

/// The signature profile of endpoints that name none.
const STANDARD: &str = "standard";
/// How many endpoints are kept ready. Beyond that the memory is emptied, and fills again as needed.
const AT_HAND: usize = 10_000;

/// What the attempts of one endpoint have in common.
pub(crate) struct Target {
    version: u64,
    /// When a secret's overlap ends and the target is to be made anew.
    good_until: Option<Timestamp>,
    pub(crate) url: TargetUrl,
    pub(crate) method: Method,
    pub(crate) format: BodyFormat,
    /// Those that the endpoint asked for, and those that show the receiver who we are.
    pub(crate) headers: HeaderMap,
    pub(crate) metadata_headers: bool,
    pub(crate) identity: Option<Arc<TlsIdentity>>,
    /// What `Authorization` says in another form: it must not be read in an answer either.
    pub(crate) password: Option<Zeroizing<String>>,
    /// None: what shows the receiver who we are is among the headers, or nothing is asked for.
    pub(crate) tokens: Option<Tokens>,
    pub(crate) signer: Signer,
    /// The names of the service's own headers that tell the topic, and the number of the attempt.
    pub(crate) own_names: [HeaderName; 2],
    /// The names of the headers that the signer gives, in its order.
    pub(crate) signature_names: Vec<HeaderName>,
    pub(crate) timeout: Duration,
}

/// Why an endpoint cannot be sent to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    /// The URL is not, or no longer, allowed.
    #[error(transparent)]
    Forbidden(#[from] InvalidTarget),
    /// It has not given its handshake.
    #[error("the endpoint is not verified: until it is, nothing but its handshake is sent to it")]
    Unverified,
    /// It was asked for its handshake so long ago that nobody waits for the answer.
    #[error("nobody waits for this handshake any more")]
    Overdue,
    /// Its secret, or its credentials, cannot be opened: a fault of ours.
    #[error("the endpoint's secrets cannot be opened")]
    Sealed(#[from] SealError),
    /// What was sealed are no credentials: a fault of ours. What is wrong with them is left out: it may quote a secret.
    #[error("the endpoint's credentials are damaged")]
    Credentials,
    /// A value that it needs is not among its credentials: a fault of ours.
    #[error("the endpoint's {0} is missing")]
    Missing(&'static str),
    /// Its signature profile cannot be read: a fault of ours.
    #[error("the endpoint's signature profile is damaged")]
    Profile(#[from] InvalidProfile),
    /// Its secrets do not suit its signature profile: a fault of ours.
    #[error("the endpoint's secrets do not suit its signature profile")]
    Key(#[from] KeyError),
    /// The event cannot be signed in its format: a fault of ours.
    #[error("the event cannot be signed in the endpoint's format")]
    Sign(#[from] SignError),
    /// Its certificate or key cannot be read: a fault of ours.
    #[error("the endpoint's client certificate is damaged")]
    Certificate(#[from] InvalidIdentity),
    /// The certificates that it trusts cannot be read: a fault of ours.
    #[error("the endpoint's CA certificates are damaged")]
    Roots(#[from] InvalidCertificates),
}

/// Endpoints that are ready to be sent to.
pub(crate) struct Targets {
    guard: Guard,
    sealer: Arc<Sealer>,
    ready: Mutex<HashMap<EndpointId, Arc<Target>>>,
}

impl Targets {
    pub(crate) fn new(guard: Guard, sealer: Arc<Sealer>) -> Self {
        Self { guard, sealer, ready: Mutex::default() }
    }

    pub(crate) fn get(
        &self,
        endpoint: &Endpoint,
        now: Timestamp,
        settings: &DispatchSettings,
    ) -> Result<Arc<Target>, Unusable> {
        let ready = || self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        let is_good = |target: &&Arc<Target>| {
            target.version == endpoint.version && target.good_until.is_none_or(|end| now < end)
        };
        if let Some(target) = ready().get(&endpoint.id).filter(is_good) {
            return Ok(Arc::clone(target));
        }
        let target = Arc::new(self.make(endpoint, now, settings)?);
        let mut ready = ready();
        // Several attempts may have made it at once: all take the first, and share its token.
        if let Some(first) = ready.get(&endpoint.id).filter(is_good) {
            return Ok(Arc::clone(first));
        }
        if ready.len() >= AT_HAND {
            ready.clear();
        }
        ready.insert(endpoint.id, Arc::clone(&target));
        Ok(target)
    }

    fn make(
        &self,
        endpoint: &Endpoint,
        now: Timestamp,
        settings: &DispatchSettings,
    ) -> Result<Target, Unusable> {
        let Wire { method, format, signature, metadata_headers, .. } = &endpoint.wire;
        let profile = match signature {
            Some(profile) => Profile::parse(&profile.to_string())?,
            None => Profile::named(STANDARD)?,
        };
        let record = EndpointSecret::record(endpoint.id);
        let secrets = endpoint
            .live_secrets(now)
            .map(|secret| self.sealer.open_secret(&secret.sealed.0, record.as_bytes()))
            .collect::<Result<Vec<_>, _>>()?;
        let credentials = self.credentials(endpoint)?;
        let signer = Signer::new(&profile, &secrets)?;
        let names = signer.header_names().map(HeaderName::try_from);
        Ok(Target {
            version: endpoint.version,
            good_until: endpoint.live_secrets(now).filter_map(|secret| secret.expires_at).min(),
            url: TargetUrl::parse(&endpoint.url, &self.guard)?,
            method: match method {
                model::Method::Post => Method::Post,
                model::Method::Put => Method::Put,
            },
            format: *format,
            headers: headers(&endpoint.wire, &credentials, &settings.wire.user_agent)?,
            metadata_headers: *metadata_headers,
            identity: identity(&endpoint.wire, &credentials)?,
            password: match endpoint.wire.auth {
                Some(Auth::Basic { .. }) => credentials.auth.clone().map(Zeroizing::new),
                _ => None,
            },
            tokens: self.tokens(&endpoint.wire, &credentials)?,
            own_names: own_names(&settings.wire)?,
            signature_names: names
                .collect::<Result<_, _>>()
                .map_err(|_| Unusable::Missing("signature header"))?,
            signer,
            timeout: endpoint.timeout.map_or(settings.timeout, |timeout| timeout.0),
        })
    }

    fn tokens(&self, wire: &Wire, credentials: &Credentials) -> Result<Option<Tokens>, Unusable> {
        let Some(Auth::OAuth2 { token_url, client_id, scope, audience }) = &wire.auth else {
            return Ok(None);
        };
        let secret = credentials.auth.as_deref().ok_or(Unusable::Missing("client secret"))?;
        let url = TargetUrl::parse(token_url, &self.guard)?;
        let tokens = Tokens::new(url, (client_id, secret), scope.as_deref(), audience.as_deref());
        tokens.map(Some).ok_or(Unusable::Missing("client secret"))
    }

    fn credentials(&self, endpoint: &Endpoint) -> Result<Credentials, Unusable> {
        let Some(sealed) = &endpoint.credentials else { return Ok(Credentials::default()) };
        let opened = self.sealer.open(&sealed.0, Credentials::record(endpoint.id).as_bytes())?;
        serde_json::from_slice(&opened).map_err(|_| Unusable::Credentials)
    }
}

fn own_names(settings: &WireSettings) -> Result<[HeaderName; 2], Unusable> {
    let name = |of: &str| {
        let name = HeaderName::try_from(format!("{}-{of}", settings.header_prefix));
        name.map_err(|_| Unusable::Missing("header"))
    };
    Ok([name("Topic")?, name("Attempt")?])
}

/// The headers that an endpoint asked for, and those that show it who we are.
fn headers(wire: &Wire, credentials: &Credentials, user_agent: &str) -> Result<HeaderMap, Unusable> {
    let mut headers = HeaderMap::new();
    for (name, value) in &wire.headers {
        let (text, secret) = match value {
            Some(text) => (text, false),
            None => (credentials.headers.get(name).ok_or(Unusable::Missing("secret header"))?, true),
        };
        let (Ok(name), Ok(mut value)) = (HeaderName::try_from(name), HeaderValue::from_str(text)) else {
            return Err(Unusable::Missing("header"));
        };
        value.set_sensitive(secret);
        headers.append(name, value);
    }
    if let Some(authorization) = authorization(wire, credentials)? {
        headers.insert(AUTHORIZATION, authorization);
    }
    if let (Entry::Vacant(free), Ok(agent)) = (headers.entry(USER_AGENT), HeaderValue::from_str(user_agent)) {
        free.insert(agent);
    }
    Ok(headers)
}

/// What `Authorization` says; none: nothing, or what is not known yet.
fn authorization(wire: &Wire, credentials: &Credentials) -> Result<Option<HeaderValue>, Unusable> {
    let secret = || credentials.auth.as_deref().ok_or(Unusable::Missing("token or password"));
    let text = match &wire.auth {
        None | Some(Auth::OAuth2 { .. }) => return Ok(None),
        Some(Auth::Bearer) => Zeroizing::new(format!("Bearer {}", secret()?)),
        Some(Auth::Basic { username }) => {
            let pair = Zeroizing::new(format!("{username}:{}", secret()?));
            Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(&*pair)))
        }
    };
    let mut value = HeaderValue::from_str(&text).map_err(|_| Unusable::Missing("token or password"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn identity(wire: &Wire, credentials: &Credentials) -> Result<Option<Arc<TlsIdentity>>, Unusable> {
    let client = wire.certificate.as_deref().map(|certificate| {
        let key = credentials.private_key.as_deref().ok_or(Unusable::Missing("private key"))?;
        Ok::<_, Unusable>(ClientIdentity::from_pem(certificate, key)?)
    });
    let roots = wire.roots.as_deref().map(TrustedRoots::from_pem).transpose()?;
    Ok(TlsIdentity::new(client.transpose()?, roots).map(Arc::new))
}
