use std::fmt;

use jiff::Timestamp;
use posthaste_signing::{Diagnosis, Part, Place, Profile};
use serde::Serialize;

use super::{
    choice::{Choice, Reason},
    credentials::Credentials,
    hints::hints,
    judgement::{Age, judge, matches},
    request::Request,
};

/// What is found of a request. Holds nothing of a secret.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) valid: bool,
    profile: Profile,
    /// The header by which the profile was recognised.
    recognised_by: Option<String>,
    id: Option<Told>,
    timestamp: Option<Time>,
    signatures: Told,
    /// The URL, where it is signed.
    url: Option<String>,
    body: Body,
    keys: Vec<Key>,
    diagnosis: Option<Diagnosis>,
    hints: Vec<String>,
    #[serde(skip)]
    reason: Reason,
}

/// What a header tells.
#[derive(Serialize)]
struct Told {
    header: String,
    /// None: it is not there, or not of the profile's form.
    value: Option<String>,
    /// Whether the signature covers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed: Option<bool>,
}

#[derive(Serialize)]
struct Time {
    #[serde(flatten)]
    told: Told,
    /// What the value stands for.
    time: Option<Timestamp>,
    /// Seconds from then to now.
    age: Option<i64>,
    /// Whether a receiver would take it now.
    within_tolerance: Option<bool>,
}

#[derive(Serialize)]
struct Body {
    bytes: usize,
}

#[derive(Serialize)]
struct Key {
    name: String,
    matches: bool,
}

impl Report {
    /// Looks at every part of a request.
    pub(super) fn of(
        choice: Choice,
        credentials: &Credentials,
        request: &Request,
        age: Age,
    ) -> anyhow::Result<Self> {
        let Choice { profile, reason } = choice;
        let placement = profile.placement();
        let diagnosis = judge(&profile, &credentials.all, request, age).err();
        let read = |place: Place<'_>| request.header(place.header()).and_then(|value| place.read(value));
        let told = |place: Place<'_>| Told {
            header: place.header().to_owned(),
            value: read(place).map(str::to_owned),
            signed: Some(place.is_signed()),
        };
        let time = |place: Place<'_>| {
            let time = read(place).and_then(|text| place.time(text));
            let seconds = time.map(|time| age.now.as_second() - time.as_second());
            Time {
                told: told(place),
                time,
                age: seconds,
                within_tolerance: seconds.map(|seconds| seconds.unsigned_abs() <= age.tolerance.as_secs()),
            }
        };
        let keys = credentials.all.iter().zip(&credentials.names);
        Ok(Self {
            valid: diagnosis.is_none(),
            recognised_by: match &reason {
                Reason::Recognised(header) => Some(header.clone()),
                _ => None,
            },
            id: placement.id.map(told),
            timestamp: placement.time.map(time),
            signatures: Told {
                header: placement.signatures.to_owned(),
                value: request.header(placement.signatures).map(str::to_owned),
                signed: None,
            },
            url: placement.signs_url.then(|| request.url.clone()),
            body: Body { bytes: request.body.len() },
            keys: keys
                .map(|(credential, name)| Key {
                    name: name.clone(),
                    matches: matches(&profile, credential, request),
                })
                .collect(),
            hints: [credentials.weaknesses.clone(), hints(request, &placement, diagnosis.is_none())].concat(),
            profile,
            diagnosis,
            reason,
        })
    }

    fn verdict(&self) -> String {
        let Some(diagnosis) = &self.diagnosis else { return "valid".to_owned() };
        let names: Vec<String> =
            diagnosis.suspects.iter().map(|part| format!("the {}", name(*part))).collect();
        let suspects = match names.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => "something".to_owned(),
        };
        format!("not valid: {suspects} is wrong")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.verdict())?;
        writeln!(f, "  profile     {}, {}", self.profile.name(), self.reason)?;
        if let Some(id) = &self.id {
            writeln!(f, "  id          {id}")?;
        }
        if let Some(time) = &self.timestamp {
            writeln!(f, "  timestamp   {time}")?;
        }
        if let Some(url) = &self.url {
            writeln!(f, "  url         {}", visible(url))?;
        }
        let bytes = self.body.bytes;
        writeln!(f, "  body        {bytes} {}", if bytes == 1 { "byte" } else { "bytes" })?;
        writeln!(f, "  signatures  {}", self.signatures)?;
        for Key { name, matches } in &self.keys {
            let verdict = if *matches { "made one of the signatures" } else { "made none of the signatures" };
            writeln!(f, "  key         {name} {verdict}")?;
        }
        // Parts of a request can stand in it, whatever they hold.
        if let Some(diagnosis) = &self.diagnosis {
            writeln!(f, "diagnosis: {}", visible(&diagnosis.message))?;
        }
        self.hints.iter().try_for_each(|hint| writeln!(f, "hint: {}", visible(hint)))
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} ({})", visible(value), self.header)?,
            None => write!(f, "not found in the header {}", self.header)?,
        }
        if self.signed == Some(false) { f.write_str(", not signed") } else { Ok(()) }
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.told)?;
        let (Some(time), Some(age)) = (self.time, self.age) else { return Ok(()) };
        let length = length(age.unsigned_abs());
        let direction = if age < 0 { "from now" } else { "ago" };
        write!(f, ": {time}, {length} {direction}")?;
        if self.within_tolerance == Some(false) && age >= 0 {
            f.write_str(", too old for a receiver to take it now")?;
        }
        Ok(())
    }
}

fn name(part: Part) -> &'static str {
    match part {
        Part::Id => "id",
        Part::Timestamp => "timestamp",
        Part::Body => "body",
        Part::Url => "URL",
        Part::Key => "key",
        Part::Format => "format",
    }
}

/// Seconds in the largest unit of which there are two.
fn length(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min")];
    let unit = units.into_iter().find(|(length, _)| seconds >= 2 * length);
    let (length, name) = unit.unwrap_or((1, "s"));
    format!("{} {name}", seconds / length)
}

/// A text whose control characters do nothing to a terminal.
fn visible(text: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_rounded_down() {
        for (seconds, expect) in
            [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_199, "119 min"), (7_200, "2 h"), (172_800, "2 d")]
        {
            assert_eq!(length(seconds), expect);
        }
    }

    #[test]
    fn nothing_reaches_the_terminal_but_text() {
        assert_eq!(visible("kůň\u{1b}[2J\r\n"), "kůň\\u{1b}[2J\\r\\n");
    }
}
