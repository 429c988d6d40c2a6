//! The documents that a hub and a watchtower serve of themselves, against the description that they work with.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test stops where it fails")]

use farthing_protocol::Code;
use farthing_protocol::api::errors::FAILED;
use farthing_protocol::api::limits::{MAX_BACKUP, MAX_MESSAGE, MAX_MESSAGES};
use farthing_protocol::api::{PROTOCOL_VERSION, hub, tower};
use farthing_protocol::json::shape::{Field, Shape};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const HUB: &str = include_str!("../../hub/openrpc.json");
const TOWER: &str = include_str!("../../hub/openrpc-watch.json");

/// What a document asks for though a decoder takes it as missing: a tower says itself what it wants it for.
const ASKED_FOR: [(&str, &str); 1] = [("#/components/schemas/Lane", "acknowledgement")];

/// Which way a value goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// To us, who refuse what we don't know.
    In,
    /// To a client, who passes over what it doesn't know.
    Out,
}

struct Document {
    whole: Value,
    way: Way,
}

impl Document {
    /// The schema itself, and its name where it has one.
    fn resolve<'a>(&'a self, schema: &'a Value) -> (&'a Value, &'a str) {
        match schema.get("$ref").and_then(Value::as_str) {
            Some(name) => (self.whole.pointer(&name[1..]).unwrap_or_else(|| panic!("{name} leads nowhere")), name),
            None => (schema, ""),
        }
    }

    fn check(&self, at: &str, schema: &Value, shape: &Shape) {
        let (found, name) = self.resolve(schema);
        let kind = || found["type"].as_str().unwrap_or_default();
        match shape {
            Shape::Any => assert_eq!(kind(), "object", "{at}"),
            Shape::Null => assert_eq!(kind(), "null", "{at}"),
            Shape::Flag => assert!(kind() == "boolean" || found["const"].is_boolean(), "{at}"),
            Shape::Count(most) => {
                assert!(kind() == "integer" || found["const"].is_u64(), "{at}");
                assert!(found["const"].as_u64().is_none_or(|number| number <= *most), "{at}");
                assert!(found["maximum"].as_u64().is_none_or(|number| number == *most), "{at}");
                assert!(found["minimum"].as_u64().is_none_or(|number| number <= 1), "{at}");
            }
            Shape::Text => assert_eq!(found, &json!({ "type": "string" }), "{at}"),
            Shape::Named(wanted) => assert_eq!(name, format!("#/components/schemas/{wanted}"), "{at}"),
            Shape::Word(words) => assert_eq!(found["enum"], json!(words), "{at}"),
            Shape::OneOf(kinds) => assert_eq!(found["properties"]["type"]["enum"], json!(kinds), "{at}"),
            Shape::List(entry, number) => {
                assert_eq!(kind(), "array", "{at}");
                if let Some(number) = number {
                    assert_eq!((&found["minItems"], &found["maxItems"]), (&json!(number), &json!(number)), "{at}");
                }
                self.check(&format!("{at}[]"), &found["items"], entry);
            }
            Shape::Maybe(inner) => {
                if let Some(kinds) = found["type"].as_array() {
                    let [kind, null] = kinds.as_slice() else { panic!("{at}: {found}") };
                    assert_eq!(null, "null", "{at}");
                    return self.check(at, &json!({ "type": kind }), inner);
                }
                let one = found.get("anyOf").or_else(|| found.get("oneOf")).and_then(Value::as_array);
                let [schema, null] = one.unwrap_or_else(|| panic!("{at}: {found}")).as_slice() else { panic!("{at}") };
                assert_eq!(null, &json!({ "type": "null" }), "{at}");
                self.check(at, schema, inner);
            }
            // A condition is in the other document, and in docs/protocol.md.
            Shape::Object(_) if at.ends_with(".condition") && found == &json!({ "type": "object" }) => {}
            Shape::Object(fields) => {
                assert_eq!(kind(), "object", "{at}");
                let properties = found["properties"].as_object().unwrap_or_else(|| panic!("{at} has no properties"));
                let described: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
                assert_eq!(described, fields.iter().map(|field| field.name).collect(), "{at}");
                let required: BTreeSet<&str> =
                    found["required"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
                let asked = |field: &&Field| field.required || ASKED_FOR.contains(&(name, field.name));
                assert_eq!(required, fields.iter().filter(asked).map(|field| field.name).collect(), "{at}");
                if self.way == Way::In {
                    assert_eq!(found["additionalProperties"], json!(false), "{at}");
                }
                for field in *fields {
                    self.check(&format!("{at}.{}", field.name), &properties[field.name], field.shape);
                }
            }
        }
    }
}

