//! Brings a wallet from its store up to what the chain says.

use crate::chain::Chain;
use crate::chain::reader::News;
use crate::failure::Result;
use crate::js::running;
use crate::store::OpenStore;
use crate::task::{race, sleep};
use crate::transport::terms::Terms;
use farthing_protocol::chain::ChainFact;
use farthing_protocol::channel::{Dust, ExitStage, Policy};
use farthing_protocol::condition::ConditionKey;
use farthing_protocol::journal::Write;
use farthing_protocol::proof::LaneId;
use farthing_protocol::reading::{Heard, Reading};
use farthing_protocol::sign::SecretKey;
use farthing_protocol::types::{Asset, ChannelDef, ChannelId};
use farthing_protocol::wallet::{Wallet, WalletConfig};
use std::cell::RefCell;
use std::rc::Rc;

/// So many questions are asked side by side.
const AT_ONCE: usize = 16;

/// How long the opening of a channel waits for what may come later, in milliseconds.
const PATIENCE: u32 = 5_000;

/// Bounds of what this client accepts, whatever the hub says, in seconds.
const SAFETY_MARGIN: (u64, u64) = (60, 3_600);
const MAX_CHAIN_AGE: (u64, u64) = (120, 3_600);

/// Where a channel lives: its chain, its hub's terms, the store of its wallet.
pub(crate) struct Home {
    pub(crate) chain: Chain,
    pub(crate) terms: Rc<Terms>,
    pub(crate) store: OpenStore,
    /// By asset, what is not worth the gas of its evidence.
    pub(crate) dust: Vec<(Asset, Dust)>,
}

/// A wallet that was told what the chain says, what has still to be told of the time before, and what reads on.
pub(crate) struct Told {
    pub(crate) wallet: Wallet,
    pub(crate) pending: Pending,
    pub(crate) reading: Reading,
}

impl Told {
    /// Whether an exit has left locks that still hold money of ours, or may, as far as we could read.
    pub(crate) fn is_claiming(&self) -> bool {
        let stage = self.wallet.channel().exit_stage();
        !self.pending.is_empty() || matches!(stage, ExitStage::Settling | ExitStage::Claiming { .. })
    }
}

impl Home {
    pub(crate) fn id(&self, def: &ChannelDef) -> ChannelId {
        def.id(self.terms.chain_id, self.terms.contract)
    }

    pub(crate) fn assets(&self) -> impl Iterator<Item = Asset> {
        self.terms.assets.iter().map(|terms| terms.asset)
    }

    pub(crate) fn config(&self, def: ChannelDef) -> WalletConfig {
        WalletConfig { domain: self.chain.domain, def, policy: policy(&self.terms, def.challenge_period, &self.dust) }
    }

    /// Of a wallet's keys in the store.
    pub(crate) fn prefix(&self, def: ChannelDef) -> String {
        Wallet::prefix(&self.config(def))
    }

    /// What a wallet's journal is read from.
    pub(crate) async fn entries(&self, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let mut entries = self.store.load(&format!("{prefix}/snapshot")).await?;
        entries.extend(self.store.load(&format!("{prefix}/log/")).await?);
        Ok(entries)
    }

    pub(crate) async fn commit(&self, writes: Vec<Write>) -> Result<()> {
        if writes.is_empty() { Ok(()) } else { self.store.commit(writes).await }
    }

    /// The wallet as its store holds it, told what the chain says now.
    pub(crate) async fn wallet(&self, def: ChannelDef, key: Option<&SecretKey>) -> Result<Told> {
        let entries = self.entries(&self.prefix(def)).await?;
        self.told(def, &entries, key).await
    }

