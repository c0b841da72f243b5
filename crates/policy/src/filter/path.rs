use std::mem;

use super::{
    json::Json,
    node::{Kind, Node as _},
    subject::Subject,
};

/// How long a path may be, in bytes.
const MAX_LENGTH: usize = 512;
/// How many keys and indexes it may have.
const MAX_STEPS: usize = 32;

/// What a path begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    Topic,
    Metadata,
    Data,
}

/// Which values of an event a condition is about: `data.items.sku`.
#[derive(Debug, Clone)]
pub(super) struct Path {
    text: String,
    root: Root,
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
struct Step {
    key: String,
    /// The element of a list that it stands for; none: it stands for a key alone.
    index: Option<usize>,
}

impl Path {
    /// Reads a path; says what is wrong with it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if text.len() > MAX_LENGTH {
            return Err(format!("must not be longer than {MAX_LENGTH} bytes"));
        }
        let parts = split(text)?;
        let (root, keys) = match parts.split_first() {
            Some((first, keys)) => (first.as_str(), keys),
            None => ("", &[][..]),
        };
        let root = match root {
            "topic" => Root::Topic,
            "metadata" => Root::Metadata,
            "data" => Root::Data,
            _ => {
                return Err(format!("must be `topic`, or begin with `data.` or `metadata.`: `data.{text}`?"));
            }
        };
        match root {
            Root::Topic if !keys.is_empty() => {
                return Err("`topic` is a text, and has no keys: write `topic` alone".to_owned());
            }
            Root::Metadata if keys.is_empty() => {
                return Err("must name one key of the metadata: `metadata.source`".to_owned());
            }
            Root::Metadata if keys.len() > 1 => {
                let key = keys.iter().map(|key| escape(key)).collect::<Vec<_>>().join(r"\.");
                let key = format!("`metadata.{key}`");
                return Err(format!("the values of metadata are texts, and have no keys: is it {key}?"));
            }
            _ if keys.len() > MAX_STEPS => {
                return Err(format!("must not have more than {MAX_STEPS} keys"));
            }
            _ => {}
        }
        Ok(Self { text: text.to_owned(), root, steps: keys.iter().map(|key| Step::new(key)).collect() })
    }

    /// The path of what is under a key of what this leads to, as one would write it.
    pub(super) fn below(&self, key: &str) -> String {
        format!("{}.{}", self.text, escape(key))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn root(&self) -> Root {
        self.root
    }

    /// Whether the test holds for any of the values that the path leads to. They are taken in their order, none twice, until
    /// it does.
    pub(super) fn any<'a>(&self, subject: &Subject<'a>, mut test: impl FnMut(&Json<'a>) -> bool) -> bool {
        subject.root(self.root).is_some_and(|json| any(json, &self.steps, &mut test))
    }
}

fn any<'a>(json: &Json<'a>, steps: &[Step], test: &mut impl FnMut(&Json<'a>) -> bool) -> bool {
    let Some((step, steps)) = steps.split_first() else { return test(json) };
    match (json.kind(), step.index) {
        (Kind::Object(_), _) => json.member(&step.key).is_some_and(|json| any(json, steps, test)),
        (Kind::List(elements), Some(index)) => elements.get(index).is_some_and(|json| any(json, steps, test)),
        (Kind::List(elements), None) => {
            elements.iter().filter_map(|json| json.member(&step.key)).any(|json| any(json, steps, test))
        }
        _ => false,
    }
}

impl Step {
    fn new(key: &str) -> Self {
        let is_index = key == "0" || key.bytes().all(|byte| byte.is_ascii_digit()) && !key.starts_with('0');
        // No list has an element that far.
        let index = is_index.then(|| key.parse().unwrap_or(usize::MAX));
        Self { key: key.to_owned(), index }
    }
}

