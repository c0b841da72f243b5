//! What nobody should use as a secret, though it is long enough.

/// Fewer different bytes than this do not happen by chance: 24 random hex digits have about 13.
const MIN_DIFFERENT: usize = 6;

/// Why a secret is weak; none: nothing obvious is wrong with it.
///
/// This tells placeholders and keyboard exercises from random bytes. It does not measure entropy.
pub(crate) fn weakness(secret: &[u8]) -> Option<&'static str> {
    if different(secret) < MIN_DIFFERENT {
        Some("it is made of very few different characters")
    } else if 2 * period(secret) <= secret.len() {
        Some("it repeats itself")
    } else if 4 * steps(secret) > 3 * secret.len() {
        Some("it is a sequence")
    } else {
        None
    }
}

fn different(secret: &[u8]) -> usize {
    let mut seen = [false; 256];
    secret.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    seen.iter().filter(|seen| **seen).count()
}

/// After how many bytes the secret begins again; its length if it does not.
fn period(secret: &[u8]) -> usize {
    let begins_again = |at: &usize| secret[*at..] == secret[..secret.len() - at];
    (1..secret.len()).find(begins_again).unwrap_or(secret.len())
}

/// How many bytes are the one before them, or its neighbour in the alphabet.
fn steps(secret: &[u8]) -> usize {
    secret.windows(2).filter(|pair| pair[0].abs_diff(pair[1]) <= 1).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(secret: &str, expect: Option<&str>) {
        assert_eq!(weakness(secret.as_bytes()), expect, "{secret}");
    }

    #[test]
    fn placeholders_are_weak() {
        let few = Some("it is made of very few different characters");
        check("xxxxxxxxxxxxxxxxxxxxxxxx", few);
        check("aaaaaaaaaaaabbbbbbbbbbbb", few);
        check("abcabcabcabcabcabcabcabc", few);
        let repeated = Some("it repeats itself");
        check("hunter2hunter2hunter2hunter2", repeated);
        check("hunter2hunter2hunter2hunt", repeated);
        check("012345678901234567890123", repeated);
        let sequence = Some("it is a sequence");
        check("abcdefghijklmnopqrstuvwxyz", sequence);
        check("zyxwvutsrqponmlkjihgfedcba", sequence);
        check("abcdefghijklmnopqrstuvwxyz0123456789", sequence);
    }

    #[test]
    fn what_others_have_published_is_not() {
        check("It's a Secret to Everybody", None);
        check("8f742231b10e8888abcd99yyyzzz85a5", None);
        check("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", None);
        check("correct horse battery staple", None);
        check("5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd", None);
    }
}
