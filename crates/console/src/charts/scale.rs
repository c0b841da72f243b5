//! What the top of a drawing stands for.

/// The next 1, 2 or 5 with zeros that is not below the largest value, so that people can read off heights.
pub(super) fn top(largest: f64) -> f64 {
    if largest <= 0.0 || !largest.is_finite() {
        return 1.0;
    }
    let power = 10_f64.powf(largest.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|top| largest <= *top).unwrap_or(largest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tops_are_easy_to_read() {
        for (largest, expect) in [
            (0.0, 1.0),
            (f64::NAN, 1.0),
            (0.3, 0.5),
            (1.0, 1.0),
            (1.1, 2.0),
            (37.0, 50.0),
            (99.0, 100.0),
            (1_001.0, 2_000.0),
        ] {
            assert!((top(largest) - expect).abs() < 1e-9, "{largest}");
        }
    }
}
