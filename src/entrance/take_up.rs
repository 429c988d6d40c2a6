//! Takes a channel up, or chooses one: checks the chain, opens the store, derives the key, greets the hub.

use super::adopt::take_over;
use super::backup::Restored;
use super::choose::{Choice, Chosen};
use super::greeting::{chain, register};
use super::known::Known;
use super::load::{Home, Told};
use super::record::{Record, holds_money, is_over, load_record, load_records, usage};
use super::session::{Made, SessionKey};
use super::settings::Settings;
use crate::chain::Chain;
use crate::failure::{Failure, Result};
use crate::signer::Owner;
use crate::signer::is_keys;
use crate::signer::typed_data::{self, TypedData};
use crate::task::{Once, Work, begin};
use crate::transport::terms::Terms;
use alloy_primitives::Bytes;
use farthing_protocol::api::hub::{Challenge, Register};
use farthing_protocol::chain::Head;
use farthing_protocol::channel::Dust;
use farthing_protocol::journal::Write;
use farthing_protocol::sign::SecretKey;
use farthing_protocol::types::{Asset, ChannelDef, Participant};
use farthing_protocol::wallet::{Wallet, binding_digest};
use farthing_protocol::{Code, json};
use std::rc::Rc;

/// What to do with the hub, and which channel is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The hub's terms are fresh: our channel is made known to it, and there may be none yet.
    Greet,
    /// The hub is not asked: the channel that is stored, if there is one that is not over.
    Stored,
    /// The same, if the chain shows that there was money in it.
    Used,
}

/// What happened meanwhile that the application is told.
#[derive(Debug)]
pub(crate) enum News {
    Restored(Restored),
    Error(Failure),
}

/// Hears of it, and the hub's terms.
pub(crate) type Hear<'a> = &'a dyn Fn(&Terms, News);

/// A channel that is taken up, and all that goes on with it.
pub(crate) struct Opened {
    pub(crate) home: Home,
    pub(crate) def: ChannelDef,
    /// The signer's; without it the channel is for reading and leaving.
    pub(crate) key: Option<SecretKey>,
    /// The owner's signature for the signer, where they differ.
    pub(crate) binding: Option<Bytes>,
    pub(crate) told: Told,
    /// Of the keys of earlier channels with this hub, the last one first.
    pub(crate) past: Vec<String>,
    /// The channel was in the store.
    pub(crate) stored: bool,
    /// The hub knows it.
    pub(crate) greeted: bool,
}

/// The hub is told of a channel while other things are asked.
struct Registering {
    channel: ChannelDef,
    outcome: Once<Result<()>>,
}

/// Takes the channel with a hub up. `None` if there is none that is wanted; the store that was opened for it stays open
/// in `known`.
pub(crate) fn take_up<'a>(
    settings: &'a Settings,
    known: &'a Known,
    terms: Rc<Terms>,
    way: Way,
    hear: Hear<'a>,
) -> Work<'a, Option<Opened>> {
    Box::pin(async move {
        if settings.owner.come_to(terms.chain_id).await? {
            // The wallet may have been the node, of another chain.
            settings.rpc.forget_ahead();
        }
        let chain = chain(settings, &terms);
        chain.ask_contract(known.of(&terms).is_none());
        let newest = chain.peek().await;
        chain.check().await?;
        let newest = newest?;
        let dust = dust(settings, &terms, way)?;
        let mut period = None;
        if known.of(&terms).is_none() {
            // Before anybody is asked for a signature.
            period = Some(challenge_period(settings, &terms, &chain).await?);
        }
        let store = known.wallet_store(settings, &terms).await?;
        let home = Home { chain, terms, store, dust };
        Entrance { settings, known, hear, home, way, apart: String::new() }.pass(newest, period).await
    })
}

/// By asset, what is not worth the gas of its evidence.
fn dust(settings: &Settings, terms: &Terms, way: Way) -> Result<Vec<(Asset, Dust)>> {
    let mut dust = Vec::new();
    for (asset, entry) in &settings.dust {
        match terms.asset(asset) {
            Ok(terms) => dust.push((terms.asset, *entry)),
            Err(error) if way == Way::Greet => return Err(error.into()),
            Err(_) => {}
        }
    }
    Ok(dust)
}

