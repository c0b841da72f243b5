//! The topics of Posthaste's own events, by which operators are told what happens.

/// An endpoint fails, and will be disabled if it goes on so.
pub const ENDPOINT_FAILING: &str = "endpoint.failing";
/// An endpoint was disabled.
pub const ENDPOINT_DISABLED: &str = "endpoint.disabled";
/// An endpoint that had failed works again.
pub const ENDPOINT_RECOVERED: &str = "endpoint.recovered";
/// A delivery has used up its attempts.
pub const DELIVERY_EXHAUSTED: &str = "delivery.exhausted";

/// All of them.
pub const TOPICS: [&str; 4] = [ENDPOINT_FAILING, ENDPOINT_DISABLED, ENDPOINT_RECOVERED, DELIVERY_EXHAUSTED];
