//! Takes a channel up, or chooses one: checks the chain, derives the key, opens the store.

use super::adopt;
use super::backup::{self, Restored};
use super::connect::register;
use super::known::Known;
use super::pay::look_up;
use super::{Client, Listener, Notice, Settings};
use crate::chain::Chain;
use crate::failure::{Failure, Result};
use crate::js::{now, random};
use crate::signer::typed_data;
use crate::small::SmallMap;
use crate::store::Store;
use crate::task::{Bell, Changes, Once, Work};
use crate::transport::terms::{Register, Terms};
use alloy_primitives::Bytes;
use farthing_protocol::chain::{AssetStatus, ChainFact, Head};
use farthing_protocol::channel::{Dust, ExitStage, Policy};
use farthing_protocol::eip712::Domain;
use farthing_protocol::hub::PayeeInfo;
use farthing_protocol::journal::Write;
use farthing_protocol::json;
use farthing_protocol::map::Map;
use farthing_protocol::sign::{SecretKey, Signature};
use farthing_protocol::types::{ChannelDef, ChannelId, Participant};
use farthing_protocol::wallet::{Wallet, WalletConfig};
use farthing_protocol::{Code, abi, wire};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Channels of the same participants that are looked at, one after the other.
const MAX_SALT: u64 = 64;

/// Bounds of what this client accepts, whatever the hub says, in seconds.
const SAFETY_MARGIN: (u64, u64) = (60, 3_600);
const MAX_CHAIN_AGE: (u64, u64) = (120, 3_600);

/// What the store holds beside the wallet's own records.
#[derive(Clone, Debug)]
struct Record {
    channel: ChannelDef,
    binding: Option<Bytes>,
}

wire!(write struct Record { channel, binding });
wire!(read open struct Record { channel, binding });

/// What to do with the hub, and which channel is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// The hub's terms are fresh: our channel is made known to it, and there may be none yet.
    Greet,
    /// The hub is not asked: the channel that is stored, if there is one that is not over.
    Stored,
    /// The same, if the chain shows that there was money in it.
    Used,
}

/// Takes the channel with a hub up. `None` if there is none that is wanted; the store that was opened for it stays open
/// in `known`.
pub(super) fn open<'a>(
    settings: &'a Settings,
    known: &'a Known,
    terms: Rc<Terms>,
    way: Way,
    listener: &'a Listener,
) -> Work<'a, Option<Rc<Client>>> {
    Box::pin(take_up(settings, known, terms, way, listener))
}