/// A method's name, and the JSON of its parameters and its result.
type Described = (&'static str, (Shape, Shape));

fn check(text: &str, methods: &[Described]) {
    let mut document = Document { whole: serde_json::from_str(text).unwrap(), way: Way::In };
    assert!(document.whole["openrpc"].as_str().unwrap().starts_with("1.3"));
    let listed = document.whole["methods"].as_array().unwrap().clone();
    let names: Vec<&str> = listed.iter().map(|method| method["name"].as_str().unwrap()).collect();
    assert_eq!(names, methods.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for (method, (name, (params, result))) in listed.iter().zip(methods) {
        let Shape::Object(fields) = params else { panic!("{name}") };
        let described = method["params"].as_array().unwrap();
        assert_eq!(method["paramStructure"], "by-name");
        assert_eq!(described.len(), fields.len(), "{name}");
        for (param, field) in described.iter().zip(*fields) {
            let told = (param["name"].as_str().unwrap(), param["required"].as_bool().unwrap());
            assert_eq!(told, (field.name, field.required), "{name}");
            document.way = Way::In;
            document.check(&format!("{name}({})", field.name), &param["schema"], field.shape);
        }
        document.way = Way::Out;
        document.check(name, &method["result"]["schema"], result);
        for error in method["errors"].as_array().into_iter().flatten() {
            document.resolve(error);
        }
    }
    for (name, error) in document.whole["components"]["errors"].as_object().unwrap() {
        let code = Code::from_name(error["data"]["code"].as_str().unwrap()).unwrap();
        assert_eq!((format!("{code:?}"), &error["code"]), (name.clone(), &json!(FAILED)));
        // A tower says its own words for what has a reason of its own there.
        assert!(!error["message"].as_str().unwrap().is_empty());
    }
    let config = &document.whole["components"]["schemas"]["Config"]["properties"];
    assert_eq!(config["protocolVersion"]["const"], json!(PROTOCOL_VERSION));
    assert_eq!(config["maxMessageBytes"]["const"], json!(MAX_MESSAGE));
    assert!(document.whole["info"]["description"].as_str().unwrap().contains(&grouped(MAX_MESSAGE)));
    let mut references = BTreeSet::new();
    walk(&document.whole, &mut references);
    assert!(!references.is_empty());
    for reference in &references {
        document.resolve(&json!({ "$ref": reference }));
    }
    let unused = |part: &str| {
        let known = document.whole["components"][part].as_object().unwrap().keys();
        known.map(|name| format!("#/components/{part}/{name}")).find(|name| !references.contains(name))
    };
    assert_eq!((unused("schemas"), unused("errors")), (None, None));
}

fn walk(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| walk(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| walk(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// As people read it.
fn grouped(number: usize) -> String {
    format!("{},{:03}", number / 1_000, number % 1_000)
}

#[test]
fn the_hubs_document_says_what_is_served() {
    let methods: Vec<Described> = hub::Method::ALL.iter().map(|method| (method.name(), method.shapes())).collect();
    check(HUB, &methods);
    let document: Value = serde_json::from_str(HUB).unwrap();
    let method =
        |name: &str| document["methods"].as_array().unwrap().iter().find(|method| method["name"] == name).unwrap();
    let messages = method(hub::Method::Messages.name());
    assert_eq!(messages["params"][1]["schema"]["maxItems"], json!(MAX_MESSAGES));
    let backup = &method(hub::Method::BackupPut.name())["params"][1];
    assert_eq!(backup["description"], format!("At most {} bytes.", grouped(MAX_BACKUP)));
}

#[test]
fn the_towers_document_says_what_is_served() {
    let methods: Vec<Described> = tower::Method::ALL.iter().map(|method| (method.name(), method.shapes())).collect();
    check(TOWER, &methods);
}

#[test]
fn every_method_is_found_by_its_name_and_no_other() {
    for method in hub::Method::ALL {
        assert_eq!(hub::Method::of(method.name()), Some(*method));
    }
    for method in tower::Method::ALL {
        assert_eq!(tower::Method::of(method.name()), Some(*method));
    }
    assert_eq!((hub::Method::of("farthing_steal"), tower::Method::of("watch_take")), (None, None));
}