/// Of a new channel, in seconds.
async fn challenge_period(settings: &Settings, terms: &Terms, chain: &Chain) -> Result<u32> {
    let period = settings.challenge_period.unwrap_or(terms.challenge_period.default);
    let (min, max) = (terms.challenge_period.min, terms.challenge_period.max);
    if !(min..=max).contains(&period) {
        let detail = format!("The hub takes challenge periods from {min} to {max} seconds.");
        return Err(Failure::new(Code::BadTerms, detail));
    }
    let (least, most) = chain.bounds().await?;
    if !(least..=most).contains(&period) {
        let detail = format!("The contract takes challenge periods from {least} to {most} seconds, not {period}.");
        return Err(Failure::new(Code::ChainMismatch, detail));
    }
    Ok(period)
}

pub(super) struct Entrance<'a> {
    pub(super) settings: &'a Settings,
    known: &'a Known,
    hear: Hear<'a>,
    pub(super) home: Home,
    way: Way,
    /// Of a channel of a key that the application gives, beside one of another key.
    pub(super) apart: String,
}

/// What was found, and what has still to be stored for it.
struct Found {
    record: Record,
    key: Option<SecretKey>,
    stored: bool,
    /// Nothing was signed in it yet.
    is_new: bool,
    writes: Vec<Write>,
    restored: Option<Restored>,
}

