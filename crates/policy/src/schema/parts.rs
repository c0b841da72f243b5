use std::collections::HashMap;

use serde_json::Value;

use super::{InvalidSchema, depth};

/// How deep objects and lists may lie in each other in a schema.
const MAX_DEPTH: usize = 64;
/// How many schemas it may consist of.
const MAX_PARTS: usize = 2_000;
/// How many regular expressions it may have.
const MAX_PATTERNS: usize = 64;
/// How long each of them may be, in bytes.
const MAX_PATTERN: usize = 256;

const DRAFT_4: &str = "http://json-schema.org/draft-04/schema";
/// The drafts that are understood, as `$schema` names them.
const DRAFTS: [&str; 5] = [
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
    "http://json-schema.org/draft-06/schema",
    DRAFT_4,
];

/// Which values the schemas under a keyword judge.
#[derive(Debug, Clone, Copy)]
enum Reach {
    /// The same value.
    Beside,
    /// Each another value below it.
    Apart,
    /// Any values below it, also those that others judge.
    Below,
    /// None: others refer to them.
    Kept,
}

/// The keywords of all drafts that have schemas under them: one, a list, or several by their names.
const KEYWORDS: [(&str, Reach); 22] = [
    ("allOf", Reach::Beside),
    ("anyOf", Reach::Beside),
    ("oneOf", Reach::Beside),
    ("not", Reach::Beside),
    ("if", Reach::Beside),
    ("then", Reach::Beside),
    ("else", Reach::Beside),
    ("dependentSchemas", Reach::Beside),
    ("dependencies", Reach::Beside),
    ("properties", Reach::Apart),
    ("prefixItems", Reach::Apart),
    ("items", Reach::Below),
    ("additionalItems", Reach::Below),
    ("contains", Reach::Below),
    ("patternProperties", Reach::Below),
    ("additionalProperties", Reach::Below),
    ("propertyNames", Reach::Below),
    ("unevaluatedItems", Reach::Below),
    ("unevaluatedProperties", Reach::Below),
    ("$defs", Reach::Kept),
    ("definitions", Reach::Kept),
    ("contentSchema", Reach::Kept),
];
/// Those of them that have their schemas by names. A schema under another keyword has keywords of its own.
const BY_NAME: [&str; 6] =
    ["properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions"];

/// A schema in a schema, and the others that it asks, by their places in [`Parts`].
#[derive(Debug, Default)]
pub(super) struct Part {
    /// Where it stands: a JSON pointer.
    pub(super) pointer: String,
    /// Those that judge the same value.
    pub(super) beside: Vec<usize>,
    /// Those that judge values below it, no two the same.
    pub(super) apart: Vec<usize>,
    /// Those that may judge any values below it.
    pub(super) below: Vec<usize>,
    /// Whether it asks what the others have judged, for which they judge again.
    pub(super) asks_again: bool,
}

/// All that a schema consists of; the first is the schema as a whole.
pub(super) struct Parts(pub(super) Vec<Part>);

impl Parts {
    /// # Errors
    /// When it refers to anything outside itself, or is beyond a bound.
    pub(super) fn read(schema: &Value) -> Result<Self, InvalidSchema> {
        if depth(schema) > MAX_DEPTH {
            let problem = format!("must not have more than {MAX_DEPTH} objects and lists in each other");
            return Err(InvalidSchema::new("", problem));
        }
        let mut reader = Reader::new(schema, is_draft_4(schema)?);
        reader.part(String::new(), schema);
        while let Some((at, part)) = reader.unread.pop() {
            reader.read(at, part)?;
            if reader.parts.len() > MAX_PARTS {
                let problem = format!("must not consist of more than {MAX_PARTS} schemas");
                return Err(InvalidSchema::new("", problem));
            }
        }
        Ok(Self(reader.parts))
    }
}

/// Whether it is one of draft 4, where ids have another name.
fn is_draft_4(schema: &Value) -> Result<bool, InvalidSchema> {
    let Some(draft) = schema.get("$schema") else { return Ok(false) };
    let known = draft.as_str().map(|draft| draft.trim_end_matches('#'));
    match known.filter(|draft| DRAFTS.contains(draft)) {
        Some(draft) => Ok(draft == DRAFT_4),
        None => Err(InvalidSchema::new("/$schema", format!("must be one of {}", DRAFTS.join(", ")))),
    }
}

struct Reader<'a> {
    root: &'a Value,
    draft_4: bool,
    parts: Vec<Part>,
    /// Where each part is, by its pointer.
    places: HashMap<String, usize>,
    unread: Vec<(usize, &'a Value)>,
    patterns: usize,
}

