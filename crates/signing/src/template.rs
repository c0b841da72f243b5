//! Templates: texts with variables in braces.

use std::fmt;

/// What stands for a part of a message, or of its signatures, in a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variable {
    /// The message's id.
    Id,
    /// Its topic.
    Topic,
    /// The time of the attempt in whole seconds since the Unix epoch.
    Seconds,
    /// The same in milliseconds.
    Millis,
    /// The same as RFC 3339 has it, in whole seconds and UTC.
    Rfc3339,
    /// The body, byte for byte.
    Body,
    /// The SHA-256 of the body, in lower-case hex.
    BodySha256,
    /// The fields of a body that is a form: decoded, sorted, each once, names and values one after the other.
    BodyForm,
    /// The request's method.
    Method,
    /// The request's URL.
    Url,
    /// The one signature of a message.
    Signature,
    /// All signatures of a message, joined by the separator.
    Signatures,
    /// The bytes of one signature, encoded.
    Value,
}

use Variable::*;

impl Variable {
    const ALL: [Self; 13] = [
        Id, Topic, Seconds, Millis, Rfc3339, Body, BodySha256, BodyForm, Method, Url, Signature, Signatures,
        Value,
    ];
    /// How many variables there are.
    pub(crate) const COUNT: usize = Self::ALL.len();
    /// What can be signed.
    pub(crate) const SIGNED: &[Self] =
        &[Id, Topic, Seconds, Millis, Rfc3339, Body, BodySha256, BodyForm, Method, Url];
    /// What can stand in a header: the body cannot, as its bytes may be any.
    pub(crate) const IN_HEADERS: &[Self] =
        &[Id, Topic, Seconds, Millis, Rfc3339, BodySha256, Method, Url, Signature, Signatures];
    /// What can stand in the text of one signature.
    pub(crate) const IN_SIGNATURES: &[Self] = &[Value];
    /// What a receiver knows only if a header tells it.
    pub(crate) const TOLD: &[Self] = &[Id, Topic, Seconds, Millis, Rfc3339];
    /// The forms of the time.
    pub(crate) const TIMES: &[Self] = &[Seconds, Millis, Rfc3339];

    /// What is written between the braces.
    fn name(self) -> &'static str {
        match self {
            Id => "id",
            Topic => "topic",
            Seconds => "ts",
            Millis => "ts_ms",
            Rfc3339 => "ts_rfc3339",
            Body => "body",
            BodySha256 => "sha256(body)",
            BodyForm => "form(body)",
            Method => "method",
            Url => "url",
            Signature => "signature",
            Signatures => "signatures",
            Value => "value",
        }
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.name())
    }
}

/// A text with variables, such as `t={ts},{signatures}`. Two braces stand for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// A text that is not empty, as it is sent or signed.
    Text(String),
    Variable(Variable),
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidTemplate {
    #[error("has a '{{' that is never closed; two of them stand for one")]
    Unclosed,
    #[error("has a '}}' that closes nothing; two of them stand for one")]
    Unopened,
    #[error("has the unknown variable '{{{name}}}'; known here: {}", List(known))]
    Unknown { name: String, known: &'static [Variable] },
    #[error("cannot have {variable}; known here: {}", List(known))]
    Misplaced { variable: Variable, known: &'static [Variable] },
}

struct List<'a>(&'a [Variable]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, variable) in self.0.iter().enumerate() {
            let before = if index == 0 { "" } else { " " };
            write!(f, "{before}{variable}")?;
        }
        Ok(())
    }
}

impl Template {
    /// Reads a template that may have the variables in `known`.
    pub(crate) fn parse(text: &str, known: &'static [Variable]) -> Result<Self, InvalidTemplate> {
        let mut template = Self(Vec::new());
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            template.push_text(&rest[..at]);
            let (brace, after) = rest[at..].split_at(1);
            if let Some(after) = after.strip_prefix(brace) {
                template.push_text(brace);
                rest = after;
                continue;
            }
            if brace == "}" {
                return Err(InvalidTemplate::Unopened);
            }
            let (name, after) = after.split_once('}').ok_or(InvalidTemplate::Unclosed)?;
            template.0.push(Part::Variable(named(name, known)?));
            rest = after;
        }
        template.push_text(rest);
        Ok(template)
    }

    /// What reads as `text` in a template.
    pub(crate) fn escape(text: &str) -> String {
        text.replace('{', "{{").replace('}', "}}")
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.0
    }

    pub(crate) fn variables(&self) -> impl Iterator<Item = Variable> {
        self.0.iter().filter_map(|part| match part {
            Part::Variable(variable) => Some(*variable),
            Part::Text(_) => None,
        })
    }

    pub(crate) fn has(&self, variable: Variable) -> bool {
        self.variables().any(|here| here == variable)
    }

    /// The texts between the variables.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            Part::Variable(_) => None,
        })
    }

    /// Takes apart what was made from this template; none: it was not.
    ///
    /// A variable reaches up to where the text after it occurs first, the last one to the end.
    pub(crate) fn read<'v>(&self, value: &'v str) -> Option<Vec<(Variable, &'v str)>> {
        let mut found = Vec::new();
        let mut rest = value;
        let mut open = None;
        for (index, part) in self.0.iter().enumerate() {
            match part {
                Part::Variable(variable) => open = Some(*variable),
                Part::Text(text) => {
                    let is_last = index + 1 == self.0.len();
                    let at = if is_last && open.is_some() {
                        rest.len().checked_sub(text.len())?
                    } else {
                        rest.find(text.as_str())?
                    };
                    let (before, after) = rest.split_at_checked(at)?;
                    rest = after.strip_prefix(text.as_str())?;
                    match open.take() {
                        Some(variable) => found.push((variable, before)),
                        None if before.is_empty() => {}
                        None => return None,
                    }
                }
            }
        }
        match open {
            Some(variable) => found.push((variable, rest)),
            None if rest.is_empty() => {}
            None => return None,
        }
        Some(found)
    }

    fn push_text(&mut self, text: &str) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(Part::Text(before)) => before.push_str(text),
            _ => self.0.push(Part::Text(text.to_owned())),
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(&Self::escape(text)),
            Part::Variable(variable) => write!(f, "{variable}"),
        })
    }
}

