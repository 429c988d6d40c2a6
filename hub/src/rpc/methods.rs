//! The methods.

use super::App;
use super::error::RpcError;
use super::openrpc;
use super::socket::Session;
use crate::store::backup_key;
use alloy_primitives::{Address, B256, Bytes};
use farthing_protocol::abi;
use farthing_protocol::backup::MAX_BACKUP;
use farthing_protocol::hub::Registration;
use farthing_protocol::journal::Write;
use farthing_protocol::json;
use farthing_protocol::message::Message;
use farthing_protocol::proof::LaneId;
use farthing_protocol::sign::{PublicKey, Signature};
use farthing_protocol::{Asset, ChannelDef, ChannelId, Code, Error, Side, wire};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::time::Duration;

/// A method that is served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Method {
    Config,
    Register,
    Lookup,
    Channel,
    Challenge,
    Attach,
    Messages,
    BackupPut,
    BackupGet,
    Lane,
    Discover,
}

/// Every method's name. `openrpc.json` describes the same ones.
pub(super) const METHODS: [(Method, &str); 11] = [
    (Method::Config, "farthing_config"),
    (Method::Register, "farthing_register"),
    (Method::Lookup, "farthing_lookup"),
    (Method::Channel, "farthing_channel"),
    (Method::Challenge, "farthing_challenge"),
    (Method::Attach, "farthing_attach"),
    (Method::Messages, "farthing_messages"),
    (Method::BackupPut, "farthing_backupPut"),
    (Method::BackupGet, "farthing_backupGet"),
    (Method::Lane, "farthing_lane"),
    (Method::Discover, "rpc.discover"),
];

impl Method {
    fn of(name: &str) -> Option<Self> {
        METHODS.iter().find(|(_, known)| *known == name).map(|(method, _)| *method)
    }
}

/// Most channels that one connection may attach.
const MAX_ATTACHED: usize = 64;
/// How long a client waits to be let in while the chain was not read for its channel yet; less than clients wait for an answer.
const FIRST_LOOK: Duration = Duration::from_secs(10);
/// Most peer messages in one frame.
const MAX_MESSAGES: usize = 1_024;