impl<'a> Reader<'a> {
    fn new(root: &'a Value, draft_4: bool) -> Self {
        let (parts, places, unread) = (Vec::new(), HashMap::new(), Vec::new());
        Self { root, draft_4, parts, places, unread, patterns: 0 }
    }

    /// The place of a part, which is read later if it is new.
    fn part(&mut self, pointer: String, part: &'a Value) -> usize {
        if let Some(known) = self.places.get(&pointer) {
            return *known;
        }
        let at = self.parts.len();
        self.parts.push(Part { pointer: pointer.clone(), ..Part::default() });
        self.places.insert(pointer, at);
        self.unread.push((at, part));
        at
    }

    fn read(&mut self, at: usize, part: &'a Value) -> Result<(), InvalidSchema> {
        let Value::Object(keywords) = part else { return Ok(()) };
        let pointer = self.parts[at].pointer.clone();
        for (keyword, value) in keywords {
            let place = below(&pointer, keyword);
            match keyword.as_str() {
                "$ref" => {
                    let target = self.target(&place, value)?;
                    self.parts[at].beside.push(target);
                }
                "$dynamicRef" | "$recursiveRef" => {
                    return Err(InvalidSchema::new(place, "is not supported: write `$ref`"));
                }
                "$id" | "$schema" if at > 0 => {
                    return Err(InvalidSchema::new(place, "must stand at the beginning of the schema alone"));
                }
                "id" if at > 0 && self.draft_4 && value.is_string() => {
                    return Err(InvalidSchema::new(place, "must stand at the beginning of the schema alone"));
                }
                "pattern" => self.pattern(&place, value.as_str().unwrap_or_default())?,
                _ => {}
            }
            if let Some((_, reach)) = KEYWORDS.iter().find(|(name, _)| name == keyword) {
                self.keyword(at, keyword, &place, value, *reach)?;
            }
        }
        Ok(())
    }

    fn keyword(
        &mut self,
        at: usize,
        keyword: &str,
        place: &str,
        value: &'a Value,
        reach: Reach,
    ) -> Result<(), InvalidSchema> {
        let schemas: Vec<(String, &Value)> = match value {
            Value::Object(named) if BY_NAME.contains(&keyword) => {
                named.iter().map(|(name, schema)| (below(place, name), schema)).collect()
            }
            Value::Array(list) => {
                let placed = list.iter().enumerate();
                placed.map(|(index, schema)| (format!("{place}/{index}"), schema)).collect()
            }
            schema => vec![(place.to_owned(), schema)],
        };
        if let (Value::Object(named), "patternProperties") = (value, keyword) {
            for pattern in named.keys() {
                self.pattern(&below(place, pattern), pattern)?;
            }
        }
        for (pointer, schema) in schemas {
            // What is neither is no schema: the names of `dependencies`, or a mistake that is told later.
            if !schema.is_object() && !schema.is_boolean() {
                continue;
            }
            let part = self.part(pointer, schema);
            let Part { beside, apart, below, .. } = &mut self.parts[at];
            match reach {
                Reach::Beside => beside.push(part),
                Reach::Apart => apart.push(part),
                Reach::Below => below.push(part),
                Reach::Kept => {}
            }
        }
        self.parts[at].asks_again |= keyword.starts_with("unevaluated");
        Ok(())
    }

    /// What a reference leads to.
    fn target(&mut self, place: &str, reference: &Value) -> Result<usize, InvalidSchema> {
        let reference = reference.as_str().unwrap_or_default();
        let pointer = reference.strip_prefix('#').filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let Some(pointer) = pointer.filter(|pointer| !pointer.contains('%')) else {
            let problem = format!(
                "must lead to a place in this schema, such as `#/$defs/address`; `{}` is never fetched",
                reference.chars().take(100).collect::<String>()
            );
            return Err(InvalidSchema::new(place, problem));
        };
        match self.root.pointer(pointer) {
            Some(schema) if schema.is_object() || schema.is_boolean() => {
                Ok(self.part(pointer.to_owned(), schema))
            }
            _ => Err(InvalidSchema::new(place, "leads to no schema")),
        }
    }

    fn pattern(&mut self, place: &str, pattern: &str) -> Result<(), InvalidSchema> {
        self.patterns += 1;
        if self.patterns > MAX_PATTERNS {
            let problem = format!("is one too many: there must not be more than {MAX_PATTERNS} patterns");
            return Err(InvalidSchema::new(place, problem));
        }
        if pattern.len() > MAX_PATTERN {
            let problem = format!("must not be longer than {MAX_PATTERN} bytes");
            return Err(InvalidSchema::new(place, problem));
        }
        Ok(())
    }
}

fn below(pointer: &str, key: &str) -> String {
    // RFC 6901, section 3.
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}
