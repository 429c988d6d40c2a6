//! JSON-RPC 2.0 envelopes, read strictly.

use super::error::RpcError;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Longest id that is echoed, in bytes of JSON.
const MAX_ID: usize = 128;
/// Most requests in a batch.
const MAX_BATCH: usize = 64;

/// A well-formed request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request<'a> {
    #[serde(borrow)]
    jsonrpc: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) method: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) params: Option<&'a RawValue>,
    /// Absent in a notification.
    #[serde(borrow, default, deserialize_with = "present")]
    pub(super) id: Option<&'a RawValue>,
}

/// What a text holds.
#[derive(Debug)]
pub(super) enum Envelope<'a> {
    One(Result<Request<'a>, RpcError>),
    Batch(Vec<Result<Request<'a>, RpcError>>),
}

/// Reads a text; the error is the answer to all of it.
pub(super) fn read(text: &str) -> Result<Envelope<'_>, RpcError> {
    let whole: &RawValue = serde_json::from_str(text).map_err(|_| RpcError::parse())?;
    if !whole.get().starts_with('[') {
        return Ok(Envelope::One(request(whole)));
    }
    let parts: Vec<&RawValue> = serde_json::from_str(whole.get()).map_err(|_| RpcError::parse())?;
    if parts.is_empty() || parts.len() > MAX_BATCH {
        return Err(RpcError::request("a batch has 1 to 64 requests"));
    }
    Ok(Envelope::Batch(parts.into_iter().map(request).collect()))
}

fn request(raw: &RawValue) -> Result<Request<'_>, RpcError> {
    let request: Request<'_> = serde_json::from_str(raw.get())
        .map_err(|error| RpcError::request(format!("not a JSON-RPC 2.0 request: {error}")))?;
    if request.jsonrpc != "2.0" {
        return Err(RpcError::request("jsonrpc must be \"2.0\""));
    }
    if let Some(id) = request.id {
        let text = id.get();
        let scalar =
            text.starts_with(|first: char| first == '"' || first == '-' || first.is_ascii_digit()) || text == "null";
        if !scalar || text.len() > MAX_ID {
            return Err(RpcError::request("an id is a string, a number or null, of at most 128 bytes"));
        }
    }
    Ok(request)
}

/// Tells `null` from absent.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// The text of a response. Without an id it answers something that could not be read.
pub(super) fn response(id: Option<&RawValue>, result: &Result<impl Serialize, RpcError>) -> String {
    #[derive(Serialize)]
    struct Response<'a, T> {
        jsonrpc: &'static str,
        id: Option<&'a RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        result: Option<&'a T>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<&'a RpcError>,
    }
    let response = Response { jsonrpc: "2.0", id, result: result.as_ref().ok(), error: result.as_ref().err() };
    serde_json::to_string(&response).unwrap_or_else(|error| {
        // Results are our own types, with string keys and without failing parts.
        tracing::error!(%error, "a response can't be encoded");
        String::from(
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"internal","data":{"code":"internal"}}}"#,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        let error = match read(text) {
            Err(error) | Ok(Envelope::One(Err(error))) => error,
            Ok(other) => panic!("{text} was taken: {other:?}"),
        };
        serde_json::to_value(error).unwrap()["code"].to_string()
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
}
