//! The methods.

use super::App;
use super::envelope;
use super::error::RpcError;
use super::faults::Culprit;
use super::openrpc;
use super::screen::{self, Screen, Screened};
use super::socket::Session;
use crate::origin::Origin;
use crate::store::backup_key;
use alloy_primitives::{B256, Bytes};
use farthing_protocol::abi;
use farthing_protocol::api::hub::{
    Attach, Attached, BackupGet, BackupPut, Challenge, Challenged, Channel, Config, Discover, Found, Kept, Lane,
    Lookup, Messages, Method, Register, Registered, RelayDeposit, Relayed,
};
use farthing_protocol::api::limits::{MAX_ATTACHED, MAX_BACKUP, MAX_MESSAGES};
use farthing_protocol::api::{Call, ChannelStatus};
use farthing_protocol::hub::Registration;
use farthing_protocol::json::shape::Shape;
use farthing_protocol::json::{self, ToJson};
use farthing_protocol::proof::LaneId;
use farthing_protocol::wallet::binding_digest;
use farthing_protocol::{ChannelId, Code, Error, Sides};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a client waits to be let in while the chain was not read for its channel yet; less than clients wait for an answer.
const FIRST_LOOK: Duration = Duration::from_secs(10);
/// How long the next look at the chain is waited for, before a contract's no counts.
const NEXT_LOOK: Duration = Duration::from_secs(10);
/// What a call costs that has us check a signature or write much, in requests.
const COSTLY: u32 = 16;

/// How a call ended.
#[derive(Debug)]
pub(super) enum Answer {
    /// With a result that is still to be sent.
    Result(Value),
    /// With one that never changes.
    Fixed(Arc<RawValue>),
    /// The core has queued the response.
    Sent,
}

/// Whether a call is made to wait when its caller is too fast, rather than refused: a peer message that was dropped
/// would be missed until the next sync.
pub(super) fn is_patient(method: &str) -> bool {
    Method::of(method) == Some(Method::Messages)
}

/// Runs a call. Without a session it came over HTTP. `id` is the request's, for responses that the core sends.
pub(super) async fn call(
    app: &App,
    origin: Origin,
    session: Option<&mut Session>,
    method: &str,
    params: Option<&RawValue>,
    id: Option<&RawValue>,
) -> Result<Answer, RpcError> {
    let result = match Method::of(method).ok_or_else(|| RpcError::method(method))? {
        Method::Config => {
            let Config {} = read(params)?;
            return Ok(Answer::Fixed(Arc::clone(&app.terms)));
        }
        Method::Discover => {
            let Discover {} = read(params)?;
            return Ok(Answer::Fixed(openrpc::raw()));
        }
        Method::Register => {
            let Register { channel, public_key, binding } = read(params)?;
            if !app.registrations.take(origin, 1) {
                return Err(Code::RateLimited.into());
            }
            let binding = binding.filter(|binding| !binding.is_empty());
            let registration = Registration { channel, public_key: Some(public_key), binding };
            value::<Register>(&Registered { channel_id: register(app, registration, origin).await? })?
        }
        Method::Lookup => {
            let Lookup { address } = read(params)?;
            let payer = session.map(|session| session.attached.keys().copied().collect()).unwrap_or_default();
            value::<Lookup>(&app.core.lookup(address, payer).await?)?
        }
        Method::Channel => {
            let Channel { channel_id } = read(params)?;
            let own = session.is_some_and(|session| session.attached.contains_key(&channel_id));
            value::<Channel>(&app.core.status(channel_id, own).await?)?
        }
        Method::Challenge => {
            let challenge = challenge(app, session, read(params)?).await?;
            value::<Challenge>(&Challenged { challenge })?
        }
        Method::Attach => {
            attach(app, socket_only(session)?, read(params)?, id).await?;
            return Ok(Answer::Sent);
        }
        Method::Messages => {
            messages(app, socket_only(session)?, params).await?;
            Value::Null
        }
        Method::RelayDeposit => {
            let asked: RelayDeposit = read(params)?;
            let Some(desk) = &app.deposits else {
                return Err(Error::new(Code::Unsupported, "this hub sends no deposits of others").into());
            };
            if !app.deposits_asked.take(origin, 1) {
                return Err(Code::RateLimited.into());
            }
            value::<RelayDeposit>(&Relayed { transaction: desk.send(asked).await? })?
        }
        Method::BackupPut => {
            put_backup(app, socket_only(session)?, read(params)?).await?;
            value::<BackupPut>(&Kept { kept: true })?
        }
        Method::BackupGet => {
            let backup = get_backup(app, origin, session, read(params)?).await?;
            value::<BackupGet>(&Found { backup })?
        }
        Method::Lane => {
            let Lane { channel_id, asset, payer, from } = read(params)?;
            // What is in a channel is its client's affair.
            if !socket_only(session)?.attached.contains_key(&channel_id) {
                return Err(Code::NotAuthenticated.into());
            }
            value::<Lane>(&app.core.lane(channel_id, LaneId { asset, payer }, from).await?)?
        }
    };
    Ok(Answer::Result(result))
}