async fn take_up(
    settings: &Settings,
    known: &Known,
    terms: Rc<Terms>,
    way: Way,
    listener: &Listener,
) -> Result<Option<Rc<Client>>> {
    let confirmations = settings.confirmations.unwrap_or(0).max(terms.confirmations);
    let chain = Chain::new(settings.rpc()?, Domain::new(terms.chain_id, terms.contract), confirmations);
    let bounds = chain.check().await?;
    let period = challenge_period(settings, &terms, bounds);
    if way == Way::Greet {
        for (asset, _) in &settings.dust {
            terms.asset(asset)?;
        }
    }
    if known.of(&terms).is_none() {
        // Before anybody is asked for a signature.
        period.clone()?;
    }
    let store = known.wallet_store(settings, &terms).await?;
    let owner = settings.owner.address();
    let record_key = format!("client/{}/{owner}", terms.hub.signer);
    let head = chain.read_head().await?;
    let hub = Participant { owner: terms.hub.owner, signer: terms.hub.signer };
    let mut record = load_record(&*store, &record_key).await?.filter(|record| record.channel.b == hub);
    if way != Way::Greet {
        let Some(known) = &record else { return Ok(None) };
        let id = known.channel.id(terms.chain_id, terms.contract);
        if way == Way::Used && !usage(&chain, &terms, id, head.number).await?.0 {
            return Ok(None);
        }
    }
    let session = typed_data::session(&chain.domain, &Settings::origin(), owner, terms.hub.signer);
    let key = settings.owner.session_key(&session).await?;
    let mut salt = 0;
    if let Some(known) = &record {
        if known.channel.a.signer != key.address() {
            return Err(Failure::new(
                Code::Unsupported,
                "This wallet signs the same message differently each time; no session key can be made of it.",
            ));
        }
        // A channel whose assets were all closed is over, unless locks are still to be claimed; the next one has
        // another salt.
        if is_over(&chain, &terms, &known.channel).await?
            && !is_claiming(&load_wallet(settings, &chain, &terms, &*store, &key, known.channel, head).await?)
        {
            salt = known.channel.salt.saturating_add(1);
            record = None;
        }
    }
    let stored = record.is_some();
    let mut writes = Vec::new();
    let mut restored = None;
    let record = match record {
        Some(record) => record,
        None if way != Way::Greet => return Ok(None),
        None => {
            let (record, backup) = choose_channel(settings, &terms, &chain, &key, period, salt).await?;
            writes.push(Write::Put { key: record_key, value: json::encode(&record).into_bytes() });
            if let Some((snapshot, from)) = backup {
                writes.push(Wallet::from_backup(&wallet_config(settings, &chain, &terms, record.channel), snapshot));
                restored = Some(from);
            }
            record
        }
    };
    let adopts = settings.adopt && way == Way::Greet;
    if !adopts {
        commit(&*store, core::mem::take(&mut writes)).await?;
    }
    let mut greeted = false;
    if way == Way::Greet {
        let ours =
            Register { channel: &record.channel, public_key: key.public_key(), binding: record.binding.as_ref() };
        match register(&settings.hub, &ours).await {
            Ok(()) => {
                known.keep(settings, &store, &terms).await?;
                greeted = true;
            }
            // It is asked again in the background, and the application told then.
            Err(_) if stored => {}
            Err(failure) => return Err(failure),
        }
    }
    let config = wallet_config(settings, &chain, &terms, record.channel);
    let prefix = Wallet::prefix(&config);
    if adopts && greeted {
        let id = record.channel.id(terms.chain_id, terms.contract);
        let assets = terms.assets.iter().map(|terms| terms.asset).collect();
        let shown = adopt::shown(&settings.hub, &chain, &key, id, assets).await?;
        let mut entries = load_entries(&*store, &prefix).await?;
        entries.extend(writes.iter().filter_map(|write| match write {
            Write::Put { key, value } if key.starts_with(&prefix) => Some((key.clone(), value.clone())),
            Write::Put { .. } | Write::Delete { .. } => None,
        }));
        let leap = u16::from_le_bytes(random()?);
        if let Some(adopted) = Wallet::adopt(config, key.clone(), &entries, shown, leap, now())? {
            writes.extend(adopted);
            restored = Some(Restored { from: "proofs", time: now(), older: None });
        }
    }
    // With what was taken over, all in one: a channel that is in use never has an empty store.
    commit(&*store, writes).await?;
    if let Some(restored) = restored {
        listener(&terms, Notice::Restored(restored));
    }
    let wallet = load_wallet(settings, &chain, &terms, &*store, &key, record.channel, head).await?;
    let mut in_flight = Map::new();
    for payment in wallet.payments().iter().filter(|payment| !payment.is_final()) {
        in_flight.insert(payment.id, Rc::default());
    }
    let mut told_deposits = SmallMap::default();
    for balance in wallet.balances() {
        told_deposits.insert(balance.asset, balance.deposited);
    }
    Ok(Some(Rc::new(Client {
        owner: settings.owner.clone(),
        hub: Rc::clone(&settings.hub),
        poll_interval: settings.poll_interval,
        terms: RefCell::new(terms),
        key,
        chain,
        store,
        def: record.channel,
        id: wallet.id(),
        prefix,
        wallet: RefCell::new(wallet),
        listener: Rc::clone(listener),
        work: Bell::default(),
        look: Rc::default(),
        kit: Bell::default(),
        changes: Changes::default(),
        in_flight: RefCell::new(in_flight),
        gate: RefCell::default(),
        searched: RefCell::default(),
        payees: RefCell::default(),
        hub_funds: RefCell::default(),
        submissions: RefCell::default(),
        declined: RefCell::default(),
        told_deposits: RefCell::new(told_deposits),
        early: RefCell::default(),
        freshening: Cell::default(),
        connected: Cell::new(false),
        stored,
        greeted: Cell::new(greeted),
        told_unknown: Cell::default(),
        binding: record.binding,
        backup: settings.backup.clone(),
        unsaved: Bell::default(),
        dust: settings.dust.clone(),
        watchtowers: settings.watchtowers.clone(),
        unwatched: Bell::default(),
        stale_backup: Cell::new(true),
        ending: Cell::new(false),
        closed: Once::default(),
        ended: Once::default(),
        failed: RefCell::default(),
    })))
}

