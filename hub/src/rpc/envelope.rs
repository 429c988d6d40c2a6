//! JSON-RPC 2.0 envelopes, read strictly.

use super::error::RpcError;
use farthing_protocol::api::frames::{self, VERSION};
use farthing_protocol::api::limits::{MAX_BATCH, MAX_ID};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A well-formed request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request<'a> {
    #[serde(borrow)]
    jsonrpc: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) method: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) params: Option<&'a RawValue>,
    /// Absent in a notification.
    #[serde(borrow, default, deserialize_with = "present")]
    pub(crate) id: Option<&'a RawValue>,
}

/// What a text holds.
#[derive(Debug)]
pub(crate) enum Envelope<'a> {
    One(Result<Request<'a>, RpcError>),
    Batch(Vec<Result<Request<'a>, RpcError>>),
}

/// Reads a text; the error is the answer to all of it.
pub(crate) fn read(text: &str) -> Result<Envelope<'_>, RpcError> {
    let whole: &RawValue = serde_json::from_str(text).map_err(|_| RpcError::parse())?;
    if !whole.get().starts_with('[') {
        return Ok(Envelope::One(request(whole)));
    }
    let parts: Vec<&RawValue> = serde_json::from_str(whole.get()).map_err(|_| RpcError::parse())?;
    if parts.is_empty() || parts.len() > MAX_BATCH {
        return Err(RpcError::request(format!("a batch has 1 to {MAX_BATCH} requests")));
    }
    Ok(Envelope::Batch(parts.into_iter().map(request).collect()))
}

fn request(raw: &RawValue) -> Result<Request<'_>, RpcError> {
    let request: Request<'_> = serde_json::from_str(raw.get())
        .map_err(|error| RpcError::request(format!("not a JSON-RPC 2.0 request: {error}")))?;
    if request.jsonrpc != VERSION {
        return Err(RpcError::request(format!("jsonrpc must be {VERSION:?}")));
    }
    if let Some(id) = request.id {
        let text = id.get();
        let scalar =
            text.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit()) || text == "null";
        if !scalar || text.len() > MAX_ID {
            let said = format!("an id is a string, a number or null, of at most {MAX_ID} bytes");
            return Err(RpcError::request(said));
        }
    }
    Ok(request)
}

/// Tells `null` from absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The text of a response; the result is JSON. Without an id it answers something that could not be read.
pub(crate) fn response(id: Option<&RawValue>, result: Result<&str, &RpcError>) -> String {
    frames::response(id.map_or("null", RawValue::get), result.map_err(RpcError::told))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        let error = match read(text) {
            Err(error) | Ok(Envelope::One(Err(error))) => error,
            Ok(other) => panic!("{text} was taken: {other:?}"),
        };
        error.told().number.to_string()
    }

    #[test]
    fn malformed_texts_get_the_codes_of_the_standard() {
        for text in ["", "{", "nonsense", "{}x", "[1,", "\"a", "{\"jsonrpc\":\"2.0\",}"] {
            assert_eq!(code(text), "-32700", "{text}");
        }
        for text in [
            "1",
            "null",
            "{}",
            "[]",
            r#"{"jsonrpc":"1.0","method":"a"}"#,
            r#"{"jsonrpc":"2.0","method":1}"#,
            r#"{"jsonrpc":"2.0","method":"a","id":{}}"#,
            r#"{"jsonrpc":"2.0","method":"a","id":true}"#,
            r#"{"jsonrpc":"2.0","method":"a","extra":1}"#,
            r#"{"jsonrpc":"2.0","method":"a","method":"b"}"#,
            r#"{"jsonrpc":"2.0","result":1,"id":1}"#,
        ] {
            assert_eq!(code(text), "-32600", "{text}");
        }
    }

    #[test]
    fn null_is_an_id_and_absent_is_none() {
        let Ok(Envelope::One(Ok(null))) = read(r#"{"jsonrpc":"2.0","method":"a","id":null}"#) else { panic!() };
        assert_eq!(null.id.unwrap().get(), "null");
        let Ok(Envelope::One(Ok(absent))) = read(r#"{"jsonrpc":"2.0","method":"a"}"#) else { panic!() };
        assert!(absent.id.is_none());
        let escaped = r#"{"jsonrpc":"2.0","method":"\u0061","params":{"x":"y"},"id":"q"}"#;
        let Ok(Envelope::One(Ok(request))) = read(escaped) else { panic!() };
        assert_eq!(request.method, "a");
    }

    #[test]
    fn what_a_client_asks_is_read() {
        let text = frames::request(7, "farthing_lookup", r#"{"address":"0x"}"#);
        let Ok(Envelope::One(Ok(request))) = read(&text) else { panic!("{text}") };
        let read = (request.method.as_ref(), request.params.unwrap().get(), request.id.unwrap().get());
        assert_eq!(read, ("farthing_lookup", r#"{"address":"0x"}"#, "7"));
    }
}
