//! One file for each kind of page. Each asks the API, and fills a template.

mod audit;
mod deliveries;
mod delivery;
mod endpoint;
mod endpoint_form;
mod endpoints;
mod entrance;
mod events;
#[cfg(test)]
mod example;
mod figures;
mod health;
mod keys;
mod overview;
mod payload;
mod replays;
mod rows;
mod settings;
mod tenants;
mod topics;

use std::str::FromStr;

use actix_web::{
    HttpResponse,
    web::{self, ServiceConfig, get, post},
};

use crate::{door::Door, fault::Fault, visitor::Visitor};

/// Every page of a door. A tenant's people have no pages for what the API does not give them.
pub(crate) fn routes(door: Door, config: &mut ServiceConfig) {
    config
        .route("/sign-in", get().to(entrance::show))
        .route("/sign-in", post().to(entrance::sign_in))
        .route("/sign-out", post().to(entrance::sign_out))
        .route("/deliveries", get().to(deliveries::show))
        .route("/live", get().to(deliveries::live))
        .route("/events", get().to(events::list))
        .route("/endpoints", get().to(endpoints::list))
        .route("/tenants/{tenant}/events/{event}", get().to(events::show))
        .route("/tenants/{tenant}/events/{event}/payload", get().to(events::payload))
        .route("/tenants/{tenant}/deliveries/{delivery}", get().to(delivery::show))
        .route("/tenants/{tenant}/deliveries/{delivery}/body", get().to(delivery::body))
        .route("/tenants/{tenant}/deliveries/{delivery}/retry", post().to(delivery::retry))
        .route("/tenants/{tenant}/deliveries/{delivery}/replay", post().to(delivery::replay))
        .route("/tenants/{tenant}/endpoints/new", get().to(endpoint_form::begin))
        .route("/tenants/{tenant}/endpoints/new", post().to(endpoint_form::create))
        .route("/tenants/{tenant}/endpoints/{endpoint}", get().to(endpoint::show))
        .route("/tenants/{tenant}/endpoints/{endpoint}/edit", get().to(endpoint_form::edit))
        .route("/tenants/{tenant}/endpoints/{endpoint}/edit", post().to(endpoint_form::change))
        .route("/tenants/{tenant}/endpoints/{endpoint}/set", post().to(endpoint::set))
        .route("/tenants/{tenant}/endpoints/{endpoint}/verify", post().to(endpoint::verify))
        .route("/tenants/{tenant}/endpoints/{endpoint}/test", post().to(endpoint::test))
        .route("/tenants/{tenant}/endpoints/{endpoint}/secret", post().to(endpoint::reveal))
        .route("/tenants/{tenant}/endpoints/{endpoint}/rotate", post().to(endpoint::rotate))
        .route("/tenants/{tenant}/endpoints/{endpoint}/recover", post().to(replays::recover))
        .route("/tenants/{tenant}/endpoints/{endpoint}/delete", post().to(endpoint::delete))
        .route("/tenants/{tenant}/replays/{replay}", get().to(replays::show));
    match door {
        Door::Portal => {
            config
                .route("", get().to(entrance::enter))
                .route("/", get().to(entrance::enter))
                .route("", post().to(entrance::change_over));
        }
        Door::Console => {
            config
                .route("", get().to(overview::show))
                .route("/", get().to(overview::show))
                .route("/tenants/{tenant}/deliveries/{delivery}/cancel", post().to(delivery::cancel))
                .route("/tenants/{tenant}/events/{event}/send", post().to(events::send))
                .route("/tenants", get().to(tenants::list))
                .route("/tenants", post().to(tenants::put))
                .route("/tenants/{tenant}", get().to(tenants::show))
                .route("/tenants/{tenant}/portal-link", post().to(tenants::link))
                .route("/topics", get().to(topics::list))
                .route("/topics", post().to(topics::put))
                .route("/keys", get().to(keys::list))
                .route("/keys", post().to(keys::create))
                .route("/keys/{key}/delete", post().to(keys::delete))
                .route("/audit", get().to(audit::list))
                .route("/replays", get().to(replays::list))
                .route("/replays/new", get().to(replays::confirm))
                .route("/replays/new", post().to(replays::begin))
                .route("/tenants/{tenant}/replays/{replay}/cancel", post().to(replays::cancel));
        }
    }
}

/// Says that there is no such page.
pub(crate) async fn nowhere(_: Visitor) -> Result<HttpResponse, Fault> {
    Err(Fault::Nowhere)
}

/// An id in a path. One that cannot be is of nothing that exists.
fn id<T: FromStr>(text: &str) -> Result<T, Fault> {
    text.parse().map_err(|_| Fault::Nowhere)
}

/// The ids of two in a path.
fn both<A: FromStr, B: FromStr>(path: &web::Path<(String, String)>) -> Result<(A, B), Fault> {
    Ok((id(&path.0)?, id(&path.1)?))
}
