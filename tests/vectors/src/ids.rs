//! Channel ids, and channels that can't be.

use crate::common::{address, bytes, channel, channel_json, contract, text};
use alloy_primitives::Address;
use farthing_protocol::types::{ChannelDef, Participant};
use serde_json::{Value, json};

pub(crate) fn all() -> Value {
    let extreme = ChannelDef {
        a: Participant { owner: Address::repeat_byte(0xff), signer: Address::repeat_byte(0xfe) },
        b: Participant { owner: Address::with_last_byte(1), signer: Address::with_last_byte(2) },
        challenge_period: u32::MAX,
        salt: u64::MAX,
    };
    let swapped = ChannelDef { a: channel(1).b, b: channel(1).a, ..channel(1) };
    let cases = [
        ("the first channel of two participants", 31_337, contract(), channel(0)),
        ("another salt", 31_337, contract(), channel(1)),
        ("the same participants the other way round", 31_337, contract(), swapped),
        ("another contract", 31_337, Address::with_last_byte(0x11), channel(0)),
        ("another chain", 1, contract(), channel(0)),
        ("all numbers at their largest", u64::MAX, Address::repeat_byte(0xff), extreme),
    ];
    let cases = cases.map(|(name, chain_id, contract, channel)| {
        json!({
            "name": name,
            "chainId": text(chain_id),
            "contract": address(contract),
            "channel": channel_json(&channel),
            "id": bytes(channel.id(chain_id, contract).0),
        })
    });
    json!({ "about": "channelId = keccak256(abi.encode(chainId, contract, channel))", "cases": cases })
}
