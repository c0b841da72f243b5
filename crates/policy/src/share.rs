/// How many more attempts a tenant may have, when so many permits of the process are `free` and it has so
/// many `in_flight`.
///
/// So many that it has no more in flight than permits are free afterwards. One that takes all it can leaves
/// half of them; n that do so leave about one part in n + 1, and have as much each, once those that came
/// first have come down to that. So there is something for one that comes late, and nothing is set aside
/// while nobody comes. One that has nothing in flight gets at least one, if one is free.
///
/// The bound is the dynamic threshold of A. Choudhury and E. Hahne, *Dynamic Queue Length Thresholds for
/// Shared-Memory Packet Switches* (1998), with a factor of 1.
pub fn tenant_room(free: usize, in_flight: usize) -> usize {
    let least = usize::from(in_flight == 0).min(free);
    // Each that it takes is one more in flight and one fewer free.
    (free.saturating_sub(in_flight) / 2).max(least)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(free: usize, in_flight: usize, expect: usize) {
        assert_eq!(tenant_room(free, in_flight), expect, "{free} free, {in_flight} in flight");
    }

    #[test]
    fn rooms() {
        check(256, 0, 128);
        check(128, 128, 0);
        check(256, 100, 78);
        check(100, 256, 0);
        check(101, 100, 0);
        check(102, 100, 1);
        check(3, 0, 1);
        check(0, 5, 0);
        check(usize::MAX, usize::MAX, 0);
    }

    #[test]
    fn whoever_has_nothing_gets_the_last_permit() {
        check(1, 0, 1);
        check(1, 1, 0);
        check(0, 0, 0);
    }

    proptest! {
        /// Nobody gets more than there is, nor so many that it has more than is free then, nor fewer than
        /// that allows.
        #[test]
        fn a_tenant_has_no_more_than_is_free(free in 0..10_000_usize, in_flight in 0..10_000_usize) {
            let room = tenant_room(free, in_flight);
            prop_assert!(room <= free);
            let within = |room: usize| in_flight + room + room <= free;
            let last_resort = in_flight == 0 && room == 1;
            prop_assert!(room == 0 || within(room) || last_resort);
            prop_assert!(!within(room + 1), "{room} is too few");
        }

        #[test]
        fn one_that_takes_all_it_can_leaves_half(permits in 2..10_000_usize) {
            let (mut free, mut in_flight) = (permits, 0);
            while tenant_room(free, in_flight) > 0 {
                let room = tenant_room(free, in_flight);
                (free, in_flight) = (free - room, in_flight + room);
            }
            prop_assert!(free >= permits / 2, "{free} of {permits}");
            prop_assert!(in_flight + 1 >= permits / 2, "{in_flight} of {permits}");
        }

        #[test]
        fn n_that_take_one_after_the_other_leave_one_part_in_n_plus_1(
            tenants in 1..50_usize,
            part in 1..100_usize,
        ) {
            let mut held = vec![0; tenants];
            let mut free = part * (tenants + 1);
            loop {
                let before = free;
                for held in &mut held {
                    let taken = tenant_room(free, *held).min(1);
                    (*held, free) = (*held + taken, free - taken);
                }
                if free == before {
                    break;
                }
            }
            prop_assert_eq!(free, part);
            prop_assert!(held.iter().all(|held| *held == part), "{held:?}");
        }

        /// Attempts end, and everybody takes at once all that it may, in any order: whoever comes first has
        /// too much then, and gets nothing until it has come down. All are as good as even in the end.
        #[test]
        fn n_that_take_all_they_can_leave_one_part_in_n_plus_1(
            tenants in 1..12_usize,
            more in 0..40_usize,
            order in prop::collection::vec(0..12_usize, 64),
        ) {
            let part = 4 * tenants + more;
            let permits = part * (tenants + 1);
            let mut held = vec![0; tenants];
            let mut free = permits;
            for (_, first) in (0..permits).zip(order.iter().cycle()) {
                for held in &mut held {
                    let ended = 1.min(*held);
                    (*held, free) = (*held - ended, free + ended);
                }
                for turn in 0..tenants {
                    let held = &mut held[(first + turn) % tenants];
                    let room = tenant_room(free, *held);
                    (*held, free) = (*held + room, free - room);
                }
            }
            prop_assert!(free.abs_diff(part) <= tenants, "{free} free, {held:?}");
            prop_assert!(held.iter().all(|held| held.abs_diff(part) <= tenants), "{free} free, {held:?}");
        }
    }
}
