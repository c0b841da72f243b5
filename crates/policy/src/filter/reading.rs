use serde_json::value::RawValue;

use super::{
    check::Check,
    containers::{Member, elements, members},
    invalid::{InvalidFilter, Place},
    json::Json,
    operator::{Join, Operator},
    path::Path,
    rule::{Condition, Group, Rule},
};

/// How long a filter may be, in bytes of JSON.
const MAX_LENGTH: usize = 16 * 1024;
/// How many conditions it may have.
const MAX_CONDITIONS: usize = 64;
/// How many of them may be regular expressions, which cost the most.
const MAX_PATTERNS: usize = 4;

/// Reads a filter: rules of which all must hold.
pub(super) fn read(json: &RawValue) -> Result<Vec<Rule>, InvalidFilter> {
    let place = Place::default();
    if json.get().len() > MAX_LENGTH {
        return Err(place.refuse(format!("must not be longer than {MAX_LENGTH} bytes")));
    }
    Reader::default().filter(&Json::new(json), &place)
}

/// Counts what it has read.
#[derive(Default)]
struct Reader {
    conditions: usize,
    patterns: usize,
}

impl Reader {
    /// Reads paths with their tests, and filters put together.
    fn filter(&mut self, json: &Json<'_>, place: &Place) -> Result<Vec<Rule>, InvalidFilter> {
        let wrong = r#"must be an object with a path, such as {"data.amount": {"$gte": 100}}"#;
        let members = members(json, place)?.filter(|members| !members.is_empty());
        let mut rules = Vec::new();
        for Member { key, json, place } in members.ok_or_else(|| place.refuse(wrong))? {
            if let Some(join) = Join::named(&key) {
                rules.push(self.group(join, None, &json, &place)?);
            } else if let Some(operator) = Operator::named(&key) {
                let example = format!(r#"{{"data.amount": {{"{}": …}}}}"#, operator.name());
                return Err(place.refuse(format!("must stand below a path: {example}")));
            } else if key.starts_with('$') {
                return Err(unknown(&key, &place));
            } else {
                let path = Path::read(&key).map_err(|problem| place.refuse(problem))?;
                rules.extend(self.test(&path, &json, &place)?);
            }
        }
        Ok(rules)
    }

    /// Reads what is asked of a path: a value, or an object of operators.
    fn test(&mut self, path: &Path, json: &Json<'_>, place: &Place) -> Result<Vec<Rule>, InvalidFilter> {
        let Some(members) = members(json, place)? else {
            return Ok(vec![self.condition(path, Operator::Eq, json, place)?]);
        };
        if members.is_empty() {
            let advice = r#"such as {"$gte": 100}; an object to be equal to is written {"$eq": {}}"#;
            return Err(place.refuse(format!("must have an operator, {advice}")));
        }
        let mut rules = Vec::new();
        for Member { key, json, place } in members {
            if let Some(join) = Join::named(&key) {
                rules.push(self.group(join, Some(path), &json, &place)?);
            } else if let Some(operator) = Operator::named(&key) {
                rules.push(self.condition(path, operator, &json, &place)?);
            } else if key.starts_with('$') {
                return Err(unknown(&key, &place));
            } else {
                let advice = format!(
                    "write the path `{}` for what lies below, or $eq for the object as a whole",
                    path.below(&key)
                );
                return Err(place.refuse(format!("`{key}` is no operator: {advice}")));
            }
        }
        Ok(rules)
    }

    /// Reads whole filters put together, or tests of the path where there is one.
    fn group(
        &mut self,
        join: Join,
        path: Option<&Path>,
        json: &Json<'_>,
        place: &Place,
    ) -> Result<Rule, InvalidFilter> {
        let mut read = |json: &Json<'_>, place: &Place| match path {
            None => self.filter(json, place),
            Some(path) => self.test(path, json, place),
        };
        if join == Join::Not {
            let rules = read(json, place)?;
            return Ok(Rule::Group(Group { at: place.pointer().to_owned(), join, rules }));
        }
        let elements = elements(json, place)?.filter(|elements| !elements.is_empty());
        let mut rules = Vec::new();
        for (json, place) in elements.ok_or_else(|| place.refuse("must be a list that is not empty"))? {
            let mut all = read(json, &place)?;
            rules.push(match all.pop() {
                Some(only) if all.is_empty() => only,
                last => {
                    all.extend(last);
                    Rule::Group(Group { at: place.pointer().to_owned(), join: Join::And, rules: all })
                }
            });
        }
        Ok(Rule::Group(Group { at: place.pointer().to_owned(), join, rules }))
    }

    fn condition(
        &mut self,
        path: &Path,
        operator: Operator,
        json: &Json<'_>,
        place: &Place,
    ) -> Result<Rule, InvalidFilter> {
        self.conditions += 1;
        self.patterns += usize::from(operator == Operator::Regex);
        if self.conditions > MAX_CONDITIONS {
            return Err(
                place.refuse(format!("is one too many: a filter has at most {MAX_CONDITIONS} conditions"))
            );
        }
        if self.patterns > MAX_PATTERNS {
            let advice = "one pattern can hold several, `a|b`";
            return Err(place
                .refuse(format!("is one too many: a filter has at most {MAX_PATTERNS} $regex; {advice}")));
        }
        let check = Check::read(operator, json, place)?;
        Ok(Rule::Condition(Condition {
            at: place.pointer().to_owned(),
            path: path.clone(),
            operator,
            operand: json.raw().to_owned(),
            check,
        }))
    }
}

fn unknown(key: &str, place: &Place) -> InvalidFilter {
    let known: Vec<_> =
        Operator::ALL.iter().map(|operator| operator.name()).chain(Join::ALL.map(Join::name)).collect();
    place.refuse(format!("unknown operator `{key}`, must be one of {}", known.join(", ")))
}