/// The text of a response.
pub(super) fn response(id: Option<&RawValue>, result: Result<Answer, RpcError>) -> String {
    match result {
        Ok(Answer::Fixed(fixed)) => envelope::response(id, Ok(fixed.get())),
        Ok(Answer::Result(value)) => envelope::response(id, Ok(&value.to_string())),
        Ok(Answer::Sent) => envelope::response(id, Ok("null")),
        Err(error) => envelope::response(id, Err(&error)),
    }
}

fn socket_only(session: Option<&mut Session>) -> Result<&mut Session, RpcError> {
    session.ok_or_else(|| Error::new(Code::Unsupported, "this method is served over a WebSocket only").into())
}

/// Admits a channel. A binding that is not its owner's key's may be that of a contract, which is asked.
async fn register(app: &App, registration: Registration, origin: Origin) -> Result<ChannelId, RpcError> {
    let (def, binding) = (registration.channel, registration.binding.clone());
    let refused = match (app.core.register(registration.clone(), false, origin).await, binding) {
        (Err(refused), Some(binding)) if refused.code() == Code::BadSignature => (refused, binding),
        (outcome, _) => return Ok(outcome?),
    };
    let (refused, binding) = refused;
    let digest = binding_digest(&app.domain, &def);
    let mut looks = app.health.looks();
    let mut asked = None;
    loop {
        let head = looks.borrow_and_update().1;
        let Some(head) = head else { return Err(RpcError::chain_unread()) };
        if asked == Some(head.final_number) {
            break;
        }
        if app.owners.signed(def.a.owner, digest, binding.clone(), head.final_number).await? {
            return Ok(app.core.register(registration, true, origin).await?);
        }
        // A client that has just seen its wallet become final may be a look ahead of us.
        if asked.replace(head.final_number).is_some() || tokio::time::timeout(NEXT_LOOK, looks.changed()).await.is_err()
        {
            break;
        }
    }
    let block = asked.unwrap_or_default();
    let said = format!("{} (by its key, or by its contract's word in block {block})", refused.detail());
    Err(Error::new(Code::BadSignature, said).into())
}

/// A fresh challenge. It is good for one attempt, on this connection, for this channel; over HTTP it is good for some
/// minutes and for reading a backup only.
async fn challenge(app: &App, session: Option<&mut Session>, params: Challenge) -> Result<B256, RpcError> {
    let channel = params.channel_id;
    let def = app.core.status(channel, false).await?.channel;
    let Some(session) = session else { return Ok(app.challenges.now(channel)) };
    let mut challenge = B256::ZERO;
    getrandom::fill(challenge.as_mut_slice()).map_err(|_| RpcError::from(Code::Internal))?;
    session.challenge = Some((channel, def, challenge));
    Ok(challenge)
}

