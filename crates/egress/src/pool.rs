use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::{Client, Proxy, redirect, retry};
use tower::util::MapFutureLayer;

use crate::clients::Clients;
use crate::tls::Handshakes;
use crate::vetting::Vetting;
use crate::{EgressError, TlsIdentity, TransportSettings, dial};

/// The HTTP clients and their connections, which are replaced as a whole when their lifetime is over.
///
/// reqwest bounds how long a connection is idle, not how long it is used; an address judged once would stay good for as
/// long as there is traffic. And it hands connections out by host alone, so each TLS identity has to have a client: what
/// was said under one would otherwise be believed of another.
pub(crate) struct Pool {
    recipe: Recipe,
    clients: Mutex<Clients<Arc<TlsIdentity>, Client>>,
}

/// All that is needed to build a client.
struct Recipe {
    settings: TransportSettings,
    handshakes: Handshakes,
    proxy: Option<Proxy>,
    resolver: Arc<Vetting>,
}

impl Pool {
    pub(crate) fn new(settings: TransportSettings, resolver: Vetting) -> Result<Self, EgressError> {
        let recipe = Recipe {
            handshakes: Handshakes::new(&settings.extra_roots, settings.connection_lifetime)?,
            proxy: settings.proxy.clone().map(Proxy::all).transpose().map_err(EgressError::Proxy)?,
            resolver: Arc::new(resolver),
            settings,
        };
        let clients = Clients::new(recipe.settings.connection_lifetime, recipe.settings.identities);
        let pool = Self { recipe, clients: Mutex::new(clients) };
        // What cannot work is known at once.
        pool.client(None)?;
        Ok(pool)
    }

    /// The client to send with now under `identity`.
    pub(crate) fn client(&self, identity: Option<&Arc<TlsIdentity>>) -> Result<Client, EgressError> {
        let at_hand = self.clients().get(identity);
        if let Some(client) = at_hand {
            return Ok(client);
        }
        // Built while the others send on: it may read the root certificates from disk.
        let client = self.recipe.client(identity.map(Arc::as_ref))?;
        Ok(self.clients().keep(identity, client))
    }

    fn clients(&self) -> MutexGuard<'_, Clients<Arc<TlsIdentity>, Client>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recipe {
    fn client(&self, identity: Option<&TlsIdentity>) -> Result<Client, EgressError> {
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
            .connector_layer(MapFutureLayer::new(dial::connecting))
            .tls_backend_preconfigured(self.handshakes.config(identity)?)
            .no_proxy();
        let builder = match &self.proxy {
            // The proxy's own name is the operator's word, and not for the guard to judge.
            Some(proxy) => builder.proxy(proxy.clone()),
            None => builder.dns_resolver(self.resolver.clone()),
        };
        builder.build().map_err(EgressError::Client)
    }
}
