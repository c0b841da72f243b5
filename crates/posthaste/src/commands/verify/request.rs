use crate::commands::verify::shown;

/// A captured request, as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) url: String,
    /// Whether the capture does not tell the URL's scheme: what stands there is a guess.
    pub(super) scheme_is_guessed: bool,
    /// Names as they were written, with their values.
    pub(super) headers: Vec<(String, String)>,
    /// Byte for byte.
    pub(super) body: Vec<u8>,
}

impl Request {
    /// The value of a header, by its name in any case; the first one where it occurs several times.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// Every value of a header.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let is_meant = move |known: &str| known.eq_ignore_ascii_case(name);
        self.headers.iter().filter(move |(known, _)| is_meant(known)).map(|(_, value)| value.as_str())
    }
}

/// Why an input is no request. Says where.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    /// Nothing but white space.
    #[error("the input is empty: expected an HTTP request or a curl command line")]
    Empty,
    /// A line is not what should stand there.
    #[error("line {line}: {what}")]
    Line {
        /// From 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A word of a curl command line is not understood.
    #[error("word {number} of the curl command line, {}: {what}", shown(.word))]
    Word {
        /// From 1, which is `curl`.
        number: usize,
        /// The word.
        word: String,
        /// What is wrong.
        what: String,
    },
    /// A curl command line without a URL.
    #[error("the curl command line has no URL")]
    NoUrl,
}

impl Unreadable {
    pub(super) fn line(line: usize, what: impl Into<String>) -> Self {
        Self::Line { line, what: what.into() }
    }
}

/// A header from its line; nothing: it is none (RFC 9112 §5, RFC 9110 §5.6.2).
pub(super) fn header(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    is_token(name).then(|| (name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}

/// Whether a text can be a method or the name of a header (RFC 9110 §5.6.2).
pub(super) fn is_token(text: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token)
}