/// Makes this connection the channel's, if its signer's key signed the challenge.
async fn attach(app: &App, session: &mut Session, params: Attach, id: Option<&RawValue>) -> Result<(), RpcError> {
    let Attach { channel_id, signature } = params;
    let (channel, def) = session.prove(app, channel_id, signature)?;
    if app.faults.waits(Culprit::Channel(channel), Instant::now()) {
        return Err(Error::new(Code::RateLimited, "this channel broke the protocol too often; come back later").into());
    }
    if session.attached.len() >= MAX_ATTACHED && !session.attached.contains_key(&channel) {
        return Err(limit(format!("a connection attaches at most {MAX_ATTACHED} channels")));
    }
    // [18] Until then all that it sends as soon as it is in would be refused.
    let seen = match tokio::time::timeout(FIRST_LOOK, seen(app, channel)).await {
        Ok(seen) => seen?,
        Err(_) => return Err(RpcError::chain_unread()),
    };
    let attached = value::<Attach>(&Attached { attached: true })?;
    let response = envelope::response(id, Ok(&attached.to_string()));
    session.attached.insert(channel, Screen::new(app.domain, &def));
    // Before the client hears of it, and others can take its place.
    if seen.assets.iter().any(|asset| asset.deposits != Sides::default()) {
        session.keep_place();
    }
    app.core.attach(channel, session.outbox.clone(), response).await?;
    Ok(())
}

/// Waits until the chain was read for this channel, for the first time since the start or the registration.
async fn seen(app: &App, channel: ChannelId) -> Result<ChannelStatus, RpcError> {
    let mut looks = app.health.looks();
    let mut trouble = app.health.trouble();
    loop {
        looks.borrow_and_update();
        let status = app.core.status(channel, false).await?;
        if status.final_block.is_some() {
            return Ok(status);
        }
        // It would wait in vain, and take the hub for gone.
        if trouble.borrow_and_update().is_some() {
            return Err(RpcError::chain_unread());
        }
        // The senders live as long as `app`.
        tokio::select! {
            _ = looks.changed() => {}
            _ = trouble.changed() => {}
        }
    }
}

fn limit(said: String) -> RpcError {
    Error::new(Code::LimitExceeded, said).into()
}

/// What of [`Messages`] has to be known before any message is read: how many there are.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Frame<'a> {
    channel_id: ChannelId,
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
}

/// Hands messages of an attached channel to the core. All of a frame are taken, or none.
async fn messages(app: &App, session: &mut Session, params: Option<&RawValue>) -> Result<(), RpcError> {
    let text = params.map_or("{}", RawValue::get);
    let Frame { channel_id, messages } = match serde_json::from_str(text) {
        Ok(frame) => frame,
        Err(error) => {
            session.fault(app, None);
            return Err(RpcError::messages(error.to_string()));
        }
    };
    let Some(screen) = session.attached.get(&channel_id).cloned() else {
        return Err(Code::NotAuthenticated.into());
    };
    if messages.len() > MAX_MESSAGES {
        return Err(limit(format!("a frame holds at most {MAX_MESSAGES} messages")));
    }
    // The frame itself has been counted. They are paid for before they cost anything.
    session.wait(app, messages.len().saturating_sub(1)).await;
    drop(messages);
    let Messages { channel_id, messages } = match json::decode(text) {
        Ok(decoded) => decoded,
        Err(error) => {
            session.fault(app, Some(channel_id));
            return Err(RpcError::messages(error.detail().to_owned()));
        }
    };
    session.wait(app, messages.iter().map(screen::extra_signatures).sum()).await;
    match app.screens.check(screen, messages).await? {
        Screened::Taken { screen, messages } => {
            session.attached.insert(channel_id, screen);
            app.core.messages(channel_id, messages, text.len()).await?;
            Ok(())
        }
        // As the machine says it, which has nothing to do with it.
        Screened::Refused { message: Some(refusal), .. } => {
            session.outbox.push(channel_id, &[refusal])?;
            session.fault(app, Some(channel_id));
            Ok(())
        }
        Screened::Refused { error, .. } => {
            session.fault(app, Some(channel_id));
            Err(error.into())
        }
    }
}

/// Keeps the client's own sealed state, the newest only. It is of no use to anybody without the client's key.
async fn put_backup(app: &App, session: &Session, params: BackupPut) -> Result<(), RpcError> {
    let BackupPut { channel_id, backup } = params;
    if !session.attached.contains_key(&channel_id) {
        return Err(Code::NotAuthenticated.into());
    }
    if backup.len() > MAX_BACKUP {
        return Err(limit(format!("a backup has at most {MAX_BACKUP} bytes")));
    }
    if !app.backups.take(channel_id, 1) || !app.shared_backups.take(session.origin(), 1) {
        return Err(Code::RateLimited.into());
    }
    Ok(app.core.backup(channel_id, backup.into()).await?)
}

