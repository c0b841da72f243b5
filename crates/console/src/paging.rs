//! The pages of a list: which one an address asks for, and the address of the next.

use posthaste_client::ListOptions;

use crate::fields::Fields;

/// The name of the field that says where a page begins.
const CURSOR: &str = "cursor";

/// The page of so many rows that an address asks for: the first one where it says nothing.
pub(crate) fn page_of(fields: &Fields, rows: u32) -> ListOptions {
    let cursor = Some(fields.get(CURSOR).to_owned()).filter(|cursor| !cursor.is_empty());
    ListOptions { limit: Some(rows), cursor }
}

/// The first page, of so many rows.
pub(crate) fn first(rows: u32) -> ListOptions {
    ListOptions { limit: Some(rows), cursor: None }
}

/// The query of the page that begins at a cursor. It keeps those fields of this one's that have something in them.
pub(crate) fn query(cursor: &str, kept: &[(&str, &str)]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in kept.iter().chain([&(CURSOR, cursor)]) {
        if !value.is_empty() {
            query.append_pair(name, value);
        }
    }
    query.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_asked_for_by_its_address() {
        let next = query("c 1", &[("tenant", "acme"), ("topic", "")]);
        assert_eq!(next, "tenant=acme&cursor=c+1");
        let fields = Fields::read(next.as_bytes());
        assert_eq!(page_of(&fields, 50), ListOptions { limit: Some(50), cursor: Some("c 1".into()) });
        assert_eq!(page_of(&Fields::default(), 50), first(50));
    }
}
