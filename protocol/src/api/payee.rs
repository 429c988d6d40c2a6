//! What a payer has to know of a payee.

use crate::json::bridge::as_serde;
use crate::json::wire;
use crate::sign::PublicKey;
use crate::types::ChannelDef;
use alloy_primitives::Bytes;

/// What a payer needs to know of a payee. It checks all of it itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PayeeInfo {
    /// The payee's channel.
    pub channel: ChannelDef,
    /// Of its signer; secrets are encrypted to it.
    pub public_key: PublicKey,
    /// The owner's signature that binds the signer.
    pub binding: Option<Bytes>,
    /// Whether it is connected now.
    pub online: bool,
}

wire!(struct PayeeInfo { channel, public_key = "publicKey", binding, online });
as_serde!(PayeeInfo);