/// Of a new channel, in seconds.
fn challenge_period(settings: &Settings, terms: &Terms, (least, most): (u32, u32)) -> Result<u32> {
    let period = settings.challenge_period.unwrap_or(terms.challenge_period.default);
    let (min, max) = (terms.challenge_period.min, terms.challenge_period.max);
    if !(min..=max).contains(&period) {
        let detail = format!("The hub takes challenge periods from {min} to {max} seconds.");
        return Err(Failure::new(Code::BadTerms, detail));
    }
    if !(least..=most).contains(&period) {
        let detail = format!("The contract takes challenge periods from {least} to {most} seconds, not {period}.");
        return Err(Failure::new(Code::ChainMismatch, detail));
    }
    Ok(period)
}

async fn load_record(store: &dyn Store, key: &str) -> Result<Option<Record>> {
    let entries = store.load(key).await?;
    let found = entries.iter().find(|(found, _)| found == key);
    let corrupt = || Failure::new(Code::StorageCorrupt, "The record of the channel can't be read.");
    let read = |value| json::decode(core::str::from_utf8(value).ok()?).ok();
    found.map(|(_, value)| read(value).ok_or_else(corrupt)).transpose()
}

/// What a wallet's journal is read from.
async fn load_entries(store: &dyn Store, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
    let mut entries = store.load(&format!("{prefix}/snapshot")).await?;
    entries.extend(store.load(&format!("{prefix}/log/")).await?);
    Ok(entries)
}

async fn commit(store: &dyn Store, writes: Vec<Write>) -> Result<()> {
    if writes.is_empty() { Ok(()) } else { store.commit(writes).await }
}

/// The wallet as its store holds it, told what the chain says now.
async fn load_wallet(
    settings: &Settings,
    chain: &Chain,
    terms: &Terms,
    store: &dyn Store,
    key: &SecretKey,
    def: ChannelDef,
    head: Head,
) -> Result<Wallet> {
    let config = wallet_config(settings, chain, terms, def);
    let prefix = Wallet::prefix(&config);
    let entries = load_entries(store, &prefix).await?;
    let mut wallet = Wallet::restore(config, key.clone(), &entries)?;
    let id = wallet.id();
    for terms in &terms.assets {
        wallet.chain(&chain.asset(id, terms.asset, head.final_number).await?, now());
    }
    let exit = chain.exit_ends_at(id, head.number).await?;
    wallet.chain(&exit.map_or(ChainFact::ExitGone, |ends_at| ChainFact::ExitStarted { ends_at }), now());
    if exit.is_some() {
        for terms in &terms.assets {
            wallet.chain(&chain.shown(id, terms.asset, head.final_number).await?, now());
        }
        for (lane, slot) in wallet.channel().settled_locks() {
            wallet.chain(&chain.claimed(id, lane, slot, head.final_number).await?, now());
        }
    }
    let keys: Vec<_> = wallet.channel().live_keys().into_iter().collect();
    for fact in chain.recorded_evidence(&keys, head.final_number).await? {
        wallet.chain(&fact, now());
    }
    wallet.head(head, now());
    Ok(wallet)
}

/// Whether an exit has left locks that still hold money of ours.
fn is_claiming(wallet: &Wallet) -> bool {
    matches!(wallet.channel().exit_stage(), ExitStage::Settling | ExitStage::Claiming { .. })
}

fn wallet_config(settings: &Settings, chain: &Chain, terms: &Terms, def: ChannelDef) -> WalletConfig {
    WalletConfig { domain: chain.domain, def, policy: policy(terms, def.challenge_period, &settings.dust) }
}

/// What the chain says of a channel, over all assets: whether anything happened, and whether anything is still open.
async fn usage(chain: &Chain, terms: &Terms, id: ChannelId, block: u64) -> Result<(bool, bool)> {
    let (mut used, mut open) = (false, false);
    for terms in &terms.assets {
        let ChainFact::Asset { deposits, status, .. } = chain.asset(id, terms.asset, block).await? else { continue };
        let funded = !deposits.a.is_zero() || !deposits.b.is_zero();
        used |= funded || status != AssetStatus::Open;
        open |= funded && status == AssetStatus::Open;
    }
    Ok((used, open))
}

