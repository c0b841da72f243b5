//! The line in which endpoints wait for their turns.
//!
//! Who comes up while its tenant may have nothing is set aside: it waits behind those of its tenant that were set aside
//! before, and the tenant stands in line for all of them, once. So a tenant that may have nothing costs one look, however
//! many of its endpoints wait, and hides nobody.

use std::collections::{BTreeMap, HashMap};

use posthaste_model::TenantId;

/// Endpoints are the numbers of the tables.
#[derive(Debug, Default)]
pub(crate) struct Line {
    waiting: Queue<Waiting>,
    /// Of each tenant that stands in line.
    asides: HashMap<TenantId, Aside>,
}

/// Who stands in line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Waiting {
    Endpoint(i64),
    /// For those of its endpoints that are set aside.
    Tenant(TenantId),
}

/// Those endpoints of a tenant that are set aside: one at least.
#[derive(Debug)]
struct Aside {
    /// Where the tenant stands in line.
    number: u64,
    endpoints: Queue<i64>,
}

/// Where an endpoint waits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    number: u64,
    /// The tenant that stands in line for it; none: it does so itself.
    aside_of: Option<TenantId>,
}

/// The end of the line at some moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End(u64);

impl Line {
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whoever comes from now on stands behind it.
    pub(crate) fn end(&self) -> End {
        End(self.waiting.last_number)
    }

    /// An endpoint goes behind everyone.
    pub(crate) fn join(&mut self, endpoint: i64) -> Ticket {
        Ticket { number: self.waiting.push(Waiting::Endpoint(endpoint)), aside_of: None }
    }

    /// An endpoint goes behind the others of its tenant that are set aside. For the first of them the tenant goes behind
    /// everyone.
    pub(crate) fn set_aside(&mut self, endpoint: i64, tenant: &TenantId) -> Ticket {
        let aside = self.asides.entry(tenant.clone()).or_insert_with(|| Aside {
            number: self.waiting.push(Waiting::Tenant(tenant.clone())),
            endpoints: Queue::default(),
        });
        Ticket { number: aside.endpoints.push(endpoint), aside_of: Some(tenant.clone()) }
    }

    /// Whether any endpoints of a tenant are set aside.
    pub(crate) fn has_aside(&self, tenant: &TenantId) -> bool {
        self.asides.contains_key(tenant)
    }

    /// The first, if it stood in line at `end`. An endpoint leaves; a tenant goes behind everyone.
    pub(crate) fn next(&mut self, end: End) -> Option<Waiting> {
        let first = self.waiting.pop_until(end.0)?;
        if let Waiting::Tenant(tenant) = &first
            && let Some(aside) = self.asides.get_mut(tenant)
        {
            aside.number = self.waiting.push(first.clone());
        }
        Some(first)
    }

    /// The first of those endpoints of a tenant that are set aside. It leaves.
    pub(crate) fn next_aside(&mut self, tenant: &TenantId) -> Option<i64> {
        let endpoint = self.asides.get_mut(tenant)?.endpoints.pop_until(u64::MAX)?;
        self.dismiss(tenant);
        Some(endpoint)
    }

    /// A tenant that stands in line goes behind everyone.
    pub(crate) fn go_behind(&mut self, tenant: &TenantId) {
        if let Some(aside) = self.asides.get_mut(tenant)
            && let Some(tenant) = self.waiting.remove(aside.number)
        {
            aside.number = self.waiting.push(tenant);
        }
    }

    /// An endpoint leaves.
    pub(crate) fn leave(&mut self, Ticket { number, aside_of }: Ticket) {
        match aside_of {
            None => {
                self.waiting.remove(number);
            }
            Some(tenant) => {
                if let Some(aside) = self.asides.get_mut(&tenant) {
                    aside.endpoints.remove(number);
                }
                self.dismiss(&tenant);
            }
        }
    }

    /// A tenant of which nobody is set aside any more leaves.
    fn dismiss(&mut self, tenant: &TenantId) {
        if let Some(aside) = self.asides.get(tenant)
            && aside.endpoints.is_empty()
        {
            self.waiting.remove(aside.number);
            self.asides.remove(tenant);
        }
    }
}

