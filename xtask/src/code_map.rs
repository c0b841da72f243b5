//! The code map of the architecture page names every crate by its folder.

use crate::violation::Violation;
use crate::workspace::Workspace;

/// Compares the section "Code map" of `page` (markdown) with the members of the workspace.
///
/// # Errors
/// When a member lies outside the workspace root.
pub(crate) fn check(page: &str, workspace: &Workspace) -> anyhow::Result<Vec<Violation>> {
    let Some(map) = section(page, "code map") else {
        return Ok(vec![Violation::NoCodeMap]);
    };
    let mut violations = Vec::new();
    for package in &workspace.packages {
        let folder = package.folder(&workspace.root)?;
        if !names(map, folder) {
            violations.push(Violation::NotOnTheMap { who: package.name.clone(), folder: folder.to_owned() });
        }
    }
    Ok(violations)
}

/// The text under the first heading that reads `title` (lower case), up to the next heading of its level or above.
fn section<'a>(page: &'a str, title: &str) -> Option<&'a str> {
    let mut headings = headings(page);
    let (start, depth, _) = headings.find(|(_, _, text)| text.to_lowercase() == title)?;
    let end = headings.find(|(_, next, _)| *next <= depth).map_or(page.len(), |(end, ..)| end);
    Some(&page[start..end])
}

/// Byte offset, depth and text of every ATX heading (CommonMark 4.2).
fn headings(page: &str) -> impl Iterator<Item = (usize, usize, &str)> {
    page.split_inclusive('\n')
        .scan(0, |offset, line| {
            let start = *offset;
            *offset += line.len();
            Some((start, line))
        })
        .filter_map(|(start, line)| {
            let text = line.trim_start_matches('#');
            let depth = line.len() - text.len();
            (depth > 0 && text.starts_with(' ')).then(|| (start, depth, text.trim()))
        })
}

/// Whether `folder` stands in `map` as a whole path: `crates/store-sqlite` does not name `crates/store`.
fn names(map: &str, folder: &str) -> bool {
    map.split(|c: char| !(c.is_alphanumeric() || "-_/.".contains(c)))
        .any(|word| word.trim_end_matches(['/', '.']) == folder)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[track_caller]
    fn check(page: &str, expect: &[&str]) {
        let packages: Vec<_> = ["store", "store-sqlite"]
            .map(|folder| {
                json!({
                    "name": format!("posthaste-{folder}"),
                    "manifest_path": format!("/repo/crates/{folder}/Cargo.toml"),
                    "dependencies": [],
                })
            })
            .into();
        let workspace =
            serde_json::from_value(json!({ "workspace_root": "/repo", "packages": packages })).unwrap();
        let found: Vec<_> = super::check(page, &workspace).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn every_crate_stands_in_the_code_map() {
        check("# Page\n## Code map\n`crates/store/`: trait. See crates/store-sqlite.\n## Next\n", &[]);
        check("## Code map\n### `crates/store`\n### `crates/store-sqlite`\n", &[]);
    }

    #[test]
    fn a_longer_name_or_path_is_another_name() {
        let missing = "posthaste-store: the code map does not name `crates/store` (see docs/ARCHITECTURE.md)";
        check("## Code map\n`crates/store-sqlite`, `store`\n", &[missing]);
        check("## Code map\n`crates/store-sqlite`, `crates/store/src/lib.rs`\n", &[missing]);
    }

    #[test]
    fn only_the_section_counts() {
        let missing = |folder| {
            format!(
                "posthaste-{folder}: the code map does not name `crates/{folder}` (see docs/ARCHITECTURE.md)"
            )
        };
        let both = [missing("store"), missing("store-sqlite")];
        let both = both.each_ref().map(String::as_str);
        check("crates/store\n## Code map\n## Other\n`crates/store-sqlite`\n", &both);
        check("### Code map\n## crates/store\ncrates/store-sqlite\n", &both);
    }

    #[test]
    fn a_page_without_the_section_is_one_violation() {
        let lacking =
            r#"docs/ARCHITECTURE.md: needs a section "Code map" that names the folder of every crate"#;
        check("", &[lacking]);
        check("Code map: `crates/store`, `crates/store-sqlite`\n#Code map\n", &[lacking]);
    }
}
