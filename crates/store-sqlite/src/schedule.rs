//! Whose turn it is.
//!
//! Each endpoint with scheduled deliveries has a queue in the tables, ordered by due time. This is the memory beside
//! those queues: which endpoint's head is due, what keeps an endpoint back, in which order the endpoints take turns, and
//! how far each queue has been leased, so that a lease never reads what it read before. All of it can be rebuilt from the
//! tables, but for what the owner throttles ([`crate::throttles`]).

use std::collections::{BTreeSet, HashMap};

use posthaste_model::TenantId;

use crate::{
    key::DeliveryKey,
    line::{End, Line, Ticket, Waiting},
};

/// A place in an endpoint's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) due_at: i64,
    pub(crate) key: DeliveryKey,
}

impl Place {
    const START: Self = Self { due_at: i64::MIN, key: DeliveryKey { seq: i64::MIN, n: 0 } };
}

/// Endpoints and times are the numbers of the tables: `endpoint_no`, Unix milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    queues: HashMap<i64, Queue>,
    /// Endpoints whose turn comes later, by when.
    waiting: BTreeSet<(i64, i64)>,
    /// Endpoints that are due, and the tenants of those that are set aside.
    line: Line,
}

#[derive(Debug)]
struct Queue {
    /// What lies up to here was leased, settled, or never there.
    read_to: Place,
    /// When the first delivery after `read_to` is due; none: there is none. It may turn out to be due later.
    head: Option<i64>,
    /// No turn before then, because of what the endpoint is or asked for.
    hold_until: i64,
    /// No turn before then, because the owner says so.
    throttled_until: i64,
    /// Whom the others of an ordered endpoint wait for, and until when.
    waits_for: Option<(Place, i64)>,
    /// One of an ordered endpoint is in flight: no turn until that is over.
    busy: bool,
    position: Position,
}

impl Queue {
    /// When the next turn can be; none: time alone does not bring one.
    fn ready_at(&self) -> Option<i64> {
        let head = self.head.filter(|_| !self.busy)?;
        let waits_until = self.waits_for.map_or(i64::MIN, |(_, until)| until);
        let at = head.max(self.hold_until).max(self.throttled_until).max(waits_until);
        (at != FOR_EVER).then_some(at)
    }

    fn is_in_line(&self) -> bool {
        matches!(self.position, Position::InLine(_))
    }
}

#[derive(Debug)]
enum Position {
    Idle,
    Waiting { at: i64 },
    InLine(Ticket),
}

/// Who comes up in line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// One that stands there itself.
    Turn(Begun),
    /// One that has endpoints set aside.
    Tenant(TenantId),
}

/// The turn of an endpoint. [`Schedule::end_turn`] or [`Schedule::set_aside`] must follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Begun {
    pub(crate) endpoint: i64,
    /// Where its queue goes on.
    pub(crate) read_to: Place,
}

/// The hold of an endpoint that gets no turn at all.
pub(crate) const FOR_EVER: i64 = i64::MAX;

impl Schedule {
    /// A delivery is scheduled, anew or again, and due at its place.
    pub(crate) fn add(&mut self, endpoint: i64, place: Place) {
        self.add_due(endpoint, place, place.due_at);
    }

    /// A delivery is scheduled, anew or again.
    pub(crate) fn add_due(&mut self, endpoint: i64, place: Place, due_at: i64) {
        let queue = self.queue(endpoint);
        if place <= queue.read_to {
            queue.read_to = Place { due_at: place.due_at, key: DeliveryKey { seq: i64::MIN, n: 0 } };
        }
        queue.head = Some(queue.head.map_or(due_at, |head| head.min(due_at)));
        queue.waits_for.take_if(|(head, _)| place < *head);
        // Whoever is in line keeps the place.
        if !queue.is_in_line() {
            self.position(endpoint);
        }
    }

    /// The endpoint gets no turn before `until`.
    pub(crate) fn hold(&mut self, endpoint: i64, until: i64) {
        let queue = self.queue(endpoint);
        if queue.hold_until != until {
            queue.hold_until = until;
            self.position(endpoint);
        }
    }

    /// The owner lets the endpoint have no turn before `until`. Who is in line, and may have a turn, keeps the place.
    pub(crate) fn throttle(&mut self, endpoint: i64, until: i64, now: i64) {
        let queue = self.queue(endpoint);
        queue.throttled_until = until;
        if !queue.is_in_line() || until > now {
            self.position(endpoint);
        }
    }

    /// One of an ordered endpoint is in flight: no turn until [`Self::free`].
    pub(crate) fn occupy(&mut self, endpoint: i64) {
        self.queue(endpoint).busy = true;
        self.position(endpoint);
    }

