//! What `inspect()` shows of the engine: plain values for JSON, and no secret.

use super::values::{Sealed, exit_stage, number, present, symbol};
use crate::client::Client;
use crate::failure::Failure;
use crate::store;
use farthing_protocol::api::PROTOCOL_VERSION;
use serde::Serialize;
use wasm_bindgen::JsValue;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Engine {
    protocol: u32,
    store_format: u8,
    chain: Sealed<Seen>,
    clock: Sealed<Offset>,
    lanes: Sealed<Vec<Sealed<Lane>>>,
    open: Sealed<Open>,
    exit: &'static str,
    synced: bool,
    closed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    obstacle: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Seen {
    head: f64,
    #[serde(rename = "final")]
    last_final: f64,
    lag: f64,
}

#[derive(Serialize)]
struct Offset {
    #[serde(rename = "aheadBy")]
    ahead_by: f64,
    sure: bool,
}

#[derive(Serialize)]
struct Lane {
    asset: String,
    signed: f64,
    accepted: f64,
    received: f64,
    seen: f64,
}

#[derive(Serialize)]
struct Open {
    pending: u32,
    held: u32,
    returning: u32,
    asking: u32,
}

/// The engine's part of a bug report.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "seconds of a clock's error stay far below 2^53")]
pub fn engine(client: &Client) -> JsValue {
    let (found, terms) = (client.bearings(), client.terms());
    let ((head, _, last_final), [pending, held, returning]) = (found.head, found.open);
    let code = |failure: &Failure| failure.code().as_str();
    let lane = |(asset, [signed, accepted, received, seen]): &(_, [u64; 4])| {
        Sealed(Lane {
            asset: symbol(&terms, *asset),
            signed: number(*signed),
            accepted: number(*accepted),
            received: number(*received),
            seen: number(*seen),
        })
    };
    present(&Engine {
        protocol: PROTOCOL_VERSION,
        store_format: store::FORMAT,
        chain: Sealed(Seen { head: number(head), last_final: number(last_final), lag: number(found.lag) }),
        clock: Sealed(Offset { ahead_by: found.skew.0 as f64, sure: found.skew.1 }),
        lanes: Sealed(found.lanes.iter().map(lane).collect()),
        open: Sealed(Open { pending, held, returning, asking: found.asking }),
        exit: exit_stage(found.exit).0,
        synced: found.synced,
        closed: found.closed,
        obstacle: found.obstacle.as_ref().map(code),
        failed: found.failed.as_ref().map(code),
    })
}
