//! Lines over time, level for as long as a moment lasts, which break where nothing was measured.

use super::{Drawing, HEIGHT, WIDTH, escaped, scale, unit};

/// What lines show.
pub(crate) struct Lines<'a> {
    /// The class of each line.
    pub(crate) classes: &'a [&'static str],
    /// For each moment what it stands for, in words, and the value of each line.
    pub(crate) moments: Vec<(String, Vec<Option<f64>>)>,
    /// All of it in words.
    pub(crate) told: String,
}

/// Draws lines, and says what the top stands for.
pub(crate) fn lines(Lines { classes, moments, told }: &Lines<'_>) -> (Drawing, f64) {
    let largest = moments.iter().flat_map(|(_, values)| values.iter().flatten()).copied().fold(0.0, f64::max);
    let top = scale::top(largest);
    let step = WIDTH / moments.len().max(1) as f64;
    let height = |value: f64| unit(HEIGHT - (value / top).clamp(0.0, 1.0) * HEIGHT);
    let mut marks = String::new();
    for (line, class) in classes.iter().enumerate() {
        let mut path = String::new();
        let mut drawn = false;
        for (moment, (_, values)) in moments.iter().enumerate() {
            let Some(value) = values.get(line).copied().flatten() else {
                drawn = false;
                continue;
            };
            let (left, right) = (unit(moment as f64 * step), unit((moment + 1) as f64 * step));
            let y = height(value);
            path.push_str(&if drawn { format!("V{y}H{right}") } else { format!("M{left} {y}H{right}") });
            drawn = true;
        }
        if !path.is_empty() {
            marks.push_str(&format!(r#"<path class="{class}" d="{path}"/>"#));
        }
    }
    for (moment, (said, _)) in moments.iter().enumerate() {
        marks.push_str(&format!(
            r#"<g><title>{}</title><rect class="touch" x="{}" y="0" width="{}" height="{HEIGHT}"/></g>"#,
            escaped(said),
            unit(moment as f64 * step),
            unit(step)
        ));
    }
    (Drawing::framed("lines", told, &marks), top)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(moments: &[&[Option<f64>]]) -> (String, f64) {
        let moments = moments.iter().map(|values| ("10:00".to_owned(), values.to_vec())).collect();
        let (drawing, top) = lines(&Lines { classes: &["half", "most"], moments, told: "all".into() });
        (drawing.to_string(), top)
    }

    #[test]
    fn a_line_breaks_where_nothing_was_measured() {
        let (svg, top) =
            draw(&[&[Some(50.0), None], &[Some(100.0), None], &[None, None], &[Some(0.0), Some(25.0)]]);
        assert!((top - 100.0).abs() < 1e-9);
        assert!(svg.contains(r#"<path class="half" d="M0 60H150V0H300M450 120H600"/>"#), "{svg}");
        assert!(svg.contains(r#"<path class="most" d="M450 90H600"/>"#), "{svg}");
        assert_eq!(svg.matches("<title>").count(), 4);
    }

    #[test]
    fn nothing_can_be_drawn() {
        assert!(!draw(&[]).0.contains("<path"));
        assert!(!draw(&[&[None, None]]).0.contains("<path"));
    }
}