    /// Nothing of the endpoint is in flight; says whether its queue waited for that.
    pub(crate) fn free(&mut self, endpoint: i64) -> bool {
        let waited = self.queues.get_mut(&endpoint).is_some_and(|queue| std::mem::take(&mut queue.busy));
        if waited {
            self.position(endpoint);
        }
        waited
    }

    /// Nothing is scheduled for the endpoint any more.
    pub(crate) fn clear(&mut self, endpoint: i64) {
        self.restart(endpoint, None, i64::MIN);
    }

    /// The endpoint's queue is another one, whose first is due at `head`.
    pub(crate) fn restart(&mut self, endpoint: i64, head: Option<i64>, now: i64) {
        let queue = self.queue(endpoint);
        queue.read_to = Place::START;
        queue.head = head;
        queue.waits_for = None;
        // Whoever is in line keeps the place.
        if !queue.is_in_line() || queue.ready_at().is_none_or(|at| at > now) {
            self.position(endpoint);
        }
    }

    /// Puts those whose time has come behind everyone in line; says where the line ends then.
    pub(crate) fn line_up(&mut self, now: i64) -> End {
        while let Some(&(at, endpoint)) = self.waiting.first()
            && at <= now
        {
            self.waiting.pop_first();
            self.join_line(endpoint);
        }
        self.line.end()
    }

    /// Who comes up of those who stood in line at `end`. A tenant goes behind everyone.
    pub(crate) fn next(&mut self, end: End) -> Option<Next> {
        Some(match self.line.next(end)? {
            Waiting::Endpoint(endpoint) => Next::Turn(self.begin_turn(endpoint)),
            Waiting::Tenant(tenant) => Next::Tenant(tenant),
        })
    }

    /// Who comes up of those of a tenant that are set aside.
    pub(crate) fn next_aside(&mut self, tenant: &TenantId) -> Option<Begun> {
        let endpoint = self.line.next_aside(tenant)?;
        Some(self.begin_turn(endpoint))
    }

    fn begin_turn(&mut self, endpoint: i64) -> Begun {
        let queue = self.queue(endpoint);
        queue.position = Position::Idle;
        queue.waits_for = None;
        Begun { endpoint, read_to: queue.read_to }
    }

    /// An endpoint that cannot have its turn, because its tenant may have nothing, waits with those it shares that with.
    pub(crate) fn set_aside(&mut self, endpoint: i64, tenant: &TenantId) {
        let ticket = self.line.set_aside(endpoint, tenant);
        self.queue(endpoint).position = Position::InLine(ticket);
    }

    /// Whether any endpoints of a tenant are set aside.
    pub(crate) fn has_aside(&self, tenant: &TenantId) -> bool {
        self.line.has_aside(tenant)
    }

    /// The tenant goes behind everyone in line.
    pub(crate) fn go_behind(&mut self, tenant: &TenantId) {
        self.line.go_behind(tenant);
    }

    /// The first in the queue of an ordered endpoint, whose turn it is, is not due before `until`.
    pub(crate) fn wait_for(&mut self, endpoint: i64, place: Place, until: i64) {
        self.queue(endpoint).waits_for = Some((place, until));
    }

    /// The queue was read up to a place, and what follows is due at `head`.
    pub(crate) fn end_turn(&mut self, endpoint: i64, now: i64, read_to: Place, head: Option<i64>) {
        let queue = self.queue(endpoint);
        queue.read_to = read_to;
        queue.head = head;
        match queue.ready_at() {
            // Behind everyone who waits already, however long this head has been due.
            Some(at) if at <= now => self.join_line(endpoint),
            _ => self.position(endpoint),
        }
    }

    fn join_line(&mut self, endpoint: i64) {
        let ticket = self.line.join(endpoint);
        self.queue(endpoint).position = Position::InLine(ticket);
    }

    /// When the next turn can begin; none: nothing is scheduled that time alone would bring.
    pub(crate) fn next_turn(&self, now: i64) -> Option<i64> {
        if self.line.is_empty() { self.waiting.first().map(|&(at, _)| at.max(now)) } else { Some(now) }
    }

    fn queue(&mut self, endpoint: i64) -> &mut Queue {
        self.queues.entry(endpoint).or_insert(Queue {
            read_to: Place::START,
            head: None,
            hold_until: i64::MIN,
            throttled_until: i64::MIN,
            waits_for: None,
            busy: false,
            position: Position::Idle,
        })
    }

