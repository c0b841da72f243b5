use regex_automata::{
    meta::{Config, Regex},
    nfa::thompson::WhichCaptures,
};
use regex_syntax::hir::{Hir, HirKind};

/// How long a pattern may be, as it is written and with its repetitions written out.
const MAX_LENGTH: usize = 256;
/// How large what it compiles to may be, in bytes. Classes of Unicode are what makes it large.
const MAX_COMPILED: usize = 128 * 1024;
/// How much memory may be spent on making it faster, in bytes.
const CACHE: usize = 64 * 1024;

/// A regular expression that is found, or not, in a time that the length of the text and [`MAX_LENGTH`] bound: for each byte
/// of the text, what can match next is looked at once. Nothing is ever tried again.
#[derive(Clone)]
pub(super) struct Pattern(Regex);

impl Pattern {
    /// Reads a pattern; says what is wrong with it.
    pub(super) fn read(pattern: &str) -> Result<Self, String> {
        if pattern.len() > MAX_LENGTH {
            return Err(format!("must not be longer than {MAX_LENGTH} bytes"));
        }
        let hir = regex_syntax::parse(pattern).map_err(|error| describe(pattern, &error))?;
        if length(&hir) > MAX_LENGTH {
            let advice = "repeat less, or without a number, as in `a*`";
            return Err(format!("is longer than {MAX_LENGTH} with its repetitions written out: {advice}"));
        }
        let compiled = Regex::builder().configure(config()).build_from_hir(&hir);
        compiled.map(Self).map_err(|error| match error.size_limit() {
            Some(_) => "compiles to too much: classes such as `\\w` stand for all scripts and are large, \
                        write `[A-Za-z0-9_]` or use fewer"
                .to_owned(),
            None => format!("cannot be compiled: {error}"),
        })
    }

    /// Whether it is found anywhere in the text.
    pub(super) fn is_found_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

/// No engine that is fast by taking memory without a bound of ours, and none that needs more than whether there is a match.
fn config() -> Config {
    Config::new()
        .nfa_size_limit(Some(MAX_COMPILED))
        .hybrid_cache_capacity(CACHE)
        .which_captures(WhichCaptures::None)
        .onepass(false)
        .dfa(false)
        .backtrack(false)
        // It looks for what a match begins with, in tables whose size no limit bounds.
        .auto_prefilter(false)
}

/// How long a pattern is with its counted repetitions written out, as `aaa?` for `a{2,3}`: how many characters, conditions
/// such as `\b`, and signs that say that something may be left out or repeated. As many things can be waited for at once, so
/// this is what a byte of a text costs. A pattern without counted repetitions is no longer than it is written.
fn length(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Repetition(repetition) => {
            let (once, least) = (length(&repetition.sub), repetition.min as usize);
            match repetition.max.map(|most| (most as usize).saturating_sub(least)) {
                None => once.saturating_mul(least.max(1)).saturating_add(1),
                Some(more) => {
                    let optional = once.saturating_add(1).saturating_mul(more);
                    once.saturating_mul(least).saturating_add(optional)
                }
            }
        }
        HirKind::Capture(capture) => length(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().map(length).fold(0, usize::saturating_add)
        }
    }
}