/// Gives a backup back to whoever holds the key of the channel's signer: nobody else is told that there is one.
async fn get_backup(
    app: &App,
    origin: Origin,
    session: Option<&mut Session>,
    params: BackupGet,
) -> Result<Option<Bytes>, RpcError> {
    let BackupGet { channel_id, signature } = params;
    let attached = session.as_ref().is_some_and(|session| session.attached.contains_key(&channel_id));
    match (attached, signature, session) {
        (true, ..) => {}
        (false, None, _) => return Err(Code::NotAuthenticated.into()),
        (false, Some(signature), Some(session)) => {
            session.prove(app, channel_id, signature)?;
        }
        (false, Some(signature), None) => {
            if !app.buckets.take(origin, COSTLY.min(app.limits.burst)) {
                return Err(Code::RateLimited.into());
            }
            let signer = app.core.status(channel_id, false).await?.channel.a.signer;
            let shown = app.challenges.recent(channel_id).into_iter().any(|challenge| {
                let digest = app.domain.digest(&abi::Session { channelId: channel_id.0, challenge });
                signature.verify(digest, signer).is_ok()
            });
            if !shown {
                return Err(
                    Error::new(Code::BadSignature, "no recent challenge was signed by the channel's key").into()
                );
            }
        }
    }
    if !app.restores.take(channel_id, 1) {
        return Err(Code::RateLimited.into());
    }
    // One at a time, so that a commit waits for one at most.
    let _turn = app.reading.lock().await;
    Ok(app.store.value(&backup_key(channel_id)).await?.map(Bytes::from))
}

/// The parameters of a call.
pub(crate) fn read<C: Call>(params: Option<&RawValue>) -> Result<C, RpcError> {
    let text = params.map_or("{}", RawValue::get);
    if !text.starts_with('{') {
        return Err(RpcError::params("params are an object, by name".to_owned()));
    }
    json::decode(text).map_err(|error| {
        let Shape::Object(fields) = C::SHAPE else { return RpcError::params(error.detail().to_owned()) };
        let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
        RpcError::params(format!("{}; {} takes {{{}}}", error.detail(), C::NAME, names.join(", ")))
    })
}

/// What a call costs, in requests.
pub(super) fn price(method: &str) -> u32 {
    match Method::of(method) {
        Some(Method::Attach | Method::BackupGet | Method::BackupPut | Method::Register | Method::RelayDeposit) => {
            COSTLY
        }
        _ => 1,
    }
}

/// What a call answers, with the names of its fields in their order.
pub(crate) fn value<C: Call<Result: ToJson>>(result: &C::Result) -> Result<Value, RpcError> {
    serde_json::from_str(&json::encode(result)).map_err(|_| Code::Internal.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;
    use farthing_protocol::message::Message;

    #[test]
    fn messages_are_counted_in_what_carries_them() {
        let messages = vec![Message::Sync { lanes: Vec::new() }; 3];
        let text = json::encode(&Messages { channel_id: ChannelId(B256::repeat_byte(1)), messages });
        let Frame { channel_id, messages } = serde_json::from_str(&text).unwrap();
        assert_eq!((channel_id, messages.len()), (ChannelId(B256::repeat_byte(1)), 3));
    }

    #[test]
    fn parameters_that_are_not_the_methods_are_refused_with_those_that_are() {
        let refused = |text: &str| {
            let raw: Box<RawValue> = serde_json::from_str(text).unwrap();
            read::<Lookup>(Some(&raw)).unwrap_err().told().message.to_owned()
        };
        let zero = Address::ZERO;
        for text in ["{}", "[]", r#"{"address":5}"#, r#"{"address":"0x12"}"#] {
            assert!(!refused(text).is_empty(), "{text}");
        }
        for text in
            [format!(r#"{{"address":"{zero}","more":1}}"#), format!(r#"{{"address":"{zero}","address":"{zero}"}}"#)]
        {
            assert!(refused(&text).ends_with("farthing_lookup takes {address}"), "{text}");
        }
    }
}
