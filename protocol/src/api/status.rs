//! What anybody may know of a channel.

use crate::amount::Amount;
use crate::chain::AssetStatus;
use crate::json::wire;
use crate::types::{Asset, ChannelDef, ChannelId, Sides};
use alloc::vec::Vec;

/// What the chain says of a channel, as the hub sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChannelStatus {
    /// Its identifier.
    pub channel_id: ChannelId,
    /// Its definition.
    pub channel: ChannelDef,
    /// Whether its client is connected. That is the client's own affair: nobody else is told.
    pub online: Option<bool>,
    /// When a running exit can't be answered any more, Unix seconds.
    pub exit_ends_at: Option<u64>,
    /// The newest final block that the hub has read.
    pub final_block: Option<u64>,
    /// By asset.
    pub assets: Vec<AssetState>,
}

/// What the chain says of one asset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AssetState {
    /// Which one.
    pub asset: Asset,
    /// Confirmed deposits.
    pub deposits: Sides<Amount>,
    /// Confirmed withdrawals.
    pub withdrawn: Sides<Amount>,
    /// What became of it.
    pub status: AssetStatus,
}

wire!(open struct ChannelStatus {
    channel_id = "channelId", channel, online: optional, exit_ends_at = "exitEndsAt", final_block = "finalBlock", assets
});
wire!(open struct AssetState { asset, deposits, withdrawn, status });