async fn is_over(chain: &Chain, terms: &Terms, def: &ChannelDef) -> Result<bool> {
    let id = def.id(chain.domain.chain_id(), chain.domain.contract());
    let (used, open) = usage(chain, terms, id, chain.head().final_number).await?;
    Ok(used && !open)
}

/// The first channel that the chain knows nothing of. One that is in use there and not in the store is taken up again
/// from a backup only: what was signed in it is unknown otherwise.
async fn choose_channel(
    settings: &Settings,
    terms: &Terms,
    chain: &Chain,
    key: &SecretKey,
    challenge_period: Result<u32>,
    first_salt: u64,
) -> Result<(Record, Option<(Vec<u8>, Restored)>)> {
    let owner = settings.owner.address();
    let ours = |challenge_period, salt| ChannelDef {
        a: Participant { owner, signer: key.address() },
        b: Participant { owner: terms.hub.owner, signer: terms.hub.signer },
        challenge_period,
        salt,
    };
    // The channel that the hub knows us by may have another challenge period than a new one would have.
    let (mut listed, mut binding) = (None, None);
    if let Ok(answer) = look_up(&settings.hub, key.address()).await {
        let PayeeInfo { channel, binding: given, .. } = answer;
        listed = Some(channel).filter(|def| *def == ours(def.challenge_period, def.salt) && def.salt >= first_salt);
        binding = listed.and(given);
    }
    let mut salts = first_salt..first_salt.saturating_add(MAX_SALT);
    loop {
        let known = listed.take();
        let channel = match known {
            Some(known) => known,
            None => match salts.next() {
                Some(salt) => ours(challenge_period.clone()?, salt),
                None => break,
            },
        };
        channel.check()?;
        let id = channel.id(chain.domain.chain_id(), chain.domain.contract());
        let (used, open) = usage(chain, terms, id, chain.head().number).await?;
        if open {
            let found = match backup::find(settings, key, id).await {
                // What the hub shows will do.
                Err(_) if settings.adopt => None,
                found => found?,
            };
            if let Some((backup, restored)) = found {
                return Ok((Record { channel, binding: backup.binding }, Some((backup.snapshot, restored))));
            }
            if !settings.adopt {
                let detail = format!(
                    "The chain knows channel {id} of this account with money in it; this store does not, and there is \
                     no backup of it. With adopt: true the hub is asked for what it holds."
                );
                return Err(Failure::new(Code::StateOutdated, detail));
            }
        } else if used || known.is_some() {
            continue;
        }
        let is_ours = |binding: &Bytes| {
            let digest = chain.domain.digest(&abi::Binding { owner, signer: key.address(), channelId: id.0 });
            Signature::from_slice(binding).is_ok_and(|signature| signature.verify(digest, owner).is_ok())
        };
        let given = binding.take().filter(|binding| known.is_some() && is_ours(binding));
        let binding = match given {
            _ if owner == key.address() => None,
            Some(given) => Some(given),
            None => {
                Some(settings.owner.sign(&typed_data::binding(&chain.domain, owner, key.address(), id)).await?.into())
            }
        };
        return Ok((Record { channel, binding }, None));
    }
    Err(Failure::new(Code::Unsupported, "This account has closed too many channels with this hub."))
}

/// What this client accepts: the hub's terms within bounds of its own.
pub(super) fn policy(terms: &Terms, challenge_period: u32, dust: &[(String, Dust)]) -> Policy {
    let safety_margin = terms.safety_margin.clamp(SAFETY_MARGIN.0, SAFETY_MARGIN.1);
    Policy {
        safety_margin,
        min_lock_time: safety_margin.saturating_mul(2),
        // Clocks differ a little.
        max_lock_time: terms.max_lock_time.saturating_add(SAFETY_MARGIN.0),
        max_locks: usize::try_from(terms.max_locks).unwrap_or(usize::MAX),
        max_chain_age: u64::from(challenge_period).div_euclid(4).clamp(MAX_CHAIN_AGE.0, MAX_CHAIN_AGE.1),
        dust: dust.iter().filter_map(|(asset, dust)| Some((terms.asset(asset).ok()?.asset, *dust))).collect(),
        ..Policy::default()
    }
}
