//! The methods of a hub, but for its terms, what it says of a payee, and of a channel.

pub use super::relay::{RelayDeposit, Relayed};
use super::terms::Terms;
use super::{ChannelStatus, Document, PayeeInfo, methods};
use crate::channel::LanePage;
use crate::json::wire;
use crate::message::Message;
use crate::sign::{PublicKey, Signature};
use crate::types::{Asset, ChannelDef, ChannelId, Side};
use alloc::vec::Vec;
use alloy_primitives::{Address, B256, Bytes};

methods! {
    /// Its terms.
    Config = "farthing_config" => Terms;
    /// Tells it of a channel.
    Register = "farthing_register" => Registered;
    /// Asks for a payee.
    Lookup = "farthing_lookup" => PayeeInfo;
    /// Asks for a channel.
    Channel = "farthing_channel" => ChannelStatus;
    /// Asks for something to sign.
    Challenge = "farthing_challenge" => Challenged;
    /// Proves a channel's key on a connection.
    Attach = "farthing_attach" => Attached;
    /// Carries peer messages.
    Messages = "farthing_messages" => ();
    /// Leaves a sealed backup.
    BackupPut = "farthing_backupPut" => Kept;
    /// Asks for it.
    BackupGet = "farthing_backupGet" => Found;
    /// Asks for a page of a lane.
    Lane = "farthing_lane" => LanePage;
    /// Has a deposit sent.
    RelayDeposit = "farthing_relayDeposit" => Relayed;
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

/// Tells the hub of a channel with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Register {
    /// The channel; the hub is `B`.
    pub channel: ChannelDef,
    /// Of `A`'s signer.
    pub public_key: PublicKey,
    /// `A`'s owner's signature over `Binding`, if its signer is a session key.
    pub binding: Option<Bytes>,
}

wire!(struct Register { channel, public_key = "publicKey", binding: optional });

/// The hub knows the channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Registered {
    /// Its identifier.
    pub channel_id: ChannelId,
}

wire!(open struct Registered { channel_id = "channelId" });

/// Asks what it takes to pay somebody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lookup {
    /// An owner's or a signer's.
    pub address: Address,
}

wire!(struct Lookup { address });

/// Asks what the chain says of a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Channel {
    /// Which one.
    pub channel_id: ChannelId,
}

wire!(struct Channel { channel_id = "channelId" });

/// Asks for something to sign with a channel's key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Challenge {
    /// Which channel.
    pub channel_id: ChannelId,
}

wire!(struct Challenge { channel_id = "channelId" });

/// What is to be signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Challenged {
    /// Goes into the EIP-712 struct `Session`.
    pub challenge: B256,
}

wire!(open struct Challenged { challenge });

/// Makes the connection the channel's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attach {
    /// Which channel.
    pub channel_id: ChannelId,
    /// By side `A`'s signer over the `Session`.
    pub signature: Signature,
}

wire!(struct Attach { channel_id = "channelId", signature });

/// The connection is the channel's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attached {
    /// Always true.
    pub attached: bool,
}

wire!(open struct Attached { attached });

/// Peer messages of a channel, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Messages {
    /// Which channel.
    pub channel_id: ChannelId,
    /// All of them are taken, or none.
    pub messages: Vec<Message>,
}

wire!(struct Messages { channel_id = "channelId", messages });

/// Leaves the client's sealed state, in place of an earlier one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BackupPut {
    /// Of which channel.
    pub channel_id: ChannelId,
    /// Nobody without the signer's key can read it.
    pub backup: Bytes,
}

wire!(struct BackupPut { channel_id = "channelId", backup });

/// It is durable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Always true.
    pub kept: bool,
}

wire!(open struct Kept { kept });

/// Asks for the backup of a channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BackupGet {
    /// Which channel.
    pub channel_id: ChannelId,
    /// As in [`Attach`]; not needed on a connection that is the channel's.
    pub signature: Option<Signature>,
}

wire!(struct BackupGet { channel_id = "channelId", signature: optional });

/// The backup that was left last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// None was.
    pub backup: Option<Bytes>,
}

wire!(open struct Found { backup });

/// Asks for a page of a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lane {
    /// Of which channel.
    pub channel_id: ChannelId,
    /// What is paid.
    pub asset: Asset,
    /// Who pays.
    pub payer: Side,
    /// The first slot of the page; 0 if it is missing.
    pub from: u16,
}

wire!(struct Lane { channel_id = "channelId", asset, payer, from: optional });