/// How a call ended.
#[derive(Debug)]
pub(super) enum Answer {
    /// With a result that is still to be sent.
    Result(Value),
    /// The core has queued the response.
    Sent,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Register {
    channel: ChannelDef,
    public_key: PublicKey,
    #[serde(default)]
    binding: Option<Bytes>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Lookup {
    address: Address,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OfChannel {
    pub(super) channel_id: ChannelId,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Attach {
    channel_id: ChannelId,
    signature: Signature,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BackupPut {
    channel_id: ChannelId,
    backup: Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OfLane {
    channel_id: ChannelId,
    asset: Asset,
    payer: Side,
    #[serde(default)]
    from: u16,
}

struct Messages {
    channel_id: ChannelId,
    messages: Vec<Message>,
}

// Payments pass here, so it is read without serde in between.
wire!(struct Messages { channel_id = "channelId", messages });

/// Whether a call is made to wait when its caller is too fast, rather than refused: a peer message that was dropped
/// would be missed until the next sync.
pub(super) fn is_patient(method: &str) -> bool {
    Method::of(method) == Some(Method::Messages)
}

/// Runs a call. Without a session it came over HTTP. `id` is the request's, for responses that the core sends.
pub(super) async fn call(
    app: &App,
    ip: IpAddr,
    session: Option<&mut Session>,
    method: &str,
    params: Option<&RawValue>,
    id: Option<&RawValue>,
) -> Result<Answer, RpcError> {
    let result = match Method::of(method).ok_or_else(|| RpcError::method(method))? {
        Method::Config => {
            let Nothing {} = read(params)?;
            app.terms.clone()
        }
        Method::Discover => {
            let Nothing {} = read(params)?;
            serde_json::from_str(openrpc::DOCUMENT).map_err(|_| RpcError::from(Code::Internal))?
        }
        Method::Register => {
            let Register { channel, public_key, binding } = read(params)?;
            if !app.registrations.take(ip, 1) {
                return Err(Code::RateLimited.into());
            }
            let binding = binding.filter(|binding| !binding.is_empty());
            let id = app.core.register(Registration { channel, public_key: Some(public_key), binding }).await?;
            json!({ "channelId": id })
        }
        Method::Lookup => {
            let Lookup { address } = read(params)?;
            value(&app.core.lookup(address).await?)?
        }
        Method::Channel => {
            let OfChannel { channel_id } = read(params)?;
            value(&app.core.status(channel_id).await?)?
        }
        Method::Challenge => challenge(app, socket_only(session)?, read(params)?).await?,
        Method::Attach => {
            attach(app, socket_only(session)?, read(params)?, id).await?;
            return Ok(Answer::Sent);
        }
        Method::Messages => {
            messages(app, socket_only(session)?, params).await?;
            Value::Null
        }
        Method::BackupPut => {
            put_backup(app, socket_only(session)?, read(params)?).await?;
            json!({ "kept": true })
        }
        Method::BackupGet => {
            let OfChannel { channel_id } = read(params)?;
            let found = app.store.load(&backup_key(channel_id)).await?;
            json!({ "backup": found.into_iter().next().map(|(_, value)| Bytes::from(value)) })
        }
        Method::Lane => {
            let OfLane { channel_id, asset, payer, from } = read(params)?;
            // What is in a channel is its client's affair.
            if !socket_only(session)?.attached.contains(&channel_id) {
                return Err(Code::NotAuthenticated.into());
            }
            value(&app.core.lane(channel_id, LaneId { asset, payer }, from).await?)?
        }
    };
    Ok(Answer::Result(result))
}

fn socket_only(session: Option<&mut Session>) -> Result<&mut Session, RpcError> {
    session.ok_or_else(|| Error::new(Code::Unsupported, "this method is served over a WebSocket only").into())
}

/// A fresh challenge. It is good for one attempt, on this connection, for this channel.
async fn challenge(app: &App, session: &mut Session, params: OfChannel) -> Result<Value, RpcError> {
    let channel = params.channel_id;
    let signer = app.core.status(channel).await?.channel.a.signer;
    let mut challenge = B256::ZERO;
    getrandom::fill(challenge.as_mut_slice()).map_err(|_| RpcError::from(Code::Internal))?;
    session.challenge = Some((channel, signer, challenge));
    Ok(json!({ "challenge": challenge }))
}

/// Makes this connection the channel's, if its signer's key signed the challenge.
async fn attach(app: &App, session: &mut Session, params: Attach, id: Option<&RawValue>) -> Result<(), RpcError> {
    let Attach { channel_id, signature } = params;
    // Taken, whatever comes of it.
    let challenge = session.challenge.take().filter(|(channel, ..)| *channel == channel_id);
    let Some((channel, signer, challenge)) = challenge else {
        return Err(Error::new(Code::NotAuthenticated, "ask for a challenge of this channel first").into());
    };
    signature.verify(app.domain.digest(&abi::Session { channelId: channel.0, challenge }), signer)?;
    if session.attached.len() >= MAX_ATTACHED && !session.attached.contains(&channel) {
        return Err(Error::new(Code::LimitExceeded, "a connection attaches at most 64 channels").into());
    }
    // [18] Until then all that it sends as soon as it is in would be refused.
    match tokio::time::timeout(FIRST_LOOK, seen(app, channel)).await {
        Ok(seen) => seen?,
        Err(_) => return Err(Error::new(Code::ChainStale, "the hub could not read the chain yet; try again").into()),
    }
    let response = super::envelope::response(id, &Ok(json!({ "attached": true })));
    session.attached.insert(channel);
    app.core.attach(channel, session.outbox.clone(), response).await?;
    Ok(())
}

/// Waits until the chain was read for this channel, for the first time since the start or the registration.
async fn seen(app: &App, channel: ChannelId) -> Result<(), Error> {
    let mut looks = app.health.looks();
    loop {
        looks.borrow_and_update();
        if app.core.status(channel).await?.final_block.is_some() {
            return Ok(());
        }
        // The sender lives as long as `app`.
        let _ = looks.changed().await;
    }
}

/// Hands messages of an attached channel to the core. All of a frame are taken, or none.
async fn messages(app: &App, session: &mut Session, params: Option<&RawValue>) -> Result<(), RpcError> {
    let text = params.map_or("{}", RawValue::get);
    let Messages { channel_id, messages } =
        json::decode(text).map_err(|error| RpcError::messages(error.detail().to_owned()))?;
    if !session.attached.contains(&channel_id) {
        return Err(Code::NotAuthenticated.into());
    }
    if messages.len() > MAX_MESSAGES {
        return Err(Error::new(Code::LimitExceeded, "a frame holds at most 1024 messages").into());
    }
    // The frame itself has been counted.
    session.wait(messages.len().saturating_sub(1)).await;
    app.core.messages(channel_id, messages).await?;
    Ok(())
}

/// Keeps the client's own sealed state, the newest only. It is of no use to anybody without the client's key.
async fn put_backup(app: &App, session: &Session, params: BackupPut) -> Result<(), RpcError> {
    let BackupPut { channel_id, backup } = params;
    if !session.attached.contains(&channel_id) {
        return Err(Code::NotAuthenticated.into());
    }
    if backup.len() > MAX_BACKUP {
        return Err(Error::new(Code::LimitExceeded, "a backup has at most 30,000 bytes").into());
    }
    // Of a channel that was forgotten nothing is kept.
    app.core.status(channel_id).await?;
    let write = Write::Put { key: backup_key(channel_id), value: backup.to_vec() };
    Ok(app.store.commit(&[write]).await?)
}

pub(super) fn read<T: DeserializeOwned>(params: Option<&RawValue>) -> Result<T, RpcError> {
    parse(params).map_err(RpcError::params)
}

fn parse<T: DeserializeOwned>(params: Option<&RawValue>) -> Result<T, String> {
    let text = params.map_or("{}", RawValue::get);
    if !text.starts_with('{') {
        return Err("params are an object, by name".to_owned());
    }
    serde_json::from_str(text).map_err(|error| error.to_string())
}

pub(super) fn value(result: &impl serde::Serialize) -> Result<Value, RpcError> {
    serde_json::to_value(result).map_err(|_| Code::Internal.into())
}