/// A queue that can be left from anywhere, by the number that was given at its end.
#[derive(Debug)]
struct Queue<T> {
    last_number: u64,
    by_number: BTreeMap<u64, T>,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { last_number: 0, by_number: BTreeMap::new() }
    }
}

impl<T> Queue<T> {
    fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    fn push(&mut self, who: T) -> u64 {
        self.last_number += 1;
        self.by_number.insert(self.last_number, who);
        self.last_number
    }

    /// The first, if its number is not beyond `last`.
    fn pop_until(&mut self, last: u64) -> Option<T> {
        let first = self.by_number.first_entry()?;
        (*first.key() <= last).then(|| first.remove())
    }

    fn remove(&mut self, number: u64) -> Option<T> {
        self.by_number.remove(&number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(id: &str) -> TenantId {
        id.parse().unwrap()
    }

    /// Who comes up until the end of the line.
    #[track_caller]
    fn check<const N: usize>(line: &mut Line, expect: [Waiting; N]) {
        let end = line.end();
        let came: Vec<_> = std::iter::from_fn(|| line.next(end)).collect();
        assert_eq!(came, expect);
    }

    /// The endpoints of a tenant that are set aside.
    fn aside(line: &mut Line, tenant: &TenantId) -> Vec<i64> {
        std::iter::from_fn(|| line.next_aside(tenant)).collect()
    }

    #[test]
    fn a_tenant_stands_in_line_once_and_stays() {
        let (mut line, acme) = (Line::default(), tenant("acme"));
        line.join(1);
        line.set_aside(2, &acme);
        line.set_aside(3, &acme);
        line.join(4);
        check(&mut line, [Waiting::Endpoint(1), Waiting::Tenant(acme.clone()), Waiting::Endpoint(4)]);
        check(&mut line, [Waiting::Tenant(acme.clone())]);
        assert_eq!(aside(&mut line, &acme), [2, 3]);
        assert!(line.is_empty());
    }

    #[test]
    fn who_comes_later_does_not_come_up() {
        let (mut line, acme) = (Line::default(), tenant("acme"));
        line.join(1);
        let end = line.end();
        line.join(2);
        line.set_aside(3, &acme);
        assert_eq!((line.next(end), line.next(end)), (Some(Waiting::Endpoint(1)), None));
    }

    #[test]
    fn a_tenant_goes_behind_everyone() {
        let mut line = Line::default();
        let (acme, other) = (tenant("acme"), tenant("other"));
        line.set_aside(1, &acme);
        line.set_aside(2, &other);
        line.join(3);
        line.go_behind(&acme);
        line.go_behind(&tenant("unknown"));
        check(&mut line, [Waiting::Tenant(other), Waiting::Endpoint(3), Waiting::Tenant(acme)]);
    }

    #[test]
    fn whoever_waits_can_leave() {
        let (mut line, acme) = (Line::default(), tenant("acme"));
        let tickets = [1, 2].map(|endpoint| line.join(endpoint));
        let aside_of_acme = [3, 4, 5].map(|endpoint| line.set_aside(endpoint, &acme));
        let ([first, _], [third, _, fifth]) = (tickets, aside_of_acme);
        for ticket in [first, fifth, third] {
            line.leave(ticket);
        }
        check(&mut line, [Waiting::Endpoint(2), Waiting::Tenant(acme.clone())]);
        assert_eq!(aside(&mut line, &acme), [4]);
    }

    #[test]
    fn a_tenant_leaves_with_the_last_of_its_endpoints() {
        let (mut line, acme) = (Line::default(), tenant("acme"));
        let ticket = line.set_aside(1, &acme);
        line.join(2);
        assert!(line.has_aside(&acme));
        line.leave(ticket);
        assert!(!line.has_aside(&acme));
        check(&mut line, [Waiting::Endpoint(2)]);
        assert!(line.is_empty());
        // And comes back with the next one.
        line.set_aside(1, &acme);
        check(&mut line, [Waiting::Tenant(acme)]);
    }
}
