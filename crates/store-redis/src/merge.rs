//! One order for what several partitions have, each in an order of its own: by time, as far as clocks agree.

use std::collections::VecDeque;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use posthaste_store::{Order, Page, Paged, Result, StoreError};

use crate::place::{self, Place};

/// At about how many rows one search looks. Then the page ends, wherever that is.
const IN_ALL: usize = 2_000;
/// At how many it looks in a round of calls, and in one of them at the most and at the least.
const IN_A_ROUND: usize = 1_000;
const IN_A_CALL: usize = 500;
const AT_LEAST: usize = 32;

/// What is searched: several lists, one of each partition.
#[async_trait]
pub(crate) trait Source: Sync {
    type Row: Send;

    /// How many lists there are.
    fn lists(&self) -> usize;

    /// Looks at the next rows of a list. `wanted` are of use, and about `looked_at` are looked at for them.
    async fn window(
        &self,
        list: usize,
        from: Place,
        wanted: usize,
        looked_at: usize,
    ) -> Result<Window<Self::Row>>;
}

/// A part of a list.
pub(crate) struct Window<T> {
    /// The rows in it that are meant.
    pub(crate) rows: Vec<Found<T>>,
    /// Where the list goes on.
    pub(crate) next: Place,
    /// Whether nothing is behind it.
    pub(crate) over: bool,
    /// Unix milliseconds of the last row that was looked at, meant or not.
    pub(crate) reached: Option<i64>,
    /// The place before the first row that was looked at, newest first: what is added later is not in this search.
    pub(crate) top: Option<Place>,
}

/// A row that is meant.
pub(crate) struct Found<T> {
    /// Where the list goes on behind it.
    pub(crate) behind: Place,
    /// Unix milliseconds by which it is put in its place among those of other lists.
    pub(crate) at: i64,
    pub(crate) row: T,
}

/// A list that is searched.
struct List<T> {
    /// Where it goes on behind the rows that were taken.
    place: Place,
    waiting: VecDeque<Found<T>>,
    next: Place,
    over: bool,
    reached: Option<i64>,
}

impl<T> List<T> {
    fn at(place: Place, order: Order) -> Self {
        let over = order == Order::NewestFirst && place == Place::FIRST;
        Self { place, waiting: VecDeque::new(), next: place, over, reached: None }
    }

    fn is_over(&self) -> bool {
        self.over && self.waiting.is_empty()
    }

    /// Whether it has to be asked before anything can be said of it.
    fn is_unknown(&self) -> bool {
        !self.over && self.waiting.is_empty()
    }

    fn fill(&mut self, order: Order, window: Window<T>) {
        if self.place == Place::beginning(order) && order == Order::NewestFirst {
            self.place = window.top.unwrap_or(self.place);
        }
        self.waiting = window.rows.into();
        self.next = window.next;
        self.over = window.over;
        self.reached = window.reached.or(self.reached);
        self.settle(order);
    }

    fn take(&mut self, order: Order) -> Option<T> {
        let found = self.waiting.pop_front()?;
        self.place = found.behind;
        self.settle(order);
        Some(found.row)
    }

    /// With nothing waiting, the place is behind everything that was looked at.
    fn settle(&mut self, order: Order) {
        if self.waiting.is_empty() {
            let ended = self.over && order == Order::NewestFirst;
            self.place = if ended { Place::FIRST } else { self.next };
        }
    }

    /// When the next row is of, or nothing behind it is; none: that is not known.
    fn head(&self) -> Option<i64> {
        self.waiting.front().map(|found| found.at).or(self.reached)
    }
}

/// A page of what is searched.
pub(crate) async fn page<S: Source>(source: &S, order: Order, page: &Page) -> Result<Paged<S::Row>> {
    let count = source.lists();
    let mut lists: Vec<List<S::Row>> =
        place::read(page, order, count)?.into_iter().map(|place| List::at(place, order)).collect();
    let limit = page.limit as usize;
    let mut rows = Vec::new();
    let mut looked_at = 0;
    while looked_at < IN_ALL {
        let left = limit - rows.len();
        let unknown: Vec<_> = lists.iter().enumerate().filter(|(_, list)| list.is_unknown()).collect();
        let share = unknown.len().max(1);
        // Where many lists have some each, a few of each are enough; one more tells whether there is another page.
        let wanted = if share == 1 { left + 1 } else { (2 * left / share).max(8) };
        let window = (IN_A_ROUND / share).clamp(AT_LEAST, IN_A_CALL);
        looked_at += share * window;
        let asked = unknown.into_iter().map(|(n, list)| async move {
            Ok::<_, StoreError>((n, source.window(n, list.next, wanted, window).await?))
        });
        for (n, window) in try_join_all(asked.collect::<Vec<_>>()).await? {
            lists[n].fill(order, window);
        }
        while rows.len() < limit
            && let Some(first) = foremost(&lists, order)
            && let Some(row) = lists[first].take(order)
        {
            rows.push(row);
        }
        if rows.len() == limit || lists.iter().all(List::is_over) {
            break;
        }
    }
    let over = lists.iter().all(List::is_over);
    let next = (!over).then(|| place::cursor(lists.iter().map(|list| list.place)));
    Ok(Paged { rows, next })
}