    /// The wallet of these entries. Assets and exit must be there; what was recorded and claimed may come later.
    pub(crate) async fn told(
        &self,
        def: ChannelDef,
        entries: &[(String, Vec<u8>)],
        key: Option<&SecretKey>,
    ) -> Result<Told> {
        let chain = &self.chain;
        let mut wallet = Wallet::restore(self.config(def), key.cloned(), entries)?;
        let mut reading = chain.reading(wallet.id(), listed(&self.terms, &wallet));
        let mut pending = Pending::default();
        reading.look(running());
        loop {
            match chain.news(&mut reading, true).await? {
                News::Facts(facts) => facts.iter().for_each(|fact| wallet.chain(fact, chain.now())),
                News::Head(facts, head) => {
                    facts.iter().for_each(|fact| wallet.chain(fact, chain.now()));
                    pending = Pending::of(&wallet);
                    pending.tell(chain, &mut wallet, head.final_number).await;
                    wallet.head(head, chain.now());
                    reading.heard(Heard::default())?;
                }
                News::Done => return Ok(Told { wallet, pending, reading }),
            }
        }
    }
}

/// What this client accepts: the hub's terms within bounds of its own.
pub(crate) fn policy(terms: &Terms, challenge_period: u32, dust: &[(Asset, Dust)]) -> Policy {
    let safety_margin = terms.safety_margin.clamp(SAFETY_MARGIN.0, SAFETY_MARGIN.1);
    Policy {
        safety_margin,
        min_lock_time: safety_margin.saturating_mul(2),
        // Clocks differ a little.
        max_lock_time: terms.max_lock_time.saturating_add(SAFETY_MARGIN.0),
        max_locks: usize::try_from(terms.max_locks).unwrap_or(usize::MAX),
        max_chain_age: u64::from(challenge_period).div_euclid(4).clamp(MAX_CHAIN_AGE.0, MAX_CHAIN_AGE.1),
        dust: dust.iter().copied().collect(),
        assets: Some(terms.assets.iter().map(|terms| terms.asset).collect()),
        ..Policy::default()
    }
}

/// The assets that are read: what strangers put into others is no affair of ours.
pub(crate) fn listed(terms: &Terms, wallet: &Wallet) -> Vec<Asset> {
    let mut listed: Vec<_> = terms.assets.iter().map(|terms| terms.asset).collect();
    for balance in wallet.balances() {
        if !listed.contains(&balance.asset) && wallet.channel().takes(balance.asset) {
            listed.push(balance.asset);
        }
    }
    listed
}

/// What has still to be read of the time before this client looked.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// Locks of settled lanes, for what was claimed of them.
    claims: Vec<(LaneId, u16)>,
    /// Keys, for the units recorded.
    keys: Vec<ConditionKey>,
}

impl Pending {
    /// Of this wallet.
    pub(crate) fn of(wallet: &Wallet) -> Self {
        let channel = wallet.channel();
        let claims = if channel.exit_ends_at().is_some() { channel.settled_locks() } else { Vec::new() };
        Self { claims, keys: channel.live_keys().into_iter().collect() }
    }

    /// Reads some things at a time, and gives `take` each, until all is read or something fails.
    pub(crate) async fn read(
        &mut self,
        chain: &Chain,
        id: ChannelId,
        block: u64,
        take: &dyn Fn(ChainFact),
    ) -> Result<()> {
        while !self.is_empty() {
            let locks: Vec<_> = self.claims.iter().rev().take(AT_ONCE).copied().collect();
            let keys: Vec<_> = self.keys.iter().rev().take(AT_ONCE.saturating_sub(locks.len())).copied().collect();
            chain.recorded(id, &locks, &keys, block).await?.into_iter().for_each(take);
            self.claims.truncate(self.claims.len().saturating_sub(locks.len()));
            self.keys.truncate(self.keys.len().saturating_sub(keys.len()));
        }
        Ok(())
    }

    /// Tells a wallet what can be read within seconds; the rest stays.
    pub(crate) async fn tell(&mut self, chain: &Chain, wallet: &mut Wallet, block: u64) {
        let (id, facts) = (wallet.id(), RefCell::new(Vec::new()));
        let take = |fact| facts.borrow_mut().push(fact);
        // What failed is read again when the chain is looked at next.
        let _ = race(self.read(chain, id, block, &take), sleep(PATIENCE)).await;
        for fact in facts.take() {
            wallet.chain(&fact, chain.now());
        }
    }

    /// Whether all was read.
    pub(crate) const fn is_empty(&self) -> bool {
        self.claims.is_empty() && self.keys.is_empty()
    }
}
