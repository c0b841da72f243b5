use std::borrow::Cow;

use super::{
    invalid::{InvalidFilter, Place},
    json::Json,
    node::{Kind, Node as _},
};

/// How deep objects and lists in a filter may lie in each other.
const MAX_DEPTH: usize = 16;

/// What is under a key of an object in a filter.
pub(super) struct Member<'a> {
    pub(super) key: Cow<'a, str>,
    pub(super) json: Json<'a>,
    pub(super) place: Place,
}

/// The members of an object in a filter; none: it is no object.
///
/// # Errors
/// When it lies too deep, or a key appears twice: whichever counted, the other would be ignored silently.
pub(super) fn members<'a>(json: &Json<'a>, place: &Place) -> Result<Option<Vec<Member<'a>>>, InvalidFilter> {
    let Some(spelled) = json.spelled_members() else { return Ok(None) };
    check_depth(place)?;
    let Kind::Object(distinct) = json.kind() else { return Ok(None) };
    if distinct.len() < spelled.len() {
        let mut keys: Vec<_> = spelled.iter().map(|(key, _)| key).collect();
        keys.sort();
        let twice = keys.windows(2).find(|pair| pair[0] == pair[1]).map_or("", |pair| pair[0]);
        return Err(place.member(twice).refuse("must not appear twice"));
    }
    let placed = spelled.into_iter().map(|(key, json)| {
        let place = place.member(&key);
        Member { key, json, place }
    });
    Ok(Some(placed.collect()))
}

/// The elements of a list in a filter, each with its place; none: it is no list.
///
/// # Errors
/// When it lies too deep.
pub(super) fn elements<'j, 'a>(
    json: &'j Json<'a>,
    place: &Place,
) -> Result<Option<Vec<(&'j Json<'a>, Place)>>, InvalidFilter> {
    let Kind::List(elements) = json.kind() else { return Ok(None) };
    check_depth(place)?;
    Ok(Some(elements.iter().enumerate().map(|(index, json)| (json, place.element(index))).collect()))
}

fn check_depth(place: &Place) -> Result<(), InvalidFilter> {
    if place.depth() < MAX_DEPTH {
        return Ok(());
    }
    Err(place.refuse(format!("must not have more than {MAX_DEPTH} objects and lists in each other")))
}
