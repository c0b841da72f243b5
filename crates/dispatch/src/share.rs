use std::collections::BTreeSet;

use posthaste_store::Partition;

/// Which partitions are for one of the dispatchers to hold.
///
/// Everybody who knows the same members comes to the same shares: together they are all partitions, and none differs
/// from another by more than one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share {
    /// How many.
    pub(crate) size: usize,
    /// Where it begins. Which ones they are is not fixed: whoever misses some takes what is free.
    first: u16,
    partitions: u16,
}

impl Share {
    /// The share of `owner`, who counts among the members in any case.
    pub(crate) fn of(owner: &str, members: &BTreeSet<String>, partitions: u16) -> Self {
        let others = || members.iter().filter(|member| *member != owner);
        let place = others().filter(|member| member.as_str() < owner).count();
        let all = usize::from(partitions);
        let (least, more) = (all / (others().count() + 1), all % (others().count() + 1));
        let first = place * least + place.min(more);
        Self { size: least + usize::from(place < more), first: first as u16, partitions }
    }

    /// All partitions, those of the share first: where members begin in different places, they do not collide.
    pub(crate) fn order(self) -> impl DoubleEndedIterator<Item = Partition> {
        let Self { first, partitions, .. } = self;
        (first..partitions).chain(0..first).map(Partition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who prefers which partitions.
    #[track_caller]
    fn check(partitions: u16, members: &str, expect: &[&[u16]]) {
        let members: BTreeSet<String> = members.chars().map(String::from).collect();
        let shares: Vec<Vec<u16>> = members
            .iter()
            .map(|owner| {
                let share = Share::of(owner, &members, partitions);
                let order: Vec<u16> = share.order().map(|Partition(n)| n).collect();
                let all: BTreeSet<u16> = order.iter().copied().collect();
                assert!(all.into_iter().eq(0..partitions) && order.len() == usize::from(partitions));
                order[..share.size].to_vec()
            })
            .collect();
        assert_eq!(shares, expect);
    }

    #[test]
    fn shares_are_even_and_leave_nothing() {
        check(1, "a", &[&[0]]);
        check(4, "a", &[&[0, 1, 2, 3]]);
        check(4, "ab", &[&[0, 1], &[2, 3]]);
        check(4, "abc", &[&[0, 1], &[2], &[3]]);
        check(8, "abc", &[&[0, 1, 2], &[3, 4, 5], &[6, 7]]);
        check(5, "abcd", &[&[0, 1], &[2], &[3], &[4]]);
        check(2, "abc", &[&[0], &[1], &[]]);
    }

    #[test]
    fn who_is_not_listed_counts() {
        let members = BTreeSet::from(["a".to_owned(), "c".to_owned()]);
        assert_eq!(Share::of("b", &members, 8).size, 3);
        assert_eq!(Share::of("b", &BTreeSet::new(), 8).size, 8);
    }
}
