//! The code on a page for subscribers.

/// The blocks of a page that have a name, as in ```` ```js receiver ````: their names, and their text.
pub(super) fn blocks(page: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else { continue };
        let text = lines.by_ref().take_while(|line| *line != "```");
        let text: String = text.flat_map(|line| [line, "\n"]).collect();
        if let Some((_, name)) = info.split_once(' ') {
            blocks.push((name, text));
        }
    }
    blocks
}
