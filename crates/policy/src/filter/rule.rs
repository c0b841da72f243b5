use serde_json::value::RawValue;

use super::{
    check::Check,
    explanation::{Explained, ExplainedCondition, ExplainedGroup, Found},
    operator::{Join, Operator},
    path::{Path, Root},
    subject::Subject,
};

/// A part of a filter.
#[derive(Clone)]
pub(super) enum Rule {
    Condition(Condition),
    Group(Group),
}

/// What one operator asks of one path.
#[derive(Clone)]
pub(super) struct Condition {
    /// Its JSON pointer in the filter.
    pub(super) at: String,
    pub(super) path: Path,
    pub(super) operator: Operator,
    /// As it was written.
    pub(super) operand: Box<RawValue>,
    pub(super) check: Check,
}

/// Rules put together. There is at least one.
#[derive(Clone)]
pub(super) struct Group {
    /// Its JSON pointer in the filter.
    pub(super) at: String,
    pub(super) join: Join,
    pub(super) rules: Vec<Rule>,
}

impl Rule {
    pub(super) fn holds(&self, subject: &Subject<'_>) -> bool {
        match self {
            Self::Condition(Condition { path, check, .. }) => check.holds(path, subject),
            Self::Group(Group { join, rules, .. }) => {
                join.holds(rules.iter().map(|rule| rule.holds(subject)))
            }
        }
    }

    /// How many regular expressions it has.
    pub(super) fn patterns(&self) -> usize {
        match self {
            Self::Condition(Condition { operator, .. }) => usize::from(*operator == Operator::Regex),
            Self::Group(Group { rules, .. }) => rules.iter().map(Self::patterns).sum(),
        }
    }

    /// Asks every rule, also those that do not matter any more.
    pub(super) fn explain(&self, subject: &Subject<'_>) -> Explained {
        match self {
            Self::Condition(condition) => Explained::Condition(condition.explain(subject)),
            Self::Group(Group { at, join, rules }) => {
                let conditions: Vec<_> = rules.iter().map(|rule| rule.explain(subject)).collect();
                let held = join.holds(conditions.iter().map(Explained::held));
                Explained::Group(ExplainedGroup { at: at.clone(), operator: join.name(), held, conditions })
            }
        }
    }
}

impl Condition {
    fn explain(&self, subject: &Subject<'_>) -> ExplainedCondition {
        let Self { at, path, operator, operand, check } = self;
        let mut found = Found::default();
        path.any(subject, |json| {
            found.add(json);
            false
        });
        let held = check.holds(path, subject);
        let no_data = path.root() == Root::Data && subject.root(Root::Data).is_none();
        let note = if no_data {
            Some("the event has no data: its payload is not JSON".to_owned())
        } else {
            check.caveat(path, subject).filter(|_| !held)
        };
        ExplainedCondition {
            at: at.clone(),
            path: path.as_str().to_owned(),
            operator: operator.name(),
            operand: operand.clone(),
            found,
            held,
            note,
        }
    }
}
