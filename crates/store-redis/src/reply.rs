//! Reads what scripts give.

use bytes::Bytes;
use redis::Value;

use crate::fault::Fault;

/// The items of an answer, taken one after the other.
pub(crate) struct Reply(std::vec::IntoIter<Value>);

impl Reply {
    /// The items of an array; none: it is nil.
    pub(crate) fn of(value: Value) -> Result<Option<Self>, Fault> {
        match value {
            Value::Nil => Ok(None),
            Value::Array(items) => Ok(Some(Self(items.into_iter()))),
            other => Err(strange("an array", &other)),
        }
    }

    /// The items of an array that is not nil.
    pub(crate) fn items(value: Value) -> Result<Self, Fault> {
        Self::of(value)?.ok_or_else(|| strange("an array", &Value::Nil))
    }

    pub(crate) fn next(&mut self) -> Result<Value, Fault> {
        self.0.next().ok_or_else(|| Fault::Damaged("an answer is too short".into()))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.len() == 0
    }

    pub(crate) fn bytes(&mut self) -> Result<Bytes, Fault> {
        bytes(self.next()?)
    }

    pub(crate) fn text(&mut self) -> Result<String, Fault> {
        text(self.next()?)
    }

    pub(crate) fn number(&mut self) -> Result<i64, Fault> {
        number(self.next()?)
    }

    /// A number, or none where there is an empty text or nil.
    pub(crate) fn maybe_number(&mut self) -> Result<Option<i64>, Fault> {
        match self.next()? {
            Value::Nil => Ok(None),
            Value::BulkString(text) if text.is_empty() => Ok(None),
            value => number(value).map(Some),
        }
    }

    pub(crate) fn rest(self) -> std::vec::IntoIter<Value> {
        self.0
    }
}

pub(crate) fn bytes(value: Value) -> Result<Bytes, Fault> {
    match value {
        Value::BulkString(bytes) => Ok(bytes.into()),
        other => Err(strange("a string", &other)),
    }
}

/// A string; empty where there is nil.
pub(crate) fn maybe_bytes(value: Value) -> Result<Bytes, Fault> {
    match value {
        Value::Nil => Ok(Bytes::new()),
        other => bytes(other),
    }
}

pub(crate) fn text(value: Value) -> Result<String, Fault> {
    match value {
        Value::BulkString(bytes) => {
            String::from_utf8(bytes).map_err(|error| Fault::Damaged(format!("a text is not UTF-8: {error}")))
        }
        other => Err(strange("a text", &other)),
    }
}

/// An integer, or the text of one, which may be spelled as a double is.
pub(crate) fn number(value: Value) -> Result<i64, Fault> {
    let of_text = |text: &str| {
        let whole = text.parse::<i64>().ok();
        whole.or_else(|| text.parse::<f64>().ok().filter(|n| n.fract() == 0.0).map(|n| n as i64))
    };
    match value {
        Value::Int(number) => Ok(number),
        Value::BulkString(bytes) => std::str::from_utf8(&bytes)
            .ok()
            .and_then(of_text)
            .ok_or_else(|| strange("a number", &Value::BulkString(bytes.clone()))),
        other => Err(strange("a number", &other)),
    }
}

fn strange(expected: &str, found: &Value) -> Fault {
    let kind = match found {
        Value::Nil => "nil",
        Value::Int(_) => "a number",
        Value::BulkString(_) => "a string",
        Value::Array(_) => "an array",
        _ => "something else",
    };
    Fault::Damaged(format!("an answer has {kind} where {expected} is expected"))
}