    /// Moves an endpoint to where its head and what keeps it back put it.
    fn position(&mut self, endpoint: i64) {
        let queue = self.queue(endpoint);
        let at = queue.ready_at();
        let old =
            std::mem::replace(&mut queue.position, at.map_or(Position::Idle, |at| Position::Waiting { at }));
        match old {
            Position::InLine(ticket) => self.line.leave(ticket),
            Position::Waiting { at } => {
                self.waiting.remove(&(at, endpoint));
            }
            Position::Idle => {}
        }
        if let Some(at) = at {
            self.waiting.insert((at, endpoint));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: [i64; 0] = [];

    fn place(due_at: i64, seq: i64) -> Place {
        Place { due_at, key: DeliveryKey { seq, n: 0 } }
    }

    /// The first turn of those who are due, if an endpoint comes up.
    fn first(schedule: &mut Schedule, now: i64) -> Option<(i64, Place)> {
        let end = schedule.line_up(now);
        match schedule.next(end)? {
            Next::Turn(Begun { endpoint, read_to }) => Some((endpoint, read_to)),
            Next::Tenant(_) => None,
        }
    }

    /// Takes turns until nothing is due, each reading its whole queue; answers with the order.
    fn turns(schedule: &mut Schedule, now: i64) -> Vec<i64> {
        std::iter::from_fn(|| {
            let (endpoint, _) = first(schedule, now)?;
            schedule.end_turn(endpoint, now, place(now, i64::MAX), None);
            Some(endpoint)
        })
        .collect()
    }

    /// Takes the turns of those of a tenant that are set aside likewise.
    fn turns_aside(schedule: &mut Schedule, tenant: &TenantId, now: i64) -> Vec<i64> {
        std::iter::from_fn(|| {
            let Begun { endpoint, .. } = schedule.next_aside(tenant)?;
            schedule.end_turn(endpoint, now, place(now, i64::MAX), None);
            Some(endpoint)
        })
        .collect()
    }

    #[test]
    fn turns_come_in_the_order_of_due_heads() {
        let mut schedule = Schedule::default();
        schedule.add(1, place(30, 1));
        schedule.add(2, place(10, 2));
        schedule.add(3, place(99, 3));
        assert_eq!(schedule.next_turn(0), Some(10));
        assert_eq!(turns(&mut schedule, 50), [2, 1]);
        assert_eq!(schedule.next_turn(50), Some(99));
    }

    #[test]
    fn who_has_more_goes_behind_the_others() {
        let mut schedule = Schedule::default();
        schedule.add(1, place(1, 1));
        schedule.add(2, place(2, 2));
        let (endpoint, _) = first(&mut schedule, 5).unwrap();
        assert_eq!(endpoint, 1);
        schedule.end_turn(1, 5, place(1, 1), Some(1));
        assert_eq!(turns(&mut schedule, 5), [2, 1]);
    }

    #[test]
    fn a_held_endpoint_gets_no_turn_until_its_time() {
        let mut schedule = Schedule::default();
        schedule.add(1, place(1, 1));
        schedule.hold(1, 20);
        assert_eq!(turns(&mut schedule, 19), NOBODY);
        assert_eq!(schedule.next_turn(19), Some(20));
        schedule.hold(1, FOR_EVER);
        assert_eq!(schedule.next_turn(19), None);
        schedule.hold(1, i64::MIN);
        assert_eq!(turns(&mut schedule, 19), [1]);
    }

    #[test]
    fn who_is_in_line_keeps_the_place() {
        let mut schedule = Schedule::default();
        schedule.hold(1, 3);
        for endpoint in [1, 2] {
            schedule.add(endpoint, place(endpoint, endpoint));
        }
        let (endpoint, _) = first(&mut schedule, 5).unwrap();
        assert_eq!(endpoint, 2);
        schedule.end_turn(2, 5, place(2, 2), Some(2));
        schedule.add(1, place(4, 3));
        schedule.hold(1, 3);
        assert_eq!(turns(&mut schedule, 5), [1, 2]);
    }

    #[test]
    fn what_is_added_behind_the_reading_place_pulls_it_back() {
        let mut schedule = Schedule::default();
        schedule.add(1, place(10, 5));
        let (_, from) = first(&mut schedule, 10).unwrap();
        assert!(from < place(10, 5));
        schedule.end_turn(1, 10, place(10, 5), None);
        schedule.add(1, place(10, 3));
        let (_, from) = first(&mut schedule, 10).unwrap();
        assert!(from < place(10, 3));
    }

    #[test]
    fn a_throttle_and_a_hold_both_count() {
        let mut schedule = Schedule::default();
        schedule.add(1, place(1, 1));
        schedule.hold(1, 10);
        schedule.throttle(1, 20, 5);
        assert_eq!(schedule.next_turn(5), Some(20));
        schedule.throttle(1, i64::MIN, 5);
        assert_eq!(schedule.next_turn(5), Some(10));
    }

    #[test]
    fn a_throttle_that_is_lifted_costs_no_place_in_line() {
        let mut schedule = Schedule::default();
        for endpoint in [1, 2] {
            schedule.add(endpoint, place(endpoint, endpoint));
        }
        schedule.line_up(5);
        schedule.throttle(1, 4, 5);
        assert_eq!(turns(&mut schedule, 5), [1, 2]);
    }

    #[test]
    fn a_busy_endpoint_gets_no_turn() {
        let mut schedule = Schedule::default();
        schedule.add(1, place(1, 1));
        schedule.occupy(1);
        schedule.add(1, place(2, 2));
        assert_eq!(turns(&mut schedule, 5), NOBODY);
        assert_eq!(schedule.next_turn(5), None);
        assert!(schedule.free(1));
        assert!(!schedule.free(1));
        assert_eq!(turns(&mut schedule, 5), [1]);
    }

    /// The first of endpoint 1 turned out not to be due before 30.
    fn waiting_for_the_first() -> Schedule {
        let mut schedule = Schedule::default();
        schedule.add(1, place(10, 5));
        let (_, from) = first(&mut schedule, 10).unwrap();
        schedule.wait_for(1, place(10, 5), 30);
        schedule.end_turn(1, 10, from, Some(30));
        schedule
    }

    #[test]
    fn the_others_wait_for_the_first() {
        let mut schedule = waiting_for_the_first();
        schedule.add(1, place(11, 6));
        assert_eq!(turns(&mut schedule, 29), NOBODY);
        assert_eq!(schedule.next_turn(29), Some(30));
        assert_eq!(turns(&mut schedule, 30), [1]);
    }

    #[test]
    fn nobody_waits_for_who_has_left_or_is_not_the_first_any_more() {
        let mut left = waiting_for_the_first();
        left.add(1, place(11, 6));
        left.restart(1, Some(11), 11);
        assert_eq!(turns(&mut left, 11), [1]);
        let mut overtaken = waiting_for_the_first();
        overtaken.add(1, place(9, 6));
        assert_eq!(turns(&mut overtaken, 11), [1]);
    }

    #[test]
    fn a_cleared_endpoint_gets_no_turn() {
        let mut schedule = Schedule::default();
        schedule.add(1, place(1, 1));
        schedule.clear(1);
        assert_eq!(turns(&mut schedule, 5), NOBODY);
        schedule.add(1, place(2, 2));
        assert_eq!(turns(&mut schedule, 5), [1]);
    }

    /// Three endpoints that are due and set aside, and their tenant.
    fn three_aside() -> (Schedule, TenantId) {
        let (mut schedule, acme) = (Schedule::default(), "acme".parse().unwrap());
        for endpoint in [1, 2, 3] {
            schedule.add(endpoint, place(endpoint, endpoint));
        }
        for endpoint in [1, 2, 3] {
            assert_eq!(first(&mut schedule, 5).unwrap().0, endpoint);
            schedule.set_aside(endpoint, &acme);
        }
        (schedule, acme)
    }

    #[test]
    fn who_is_set_aside_comes_up_with_its_tenant() {
        let (mut schedule, acme) = three_aside();
        let end = schedule.line_up(5);
        assert_eq!(schedule.next(end), Some(Next::Tenant(acme.clone())));
        assert_eq!(schedule.next(end), None);
        assert_eq!(schedule.next_turn(5), Some(5), "they are due");
        assert_eq!(turns_aside(&mut schedule, &acme, 5), [1, 2, 3]);
        assert_eq!(schedule.next_turn(5), None);
    }

    #[test]
    fn who_is_set_aside_keeps_the_place() {
        let (mut schedule, acme) = three_aside();
        schedule.add(1, place(4, 9));
        schedule.hold(1, i64::MIN);
        schedule.throttle(1, 4, 5);
        schedule.restart(1, Some(3), 5);
        assert_eq!(turns_aside(&mut schedule, &acme, 5), [1, 2, 3]);
    }

    /// What keeps an endpoint back that is set aside, and when its turn can be then.
    #[track_caller]
    fn check_kept_back(keep_back: fn(&mut Schedule), ready_at: Option<i64>) {
        let (mut schedule, acme) = three_aside();
        keep_back(&mut schedule);
        assert_eq!(turns_aside(&mut schedule, &acme, 5), [1, 3]);
        assert_eq!(schedule.next_turn(5), ready_at);
        assert_eq!(turns(&mut schedule, 99), ready_at.map_or(vec![], |_| vec![2]));
    }

    #[test]
    fn who_is_set_aside_can_be_kept_back() {
        check_kept_back(|schedule| schedule.hold(2, 20), Some(20));
        check_kept_back(|schedule| schedule.hold(2, FOR_EVER), None);
        check_kept_back(|schedule| schedule.throttle(2, 20, 5), Some(20));
        check_kept_back(|schedule| schedule.restart(2, Some(20), 5), Some(20));
        check_kept_back(|schedule| schedule.occupy(2), None);
        check_kept_back(|schedule| schedule.clear(2), None);
    }
}
