//! The description that the hub serves of itself.

use serde_json::value::RawValue;
use std::sync::{Arc, LazyLock};

/// OpenRPC 1.3. A test of `protocol/` holds it against the description that the hub works with.
pub const DOCUMENT: &str = include_str!("../../openrpc.json");

/// The same, checked and made small once.
pub(super) fn raw() -> Arc<RawValue> {
    static RAW: LazyLock<Arc<RawValue>> = LazyLock::new(|| {
        let document: serde_json::Value = serde_json::from_str(DOCUMENT).unwrap_or_default();
        // A value is always JSON, and a test reads the document.
        serde_json::value::to_raw_value(&document).unwrap_or_default().into()
    });
    Arc::clone(&RAW)
}
