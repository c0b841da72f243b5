//! The words of a command line, quoted as a POSIX shell has it, with `$'…'` as browsers write it.

use super::request::Unreadable;

/// Splits one command into its words.
pub(super) fn split(command: &[u8]) -> Result<Vec<Vec<u8>>, Unreadable> {
    let mut reader = Reader { rest: command, line: 1 };
    while reader.take(b"\n") || reader.take(b"\r") || reader.take(b" ") || reader.take(b"\t") {}
    let mut words = Vec::new();
    while let Some(word) = reader.word()? {
        words.push(word);
    }
    if !reader.rest.trim_ascii().is_empty() {
        return Err(reader.wrong(ENDED));
    }
    Ok(words)
}

struct Reader<'c> {
    rest: &'c [u8],
    line: usize,
}

const ENDED: &str = "the command ends before this line: a line that goes on ends in a backslash";
const UNKNOWN: &str = "stands for something that only your shell knows: write out what it stands for";

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        self.line += usize::from(*first == b'\n');
        Some(*first)
    }

    /// Goes on behind a text if that is next.
    fn take(&mut self, text: &[u8]) -> bool {
        let Some(rest) = self.rest.strip_prefix(text) else { return false };
        self.rest = rest;
        self.line += text.iter().filter(|byte| **byte == b'\n').count();
        true
    }

    fn wrong(&self, what: impl Into<String>) -> Unreadable {
        Unreadable::line(self.line, what)
    }

    /// Goes on behind a backslash at the end of a line.
    fn continued(&mut self) -> bool {
        self.take(b"\\\n") || self.take(b"\\\r\n")
    }

    /// The next word; none: the command is over.
    fn word(&mut self) -> Result<Option<Vec<u8>>, Unreadable> {
        while self.continued() || self.take(b" ") || self.take(b"\t") || self.take(b"\r") {}
        // An empty word is one if it has quotes.
        let mut word = None;
        loop {
            if self.continued() {
                continue;
            }
            if matches!(self.rest.first(), None | Some(b' ' | b'\t' | b'\r')) {
                return Ok(word);
            }
            if self.take(b"\n") {
                return if word.is_some() { self.end_at_break(word) } else { Ok(None) };
            }
            self.piece(word.get_or_insert_default())?;
        }
    }

    /// A word that a line break ends: the next one has to see that, too.
    fn end_at_break(&mut self, word: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, Unreadable> {
        if self.rest.trim_ascii().is_empty() {
            return Ok(word);
        }
        Err(self.wrong(ENDED))
    }

    /// A character, or what is between quotes.
    fn piece(&mut self, word: &mut Vec<u8>) -> Result<(), Unreadable> {
        if self.take(b"$'") {
            return self.escaped(word);
        }
        if self.take(b"'") {
            return self.single(word);
        }
        if self.take(b"\"") {
            return self.double(word);
        }
        if [&b"^\""[..], b"^\n", b"^\r"].iter().any(|quote| self.rest.starts_with(quote)) {
            let what = "this is quoted for the Windows command prompt: copy it as cURL for bash";
            return Err(self.wrong(what));
        }
        self.refuse_expansion()?;
        match self.next() {
            Some(b'\\') => word.extend(self.next()),
            Some(byte @ (b'|' | b'&' | b';' | b'<' | b'>' | b'(' | b')')) => {
                let byte = char::from(byte);
                let what =
                    format!("'{byte}' outside of quotes ends the command: quote it, or leave out the rest");
                return Err(self.wrong(what));
            }
            byte => word.extend(byte),
        }
        Ok(())
    }

    fn refuse_expansion(&self) -> Result<(), Unreadable> {
        let begins_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_{(".contains(byte);
        match self.rest {
            [b'`', ..] => Err(self.wrong(format!("'`' outside of single quotes {UNKNOWN}"))),
            [b'$', next, ..] if begins_name(next) => {
                Err(self.wrong(format!("'${}' outside of single quotes {UNKNOWN}", char::from(*next))))
            }
            _ => Ok(()),
        }
    }

    fn single(&mut self, word: &mut Vec<u8>) -> Result<(), Unreadable> {
        let opened = self.line;
        loop {
            match self.next() {
                Some(b'\'') => return Ok(()),
                Some(byte) => word.push(byte),
                None => return Err(unclosed(opened)),
            }
        }
    }

    fn double(&mut self, word: &mut Vec<u8>) -> Result<(), Unreadable> {
        let opened = self.line;
        loop {
            if self.continued() {
                continue;
            }
            self.refuse_expansion()?;
            match self.next() {
                Some(b'"') => return Ok(()),
                Some(b'\\') => match self.rest.first() {
                    // Before anything else a backslash is one.
                    Some(b'"' | b'\\' | b'$' | b'`') => word.extend(self.next()),
                    _ => word.push(b'\\'),
                },
                Some(byte) => word.push(byte),
                None => return Err(unclosed(opened)),
            }
        }
    }

    /// What is between `$'` and `'` (POSIX.1-2024, XCU 2.2.4).
    fn escaped(&mut self, word: &mut Vec<u8>) -> Result<(), Unreadable> {
        let opened = self.line;
        loop {
            match self.next() {
                Some(b'\'') => return Ok(()),
                Some(b'\\') => self.escape(word)?,
                Some(byte) => word.push(byte),
                None => return Err(unclosed(opened)),
            }
        }
    }

    fn escape(&mut self, word: &mut Vec<u8>) -> Result<(), Unreadable> {
        let Some(kind) = self.next() else { return Err(self.wrong("a backslash with nothing behind it")) };
        let byte = match kind {
            b'a' => 0x07,
            b'b' => 0x08,
            b'e' | b'E' => 0x1b,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'\\' | b'\'' | b'"' | b'?' => kind,
            b'x' => self.number(2, 16)? as u8,
            b'0'..=b'7' => {
                let mut value = u32::from(kind - b'0');
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = self.rest.first().copied() else { break };
                    self.next();
                    value = value * 8 + u32::from(digit - b'0');
                }
                value as u8
            }
            b'u' | b'U' => {
                let character = self.character(if kind == b'u' { 4 } else { 8 })?;
                word.extend(character.encode_utf8(&mut [0; 4]).bytes());
                return Ok(());
            }
            other => {
                let other = char::from(other).escape_default();
                return Err(self.wrong(format!("'\\{other}' is no escape between $' and '")));
            }
        };
        word.push(byte);
        Ok(())
    }

    /// A character by its number. Browsers write one beyond U+FFFF as the two halves of its UTF-16.
    fn character(&mut self, digits: usize) -> Result<char, Unreadable> {
        let first = self.number(digits, 16)?;
        let number = match first {
            0xd800..=0xdbff if self.take(b"\\u") => match self.number(4, 16)? {
                second @ 0xdc00..=0xdfff => 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                _ => first,
            },
            _ => first,
        };
        char::from_u32(number).ok_or_else(|| self.wrong(format!("U+{number:04X} is no character")))
    }

    /// A number of up to so many digits, one at least.
    fn number(&mut self, digits: usize, radix: u32) -> Result<u32, Unreadable> {
        let mut value = None;
        for _ in 0..digits {
            let digit = self.rest.first().and_then(|byte| char::from(*byte).to_digit(radix));
            let Some(digit) = digit else { break };
            self.next();
            value = Some(value.unwrap_or(0) * radix + digit);
        }
        value.ok_or_else(|| self.wrong("an escape between $' and ' has no digits"))
    }
}

fn unclosed(opened: usize) -> Unreadable {
    Unreadable::line(opened, "a quote is opened and never closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(command: &str, expect: &[&str]) {
        let words = split(command.as_bytes()).unwrap();
        let words: Vec<_> = words.iter().map(|word| String::from_utf8_lossy(word)).collect();
        assert_eq!(words, expect, "{command}");
    }

    #[track_caller]
    fn refused(command: &str, says: &str) {
        let error = split(command.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(says), "{command}: {error}");
    }

    #[test]
    fn quotes_are_a_shells() {
        check("", &[]);
        check(" a  b\t c \n", &["a", "b", "c"]);
        check("\r\n\n a", &["a"]);
        check(r#"a'b c'"d e"f"#, &["ab cd ef"]);
        check(r#"'' "" $''"#, &["", "", ""]);
        check(r"a\ b \'c\\", &["a b", r"'c\"]);
        check(r#"'a\nb"c' "a\nb'c""#, &[r#"a\nb"c"#, r"a\nb'c"]);
        check(r#""\"\\\$\`\a""#, &[r#""\$`\a"#]);
        check(r"'it'\''s'", &["it's"]);
        check("'two\nlines'", &["two\nlines"]);
        check("'$HOME `x`' a$ \"$\"", &["$HOME `x`", "a$", "$"]);
    }

    #[test]
    fn a_backslash_continues_a_line() {
        check("a \\\n  b \\\r\n c\\\nd", &["a", "b", "cd"]);
        check("\"a\\\nb\"", &["ab"]);
        check("a\r\n", &["a"]);
        refused("a\nb", "line 2: the command ends before this line");
        refused("a \n b", "line 2: the command ends before this line");
    }

    #[test]
    fn escapes_are_those_of_ansi_c() {
        check(r"$'a\'b\\c\n\r\t\u0021\u017e'", &["a'b\\c\n\r\t!ž"]);
        check(r"$'\ud83d\udc0e\U0001F40E'", &["🐎🐎"]);
        check(r"$'\x41\1012\0'", &["AA2\0"]);
        assert_eq!(split(br"$'\xff\xc5\xbe'").unwrap(), [[0xff, 0xc5, 0xbe]]);
        refused(r"$'\q'", r"line 1: '\q' is no escape");
        refused(r"$'\x'", "line 1: an escape between $' and ' has no digits");
        refused(r"$'\ud83d'", "line 1: U+D83D is no character");
        refused(r"$'\ud83d\u0041'", "line 1: U+D83D is no character");
    }

    #[test]
    fn what_only_a_shell_can_read_is_refused() {
        refused("a 'b", "line 1: a quote is opened and never closed");
        refused("a \\\n \"b\nc", "line 2: a quote is opened and never closed");
        refused("a $'b", "line 1: a quote is opened and never closed");
        refused("a\\\n $BODY", "line 2: '$B' outside of single quotes stands for");
        refused("\"$(date)\"", "line 1: '$(' outside of single quotes stands for");
        refused("`date`", "line 1: '`' outside of single quotes stands for");
        for operator in ["|", "&", ";", "<", ">", "(", ")"] {
            refused(&format!("a {operator} b"), &format!("line 1: '{operator}' outside of quotes ends"));
        }
        refused("curl ^\"https://a.example^\"", "line 1: this is quoted for the Windows command prompt");
    }
}