impl Entrance<'_> {
    /// `newest` is the newest block and the newest final one; `period` that of a new channel, if it is known.
    async fn pass(mut self, newest: (u64, u64), period: Option<u32>) -> Result<Option<Opened>> {
        let mut stored = self.stored().await?;
        if let Some(stored) = &stored {
            self.ask_state(&stored.channel, newest);
        }
        let head = self.early_head().await?;
        if !self.is_wanted(stored.as_ref(), newest.0).await? {
            return Ok(None);
        }
        let session = self.session();
        let (made, derived) = match self.make_key(&session, stored.as_ref()).await? {
            Some(Made { key, derived }) => (Some(key), derived),
            None => (None, true),
        };
        let key = match &stored {
            Some(stored) => made.clone().filter(|key| stored.channel.a.signer == key.address()),
            None => made.clone(),
        };
        if let (Some(record), Some(_)) = (&mut stored, &key) {
            self.renew_binding(record).await?;
        }
        let registering = self.register_stored(stored.as_ref(), key.as_ref());
        let head = match head {
            Some(head) => head,
            None => self.home.chain.read_head().await?,
        };
        let mut over = None;
        if let Some(known) = &stored
            && self.is_through(known.channel, key.as_ref()).await?
        {
            over = stored.take();
        }
        let mut found = match stored {
            Some(record) => {
                if key.is_none() {
                    // Nothing can be proved to the hub.
                    self.way = Way::Stored;
                }
                Found { record, key, stored: true, is_new: false, writes: Vec::new(), restored: None }
            }
            None if self.way != Way::Greet => return Ok(None),
            None => self.choose(made, (key.is_some(), derived), &session, over, period).await?,
        };
        let adopts = self.settings.adopt && self.way == Way::Greet && !found.is_new;
        if !adopts {
            self.home.commit(core::mem::take(&mut found.writes)).await?;
        }
        self.ask_state(&found.record.channel, (head.number, head.final_number));
        let greeted = self.greet(&found, registering).await?;
        let refused = if adopts && greeted { self.adopt(&mut found).await? } else { None };
        // With what was taken over, all in one: a channel that is in use never has an empty store.
        self.home.commit(core::mem::take(&mut found.writes)).await?;
        self.tell(&found, refused).await;
        let told = self.home.wallet(found.record.channel, found.key.as_ref()).await?;
        let past = load_records(&*self.home.store, &self.past_prefix()).await?;
        let past = past.into_iter().map(|over| self.home.prefix(over.channel)).rev().collect();
        let Found { record, key, stored, .. } = found;
        let Record { channel: def, binding, .. } = record;
        Ok(Some(Opened { home: self.home, def, key, binding, told, past, stored, greeted }))
    }

    fn record_key(&self) -> String {
        format!("client/{}/{}{}", self.home.terms.hub.signer, self.settings.owner.address(), self.apart)
    }

    fn past_prefix(&self) -> String {
        format!("past/{}/{}/", self.home.terms.hub.signer, self.settings.owner.address())
    }

    fn session(&self) -> TypedData {
        let signer = self.home.terms.hub.signer;
        typed_data::session(&self.home.chain.domain, &Settings::origin(), self.settings.owner.address(), signer)
    }

    /// The channel with this hub that is in the store.
    async fn stored(&mut self) -> Result<Option<Record>> {
        let mut record = load_record(&*self.home.store, &self.record_key()).await?;
        // Whoever gives a key wants the channel of that one.
        if let SessionKey::Given(key) = &self.settings.session_key
            && record.as_ref().is_some_and(|record| record.channel.a.signer != key.address())
        {
            self.apart = format!("/{}", key.address());
            record = load_record(&*self.home.store, &self.record_key()).await?;
        }
        let terms = &self.home.terms;
        let hub = Participant { owner: terms.hub.owner, signer: terms.hub.signer };
        Ok(record.filter(|record| record.channel.b == hub))
    }

    /// Asks ahead for what a channel that is taken up is told of the chain.
    fn ask_state(&self, def: &ChannelDef, newest: (u64, u64)) {
        self.home.chain.ask_state(self.home.id(def), self.home.assets(), newest);
    }

    /// A person may take minutes to sign: what is the newest block is taken in before that.
    async fn early_head(&self) -> Result<Option<Head>> {
        Ok(match self.settings.owner {
            Owner::Local(_) => None,
            Owner::Wallet { .. } => Some(self.home.chain.read_head().await?),
        })
    }

    async fn is_wanted(&self, stored: Option<&Record>, block: u64) -> Result<bool> {
        let home = &self.home;
        Ok(match (self.way, stored) {
            (Way::Greet, _) => true,
            (_, None) => false,
            (Way::Stored, Some(_)) => true,
            (Way::Used, Some(known)) => usage(&home.chain, &home.terms, home.id(&known.channel), block).await?.0,
        })
    }

    /// A contract may have stopped taking what it signed. Then payers would find it bound no more, so it is asked again; the
    /// channel goes on in any case, since its signer is fixed.
    async fn renew_binding(&self, record: &mut Record) -> Result<()> {
        let (home, def) = (&self.home, record.channel);
        let digest = binding_digest(&home.chain.domain, &def);
        let Some(binding) = record.binding.clone().filter(|binding| !is_keys(def.a.owner, digest, binding)) else {
            return Ok(());
        };
        if self.way != Way::Greet || home.chain.signed(def.a.owner, digest, binding).await.unwrap_or(true) {
            return Ok(());
        }
        let data = typed_data::binding(&home.chain.domain, def.a.owner, def.a.signer, home.id(&def));
        let renewed = async { home.chain.owners(def.a.owner, digest, self.settings.owner.sign(&data).await?).await };
        match renewed.await {
            Ok(binding) => {
                record.binding = Some(binding);
                let value = json::encode(&*record).into_bytes();
                home.commit(vec![Write::Put { key: self.record_key(), value }]).await
            }
            Err(failure) => {
                (self.hear)(&home.terms, News::Error(failure));
                Ok(())
            }
        }
    }

    /// What the hub knows already it is told again, side by side with what the chain is asked.
    fn register_stored(&self, stored: Option<&Record>, key: Option<&SecretKey>) -> Option<Registering> {
        let key = key.filter(|_| self.way == Way::Greet)?;
        self.settings.hub.open_ahead();
        let known = stored?;
        let registering = self.register(known, key);
        let channel_id = self.home.id(&known.channel);
        self.settings.hub.challenge_ahead(Challenge { channel_id });
        Some(registering)
    }

    /// Makes a channel known to the hub; the outcome is waited for later.
    fn register(&self, record: &Record, key: &SecretKey) -> Registering {
        let channel = record.channel;
        let ours = Register { channel, public_key: key.public_key(), binding: record.binding.clone() };
        let hub = Rc::clone(&self.settings.hub);
        Registering { channel, outcome: begin(async move { register(&hub, &ours).await }) }
    }

    /// A channel whose assets were all closed is over, unless locks are still to be claimed; the next one has another
    /// salt.
    async fn is_through(&self, def: ChannelDef, key: Option<&SecretKey>) -> Result<bool> {
        let home = &self.home;
        Ok(is_over(&home.chain, &home.terms, &def).await? && !home.wallet(def, key).await?.is_claiming())
    }

    /// Chooses a channel, where the one that was stored is over, or none was.
    async fn choose(
        &self,
        made: Option<SecretKey>,
        (is_ours, derived): (bool, bool),
        session: &TypedData,
        over: Option<Record>,
        period: Option<u32>,
    ) -> Result<Found> {
        let (settings, home) = (self.settings, &self.home);
        let challenge_period = match period {
            Some(period) => Ok(period),
            None => challenge_period(settings, &home.terms, &home.chain).await,
        };
        let first_salt = over.as_ref().map_or(0, |over| over.channel.salt.saturating_add(1));
        let key = match made {
            Some(made) => made,
            // A wallet that made none for the channel before has to make one now.
            None => match self.make_key(session, None).await? {
                Some(made) => made.key,
                None => return Err(keyless()),
            },
        };
        // Of a wallet that made another key for the channel before this one, or none, nothing is known.
        let is_proven = !derived || first_salt != 0 && is_ours;
        let choice = Choice { settings, home, key: &key, session, challenge_period, first_salt, is_proven };
        let Chosen { record, in_use, backup } = choice.make().await?;
        let put = |key, record: &Record| Write::Put { key, value: json::encode(record).into_bytes() };
        let mut writes = vec![put(self.record_key(), &record)];
        // What was paid in it stays in the history; each key has channels of the same salts.
        let past = |over: &Record| format!("{}{:016}{}", self.past_prefix(), over.channel.salt, self.apart);
        writes.extend(over.map(|over| put(past(&over), &over)));
        let mut restored = None;
        if let Some((snapshot, from)) = backup {
            writes.push(Wallet::from_backup(&home.config(record.channel), snapshot));
            restored = Some(from);
        }
        Ok(Found { record, key: Some(key), stored: false, is_new: !in_use, writes, restored })
    }

    /// Whether the hub knows the channel now.
    async fn greet(&self, found: &Found, registering: Option<Registering>) -> Result<bool> {
        let Some(key) = found.key.as_ref().filter(|_| self.way == Way::Greet) else { return Ok(false) };
        let begun = registering.filter(|registering| registering.channel == found.record.channel);
        match begun.unwrap_or_else(|| self.register(&found.record, key)).outcome.wait().await {
            Ok(()) => {
                self.known.keep(self.settings, &self.home.store, &self.home.terms).await?;
                Ok(true)
            }
            // It is asked again in the background, and the application told then.
            Err(_) if found.stored => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Adds to what is to be stored what the hub shows beyond it; or says why that is refused.
    async fn adopt(&self, found: &mut Found) -> Result<Option<Failure>> {
        let Some(key) = &found.key else { return Ok(None) };
        let (home, def) = (&self.home, found.record.channel);
        let prefix = home.prefix(def);
        let mut entries = home.entries(&prefix).await?;
        entries.extend(found.writes.iter().filter_map(|write| match write {
            Write::Put { key, value } if key.starts_with(&prefix) => Some((key.clone(), value.clone())),
            Write::Put { .. } | Write::Delete { .. } => None,
        }));
        match take_over(&self.settings.hub, home, def, &entries, key).await {
            Ok(Some(adopted)) => {
                found.writes.extend(adopted);
                found.restored = Some(Restored { from: "proofs", time: home.chain.now(), older: None });
                Ok(None)
            }
            Ok(None) => Ok(None),
            Err(failure) if entries.is_empty() => Err(failure),
            // What is stored is not kept from its owner: it goes on as it would without, and can leave.
            Err(failure) => Ok(Some(failure)),
        }
    }

    /// What the application has to know of a channel that is taken up.
    async fn tell(&self, found: &Found, refused: Option<Failure>) {
        let tell = |news| (self.hear)(&self.home.terms, news);
        if let Some(restored) = found.restored {
            tell(News::Restored(restored));
        }
        if let Some(failure) = refused {
            tell(News::Error(failure));
        }
        if found.key.is_none() {
            tell(News::Error(keyless()));
        }
        if let Some(elsewhere) = &found.record.elsewhere
            && holds_money(&self.home.chain, &self.home.terms, elsewhere).await.unwrap_or(true)
        {
            tell(News::Error(self.other_channel(elsewhere)));
        }
    }

    fn other_channel(&self, def: &ChannelDef) -> Failure {
        let id = self.home.id(def);
        Failure::new(
            Code::OtherChannel,
            format!(
                "This account has money in channel {id} with this hub, which another site opened, or a wallet that \
                 signed differently; it is not part of these balances. Go on with it where it was opened, or leave it \
                 with its exit kit."
            ),
        )
    }
}

/// Why a channel is for reading and leaving only.
pub(crate) fn keyless() -> Failure {
    Failure::new(
        Code::Unsupported,
        "The key that signs for this channel can't be made again: this wallet signs the same message differently now, or \
         not at all, another site made the key, or it was drawn at random and is not in this store. With a copy of it \
         (exportSessionKey) connect by sessionKey: { privateKey }. Else the channel is open for reading: take the money home \
         with exit(), or with the exit kit.",
    )
}