fn describe(pattern: &str, error: &regex_syntax::Error) -> String {
    let (problem, span) = match error {
        regex_syntax::Error::Parse(error) => (error.kind().to_string(), error.span()),
        regex_syntax::Error::Translate(error) => (error.kind().to_string(), error.span()),
        other => return format!("is no regular expression: {other}"),
    };
    let part = pattern.get(span.start.offset..span.end.offset).unwrap_or_default();
    let at = if part.is_empty() { String::new() } else { format!("`{part}`: ") };
    format!("is no regular expression: {at}{problem}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex_automata::nfa::thompson::NFA;

    use super::*;

    #[track_caller]
    fn check(pattern: &str, text: &str, expect: bool) {
        assert_eq!(Pattern::read(pattern).unwrap().is_found_in(text), expect, "{pattern} in {text:?}");
    }

    fn problem(pattern: &str) -> String {
        Pattern::read(pattern).map(drop).expect_err(pattern)
    }

    #[track_caller]
    fn check_refused(pattern: &str, expect: &str) {
        let problem = problem(pattern);
        assert!(problem.contains(expect), "{pattern}: {problem}");
    }

    #[test]
    fn patterns() {
        check("paid", "unpaid!", true);
        check("^paid$", "unpaid", false);
        check("^ord-[0-9]+$", "ord-42", true);
        check("(?i)PAID|refunded", "Paid", true);
        check(r"^[^@\s]+@[^@\s]+\.\w+$", "jo@example.com", true);
        check(r"^(\w+)-(\w+)$", "größe-überall", true);
        check(r"\bé\b", "é è", true);
        check("a.c", "a\nc", false);
        check("(?s)a.c", "a\nc", true);
        check("^b", "a\nb", false);
        check("(?m)^b", "a\nb", true);
        check("", "", true);
        check("^[0-9a-f]{64}$", &"7f".repeat(32), true);
    }

    #[test]
    fn what_is_no_pattern_is_told() {
        check_refused("(", "`(`: unclosed group");
        check_refused("a**{", "is no regular expression");
        check_refused("(?=a)", "look-ahead");
        check_refused(r"(a)\1", "backreferences are not supported");
        check_refused(r"\p{Nothing}", r"`\p{Nothing}`: Unicode property not found");
        check_refused(r"(?-u)\xff", "is no regular expression");
        check_refused(&"a".repeat(257), "longer than 256 bytes");
    }

    /// Each is known to make some engine, or some compiler of patterns, take for ever.
    #[test]
    fn patterns_made_to_blow_up_are_refused_or_small() {
        for refused in [
            "a{1000}{1000}{1000}",
            "(((((a{10}){10}){10}){10}){10}){10}",
            "(?:a?){2000}a{2000}",
            "[01]*1[01]{2000}",
            r"(?:\b|a){300}",
            "(?:(?:(?:(a?)?)?)?){100}",
            r"\w{200}",
            r"(?i)\pL{40}",
            r".{1,1000}",
            r"(?:.{100}.{100}){2}",
        ] {
            let problem = problem(refused);
            assert!(problem.contains("written out") || problem.contains("too much"), "{refused}: {problem}");
        }
        for taken in [
            "(?:){4000000000}",
            r"(?:\b){100000}",
            "(x+x+)+y",
            "^(a+)+$",
            "(a|a)*b",
            "(a|aa)+$",
            "([a-zA-Z]+)*!",
            "(.*)*(.*)*(.*)*x",
            "(?:a?){80}a{80}",
            "[01]*1[01]{250}",
            "(?:0?1?){60}[23]",
            r"(?:\b\B?){80}a",
            r"^(\d{1,4}):([a-z]{1,100})$",
        ] {
            let pattern = Pattern::read(taken).unwrap();
            assert!(pattern.0.memory_usage() < 2 * MAX_COMPILED, "{taken}: {}", pattern.0.memory_usage());
        }
    }

    #[test]
    fn lengths() {
        let check = |pattern: &str, expect: usize| {
            assert_eq!(length(&regex_syntax::parse(pattern).unwrap()), expect, "{pattern}");
        };
        check("abc", 3);
        check("a+b*c?", 6);
        check("[a-z]{3}", 3);
        check("[a-z]{2,5}", 8);
        check("[a-z]{4,}", 5);
        check("(((a?)?)?)?", 5);
        check("(ab){3}", 6);
        check("(ab|c){3}", 9);
        check(r"^\d$", 3);
        check("((a{9}){9}){9}", 729);
        check("(((((a{999}){999}){999}){999}){999}){999}{999}", usize::MAX);
    }

    proptest! {
        #[test]
        fn any_text_is_a_small_pattern_or_none(
            pattern in "\\PC{0,40}|[ab.*+?()\\[\\]{}|^$0-9,\\\\w-]{0,40}",
            text in "\\PC{0,40}",
        ) {
            if let Ok(pattern) = Pattern::read(&pattern) {
                let usage = pattern.0.memory_usage();
                prop_assert!(usage < 2 * MAX_COMPILED, "{usage} bytes");
                pattern.is_found_in(&text);
            }
        }

        /// A state of the automaton is what a byte may cost. A class of ASCII is one, and the pattern may begin anywhere.
        #[test]
        fn the_length_bounds_the_automaton(
            pattern in "([ab]|[ab][*+?]|[(]a[|]b?[)][{][0-9][}]|a[{]1,[1-9]{2}[}]){0,20}",
        ) {
            if let Ok(hir) = regex_syntax::parse(&pattern) {
                let without_captures = NFA::config().which_captures(WhichCaptures::None);
                let automaton = NFA::compiler().configure(without_captures).build_from_hir(&hir);
                let states = automaton.unwrap().states().len();
                prop_assert!(states <= 3 * length(&hir) + 4, "{states} states, {}", length(&hir));
            }
        }

        #[test]
        fn a_pattern_without_counts_is_not_too_long(pattern in "[ab.*?()|^$\\\\w-]{0,40}") {
            if let Ok(hir) = regex_syntax::parse(&pattern) {
                prop_assert!(length(&hir) <= pattern.len() + 1, "{}", length(&hir));
            }
        }
    }
}
