//! What is known of a dial beyond what the HTTP client tells those it calls on the way.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

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
    steps: Cell<Steps>,
}

/// What decides about an address besides the address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address {
    pub(crate) port: u16,
    pub(crate) plain: bool,
}

impl Address {
    pub(crate) fn of(target: &TargetUrl) -> Self {
        Self { port: target.port(), plain: target.is_plain() }
    }
}

/// When the steps of a dial were made; none: they were not.
#[derive(Debug, Clone, Copy, Default)]
struct Steps {
    begun: Option<Instant>,
    /// How long the name took, and when it was resolved, or could not be.
    resolved: Option<(Duration, Instant)>,
    handshake: Option<Instant>,
    connected: Option<Instant>,
}

/// How long the steps of a dial took; none: they were not made, or not to their end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) dns: Option<Duration>,
    pub(crate) connect: Option<Duration>,
    pub(crate) tls: Option<Duration>,
}

/// Runs `exchange`, whose dials go to `address`.
pub(crate) async fn dialling<F: Future>(address: Address, exchange: F) -> F::Output {
    DIAL.scope(Dial { address, asked: Cell::default(), steps: Cell::default() }, exchange).await
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

/// Notes how long it took until the name was resolved, or could not be.
pub(crate) fn note_resolved(took: Duration) {
    note(|steps, now| steps.resolved = Some((took, now)));
}

/// Notes that a TLS handshake begins. Through an https proxy there are two, of which the receiver's is the last.
pub(crate) fn note_handshake() {
    note(|steps, now| steps.handshake = Some(now));
}

/// Watches the making of a connection from its beginning to its end.
pub(crate) async fn connecting<C, E>(making: impl Future<Output = Result<C, E>>) -> Result<C, E> {
    note(|steps, now| *steps = Steps { begun: Some(now), ..Steps::default() });
    let made = making.await;
    if made.is_ok() {
        note(|steps, now| steps.connected = Some(now));
    }
    made
}

/// How long the steps of this exchange's dial took. `answered`: the receiver has answered, so that there is a connection.
pub(crate) fn taken(answered: bool) -> Taken {
    let steps = DIAL.try_with(|dial| dial.steps.get()).unwrap_or_default();
    // Another exchange was over while this one dialled, and left it its connection.
    let other = answered && steps.connected.is_none();
    if other { Taken::default() } else { steps.taken() }
}

impl Steps {
    fn taken(self) -> Taken {
        let Self { begun, resolved, handshake, connected } = self;
        let dialled = resolved.map(|(_, at)| at).or(begun);
        let between = |from: Option<Instant>, to: Option<Instant>| Some(to?.duration_since(from?));
        Taken {
            dns: resolved.map(|(took, _)| took),
            connect: between(dialled, handshake.or(connected)),
            tls: between(handshake, connected),
        }
    }
}

fn note(change: impl FnOnce(&mut Steps, Instant)) {
    let _ = DIAL.try_with(|dial| {
        let mut steps = dial.steps.get();
        change(&mut steps, Instant::now());
        dial.steps.set(steps);
    });
}
