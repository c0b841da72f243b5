//! A request as a curl command line, such as browsers and API consoles copy it.

use std::io;

use super::{
    request::{Request, Unreadable, header, is_token},
    words,
};

/// What an option says of the request.
#[derive(Clone, Copy)]
enum Says {
    /// Nothing, and takes no value.
    Nothing,
    /// Nothing of what is signed, and takes a value.
    Aside,
    Header,
    Method,
    Url,
    Body(Body),
    /// What is not followed here.
    More,
}

/// How an option gives the body.
#[derive(Clone, Copy)]
enum Body {
    /// From a file without its line breaks.
    Text,
    /// From a file as it is.
    Binary,
    /// Never from a file.
    Raw,
}

/// The options that are known, by their long and short names. Any other is refused: nobody could tell whether it takes a
/// value.
const OPTIONS: &[(&str, Option<char>, Says)] = &[
    ("header", Some('H'), Says::Header),
    ("request", Some('X'), Says::Method),
    ("url", None, Says::Url),
    ("data", Some('d'), Says::Body(Body::Text)),
    ("data-ascii", None, Says::Body(Body::Text)),
    ("data-binary", None, Says::Body(Body::Binary)),
    ("data-raw", None, Says::Body(Body::Raw)),
    ("json", None, Says::Body(Body::Binary)),
    ("data-urlencode", None, Says::More),
    ("form", Some('F'), Says::More),
    ("form-string", None, Says::More),
    ("get", Some('G'), Says::More),
    ("head", Some('I'), Says::More),
    ("next", Some(':'), Says::More),
    ("upload-file", Some('T'), Says::More),
    ("config", Some('K'), Says::More),
    ("compressed", None, Says::Nothing),
    ("fail", Some('f'), Says::Nothing),
    ("fail-with-body", None, Says::Nothing),
    ("globoff", Some('g'), Says::Nothing),
    ("http1.1", None, Says::Nothing),
    ("http2", None, Says::Nothing),
    ("include", Some('i'), Says::Nothing),
    ("insecure", Some('k'), Says::Nothing),
    ("ipv4", Some('4'), Says::Nothing),
    ("ipv6", Some('6'), Says::Nothing),
    ("location", Some('L'), Says::Nothing),
    ("no-buffer", Some('N'), Says::Nothing),
    ("path-as-is", None, Says::Nothing),
    ("show-error", Some('S'), Says::Nothing),
    ("silent", Some('s'), Says::Nothing),
    ("verbose", Some('v'), Says::Nothing),
    ("cacert", None, Says::Aside),
    ("cert", Some('E'), Says::Aside),
    ("connect-timeout", None, Says::Aside),
    ("cookie", Some('b'), Says::Aside),
    ("key", None, Says::Aside),
    ("max-time", Some('m'), Says::Aside),
    ("output", Some('o'), Says::Aside),
    ("proxy", Some('x'), Says::Aside),
    ("referer", Some('e'), Says::Aside),
    ("resolve", None, Says::Aside),
    ("retry", None, Says::Aside),
    ("user", Some('u'), Says::Aside),
    ("user-agent", Some('A'), Says::Aside),
    ("write-out", Some('w'), Says::Aside),
];

/// Whether an input is a curl command line, judged by its first word.
pub(super) fn is_curl(input: &[u8]) -> bool {
    let input = input.trim_ascii_start();
    let command = input.strip_prefix(b"$ ").unwrap_or(input);
    matches!(command.strip_prefix(b"curl"), Some([] | [b' ' | b'\t' | b'\r' | b'\n' | b'\\', ..]))
}

/// Reads a command line. `file` reads a file that the body comes from.
pub(super) fn read(
    command: &[u8],
    file: impl Fn(&str) -> io::Result<Vec<u8>>,
) -> Result<Request, Unreadable> {
    let mut words = Words { all: words::split(command)?, at: 0 };
    // The prompt, and curl itself.
    if words.next().is_some_and(|word| word == b"$") {
        words.next();
    }
    let mut command = Command::default();
    let mut only_urls = false;
    while let Some(word) = words.next() {
        match word.as_slice() {
            b"--" if !only_urls => only_urls = true,
            [b'-', b'-', name @ ..] if !only_urls => {
                let name = String::from_utf8_lossy(name);
                let Some((_, _, says)) = OPTIONS.iter().find(|(known, _, _)| *known == name) else {
                    return Err(
                        words.wrong("this option is not understood; leave it out if nothing depends on it")
                    );
                };
                command.option(*says, None, &mut words, &file)?;
            }
            [b'-', letters @ ..] if !only_urls && !letters.is_empty() => {
                command.letters(letters, &mut words, &file)?;
            }
            url => command.url(url, &words)?,
        }
    }
    command.request()
}

