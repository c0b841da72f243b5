use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Certificate, Client, Proxy, redirect, retry};
use tokio::time::Instant;

use crate::vetting::Vetting;
use crate::{EgressError, TransportSettings};

/// The HTTP client and its connections, which are replaced as a whole when their lifetime is over.
///
/// reqwest bounds how long a connection is idle, not how long it is used; an address judged once would stay good for as
/// long as there is traffic.
pub(crate) struct Pool {
    recipe: Recipe,
    lifetime: Duration,
    current: Mutex<(Client, Instant)>,
}

/// All that is needed to build a client.
struct Recipe {
    settings: TransportSettings,
    extra_roots: Vec<Certificate>,
    proxy: Option<Proxy>,
    resolver: Arc<Vetting>,
}

impl Pool {
    pub(crate) fn new(settings: TransportSettings, resolver: Vetting) -> Result<Self, EgressError> {
        // reqwest takes its TLS provider from the process unless it gets a whole TLS configuration, which would have to
        // find the platform's root certificates by itself. An error means that there is a provider already: as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let extra_roots =
            Certificate::from_pem_bundle(&settings.extra_roots).map_err(EgressError::ExtraRoots)?;
        if extra_roots.is_empty() && !settings.extra_roots.is_empty() {
            return Err(EgressError::NoExtraRoots);
        }
        let recipe = Recipe {
            extra_roots,
            proxy: settings.proxy.clone().map(Proxy::all).transpose().map_err(EgressError::Proxy)?,
            resolver: Arc::new(resolver),
            settings,
        };
        let current = Mutex::new((recipe.client()?, Instant::now()));
        Ok(Self { lifetime: recipe.settings.connection_lifetime, recipe, current })
    }

    /// The client to send with now.
    pub(crate) fn client(&self) -> Result<Client, EgressError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let (client, born) = &mut *current;
        if born.elapsed() >= self.lifetime {
            // Exchanges under way keep the old client, and its connections go with the last of them.
            *client = self.recipe.client()?;
            *born = Instant::now();
        }
        Ok(client.clone())
    }
}

impl Recipe {
    fn client(&self) -> Result<Client, EgressError> {
        let settings = &self.settings;
        let builder = Client::builder()
            .user_agent(&settings.user_agent)
            .http1_only()
            .redirect(redirect::Policy::none())
            .referer(false)
            .retry(retry::never())
            .tcp_nodelay(true)
            .connect_timeout(settings.connect_timeout)
            .pool_idle_timeout(settings.idle_timeout)
            .pool_max_idle_per_host(settings.idle_per_host)
            .tls_certs_merge(self.extra_roots.iter().cloned())
            .no_proxy();
        let builder = match &self.proxy {
            // The proxy's own name is the operator's word, and not for the guard to judge.
            Some(proxy) => builder.proxy(proxy.clone()),
            None => builder.dns_resolver(self.resolver.clone()),
        };
        builder.build().map_err(EgressError::Client)
    }
}
