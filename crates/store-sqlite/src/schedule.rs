//! Whose turn it is.
//!
//! Each endpoint with scheduled deliveries has a queue in the tables, ordered by due time. This is the memory beside
//! those queues: which endpoint's head is due, in which order the endpoints take turns, and how far each queue has
//! been leased, so that a lease never reads what it read before. All of it can be rebuilt from the tables.

use std::collections::{BTreeSet, HashMap, VecDeque};

use crate::key::DeliveryKey;

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
    /// Endpoints that are due, in the order of their turns.
    line: VecDeque<i64>,
}

#[derive(Debug)]
struct Queue {
    /// What lies up to here was leased, settled, or never there.
    read_to: Place,
    /// When the first delivery after `read_to` is due; none: there is none.
    head: Option<i64>,
    /// No turn before then.
    hold_until: i64,
    position: Position,
}

#[derive(Debug, PartialEq, Eq)]
enum Position {
    Idle,
    Waiting { at: i64 },
    InLine,
}

/// The hold of an endpoint that gets no turn at all.
pub(crate) const FOR_EVER: i64 = i64::MAX;

impl Schedule {
    /// A delivery is scheduled, anew or again.
    pub(crate) fn add(&mut self, endpoint: i64, place: Place) {
        let queue = self.queue(endpoint);
        if place <= queue.read_to {
            queue.read_to = Place { due_at: place.due_at, key: DeliveryKey { seq: i64::MIN, n: 0 } };
        }
        queue.head = Some(queue.head.map_or(place.due_at, |head| head.min(place.due_at)));
        // Whoever is in line keeps the place.
        if queue.position != Position::InLine {
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

    /// Nothing is scheduled for the endpoint any more.
    pub(crate) fn clear(&mut self, endpoint: i64) {
        self.queue(endpoint).head = None;
        self.position(endpoint);
    }

    /// The endpoint whose turn it is, and where its queue goes on. [`Self::end_turn`] must follow.
    pub(crate) fn begin_turn(&mut self, now: i64) -> Option<(i64, Place)> {
        while let Some(&(at, endpoint)) = self.waiting.first()
            && at <= now
        {
            self.waiting.pop_first();
            self.queue(endpoint).position = Position::InLine;
            self.line.push_back(endpoint);
        }
        let endpoint = self.line.pop_front()?;
        let queue = self.queue(endpoint);
        queue.position = Position::Idle;
        Some((endpoint, queue.read_to))
    }

    /// The queue was read up to a place, and what follows is due at `head`.
    pub(crate) fn end_turn(&mut self, endpoint: i64, now: i64, read_to: Place, head: Option<i64>) {
        let queue = self.queue(endpoint);
        queue.read_to = read_to;
        queue.head = head;
        match head {
            // Behind everyone who waits already, however long this head has been due.
            Some(due) if due <= now => {
                queue.position = Position::InLine;
                self.line.push_back(endpoint);
            }
            _ => self.position(endpoint),
        }
    }

    /// When the next turn can begin; none: nothing is scheduled that time alone would bring.
    pub(crate) fn next_turn(&self, now: i64) -> Option<i64> {
        if self.line.is_empty() { self.waiting.first().map(|&(at, _)| at) } else { Some(now) }
    }

    fn queue(&mut self, endpoint: i64) -> &mut Queue {
        self.queues.entry(endpoint).or_insert(Queue {
            read_to: Place::START,
            head: None,
            hold_until: i64::MIN,
            position: Position::Idle,
        })
    }

    /// Moves an endpoint to where its head and its hold put it.
    fn position(&mut self, endpoint: i64) {
        let queue = self.queue(endpoint);
        let at = queue.head.map(|head| head.max(queue.hold_until)).filter(|&at| at != FOR_EVER);
        let old =
            std::mem::replace(&mut queue.position, at.map_or(Position::Idle, |at| Position::Waiting { at }));
        match old {
            Position::InLine => self.line.retain(|&other| other != endpoint),
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

    /// Takes turns until nothing is due, each reading its whole queue; answers with the order.
    fn turns(schedule: &mut Schedule, now: i64) -> Vec<i64> {
        std::iter::from_fn(|| {
            let (endpoint, _) = schedule.begin_turn(now)?;
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
        let (endpoint, _) = schedule.begin_turn(5).unwrap();
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
        let (endpoint, _) = schedule.begin_turn(5).unwrap();
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
        let (_, from) = schedule.begin_turn(10).unwrap();
        assert!(from < place(10, 5));
        schedule.end_turn(1, 10, place(10, 5), None);
        schedule.add(1, place(10, 3));
        let (_, from) = schedule.begin_turn(10).unwrap();
        assert!(from < place(10, 3));
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
}
