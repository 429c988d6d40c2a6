//! The methods of a watchtower. What is signed there is in [`crate::watch`].

use super::{Document, methods};
use crate::json::wire;
use crate::types::ChannelId;
use crate::watch::{SignedReceipt, WatchOrder, WatchedLane};
use alloc::vec::Vec;
use alloy_primitives::Address;

methods! {
    /// Its terms.
    Config = "watch_config" => Terms;
    /// Hands proofs over.
    Put = "watch_put" => Receipts;
    /// Asks what is watched.
    Status = "watch_status" => Watched;
    /// Asks for the document of all this.
    Discover = "rpc.discover" => Document;
}

/// Has no parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {}

wire!(
    struct Config {}
);

/// Has no parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Discover {}

wire!(
    struct Discover {}
);

/// What a client has to know before it relies on a tower. What it does not read is for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// [`super::PROTOCOL_VERSION`].
    pub protocol_version: Option<u32>,
    /// EIP-155.
    pub chain_id: u64,
    /// The contract.
    pub contract: Address,
    /// Whose key signs receipts; orders name it.
    pub tower: Address,
    /// Blocks until something counts.
    pub confirmations: Option<u64>,
    /// Seconds that it wants to have for recording evidence.
    pub record_margin: Option<u64>,
    /// Most channels of one client.
    pub channels_per_client: Option<u32>,
    /// Most assets of one channel.
    pub assets_per_channel: Option<u32>,
    /// Most pieces of evidence for one lane.
    pub evidence_per_lane: Option<u32>,
    /// [`super::limits::MAX_MESSAGE`].
    pub max_message_bytes: Option<u64>,
}

wire!(open struct Terms {
    protocol_version = "protocolVersion": told, chain_id = "chainId", contract, tower, confirmations: told,
    record_margin = "recordMargin": told, channels_per_client = "channelsPerClient": told,
    assets_per_channel = "assetsPerChannel": told, evidence_per_lane = "evidencePerLane": told,
    max_message_bytes = "maxMessageBytes": told
});

/// Hands over the newest proofs of some lanes; all of them are taken, or none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Put {
    /// Who asks, and for which channel.
    pub order: WatchOrder,
    /// At least one.
    pub lanes: Vec<WatchedLane>,
}

wire!(struct Put { order, lanes });

/// The tower's promises.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipts {
    /// In the order of the lanes.
    pub receipts: Vec<SignedReceipt>,
}

wire!(open struct Receipts { receipts });

/// Asks what is watched of a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    /// Which one.
    pub channel_id: ChannelId,
}

wire!(struct Status { channel_id = "channelId" });

/// What is watched of a channel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Watched {
    /// Which one.
    pub channel_id: ChannelId,
    /// When a running exit can't be answered any more, Unix seconds.
    pub exit_ends_at: Option<u64>,
    /// Pieces of evidence.
    pub evidence: u32,
    /// One for each lane.
    pub receipts: Vec<SignedReceipt>,
}

wire!(open struct Watched { channel_id = "channelId", exit_ends_at = "exitEndsAt", evidence, receipts });
