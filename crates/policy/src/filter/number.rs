use std::{borrow::Cow, cmp::Ordering};

/// A number as JSON spells it, to be compared exactly: no digit is lost, however many there are.
///
/// It is `0.digits * 10^exponent`, and every value has one form: 1, 1.0 and 10e-1 are all `0.1 * 10^1`.
#[derive(Debug, Clone)]
pub(super) struct Number<'a> {
    negative: bool,
    /// Neither the first nor the last is 0; none at all for zero.
    digits: Cow<'a, str>,
    exponent: i64,
}

impl<'a> Number<'a> {
    const ZERO: Self = Self { negative: false, digits: Cow::Borrowed(""), exponent: 0 };

    /// Reads what is known to be a JSON number (RFC 8259, section 6).
    pub(super) fn read(text: &'a str) -> Self {
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        // What is too large for an exponent is nearer to its bound than anything that a filter may hold.
        let bound = if exponent.starts_with('-') { i64::MIN } else { i64::MAX };
        let exponent = exponent.parse().unwrap_or(bound);
        let (digits, place): (Cow<'a, str>, usize) = match (whole, fraction) {
            ("", "") => return Self::ZERO,
            ("", fraction) => {
                let digits = fraction.trim_start_matches('0');
                let exponent = exponent.saturating_sub_unsigned((fraction.len() - digits.len()) as u64);
                return Self { negative, digits: digits.into(), exponent };
            }
            (whole, "") => (whole.trim_end_matches('0').into(), whole.len()),
            (whole, fraction) => (format!("{whole}{fraction}").into(), whole.len()),
        };
        Self { negative, digits, exponent: exponent.saturating_add_unsigned(place as u64) }
    }

    /// The exponent where one digit stands before the point, without its sign.
    pub(super) fn magnitude(&self) -> u64 {
        self.exponent.saturating_sub(1).unsigned_abs()
    }

    pub(super) fn into_owned(self) -> Number<'static> {
        Number { digits: Cow::Owned(self.digits.into_owned()), ..self }
    }

    fn sign(&self) -> i8 {
        match (self.digits.is_empty(), self.negative) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => -1,
        }
    }

    pub(super) fn compare(&self, other: &Number<'_>) -> Ordering {
        let sign = self.sign();
        sign.cmp(&other.sign()).then_with(|| {
            // No digits end in 0, so one that is the beginning of the other is the smaller.
            let sizes = self.exponent.cmp(&other.exponent).then_with(|| self.digits.cmp(&other.digits));
            if sign < 0 { sizes.reverse() } else { sizes }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(left: &str, expect: Ordering, right: &str) {
        let (left, right) = (Number::read(left), Number::read(right));
        assert_eq!(left.compare(&right), expect, "{left:?} and {right:?}");
        assert_eq!(right.compare(&left), expect.reverse(), "{right:?} and {left:?}");
    }

    #[test]
    fn one_value_has_many_spellings() {
        for one in ["1", "1.0", "1.000", "10e-1", "1e0", "1E+0", "0.1e1", "100e-2", "0.001e3", "1e-0"] {
            check("1", Ordering::Equal, one);
            check("-1", Ordering::Equal, &format!("-{one}"));
        }
        for zero in ["0", "-0", "0.0", "-0.0", "0e5", "0.000e-7", "0e99999999999999999999999"] {
            check("0", Ordering::Equal, zero);
        }
        check("1200", Ordering::Equal, "1.2e3");
        check("0.0012", Ordering::Equal, "1.2e-3");
        check("12.50", Ordering::Equal, "125e-1");
    }

    #[test]
    fn no_digit_is_lost() {
        check("9007199254740992", Ordering::Less, "9007199254740993");
        check("18446744073709551616", Ordering::Less, "18446744073709551617");
        check("0.1", Ordering::Greater, "0.09999999999999999999999999");
        check("1e400", Ordering::Less, "2e400");
        check("1e-400", Ordering::Greater, "0");
        check("-1e400", Ordering::Less, "-1e-400");
        check(&format!("{}1", "9".repeat(10_000)), Ordering::Less, &format!("{}2", "9".repeat(10_000)));
    }

    #[test]
    fn an_absurd_exponent_is_an_exponent() {
        let absurd = "9".repeat(1_000);
        check(&format!("1e{absurd}"), Ordering::Greater, "9e99999");
        check(&format!("-1e{absurd}"), Ordering::Less, "-9e99999");
        check(&format!("1e-{absurd}"), Ordering::Less, "1e-99999");
        check(&format!("1e-{absurd}"), Ordering::Greater, "0");
        check(&format!("0.01e-{absurd}"), Ordering::Less, "1e-99999");
        check(&format!("100e{absurd}"), Ordering::Greater, "9e99999");
    }

    fn spelled(mantissa: i64, exponent: i32) -> impl Strategy<Value = String> {
        let plain = if exponent >= 0 {
            format!("{mantissa}{}", if mantissa == 0 { String::new() } else { "0".repeat(exponent as usize) })
        } else {
            let places = exponent.unsigned_abs() as usize;
            let digits = format!("{:0>width$}", mantissa.unsigned_abs(), width = places + 1);
            let (whole, fraction) = digits.split_at(digits.len() - places);
            format!("{}{whole}.{fraction}", if mantissa < 0 { "-" } else { "" })
        };
        let moved = (0..6_u32)
            .prop_map(move |zeros| format!("{mantissa}.{}e{exponent}", "0".repeat(zeros as usize + 1)));
        prop_oneof![Just(plain), Just(format!("{mantissa}E{exponent:+}")), moved]
    }

    fn numbers() -> impl Strategy<Value = (i128, String)> {
        let mantissa = prop_oneof![-20..20_i64, -1_000_000_000..1_000_000_000_i64];
        (mantissa, -9..9_i32).prop_flat_map(|(mantissa, exponent)| {
            let scaled = i128::from(mantissa) * 10_i128.pow((exponent + 9) as u32);
            (Just(scaled), spelled(mantissa, exponent))
        })
    }

    proptest! {
        #[test]
        fn is_compared_as_integers_of_a_common_scale((left, l) in numbers(), (right, r) in numbers()) {
            prop_assert_eq!(Number::read(&l).compare(&Number::read(&r)), left.cmp(&right), "{} and {}", l, r);
        }
    }
}