/// The words, and where the reading is.
struct Words {
    all: Vec<Vec<u8>>,
    at: usize,
}

impl Words {
    fn next(&mut self) -> Option<Vec<u8>> {
        let word = self.all.get(self.at)?;
        self.at += 1;
        Some(word.clone())
    }

    /// What is wrong with the word that was read last.
    fn wrong(&self, what: impl Into<String>) -> Unreadable {
        let word = self.at.checked_sub(1).and_then(|last| self.all.get(last));
        let word = word.map(|word| String::from_utf8_lossy(word).into_owned()).unwrap_or_default();
        Unreadable::Word { number: self.at, word, what: what.into() }
    }

    fn text(&self, word: &[u8]) -> Result<String, Unreadable> {
        String::from_utf8(word.to_vec()).map_err(|_| self.wrong("this is not UTF-8"))
    }
}

/// What was read of the request.
#[derive(Default)]
struct Command {
    method: Option<String>,
    url: Option<String>,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Command {
    /// Options of one letter, which can be written as one word, with the value of the last one.
    fn letters(
        &mut self,
        letters: &[u8],
        words: &mut Words,
        file: &impl Fn(&str) -> io::Result<Vec<u8>>,
    ) -> Result<(), Unreadable> {
        for (index, letter) in letters.iter().enumerate() {
            let known = OPTIONS.iter().find(|(_, short, _)| *short == Some(char::from(*letter)));
            let Some((_, _, says)) = known else {
                let letter = char::from(*letter).escape_default();
                return Err(words.wrong(format!("the option -{letter} is not understood")));
            };
            let rest = &letters[index + 1..];
            self.option(*says, Some(rest).filter(|rest| !rest.is_empty()), words, file)?;
            if !matches!(says, Says::Nothing) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// An option, with its value where that stands in the same word.
    fn option(
        &mut self,
        says: Says,
        value: Option<&[u8]>,
        words: &mut Words,
        file: &impl Fn(&str) -> io::Result<Vec<u8>>,
    ) -> Result<(), Unreadable> {
        match says {
            Says::Nothing => return Ok(()),
            Says::More => {
                return Err(words.wrong(
                    "this option makes a request that is not followed here: capture the request itself",
                ));
            }
            _ => {}
        }
        let value = match value {
            Some(value) => value.to_vec(),
            None => match words.next() {
                Some(value) => value,
                None => return Err(words.wrong("this option has no value")),
            },
        };
        match says {
            Says::Header => self.header(&value, words),
            Says::Method => {
                let method = words.text(&value)?;
                if !is_token(&method) {
                    return Err(words.wrong("this is no method"));
                }
                self.method = Some(method);
                Ok(())
            }
            Says::Url => self.url(&value, words),
            Says::Body(body) => self.data(body, value, words, file),
            Says::Aside | Says::Nothing | Says::More => Ok(()),
        }
    }

    fn header(&mut self, value: &[u8], words: &Words) -> Result<(), Unreadable> {
        let text = String::from_utf8_lossy(value);
        match (header(&text), text.strip_suffix(';')) {
            // A name with nothing behind its colon takes the header away that curl would send.
            (Some((_, value)), _) if value.is_empty() => {}
            (Some(header), _) => self.headers.push(header),
            (None, Some(name)) if is_token(name) => self.headers.push((name.to_owned(), String::new())),
            (None, _) => return Err(words.wrong("expected a header such as 'Name: value'")),
        }
        Ok(())
    }

    fn url(&mut self, url: &[u8], words: &Words) -> Result<(), Unreadable> {
        let url = words.text(url)?;
        if self.url.is_some() {
            return Err(words.wrong("this is a second URL: is a quote missing before it?"));
        }
        self.url = Some(url);
        Ok(())
    }

    fn data(
        &mut self,
        body: Body,
        value: Vec<u8>,
        words: &Words,
        file: &impl Fn(&str) -> io::Result<Vec<u8>>,
    ) -> Result<(), Unreadable> {
        let data = match (body, value.as_slice()) {
            (Body::Text | Body::Binary, [b'@', name @ ..]) => {
                let name = words.text(name)?;
                if name == "-" {
                    return Err(words.wrong("the body is not read from here: write it to a file"));
                }
                let mut data =
                    file(&name).map_err(|error| words.wrong(format!("the file cannot be read: {error}")))?;
                if matches!(body, Body::Text) {
                    // As curl does.
                    data.retain(|byte| !b"\r\n\0".contains(byte));
                }
                data
            }
            _ => value,
        };
        match &mut self.body {
            Some(body) => {
                body.push(b'&');
                body.extend(data);
            }
            none => *none = Some(data),
        }
        Ok(())
    }

    fn request(self) -> Result<Request, Unreadable> {
        let url = self.url.ok_or(Unreadable::NoUrl)?;
        let scheme_is_guessed = !url.contains("://");
        let url = if scheme_is_guessed { format!("https://{url}") } else { url };
        let method =
            self.method.unwrap_or_else(|| if self.body.is_some() { "POST" } else { "GET" }.to_owned());
        let body = self.body.unwrap_or_default();
        Ok(Request { method, url, scheme_is_guessed, headers: self.headers, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://a.example/hooks";

    fn file(name: &str) -> io::Result<Vec<u8>> {
        match name {
            "body.json" => Ok(b"{\r\n}\n".to_vec()),
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    #[track_caller]
    fn check(command: &str, method: &str, url: &str, headers: &[(&str, &str)], body: &str) {
        let request = read(command.as_bytes(), file).unwrap();
        assert_eq!((request.method.as_str(), request.url.as_str()), (method, url), "{command}");
        let found: Vec<_> =
            request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, headers, "{command}");
        assert_eq!(String::from_utf8_lossy(&request.body), body, "{command}");
    }

    #[track_caller]
    fn refused(command: &str, says: &str) {
        let error = read(command.as_bytes(), file).unwrap_err().to_string();
        assert!(error.contains(says), "{command}: {error}");
    }

    #[test]
    fn the_first_word_tells() {
        for input in ["curl", "curl x", " \n$ curl\tx", "curl\\\n x"] {
            assert!(is_curl(input.as_bytes()), "{input}");
        }
        for input in ["", "curly x", "POST /curl HTTP/1.1", "CURL / HTTP/1.1"] {
            assert!(!is_curl(input.as_bytes()), "{input}");
        }
    }

    #[test]
    fn the_parts_of_a_request() {
        let header = [("a", "b: c")];
        check("curl https://a.example/hooks", "GET", URL, &[], "");
        check("$ curl -d x https://a.example/hooks", "POST", URL, &[], "x");
        check("curl -X PUT https://a.example/hooks -H 'a: b: c' --data-raw '{}'", "PUT", URL, &header, "{}");
        check(
            "curl --request PUT --header a:b:\\ c --url https://a.example/hooks",
            "PUT",
            URL,
            &[("a", "b: c")],
            "",
        );
        check("curl -sSXPUT -H'a: b: c' -d'{}' -- https://a.example/hooks", "PUT", URL, &header, "{}");
        check("curl a.example/hooks -A x -b y --compressed -sk -o- -m5", "GET", URL, &[], "");
        check("curl https://a.example/hooks -H 'a;' -H 'Expect:' -H 'b:'", "GET", URL, &[("a", "")], "");
        check(
            "curl https://a.example/hooks \\\n  -H $'a: b: c' \\\n  --data-raw $'it\\'s \\u0021\\n'",
            "POST",
            URL,
            &header,
            "it's !\n",
        );
    }

    #[test]
    fn the_body_is_what_curl_sends() {
        check("curl a.example/hooks -d a -d b --data-binary c", "POST", URL, &[], "a&b&c");
        check("curl a.example/hooks -d 'a\n'", "POST", URL, &[], "a\n");
        check("curl a.example/hooks -d @body.json", "POST", URL, &[], "{}");
        check("curl a.example/hooks --data-binary @body.json", "POST", URL, &[], "{\r\n}\n");
        check("curl a.example/hooks --json @body.json", "POST", URL, &[], "{\r\n}\n");
        check("curl a.example/hooks --data-raw @body.json", "POST", URL, &[], "@body.json");
        check("curl a.example/hooks -d ''", "POST", URL, &[], "");
    }

    #[test]
    fn what_is_wrong_is_named_by_its_word() {
        refused("curl", "no URL");
        refused("curl -d x", "no URL");
        refused("curl a b", "word 3 of the curl command line, 'b': this is a second URL");
        refused(
            "curl a --wrong x",
            "word 3 of the curl command line, '--wrong': this option is not understood",
        );
        refused("curl -sZ a", "word 2 of the curl command line, '-sZ': the option -Z is not understood");
        refused("curl a -F x=y", "'-F': this option makes a request that is not followed here");
        refused("curl a --data-urlencode x", "'--data-urlencode': this option makes a request");
        refused("curl a -G -d x", "'-G': this option makes a request");
        refused("curl a -H", "word 3 of the curl command line, '-H': this option has no value");
        refused("curl a -H 'b c'", "word 4 of the curl command line, 'b c': expected a header");
        refused("curl a -X 'b c'", "'b c': this is no method");
        refused("curl a -d @none", "'@none': the file cannot be read");
        refused("curl a -d @-", "'@-': the body is not read from here");
        refused("curl a $'\\xff'", "word 3");
        refused("curl a -H 'b", "line 1: a quote is opened and never closed");
    }
}
