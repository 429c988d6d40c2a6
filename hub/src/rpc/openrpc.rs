//! The description that the hub serves of itself.

/// OpenRPC 1.3.
pub const DOCUMENT: &str = include_str!("../../openrpc.json");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::methods::METHODS;
    use serde_json::Value;
    use std::collections::BTreeSet;

    #[test]
    fn every_method_served_is_described_and_the_reverse() {
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        assert!(document["openrpc"].as_str().unwrap().starts_with("1.3"));
        let described: BTreeSet<_> =
            document["methods"].as_array().unwrap().iter().map(|method| method["name"].as_str().unwrap()).collect();
        assert_eq!(described, METHODS.iter().map(|(_, name)| *name).collect());
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn walk<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str));
                    map.values().for_each(|value| walk(value, found));
                }
                Value::Array(items) => items.iter().for_each(|value| walk(value, found)),
                _ => {}
            }
        }
        let document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let mut references = Vec::new();
        walk(&document, &mut references);
        assert!(!references.is_empty());
        for reference in references {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }
}
