use super::{
    InvalidSchema, MAX_DATA_DEPTH,
    parts::{Part, Parts},
};

/// How often a schema may look at a single value.
const MAX_LOOKS: u32 = 1_000;
/// How many schemas may ask each other in a row, down to the deepest value: each takes its part of the stack.
const MAX_IN_A_ROW: u32 = 400;
/// How much more often those are asked whose judgement is asked for again.
const AGAIN: u32 = 3;

/// What a schema costs at one level of the data, at the most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Load {
    /// How often a value of this level is looked at.
    looks: u32,
    /// How many schemas ask each other in a row until one judges a value of this level.
    in_a_row: u32,
}

/// Refuses a schema that could make much work of little data: alternatives in alternatives that all lead to the same
/// schemas, or recursion that branches. It is judged for data of any shape, so what data make of it is never more.
///
/// # Errors
/// When it would never end, or is beyond a bound.
pub(super) fn check(Parts(parts): &Parts) -> Result<(), InvalidSchema> {
    let order = in_order(parts)?;
    let mut above = vec![Load::default(); parts.len()];
    for level in 0..=MAX_DATA_DEPTH {
        let mut loads = vec![Load::default(); parts.len()];
        for at in &order {
            loads[*at] = load(&parts[*at], level, &loads, &above);
        }
        // The first part is the whole.
        let Load { looks, in_a_row } = loads[0];
        if looks > MAX_LOOKS {
            let problem = format!(
                "would look at a value {level} levels down more than {MAX_LOOKS} times: use fewer alternatives that lead \
                 to the same schemas"
            );
            return Err(InvalidSchema::new("", problem));
        }
        if in_a_row > MAX_IN_A_ROW {
            let problem = format!(
                "must not have more than {MAX_IN_A_ROW} schemas ask each other in a row, down to data {level} levels deep"
            );
            return Err(InvalidSchema::new("", problem));
        }
        above = loads;
    }
    Ok(())
}

/// What a part costs so many levels below the value that it is asked to judge. `above` is what all cost one level less far,
/// and `loads` what those cost that it asks about the same value.
fn load(part: &Part, level: usize, loads: &[Load], above: &[Load]) -> Load {
    let again = if part.asks_again { AGAIN } else { 1 };
    let sum =
        |parts: &[usize], of: &[Load]| parts.iter().fold(0, |sum: u32, at| sum.saturating_add(of[*at].looks));
    let longest = |parts: &[usize], of: &[Load]| parts.iter().map(|at| of[*at].in_a_row).max();
    let beside = sum(&part.beside, loads).saturating_mul(again);
    let longest_beside = longest(&part.beside, loads);
    if level == 0 {
        return Load { looks: beside.saturating_add(1), in_a_row: 1 + longest_beside.unwrap_or_default() };
    }
    let apart = part.apart.iter().map(|at| above[*at].looks).max().unwrap_or_default();
    let looks = beside.saturating_add(apart).saturating_add(sum(&part.below, above));
    let in_a_row = [longest_beside, longest(&part.apart, above), longest(&part.below, above)];
    let in_a_row = in_a_row.into_iter().flatten().max().unwrap_or_default();
    Load { looks, in_a_row: if looks == 0 { 0 } else { in_a_row + 1 } }
}

/// The parts in an order in which each comes after those that it asks about the same value.
fn in_order(parts: &[Part]) -> Result<Vec<usize>, InvalidSchema> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Not,
        Begun,
        Done,
    }
    let mut seen = vec![Seen::Not; parts.len()];
    let mut order = Vec::with_capacity(parts.len());
    for start in 0..parts.len() {
        let mut path = vec![(start, 0)];
        while let Some((at, asked)) = path.pop() {
            match (seen[at], asked) {
                (Seen::Done, _) => continue,
                (Seen::Begun, 0) => {
                    let problem = "leads back to itself for the same value: it would never end";
                    return Err(InvalidSchema::new(parts[at].pointer.clone(), problem));
                }
                _ => seen[at] = Seen::Begun,
            }
            match parts[at].beside.get(asked) {
                Some(next) => path.extend([(at, asked + 1), (*next, 0)]),
                None => {
                    seen[at] = Seen::Done;
                    order.push(at);
                }
            }
        }
    }
    Ok(order)
}
