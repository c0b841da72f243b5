//! Where a profile's requests carry their parts.

use jiff::Timestamp;

use crate::Profile;
use crate::header::Header;
use crate::template::Variable;

/// Where a profile's requests carry their id, their time and their signatures.
#[derive(Debug, Clone, Copy)]
pub struct Placement<'p> {
    /// The id; none: requests do not tell it.
    pub id: Option<Place<'p>>,
    /// The time of the attempt; none: requests do not tell it.
    pub time: Option<Place<'p>>,
    /// The name of the header that holds the signatures.
    pub signatures: &'p str,
    /// Whether the URL is signed.
    pub signs_url: bool,
}

/// A piece of a header.
#[derive(Debug, Clone, Copy)]
pub struct Place<'p> {
    header: &'p Header,
    variable: Variable,
    is_signed: bool,
}

impl Profile {
    /// Where its requests carry what.
    #[must_use]
    pub fn placement(&self) -> Placement<'_> {
        let format = self.format();
        let place = |variable: Variable| {
            let is_signed = format.signed.has(variable);
            format.header_of(variable).map(|header| Place { header, variable, is_signed })
        };
        let mut times = Variable::TIMES.iter().filter_map(|time| place(*time));
        // A time that is signed speaks for one beside it that is not.
        let time = times.clone().find(|time| time.is_signed).or_else(|| times.next());
        Placement {
            id: place(Variable::Id),
            time,
            signatures: format.header_of(format.signature_variable()).map_or("", |header| &header.name),
            signs_url: format.signed.has(Variable::Url),
        }
    }
}

impl<'p> Place<'p> {
    /// The header's name, as it is sent.
    #[must_use]
    pub fn header(&self) -> &'p str {
        &self.header.name
    }

    /// Whether what stands there is signed.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.is_signed
    }

    /// What stands there in the header's value; none: that is not of the profile's form.
    #[must_use]
    pub fn read<'v>(&self, value: &'v str) -> Option<&'v str> {
        let found = self.header.value.read(value)?;
        found.into_iter().find(|(variable, _)| *variable == self.variable).map(|(_, text)| text)
    }

    /// The time that a text there stands for; none: it is no time, or the place is of something else.
    #[must_use]
    pub fn time(&self, text: &str) -> Option<Timestamp> {
        match self.variable {
            Variable::Millis => Timestamp::from_millisecond(text.parse().ok()?).ok(),
            Variable::Rfc3339 => text.parse().ok(),
            Variable::Seconds => Timestamp::from_second(text.parse().ok()?).ok(),
            _ => None,
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
        let placement = profile.placement();
        let read = |place: &Place<'_>| {
            let value = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(place.header()))?.1;
            place.read(value).map(str::to_owned)
        };
        assert_eq!(placement.id.as_ref().and_then(read).as_deref(), id);
        assert_eq!(placement.time.as_ref().and_then(read).as_deref(), time);
        assert_eq!(placement.signatures, signatures);
        if let (Some(place), Some(text)) = (placement.time, time) {
            assert_eq!(place.time(text), Some("2021-02-25T15:02:10Z".parse().unwrap()));
            assert_eq!(place.time("soon"), None);
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
        check(
            r#"{"profile": "stripe"}"#,
            &[("Stripe-Signature", "1614265330")],
            None,
            None,
            "Stripe-Signature",
        );
        let github = [("x-github-delivery", "d-1"), ("X-Hub-Signature-256", "sha256=0a")];
        check(r#"{"profile": "github"}"#, &github, Some("d-1"), None, "X-Hub-Signature-256");
    }

    #[test]
    fn a_time_is_read_as_it_is_written() {
        let custom = |signed: &str, sent: &str| {
            format!(
                r#"{{"profile": "custom", "algorithm": "hmac-sha1", "encoding": "hex", "key": "hex",
                "signed": "{signed}.{{url}}.{{body}}",
                "headers": {{"X-A": "at={sent};id={{id}};", "X-B": "k={{signature}}"}}}}"#
            )
        };
        for (variable, text) in
            [("{ts}", "1614265330"), ("{ts_ms}", "1614265330000"), ("{ts_rfc3339}", "2021-02-25T15:02:10Z")]
        {
            let value = format!("at={text};id=i;");
            check(&custom(variable, variable), &[("x-a", &value)], Some("i"), Some(text), "X-B");
        }
        // Of two the one that is signed.
        let both = custom("{ts_ms}", "{ts} {ts_ms}");
        let headers = [("X-A", "at=1614265330 1614265330000;id=i;")];
        check(&both, &headers, Some("i"), Some("1614265330000"), "X-B");
    }

    #[test]
    fn what_is_signed_is_told() {
        for (name, id, time) in [
            ("standard", true, true),
            ("svix", true, true),
            ("stripe", false, true),
            ("github", false, false),
            ("shopify", false, false),
            ("slack", false, true),
        ] {
            let profile = Profile::named(name).unwrap();
            let placement = profile.placement();
            let signed = |place: Option<Place<'_>>| place.is_some_and(|place| place.is_signed());
            let found = (signed(placement.id), signed(placement.time), placement.signs_url);
            assert_eq!(found, (id, time, false), "{name}");
        }
        let url = r#"{"profile": "custom", "signed": "{url}{body}", "algorithm": "hmac-sha256", "encoding": "base64",
            "key": "raw", "headers": {"X-A": "{signature}"}}"#;
        assert!(Profile::parse(url).unwrap().placement().signs_url);
    }
}
