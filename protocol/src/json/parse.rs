//! From text to a tree of values.

use super::Value;
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// Lists and objects in each other; the stack holds far more.
const MAX_DEPTH: u32 = 127;

struct Parser<'a> {
    rest: &'a str,
}

pub(super) fn whole(text: &str) -> Option<Value<'_>> {
    let mut parser = Parser { rest: text };
    let value = parser.value(0)?;
    parser.space();
    parser.rest.is_empty().then_some(value)
}

impl<'a> Parser<'a> {
    /// The next byte; at the end 0, which stands nowhere outside of a string.
    fn peek(&self) -> u8 {
        self.rest.as_bytes().first().copied().unwrap_or(0)
    }

    /// Passes over so many bytes of ASCII.
    fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\n', '\r', '\t']);
    }

    /// Passes over a byte if it is the next one.
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == byte;
        if found {
            self.skip(1);
        }
        found
    }

    fn value(&mut self, depth: u32) -> Option<Value<'a>> {
        self.space();
        match self.peek() {
            b'"' => self.string().map(Value::Text),
            b'{' if depth < MAX_DEPTH => self.object(depth.saturating_add(1)),
            b'[' if depth < MAX_DEPTH => self.list(depth.saturating_add(1)),
            b'-' | b'0'..=b'9' => self.number(),
            _ => {
                let words = [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))];
                let (word, value) = words.into_iter().find(|(word, _)| self.rest.starts_with(word))?;
                self.skip(word.len());
                Some(value)
            }
        }
    }

    fn list(&mut self, depth: u32) -> Option<Value<'a>> {
        let mut list = Vec::new();
        self.skip(1);
        self.space();
        if self.eat(b']') {
            return Some(Value::List(list));
        }
        loop {
            list.push(self.value(depth)?);
            if self.is_last(b']')? {
                return Some(Value::List(list));
            }
        }
    }

    fn object(&mut self, depth: u32) -> Option<Value<'a>> {
        let mut fields = Vec::new();
        self.skip(1);
        self.space();
        if self.eat(b'}') {
            return Some(Value::Object(fields));
        }
        loop {
            self.space();
            if self.peek() != b'"' {
                return None;
            }
            let name = self.string()?;
            self.space();
            if !self.eat(b':') {
                return None;
            }
            fields.push((name, self.value(depth)?));
            if self.is_last(b'}')? {
                return Some(Value::Object(fields));
            }
        }
    }

    /// After an entry: whether the list ends here or goes on.
    fn is_last(&mut self, end: u8) -> Option<bool> {
        self.space();
        let last = self.eat(end);
        (last || self.eat(b',')).then_some(last)
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        self.skip(1);
        let mut unescaped = String::new();
        loop {
            let end = self.rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
            let (plain, rest) = self.rest.split_at_checked(end)?;
            self.rest = rest;
            if self.eat(b'"') {
                // What an escape stands for is never empty.
                if unescaped.is_empty() {
                    return Some(Cow::Borrowed(plain));
                }
                unescaped.push_str(plain);
                return Some(Cow::Owned(unescaped));
            }
            if !self.eat(b'\\') {
                return None;
            }
            unescaped.push_str(plain);
            unescaped.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Option<char> {
        let kind = self.peek();
        self.skip(1);
        Some(match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.unit()?;
                let second = match first {
                    0xd800..0xdc00 if self.eat(b'\\') && self.eat(b'u') => Some(self.unit()?),
                    _ => None,
                };
                // A half of a pair without the other one is no character.
                let mut characters = char::decode_utf16([first].into_iter().chain(second));
                characters.next()?.ok().filter(|_| characters.next().is_none())?
            }
            _ => return None,
        })
    }

    /// Four hex digits.
    fn unit(&mut self) -> Option<u16> {
        let digits = self.rest.get(..4).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        self.skip(4);
        u16::from_str_radix(digits, 16).ok()
    }

    fn number(&mut self) -> Option<Value<'a>> {
        let start = self.rest;
        let mut whole = !self.eat(b'-');
        let digits = self.digits()?;
        if digits > 1 && start.trim_start_matches('-').starts_with('0') {
            return None;
        }
        let value = start.get(..digits).filter(|_| whole).and_then(|digits| digits.parse().ok());
        if self.eat(b'.') {
            whole = false;
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            whole = false;
            let _ = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        Some(Value::Number(value.filter(|_| whole)))
    }

    /// One digit or more.
    fn digits(&mut self) -> Option<usize> {
        let count = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        self.skip(count);
        (count > 0).then_some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What serde_json says, as a value of ours.
    fn reference(text: &str) -> Option<serde_json::Value> {
        serde_json::from_str(text).ok()
    }

    fn same(ours: &Value<'_>, theirs: &serde_json::Value) -> bool {
        match (ours, theirs) {
            (Value::Null, serde_json::Value::Null) => true,
            (Value::Bool(ours), serde_json::Value::Bool(theirs)) => ours == theirs,
            (Value::Number(ours), serde_json::Value::Number(theirs)) => *ours == theirs.as_u64(),
            (Value::Text(ours), serde_json::Value::String(theirs)) => ours == theirs,
            (Value::List(ours), serde_json::Value::Array(theirs)) => {
                ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| same(ours, theirs))
            }
            // serde_json keeps the last of two fields with one name.
            (Value::Object(ours), serde_json::Value::Object(theirs)) => theirs.iter().all(|(name, theirs)| {
                ours.iter().rev().find(|(known, _)| known == name).is_some_and(|(_, ours)| same(ours, theirs))
            }),
            _ => false,
        }
    }

    fn agree(text: &str) {
        match (Value::parse(text), reference(text)) {
            (Some(ours), Some(theirs)) => assert!(same(&ours, &theirs), "{text}"),
            (ours, theirs) => assert_eq!(ours.is_some(), theirs.is_some(), "{text}"),
        }
    }

    #[test]
    fn grammar() {
        for text in [
            "",
            " ",
            "null",
            "nul",
            "truefalse",
            "true",
            "[",
            "]",
            "[]",
            "[ ]",
            "[,]",
            "[1,]",
            "[1 2]",
            "{}",
            "{ }",
            "{,}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{"a":1 "b":2}"#,
            r#"{"a" : [ 1 , {"b":null} ] }"#,
            "{1:2}",
            r#"{"a":1,"a":2}"#,
            "1",
            "-1",
            "0",
            "-0",
            "00",
            "01",
            "-01",
            "1.",
            ".1",
            "1.0",
            "1e",
            "1e5",
            "1E+5",
            "1e-5",
            "0e0",
            "+1",
            "--1",
            "18446744073709551615",
            "18446744073709551616",
            "1.5e",
            "1x",
            "0x1",
            "\"",
            "\"a",
            "\"a\"",
            "\"\\\"\"",
            "\"\\x\"",
            "\"\\u00e9\"",
            "\"\\u00E9x\"",
            "\"\\ud83d\\ude00\"",
            "\"\\ud83d\"",
            "\"\\ude00\"",
            "\"\\ud83dx\"",
            "\"\\ud83d\\n\"",
            "\"\\ud83d\\u0041\"",
            "\"\\ud83d\\ud83d\"",
            "\"\\u12\"",
            "\"\\u+123\"",
            "\"\\u12é\"",
            "\"\n\"",
            "\"\u{7f}\"",
            "\"é\\té\"",
            "\"\\b\\f\\n\\r\\t\\/\\\\\"",
            "\u{a0}1",
            "1\u{0}",
            "\u{feff}1",
        ] {
            agree(text);
        }
        for (depth, good) in [(127, true), (128, false)] {
            let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
            assert_eq!(reference(&nested).is_some(), good);
            assert_eq!(Value::parse(&nested).is_some(), good);
        }
        assert!(Value::parse(&"[".repeat(1 << 20)).is_none());
    }

    proptest! {
        #[test]
        fn json_reads_as_serde_json_reads_it(text in r#"([\[\]{},:"\\ubn0-9eE.+\- a-f]|null|true|false|"a":|\\ud83d|é){0,24}"#) {
            agree(&text);
        }

        #[test]
        fn strings_come_back(text: String) {
            let json = crate::json::encode(text.as_str());
            prop_assert_eq!(&json, &serde_json::to_string(&text).unwrap());
            prop_assert_eq!(crate::json::decode::<String>(&json).unwrap(), text);
        }
    }
}