/// The list whose row is the next of all; if it is one of which that is not known yet, there is none before it is asked.
fn foremost<T>(lists: &[List<T>], order: Order) -> Option<usize> {
    let left = lists.iter().enumerate().filter(|(_, list)| !list.is_over());
    let first = left.min_by_key(|(n, list)| {
        // What is not known may be anything. A row that is there goes before what may be of the same time.
        let by_time = match order {
            Order::NewestFirst => -list.head().unwrap_or(i64::MAX),
            Order::OldestFirst => list.head().unwrap_or(i64::MIN),
        };
        (by_time, list.waiting.is_empty(), *n)
    });
    first.map(|(n, _)| n)
}

#[cfg(test)]
mod tests {
    use posthaste_store::conformance::all;

    use super::*;

    /// Lists of numbers that grow, each at its place from 1; only even ones are meant.
    struct Numbers(Order, Vec<Vec<i64>>);

    #[async_trait]
    impl Source for Numbers {
        type Row = i64;

        fn lists(&self) -> usize {
            self.1.len()
        }

        async fn window(
            &self,
            list: usize,
            from: Place,
            wanted: usize,
            looked_at: usize,
        ) -> Result<Window<i64>> {
            let all = &self.1[list];
            let places: Box<dyn Iterator<Item = u64> + Send> = match self.0 {
                Order::NewestFirst => Box::new((1..=all.len() as u64).rev()),
                Order::OldestFirst => Box::new(1..=all.len() as u64),
            };
            let mut left =
                places.filter(|number| from.is_before(self.0, Place { number: *number, n: 0 })).peekable();
            let top = left.peek().map(|first| Place { number: first + 1, n: 0 });
            let (mut rows, mut next, mut reached) = (Vec::new(), from, None);
            for number in left.by_ref().take(looked_at) {
                let row = all[number as usize - 1];
                next = Place::behind(self.0, Place { number, n: 0 });
                reached = Some(row);
                if row % 2 == 0 {
                    rows.push(Found { behind: next, at: row, row });
                }
                if rows.len() == wanted {
                    break;
                }
            }
            Ok(Window { rows, next, over: left.peek().is_none(), reached, top })
        }
    }

    /// Everything that is meant is found once, in one order, on pages that come to an end.
    #[track_caller]
    fn check(lists: &[Vec<i64>]) {
        let mut expected: Vec<_> = lists.iter().flatten().copied().filter(|number| number % 2 == 0).collect();
        for order in [Order::OldestFirst, Order::NewestFirst] {
            expected.sort_unstable();
            if order == Order::NewestFirst {
                expected.reverse();
            }
            let source = Numbers(order, lists.to_vec());
            for limit in [1, 7, 100, 5_000] {
                let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
                let mut pages = 0;
                let found = runtime.block_on(all(limit, |asked| {
                    pages += 1;
                    assert!(pages < 10_000, "it never ends");
                    let source = &source;
                    async move { page(source, order, &asked).await }
                }));
                assert_eq!(found.unwrap(), expected, "{order:?}, in pages of {limit}");
            }
        }
    }

    #[test]
    fn lists_come_together_by_time() {
        check(&[]);
        check(&[vec![]]);
        check(&[vec![2, 4, 6], vec![], vec![8]]);
        check(&[(0..900).map(|n| 6 * n).collect(), (0..700).map(|n| 6 * n + 2).collect(), vec![1_004]]);
        check(&(0..40).map(|list| (0..60).map(|n| 80 * n + 2 * list).collect()).collect::<Vec<_>>());
    }

    #[test]
    fn a_list_without_anything_does_not_hold_up_what_is_newer() {
        let nothing: Vec<i64> = (0..9_000).map(|n| 2 * n + 1).collect();
        check(&[nothing.clone(), vec![2, 10, 17_000]]);
        check(&[nothing, (0..500).map(|n| 36 * n).collect(), (0..500).map(|n| 36 * n + 10).collect()]);
    }

    #[tokio::test]
    async fn what_is_added_moves_no_page() {
        for (order, expected) in [(Order::NewestFirst, &[4, 2][..]), (Order::OldestFirst, &[6, 8, 12, 14])] {
            let mut source = Numbers(order, vec![vec![2, 6], vec![4, 8]]);
            let first = page(&source, order, &Page::first(2)).await.unwrap();
            source.1[0].push(12);
            source.1[1].push(14);
            let rest = all(1, |asked: Page| {
                let after = asked.after.or_else(|| first.next.clone());
                let source = &source;
                async move { page(source, order, &Page { limit: 1, after }).await }
            });
            assert_eq!(rest.await.unwrap(), expected, "{order:?}");
        }
    }
}