fn named(name: &str, known: &'static [Variable]) -> Result<Variable, InvalidTemplate> {
    match Variable::ALL.into_iter().find(|variable| variable.name() == name) {
        Some(variable) if known.contains(&variable) => Ok(variable),
        Some(variable) => Err(InvalidTemplate::Misplaced { variable, known }),
        // Cut, so that the message stays one that can be read.
        None => Err(InvalidTemplate::Unknown { name: name.chars().take(40).collect(), known }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Part {
        Part::Text(text.to_owned())
    }

    #[track_caller]
    fn check(template: &str, expect: &[Part]) {
        assert_eq!(Template::parse(template, Variable::SIGNED).unwrap().parts(), expect);
    }

    #[test]
    fn variables_stand_in_braces() {
        check("", &[]);
        check("{ts}.{body}", &[Part::Variable(Seconds), text("."), Part::Variable(Body)]);
        check("{id}{body}", &[Part::Variable(Id), Part::Variable(Body)]);
        check("{sha256(body)}\n", &[Part::Variable(BodySha256), text("\n")]);
        check("{{{id}}}", &[text("{"), Part::Variable(Id), text("}")]);
        check("a{{id}}b}}", &[text("a{id}b}")]);
        check("ž{ts_rfc3339}", &[text("ž"), Part::Variable(Rfc3339)]);
    }

    #[track_caller]
    fn check_refused(template: &str, expect: &str) {
        let known: &'static [Variable] = &[Id, Seconds];
        assert_eq!(Template::parse(template, known).unwrap_err().to_string(), expect);
    }

    #[test]
    fn what_is_wrong_is_said() {
        check_refused("{id", "has a '{' that is never closed; two of them stand for one");
        check_refused("a{", "has a '{' that is never closed; two of them stand for one");
        check_refused("id}", "has a '}' that closes nothing; two of them stand for one");
        check_refused("{{id}", "has a '}' that closes nothing; two of them stand for one");
        check_refused("{Id}", "has the unknown variable '{Id}'; known here: {id} {ts}");
        check_refused("{}", "has the unknown variable '{}'; known here: {id} {ts}");
        check_refused("{ id }", "has the unknown variable '{ id }'; known here: {id} {ts}");
        check_refused("{body}", "cannot have {body}; known here: {id} {ts}");
    }

    #[track_caller]
    fn check_read(template: &str, value: &str, expect: Option<&[(Variable, &str)]>) {
        let template = Template::parse(template, Variable::IN_HEADERS).unwrap();
        assert_eq!(template.read(value).as_deref(), expect);
    }

    #[test]
    fn what_was_made_from_a_template_is_taken_apart() {
        check_read("{ts}", "1", Some(&[(Seconds, "1")]));
        check_read("{ts}", "", Some(&[(Seconds, "")]));
        check_read(
            "t={ts},{signatures}",
            "t=1,v1=a,v1=b",
            Some(&[(Seconds, "1"), (Signatures, "v1=a,v1=b")]),
        );
        check_read("t={ts};", "t=1;2;", Some(&[(Seconds, "1;2")]));
        check_read("fixed", "fixed", Some(&[]));
        check_read("t={ts},{signatures}", "t=1;v1=a", None);
        check_read("t={ts},{signatures}", "x t=1,v1=a", None);
        check_read("t={ts};", "t=1", None);
        check_read("t={ts}t", "t", None);
        check_read("fixed", "fixed ", None);
        check_read("é{ts}é", "éé", Some(&[(Seconds, "")]));
    }

    proptest! {
        #[test]
        fn no_text_and_no_value_makes_it_panic(template in "([{}a,é]|\\{id\\}|\\{ts\\}){0,12}", value in "[{}a,é]{0,12}") {
            if let Ok(template) = Template::parse(&template, Variable::IN_HEADERS) {
                template.read(&value);
            }
        }

        #[test]
        fn any_text_can_be_escaped(any in ".*") {
            let template = Template::parse(&Template::escape(&any), &[]).unwrap();
            prop_assert_eq!(template.texts().collect::<String>(), any);
        }
    }
}
