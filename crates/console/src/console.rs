use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use actix_web::{
    HttpRequest,
    middleware::from_fn,
    web::{self, Data, ServiceConfig},
};
use posthaste_client::{Client, ClientError};
use posthaste_model::Clock;
use posthaste_signing::Sealer;
use rand::rngs::StdRng;

use crate::{assets, door::Door, frame::frame, names::Remembered, pages};

/// How the pages behave.
#[derive(Debug, Clone)]
pub struct ConsoleSettings {
    /// Where the service listens whose API the pages use: their own.
    pub listen: SocketAddr,
    /// Whether cookies are for https alone, also where requests do not tell that they came by it.
    pub secure: bool,
    /// What names the service in CloudEvents, which is part of requests that are shown.
    pub source: String,
}

/// The operators' console and the subscribers' portal.
pub struct Console {
    base: String,
    /// Made when it is first needed, so that all requests share its connections.
    client: OnceLock<Client>,
    pub(crate) names: Remembered,
    secure: bool,
    pub(crate) source: String,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) clock: Clock,
    rng: Mutex<StdRng>,
}

impl Console {
    /// Pages for a service, with its `sealer` for what cookies hold, and a cryptographic generator of their own.
    pub fn new(settings: ConsoleSettings, sealer: Arc<Sealer>, clock: Clock, rng: StdRng) -> Self {
        let ConsoleSettings { listen, secure, source } = settings;
        let base = format!("http://{}", loopback(listen));
        Self {
            base,
            client: OnceLock::new(),
            names: Remembered::default(),
            secure,
            source,
            sealer,
            clock,
            rng: Mutex::new(rng),
        }
    }

    /// Adds the pages to a server.
    pub fn configure(this: &Arc<Self>, config: &mut ServiceConfig) {
        config.app_data(Data::from(Arc::clone(this)));
        for door in [Door::Console, Door::Portal] {
            let scope = web::scope(door.prefix())
                .wrap(from_fn(frame))
                .app_data(Data::new(door))
                .route("/assets/{hash}/{name}", web::get().to(assets::serve))
                .configure(|config| pages::routes(door, config))
                .default_service(web::to(pages::nowhere));
            config.service(scope);
        }
    }

    /// The API, for the key of somebody.
    pub(crate) fn client(&self, key: &str) -> Result<Client, ClientError> {
        let client = match self.client.get() {
            Some(client) => client,
            None => {
                let made = Client::new(&self.base, "")?;
                self.client.get_or_init(|| made)
            }
        };
        client.with_key(key)
    }

    /// Whether a browser came by https, as the proxy before us says, or is known to.
    pub(crate) fn is_secure(&self, request: &HttpRequest) -> bool {
        self.secure || request.connection_info().scheme() == "https"
    }

    /// Draws from the generator.
    pub(crate) fn with_rng<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where to reach a listener from within: one that listens everywhere listens on loopback, too.
fn loopback(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_reached_from_within() {
        for (listen, expect) in [
            ("127.0.0.1:7678", "127.0.0.1:7678"),
            ("0.0.0.0:7678", "127.0.0.1:7678"),
            ("[::]:7678", "[::1]:7678"),
            ("10.1.2.3:80", "10.1.2.3:80"),
        ] {
            assert_eq!(loopback(listen.parse().unwrap()).to_string(), expect);
        }
    }
}
