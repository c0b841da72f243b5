use anyhow::Context as _;
use jiff::Timestamp;
use posthaste_signing::{Message, Profile, Signer};
use rand::{SeedableRng as _, rngs::StdRng};

use super::request::Request;

/// Where a profile's requests carry their id, their time and their signatures.
///
/// Found by signing messages that are known: so any profile can be asked, and none is known by name.
pub(super) struct Placement {
    pub(super) id: Option<Place>,
    pub(super) time: Option<(Place, Spelling)>,
    /// The name of the header that holds the signatures.
    pub(super) signatures: String,
    pub(super) signs_id: bool,
    pub(super) signs_time: bool,
    pub(super) signs_url: bool,
}

/// A piece of a header.
pub(super) struct Place {
    /// The header's name, as it is sent.
    pub(super) header: String,
    /// The text before it: the header's beginning, or what parts it from the piece ahead of it.
    before: String,
    is_first: bool,
    /// What ends the piece; nothing: the header's end.
    end: Option<char>,
}

/// How a time is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Spelling {
    Millis,
    Rfc3339,
    Seconds,
}

const MESSAGE: Message<'_> = Message {
    id: "msg-of-the-probe",
    topic: "topic.of.the.probe",
    time_ms: 1_764_000_000_000,
    method: "POST",
    url: "https://probe.example/",
    body: b"{}",
};

/// The time of the message. What begins like another comes first.
const SPELLINGS: [(Spelling, &str); 3] = [
    (Spelling::Millis, "1764000000000"),
    (Spelling::Rfc3339, "2025-11-24T16:00:00Z"),
    (Spelling::Seconds, "1764000000"),
];

impl Placement {
    pub(super) fn of(profile: &Profile) -> anyhow::Result<Self> {
        let headers = sign(profile, 0, &MESSAGE)?;
        // Another secret changes the signatures alone.
        let others = sign(profile, 1, &MESSAGE)?;
        let mut pairs = headers.iter().zip(&others);
        let (signed, _) = pairs.find(|(one, other)| one.1 != other.1).context("the profile signs nothing")?;
        let is_signed = |message: Message<'_>| -> anyhow::Result<bool> {
            let headers = sign(profile, 0, &message)?;
            let changed = headers.iter().find(|(name, _)| *name == signed.0);
            // The header may tell the id or the time as well, signed or not.
            Ok(changed.is_some_and(|(_, value)| plain(value, &message) != plain(&signed.1, &MESSAGE)))
        };
        let places = |text: &str| headers.iter().find_map(|(name, value)| Place::of(name, value, text));
        Ok(Self {
            id: places(MESSAGE.id),
            time: SPELLINGS.iter().find_map(|(spelling, text)| Some((places(text)?, *spelling))),
            signatures: signed.0.clone(),
            signs_id: is_signed(Message { id: "another-id", ..MESSAGE })?,
            signs_time: is_signed(Message { time_ms: MESSAGE.time_ms + 1_000, ..MESSAGE })?,
            signs_url: is_signed(Message { url: "https://other.example/", ..MESSAGE })?,
        })
    }
}

/// The headers of a message, signed by secrets that are made from a seed: nobody trusts what they sign.
fn sign(profile: &Profile, seed: u64, message: &Message<'_>) -> anyhow::Result<Vec<(String, String)>> {
    let secrets = profile.generate(&mut StdRng::seed_from_u64(seed));
    let signer = Signer::new(profile, &secrets).context("the profile cannot sign")?;
    let headers = signer.headers(message).context("the profile cannot sign")?;
    Ok(headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// A header's value without the id and the time of a message.
fn plain(value: &str, message: &Message<'_>) -> String {
    let mut value = value.replace(message.id, "");
    if let Ok(time) = Timestamp::from_millisecond(message.time_ms) {
        for text in [message.time_ms.to_string(), time.to_string(), time.as_second().to_string()] {
            value = value.replace(&text, "");
        }
    }
    value
}

impl Place {
    fn of(header: &str, value: &str, text: &str) -> Option<Self> {
        let (before, after) = value.split_once(text)?;
        let others = SPELLINGS.iter().map(|(_, time)| *time).chain([MESSAGE.id]);
        let ahead = others.filter_map(|other| Some(before.rfind(other)? + other.len())).max();
        Some(Self {
            header: header.to_owned(),
            before: before[ahead.unwrap_or(0)..].to_owned(),
            is_first: ahead.is_none(),
            end: after.chars().next(),
        })
    }

    /// What stands there in a request.
    pub(super) fn read<'r>(&self, request: &'r Request) -> Option<&'r str> {
        let value = request.header(&self.header)?;
        let value = match self.is_first {
            true => value.strip_prefix(self.before.as_str())?,
            false => value.split_once(self.before.as_str())?.1,
        };
        Some(self.end.and_then(|end| value.split_once(end)).map_or(value, |(piece, _)| piece))
    }
}

