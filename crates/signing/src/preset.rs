//! The profiles that have a name: formats as data, with a few choices left open.
//!
//! A preset is a JSON file with
//!
//! - `format`: the fields of a custom profile;
//! - `options`: texts that a profile may choose, with what they are otherwise. They stand in braces in the headers;
//! - `versions`: ways to sign that a profile may choose from. Otherwise it has the first.

use crate::InvalidProfile;
use crate::format::Format;
use crate::given::{Fields, Given};
use crate::template::Template;

/// The name of the profile that brings its own format.
pub(crate) const CUSTOM: &str = "custom";

const PRESETS: &[(&str, &str)] = &[
    ("standard", include_str!("../presets/standard.json")),
    ("svix", include_str!("../presets/svix.json")),
    ("stripe", include_str!("../presets/stripe.json")),
    ("github", include_str!("../presets/github.json")),
    ("shopify", include_str!("../presets/shopify.json")),
    ("slack", include_str!("../presets/slack.json")),
];

/// Most characters of an option: as many as a host name has (RFC 1035 §2.3.4).
const MAX_OPTION: usize = 253;

/// The names of all presets.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    PRESETS.iter().map(|(name, _)| *name)
}

/// The fields of the custom profile that a preset and the choices of a profile amount to.
pub(crate) fn expand(name: &str, chosen: &Fields) -> Result<Given, InvalidProfile> {
    let Some((name, json)) = PRESETS.iter().find(|(known, _)| *known == name) else {
        let known: Vec<&str> = names().chain([CUSTOM]).collect();
        return Err(chosen.wrong("profile", format!("must be one of {}", known.join(", "))));
    };
    let preset: Given = serde_json::from_str(json)
        .map_err(|error| InvalidProfile::new("", format!("the preset '{name}' is damaged: {error}")))?;
    let preset = Fields::of(&preset, "")?;
    let empty = Given::Object(Vec::new());
    let options = Fields::of(preset.get("options").unwrap_or(&empty), "")?;
    let versions = Fields::of(preset.get("versions").unwrap_or(&empty), "")?;
    check_fields(name, chosen, &options, &versions)?;

    let mut format = Vec::new();
    for (field, value) in Fields::of(preset.required("format")?, "")?.iter() {
        let value = if field == "headers" { with_options(value, chosen, &options)? } else { value.clone() };
        format.push((field.to_owned(), value));
    }
    if versions.iter().next().is_some() {
        format.push(("signatures".to_owned(), Given::List(signatures(chosen, &versions)?)));
    }
    Ok(Given::Object(format))
}

/// Refuses what the preset leaves no choice about.
fn check_fields(
    name: &str,
    chosen: &Fields,
    options: &Fields,
    versions: &Fields,
) -> Result<(), InvalidProfile> {
    let has_versions = versions.iter().next().is_some();
    let known: Vec<&str> =
        options.iter().map(|(option, _)| option).chain(has_versions.then_some("versions")).collect();
    let is_known = |field: &str| field == "profile" || known.contains(&field);
    let Some((field, _)) = chosen.iter().find(|(field, _)| !is_known(field)) else { return Ok(()) };
    let reason = if Format::FIELDS.contains(&field) {
        format!("goes with the profile '{CUSTOM}' alone: '{name}' has its own")
    } else if known.is_empty() {
        format!("is no field of the profile '{name}'; it has no others")
    } else {
        format!("is no field of the profile '{name}'; beside 'profile' it has {}", known.join(", "))
    };
    Err(chosen.wrong(field, reason))
}

/// The preset's headers with the options in their places.
fn with_options(headers: &Given, chosen: &Fields, options: &Fields) -> Result<Given, InvalidProfile> {
    let mut texts = Vec::new();
    for (option, default) in options.iter() {
        let text = match chosen.text(option)? {
            None => default.text("")?,
            Some(text) if is_option(text) => text,
            Some(_) => {
                let reason = format!("must be 1 to {MAX_OPTION} characters of visible ASCII, without spaces");
                return Err(chosen.wrong(option, reason));
            }
        };
        texts.push((format!("{{{option}}}"), Template::escape(text)));
    }
    let mut filled = Vec::new();
    for (header, value) in Fields::of(headers, "")?.iter() {
        let value = value.text("")?;
        let value = texts.iter().find(|(place, _)| place == value).map_or(value, |(_, text)| text);
        filled.push((header.to_owned(), Given::Text(value.to_owned())));
    }
    Ok(Given::Object(filled))
}

fn is_option(text: &str) -> bool {
    (1..=MAX_OPTION).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// How the chosen versions sign.
fn signatures(chosen: &Fields, versions: &Fields) -> Result<Vec<Given>, InvalidProfile> {
    let Some(list) = chosen.get("versions") else {
        return Ok(versions.iter().take(1).map(|(_, scheme)| scheme.clone()).collect());
    };
    let pointer = chosen.pointer("versions");
    let known = || versions.iter().map(|(version, _)| version).collect::<Vec<_>>().join(", ");
    let mut names = Vec::new();
    let mut schemes = Vec::new();
    for (index, version) in list.list(&pointer)?.iter().enumerate() {
        let pointer = format!("{pointer}/{index}");
        let version = version.text(&pointer)?;
        let scheme = versions
            .get(version)
            .ok_or_else(|| InvalidProfile::new(&pointer, format!("must be one of {}", known())))?;
        if names.contains(&version) {
            return Err(InvalidProfile::new(&pointer, format!("is '{version}' once more")));
        }
        names.push(version);
        schemes.push(scheme.clone());
    }
    if schemes.is_empty() {
        return Err(InvalidProfile::new(pointer, format!("must name at least one of {}", known())));
    }
    Ok(schemes)
}
