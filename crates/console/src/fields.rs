//! What forms and addresses carry: names and values.

use std::{borrow::Cow, str::FromStr};

use crate::fault::Fault;

/// Names and values in their order (application/x-www-form-urlencoded).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(crate) fn read(encoded: &[u8]) -> Self {
        let own = |(name, value): (Cow<'_, str>, Cow<'_, str>)| (name.into_owned(), value.into_owned());
        Self(form_urlencoded::parse(encoded).map(own).collect())
    }

    /// The first value of that name, without spaces around it; empty: there is none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// Every value of that name.
    pub(crate) fn all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(of, _)| of == name).map(|(_, value)| value.trim())
    }

    /// The value of that name as what it is to be; none: it was left empty.
    pub(crate) fn parse<T: FromStr>(
        &self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, Fault> {
        match self.get(name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| Fault::field(name, text, expected)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read() {
        let fields = Fields::read(b"a=1&b=+x+%26&a=2&c=&d");
        assert_eq!(fields.get("a"), "1");
        assert_eq!(fields.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(fields.get("b"), "x &");
        assert_eq!((fields.get("c"), fields.get("d"), fields.get("e")), ("", "", ""));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let fields = Fields::read(b"rate=fast&n=7");
        assert_eq!(fields.parse::<u32>("n", "a number").ok().flatten(), Some(7));
        assert!(fields.parse::<u32>("none", "a number").is_ok_and(|n| n.is_none()));
        let fault = fields.parse::<u32>("rate", "a number").unwrap_err();
        assert_eq!(fault.to_string(), "rate: 'fast' is not a number");
    }
}