impl Spelling {
    /// The time that a text stands for.
    pub(super) fn read(self, text: &str) -> Option<Timestamp> {
        match self {
            Self::Millis => Timestamp::from_millisecond(text.parse().ok()?).ok(),
            Self::Rfc3339 => text.parse().ok(),
            Self::Seconds => Timestamp::from_second(text.parse().ok()?).ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(
        profile: &str,
        headers: &[(&str, &str)],
        id: Option<&str>,
        time: Option<&str>,
        signatures: &str,
    ) {
        let profile = Profile::parse(profile).unwrap();
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let request = Request {
            method: "POST".to_owned(),
            url: "https://a.example/".to_owned(),
            scheme_is_guessed: false,
            headers,
            body: Vec::new(),
        };
        let placement = Placement::of(&profile).unwrap();
        assert_eq!(placement.id.as_ref().and_then(|place| place.read(&request)), id);
        let read = placement.time.as_ref().and_then(|(place, _)| place.read(&request));
        assert_eq!(read, time);
        assert_eq!(placement.signatures, signatures);
        assert_eq!(placement.signs_time, time.is_some());
        if let Some((_, spelling)) = placement.time {
            assert_eq!(spelling.read(read.unwrap()), Some("2021-02-25T15:02:10Z".parse().unwrap()));
        }
    }

    #[test]
    fn every_part_is_found() {
        let ids = [("webhook-id", "msg_1"), ("Webhook-Timestamp", "1614265330")];
        check(r#"{"profile": "standard"}"#, &ids, Some("msg_1"), Some("1614265330"), "webhook-signature");
        let both = r#"{"profile": "standard", "versions": ["v1", "v1a"]}"#;
        check(both, &ids, Some("msg_1"), Some("1614265330"), "webhook-signature");
        let stripe = [("Stripe-Signature", "t=1614265330,v1=0a,v1=0b")];
        check(r#"{"profile": "stripe"}"#, &stripe, None, Some("1614265330"), "Stripe-Signature");
        let github = [("x-github-delivery", "d-1"), ("X-Hub-Signature-256", "sha256=0a")];
        check(r#"{"profile": "github"}"#, &github, Some("d-1"), None, "X-Hub-Signature-256");
        let custom = |time: &str| {
            let head = r#"{"profile": "custom", "algorithm": "hmac-sha1", "encoding": "hex", "key": "hex", "#;
            let tail = r#""headers": {"X-A": "at=TIME;id={id};", "X-B": "k={signature}"}}"#;
            format!(r#"{head}"signed": "TIME.{{url}}.{{body}}", {tail}"#).replace("TIME", time)
        };
        for (variable, text) in
            [("{ts}", "1614265330"), ("{ts_ms}", "1614265330000"), ("{ts_rfc3339}", "2021-02-25T15:02:10Z")]
        {
            let headers = [("x-a", format!("at={text};id=i;"))];
            let headers = [(headers[0].0, headers[0].1.as_str())];
            check(&custom(variable), &headers, Some("i"), Some(text), "X-B");
        }
    }

    #[test]
    fn what_is_signed_is_found() {
        for (name, id, time) in [
            ("standard", true, true),
            ("svix", true, true),
            ("stripe", false, true),
            ("github", false, false),
            ("shopify", false, false),
            ("slack", false, true),
        ] {
            let placement = Placement::of(&Profile::named(name).unwrap()).unwrap();
            let found = (placement.signs_id, placement.signs_time, placement.signs_url);
            assert_eq!(found, (id, time, false), "{name}");
        }
        let url = r#"{"profile": "custom", "signed": "{url}{body}", "algorithm": "hmac-sha256", "encoding": "base64",
            "key": "raw", "headers": {"X-A": "{signature}"}}"#;
        assert!(Placement::of(&Profile::parse(url).unwrap()).unwrap().signs_url);
    }
}
