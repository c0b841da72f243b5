//! What is known of a dial beyond what the HTTP client tells those it calls on the way.

use std::cell::Cell;

use crate::TargetUrl;

tokio::task_local! {
    /// What the current task dials. The client tells its resolver a name only, and never on another task than the one
    /// that sends; without the port and the scheme an address cannot be judged.
    static DIAL: Dial;
}

struct Dial {
    address: Address,
    /// Whether the receiver asked who we are.
    asked: Cell<bool>,
}

/// What decides about an address besides the address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address {
    pub(crate) port: u16,
    pub(crate) plain: bool,
}

/// Runs `exchange`, whose dials go to `target`.
pub(crate) async fn dialling<F: Future>(target: &TargetUrl, exchange: F) -> F::Output {
    let address = Address { port: target.port(), plain: target.is_plain() };
    DIAL.scope(Dial { address, asked: Cell::new(false) }, exchange).await
}

/// Where the current task dials; none: nowhere.
pub(crate) fn address() -> Option<Address> {
    DIAL.try_with(|dial| dial.address).ok()
}

/// Notes that the receiver asks who we are.
pub(crate) fn note_asked() {
    // A dial that nobody waits for any more goes on elsewhere, and tells nobody.
    let _ = DIAL.try_with(|dial| dial.asked.set(true));
}

/// Whether the receiver asked who we are, when it was dialled for this exchange.
pub(crate) fn was_asked() -> bool {
    DIAL.try_with(|dial| dial.asked.get()).unwrap_or_default()
}
