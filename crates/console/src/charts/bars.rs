//! Columns, one beside the other, each of parts that lie one on the other.

use super::{Drawing, HEIGHT, WIDTH, escaped, scale, unit};

/// What columns show.
pub(crate) struct Bars<'a> {
    /// The classes of the parts, from the bottom up.
    pub(crate) classes: &'a [&'static str],
    /// For each column what it stands for, in words, and the values of its parts.
    pub(crate) columns: Vec<(String, Vec<f64>)>,
    /// All of it in words.
    pub(crate) told: String,
}

/// Draws columns, and says what the top stands for.
pub(crate) fn bars(Bars { classes, columns, told }: &Bars<'_>) -> (Drawing, f64) {
    let sum = |values: &[f64]| values.iter().sum::<f64>();
    let top = scale::top(columns.iter().map(|(_, values)| sum(values)).fold(0.0, f64::max));
    let width = WIDTH / columns.len().max(1) as f64;
    // A hair's breadth apart, unless there are too many.
    let gap = if width > 4.0 { 1.0 } else { 0.0 };
    let mut marks = String::new();
    for (place, (said, values)) in columns.iter().enumerate() {
        let left = unit(place as f64 * width);
        marks.push_str(&format!("<g><title>{}</title>", escaped(said)));
        // The whole column tells what it stands for, also above what is drawn.
        marks.push_str(&format!(
            r#"<rect class="touch" x="{left}" y="0" width="{}" height="{HEIGHT}"/>"#,
            unit(width)
        ));
        let mut foot = HEIGHT;
        for (class, value) in classes.iter().zip(values).filter(|(_, value)| **value > 0.0) {
            // Something can be seen of whatever is there.
            let height = (value / top * HEIGHT).max(1.0).min(foot);
            foot -= height;
            marks.push_str(&format!(
                r#"<rect class="{class}" x="{left}" y="{}" width="{}" height="{}"/>"#,
                unit(foot),
                unit(width - gap),
                unit(height)
            ));
        }
        marks.push_str("</g>");
    }
    (Drawing::framed("bars", told, &marks), top)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(columns: &[(&str, &[f64])]) -> (String, f64) {
        let columns = columns.iter().map(|(said, values)| ((*said).to_owned(), values.to_vec())).collect();
        let (drawing, top) = bars(&Bars { classes: &["ok", "failed"], columns, told: "all".into() });
        (drawing.to_string(), top)
    }

    #[test]
    fn parts_lie_one_on_the_other() {
        let (svg, top) = draw(&[("10:00", &[30.0, 10.0]), ("10:01", &[0.0, 0.0])]);
        assert!((top - 50.0).abs() < 1e-9);
        assert!(svg.contains(r#"<rect class="ok" x="0" y="48" width="299" height="72"/>"#), "{svg}");
        assert!(svg.contains(r#"<rect class="failed" x="0" y="24" width="299" height="24"/>"#), "{svg}");
        assert_eq!(svg.matches(r#"class="touch""#).count(), 2);
        assert_eq!(svg.matches(r#"class="ok""#).count(), 1, "what is not there is not drawn");
    }

    #[test]
    fn what_is_little_is_seen() {
        let (svg, _) = draw(&[("10:00", &[900.0, 0.1])]);
        assert!(svg.contains(r#"<rect class="failed" x="0" y="11" width="599" height="1"/>"#), "{svg}");
    }

    #[test]
    fn nothing_can_be_drawn() {
        let (svg, top) = draw(&[]);
        assert!(svg.ends_with(r#"aria-label="all"></svg>"#), "{svg}");
        assert!((top - 1.0).abs() < 1e-9);
    }

    #[test]
    fn words_stay_words() {
        let (svg, _) = draw(&[("<script>\"&", &[1.0])]);
        assert!(svg.contains("<title>&lt;script&gt;&quot;&amp;</title>"), "{svg}");
    }
}
