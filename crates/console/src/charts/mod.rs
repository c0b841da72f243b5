//! Charts: drawn here as SVG, and told in words for who does not see them.
//!
//! A drawing is stretched to the room that it gets, so there is no text in it: scale, ends and legend stand around it.

mod bars;
mod lines;
mod scale;
mod timings;

use std::fmt;

use askama::filters::HtmlSafe;

pub(crate) use bars::{Bars, bars};
pub(crate) use lines::{Lines, lines};
pub(crate) use timings::{Part, parts, timings};

/// Width of a drawing, in units of its own.
const WIDTH: f64 = 600.0;
/// Height of a drawing, in units of its own.
const HEIGHT: f64 = 120.0;

/// A drawing and what stands around it.
#[derive(Debug)]
pub(crate) struct Chart {
    /// What it shows.
    pub(crate) title: &'static str,
    /// The number that matters most.
    pub(crate) headline: String,
    /// The drawing.
    pub(crate) drawing: Drawing,
    /// What the top of the drawing stands for.
    pub(crate) top: String,
    /// What the left end stands for.
    pub(crate) begin: String,
    /// What the right end stands for.
    pub(crate) end: String,
    /// What is drawn how: a class and a name.
    pub(crate) legend: Vec<(&'static str, &'static str)>,
}

/// SVG that was made here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Drawing(String);

impl fmt::Display for Drawing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HtmlSafe for Drawing {}

impl Drawing {
    /// Marks inside a frame. `told` says in words what they show.
    fn framed(class: &str, told: &str, marks: &str) -> Self {
        Self(format!(
            r#"<svg class="{class}" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{}">{marks}</svg>"#,
            escaped(told)
        ))
    }
}

/// A text as it stands in markup: what is told in charts is made here, but nothing depends on that.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A number in a drawing: a tenth of a unit is finer than what can be seen.
fn unit(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}
