//! Takes a channel up, or chooses one: checks the chain, derives the key, opens the store.

use super::adopt;
use super::backup::Restored;
use super::choose::{choose_channel, is_over, load_record, usage};
use super::connect::register;
use super::known::Known;
use super::{Client, Listener, Notice, Settings};
use crate::chain::Chain;
use crate::failure::{Failure, Result};
use crate::js::{now, random};
use crate::signer::typed_data;
use crate::small::SmallMap;
use crate::store::Store;
use crate::task::{Bell, Changes, Once, Work};
use crate::transport::Hub;
use crate::transport::terms::{Register, Terms};
use farthing_protocol::Code;
use farthing_protocol::chain::{ChainFact, Head};
use farthing_protocol::channel::{Dust, ExitStage, Policy};
use farthing_protocol::eip712::Domain;
use farthing_protocol::journal::Write;
use farthing_protocol::json;
use farthing_protocol::map::Map;
use farthing_protocol::sign::SecretKey;
use farthing_protocol::types::{Asset, ChannelDef, Participant};
use farthing_protocol::wallet::{Wallet, WalletConfig};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Bounds of what this client accepts, whatever the hub says, in seconds.
const SAFETY_MARGIN: (u64, u64) = (60, 3_600);
const MAX_CHAIN_AGE: (u64, u64) = (120, 3_600);

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
    let mut dust = Vec::new();
    for (asset, entry) in &settings.dust {
        match terms.asset(asset) {
            Ok(terms) => dust.push((terms.asset, *entry)),
            Err(failure) if way == Way::Greet => return Err(failure),
            Err(_) => {}
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
            && !is_claiming(&load_wallet(&dust, &chain, &terms, &*store, &key, known.channel, head).await?)
        {
            salt = known.channel.salt.saturating_add(1);
            record = None;
        }
    }
    let stored = record.is_some();
    let mut writes = Vec::new();
    let (mut restored, mut is_new) = (None, false);
    let record = match record {
        Some(record) => record,
        None if way != Way::Greet => return Ok(None),
        None => {
            let (record, in_use, backup) = choose_channel(settings, &terms, &chain, &key, period, salt).await?;
            is_new = !in_use;
            writes.push(Write::Put { key: record_key, value: json::encode(&record).into_bytes() });
            if let Some((snapshot, from)) = backup {
                writes.push(Wallet::from_backup(&wallet_config(&dust, &chain, &terms, record.channel), snapshot));
                restored = Some(from);
            }
            record
        }
    };
    let adopts = settings.adopt && way == Way::Greet && !is_new;
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
    let config = wallet_config(&dust, &chain, &terms, record.channel);
    let prefix = Wallet::prefix(&config);
    let mut refused = None;
    if adopts && greeted {
        let mut entries = load_entries(&*store, &prefix).await?;
        entries.extend(writes.iter().filter_map(|write| match write {
            Write::Put { key, value } if key.starts_with(&prefix) => Some((key.clone(), value.clone())),
            Write::Put { .. } | Write::Delete { .. } => None,
        }));
        match take_over(&settings.hub, &chain, &terms, config, &entries, &key, head).await {
            Ok(Some(adopted)) => {
                writes.extend(adopted);
                restored = Some(Restored { from: "proofs", time: now(), older: None });
            }
            Ok(None) => {}
            Err(failure) if entries.is_empty() => return Err(failure),
            // What is stored is not kept from its owner: it goes on as it would without, and can leave.
            Err(failure) => refused = Some(failure),
        }
    }
    // With what was taken over, all in one: a channel that is in use never has an empty store.
    commit(&*store, writes).await?;
    if let Some(restored) = restored {
        listener(&terms, Notice::Restored(restored));
    }
    if let Some(failure) = refused {
        listener(&terms, Notice::Error(failure));
    }
    let wallet = load_wallet(&dust, &chain, &terms, &*store, &key, record.channel, head).await?;
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
        dust,
        watchtowers: settings.watchtowers.clone(),
        unwatched: Bell::default(),
        stale_backup: Cell::new(true),
        ending: Cell::new(false),
        closed: Once::default(),
        ended: Once::default(),
        failed: RefCell::default(),
    })))
}

/// What brings a store up to what the hub shows.
async fn take_over(
    hub: &Hub,
    chain: &Chain,
    terms: &Terms,
    config: WalletConfig,
    entries: &[(String, Vec<u8>)],
    key: &SecretKey,
    head: Head,
) -> Result<Option<Vec<Write>>> {
    let id = config.def.id(terms.chain_id, terms.contract);
    let assets = terms.assets.iter().map(|terms| terms.asset).collect();
    let shown = adopt::shown(hub, chain, key, id, assets).await?;
    let known = told_wallet(chain, terms, config, entries, key, head).await?;
    Ok(known.adopt(shown, entries.is_empty(), u16::from_le_bytes(random()?), now())?)
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
    dust: &[(Asset, Dust)],
    chain: &Chain,
    terms: &Terms,
    store: &dyn Store,
    key: &SecretKey,
    def: ChannelDef,
    head: Head,
) -> Result<Wallet> {
    let config = wallet_config(dust, chain, terms, def);
    let entries = load_entries(store, &Wallet::prefix(&config)).await?;
    told_wallet(chain, terms, config, &entries, key, head).await
}

async fn told_wallet(
    chain: &Chain,
    terms: &Terms,
    config: WalletConfig,
    entries: &[(String, Vec<u8>)],
    key: &SecretKey,
    head: Head,
) -> Result<Wallet> {
    let mut wallet = Wallet::restore(config, key.clone(), entries)?;
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

fn wallet_config(dust: &[(Asset, Dust)], chain: &Chain, terms: &Terms, def: ChannelDef) -> WalletConfig {
    WalletConfig { domain: chain.domain, def, policy: policy(terms, def.challenge_period, dust) }
}

/// What this client accepts: the hub's terms within bounds of its own.
pub(super) fn policy(terms: &Terms, challenge_period: u32, dust: &[(Asset, Dust)]) -> Policy {
    let safety_margin = terms.safety_margin.clamp(SAFETY_MARGIN.0, SAFETY_MARGIN.1);
    Policy {
        safety_margin,
        min_lock_time: safety_margin.saturating_mul(2),
        // Clocks differ a little.
        max_lock_time: terms.max_lock_time.saturating_add(SAFETY_MARGIN.0),
        max_locks: usize::try_from(terms.max_locks).unwrap_or(usize::MAX),
        max_chain_age: u64::from(challenge_period).div_euclid(4).clamp(MAX_CHAIN_AGE.0, MAX_CHAIN_AGE.1),
        dust: dust.iter().copied().collect(),
        ..Policy::default()
    }
}