/// Splits at the dots. A backslash before a dot or a backslash makes it part of a key.
fn split(text: &str) -> Result<Vec<String>, String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '.' => parts.push(mem::take(&mut part)),
            '\\' => match chars.next() {
                Some(escaped @ ('.' | '\\')) => part.push(escaped),
                _ => {
                    return Err(
                        r"must have a backslash before a dot or a backslash only: `\.` or `\\`".to_owned()
                    );
                }
            },
            char => part.push(char),
        }
    }
    parts.push(part);
    if parts.iter().any(String::is_empty) {
        return Err(r"must not have an empty key; a dot that belongs to a key is written `\.`".to_owned());
    }
    Ok(parts)
}

fn escape(key: &str) -> String {
    key.replace('\\', r"\\").replace('.', r"\.")
}

#[cfg(test)]
mod tests {
    use posthaste_model::Payload;

    use super::*;

    #[track_caller]
    fn check(path: &str, data: &str, expect: &[&str]) {
        let (topic, metadata) = ("order.paid".parse().unwrap(), [("a.b".into(), "c".into())].into());
        let payload = Payload::Data(data.to_owned().into());
        let subject = Subject::new(&topic, &metadata, &payload);
        let mut found = Vec::new();
        let path = Path::read(path).unwrap();
        path.any(&subject, |json| {
            found.push(match json.kind() {
                Kind::Text(text) => text.clone().into_owned(),
                _ => json.raw().get().to_owned(),
            });
            false
        });
        assert_eq!(found, expect, "{path:?} in {data}");
    }

    #[track_caller]
    fn check_refused(path: &str, expect: &str) {
        let problem = Path::read(path).unwrap_err();
        assert!(problem.contains(expect), "{path}: {problem}");
    }

    #[test]
    fn paths() {
        let order = r#"{"a": {"b": 1, "0": 2}, "items": [{"sku": 3}, 4, {"sku": 5}, [{"sku": 6}]], "x.y": {"\\": 7}}"#;
        check("data", "1", &["1"]);
        check("data.a.b", order, &["1"]);
        check("data.a.0", order, &["2"]);
        check("data.a.b.c", order, &[]);
        check("data.b", order, &[]);
        check("data.items.sku", order, &["3", "5"]);
        check("data.items.0.sku", order, &["3"]);
        check("data.items.1", order, &["4"]);
        check("data.items.3.sku", order, &["6"]);
        check("data.items.4", order, &[]);
        check("data.items.99999999999999999999999", order, &[]);
        check(r"data.x\.y.\\", order, &["7"]);
        check("data.x.y", order, &[]);
        check("topic", order, &["order.paid"]);
        check(r"metadata.a\.b", order, &["c"]);
        check("metadata.a", order, &[]);
        check("data.0", "[[1], 2]", &["[1]"]);
        check("data.0.0", "[[1], 2]", &["1"]);
        check("data.00", r#"[{"00": 1}]"#, &["1"]);
        check("data.a", r#"[{"a": 1}, {"a": [{"a": 2}]}]"#, &["1", r#"[{"a": 2}]"#]);
        check("data.a.a", r#"[{"a": 1}, {"a": [{"a": 2}]}]"#, &["2"]);
        check("data.a", "not JSON", &[]);
    }

    #[test]
    fn what_is_no_path_is_told() {
        check_refused("amount", "`data.amount`?");
        check_refused("", "must not have an empty key");
        check_refused("data.", "must not have an empty key");
        check_refused("data..a", "must not have an empty key");
        check_refused("Data.a", "must be `topic`, or begin with `data.` or `metadata.`");
        check_refused("topic.a", "write `topic` alone");
        check_refused("metadata", "must name one key");
        check_refused("metadata.a.b", r"`metadata.a\.b`?");
        check_refused(r"data.a\b", "backslash");
        check_refused("data.a\\", "backslash");
        check_refused(&format!("data{}", ".a".repeat(33)), "more than 32 keys");
        check_refused(&format!("data.{}", "a".repeat(508)), "longer than 512 bytes");
    }

    #[test]
    fn what_is_below_a_path_is_found_by_it() {
        let path = Path::read("data.a").unwrap().below(r"b.c\d");
        assert_eq!(path, r"data.a.b\.c\\d");
        check(&path, r#"{"a": {"b.c\\d": 1}}"#, &["1"]);
    }
}
