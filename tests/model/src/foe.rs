//! What the hostile side holds: its keys, a shadow of every lane at every proof ever signed, and everything
//! that it was ever given. All its channels share what they know.

use alloy_primitives::{Address, B256, Bytes, keccak256};
use farthing_protocol::condition::{Condition, chain_evidence, sha256, voucher_evidence};
use farthing_protocol::eip712::Domain;
use farthing_protocol::envelope::{Letter, SharedKey};
use farthing_protocol::lane::{Lane, Op, Update};
use farthing_protocol::message::{Closing, Message, Withdrawal};
use farthing_protocol::proof::SignedProof;
use farthing_protocol::sign::{PublicKey, SecretKey, Signature};
use farthing_protocol::types::{Asset, ChannelDef, ChannelId, ETH, Participant, Side, Sides};
use std::collections::{BTreeMap, VecDeque};
use std::sync::OnceLock;

use super::honest::CHALLENGE;
use super::rng::Rng;

/// Deploys the contract, and then the token.
pub const DEPLOYER: Address = Address::repeat_byte(0xde);
/// The external condition, whose owner is the adversary.
pub const EXTERNAL: Address = Address::repeat_byte(0xe7);
pub const CHAIN_ID: u64 = 31_337;
pub const START: u64 = 1_000_000;

/// The address of what the deployer created with its first two transactions.
fn created(nonce: u8) -> Address {
    let mut rlp = vec![0xd6, 0x94];
    rlp.extend(DEPLOYER);
    rlp.push(if nonce == 0 { 0x80 } else { nonce });
    Address::from_word(keccak256(rlp))
}

/// The other asset.
pub fn token() -> Asset {
    static TOKEN: OnceLock<Asset> = OnceLock::new();
    *TOKEN.get_or_init(|| created(1))
}

/// Keys, and what is slow to derive from them.
pub struct Keys {
    pub domain: Domain,
    pub honest: SecretKey,
    pub honest_owner: Address,
    pub foes: Vec<SecretKey>,
    pub public: Vec<PublicKey>,
    /// Seals envelopes to the honest wallet.
    pub shared: SharedKey,
    /// For the role of the hub: its channels with the foes. For the wallet: its channel with the first foe.
    pub hub_defs: Vec<(ChannelDef, ChannelId)>,
    pub wallet_def: (ChannelDef, ChannelId),
    /// Where the payees of an honest wallet have their channels.
    pub payee_defs: Vec<ChannelDef>,
}

pub fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let key = |n: u8| SecretKey::from_bytes(&[n; 32]).unwrap();
        let domain = Domain::new(CHAIN_ID, created(0));
        let honest = key(7);
        let honest_owner = key(8).address();
        let foes: Vec<SecretKey> = (0..3).map(|n| key(20 + n)).collect();
        let ours = Participant { owner: honest_owner, signer: honest.address() };
        let own = |key: &SecretKey| Participant { owner: key.address(), signer: key.address() };
        let with_id = |def: ChannelDef| (def, def.id(CHAIN_ID, domain.contract()));
        let def = |a, b, salt| ChannelDef { a, b, challenge_period: CHALLENGE, salt };
        let hub_defs = foes.iter().map(|key| with_id(def(own(key), ours, 1))).collect();
        let foe_hub = own(&foes[0]);
        let payee_defs = foes[1..].iter().map(|key| def(own(key), foe_hub, 3)).collect();
        Keys {
            domain,
            shared: SharedKey::of_payer(&key(30), &honest.public_key()).unwrap(),
            public: foes.iter().map(SecretKey::public_key).collect(),
            wallet_def: with_id(def(ours, foe_hub, 2)),
            hub_defs,
            payee_defs,
            honest,
            honest_owner,
            foes,
        }
    })
}

/// How a condition is met.
#[derive(Clone, Debug)]
pub enum Opening {
    Hash([u8; 32]),
    Chain(Vec<B256>),
    Voucher,
    External,
}

/// A condition of the adversary's making.
#[derive(Clone, Debug)]
pub struct Puzzle {
    pub condition: Condition,
    pub opening: Opening,
    pub units: u32,
    /// Expiries that it was used with.
    pub expiries: Vec<u64>,
}

impl Puzzle {
    pub fn hash(secret: [u8; 32]) -> Self {
        let condition = Condition::hash_lock(sha256(&secret));
        Self { condition, opening: Opening::Hash(secret), units: 1, expiries: Vec::new() }
    }

    pub fn random(rng: &mut Rng, only_hash: bool) -> Self {
        let kind = if only_hash { 0 } else { rng.weighted(&[55, 20, 12, 13]) };
        match kind {
            0 => Self::hash(rng.bytes()),
            1 => Self::chain(rng),
            2 => {
                let condition = Condition::voucher(keys().foes[0].address(), rng.bytes().into());
                Self { condition, opening: Opening::Voucher, units: rng.between(1, 8) as u32, expiries: Vec::new() }
            }
            _ => {
                let condition = Condition { address: EXTERNAL, params: Bytes::from(rng.bytes().to_vec()) };
                Self { condition, opening: Opening::External, units: rng.between(1, 8) as u32, expiries: Vec::new() }
            }
        }
    }

    /// A chain of hashes, of which the adversary has every word.
    pub fn chain(rng: &mut Rng) -> Self {
        let n = rng.between(1, 8) as u32;
        let mut words = vec![B256::from(rng.bytes())];
        for step in 0..n as usize {
            words.push(keccak256(words[step]));
        }
        let condition = Condition::hash_chain(words[n as usize], n);
        Self { condition, opening: Opening::Chain(words), units: n, expiries: Vec::new() }
    }

    /// Evidence for some units, or (`forged`) something that looks like it.
    pub fn evidence(&self, expiry: u64, units: u32, forged: bool) -> Bytes {
        match &self.opening {
            Opening::Hash(secret) => {
                let mut secret = *secret;
                secret[0] ^= u8::from(forged);
                Bytes::copy_from_slice(&secret)
            }
            Opening::Chain(words) => {
                let k = units.clamp(1, self.units);
                chain_evidence(k, words[(self.units - k) as usize + usize::from(forged && k > 1)])
            }
            Opening::Voucher => {
                // Forged: a voucher over the stream's id, good for any expiry.
                let id = farthing_protocol::condition::ConditionKey(B256::from_slice(&self.condition.params[20..]));
                let key = if forged { id } else { self.condition.key(expiry) };
                voucher_evidence(&keys().domain, key, units.max(1), &keys().foes[0])
            }
            Opening::External => Bytes::copy_from_slice(&units.to_be_bytes()),
        }
    }
}

pub fn envelope(secret: [u8; 32], condition: &Condition, nonce: &[u8]) -> Bytes {
    let letter = Letter { secret, memo: String::new() };
    let mut bytes = [0; 24];
    bytes.copy_from_slice(&nonce[..24]);
    keys().shared.seal(&letter, &condition.params, bytes).unwrap()
}

/// A signed proof and the lane that it states.
#[derive(Clone)]
pub struct Shadow {
    pub lane: Lane,
    pub signed: SignedProof,
    pub base: u64,
    pub ops: Vec<Op>,
    pub acknowledgement: Option<Signature>,
}

/// Both lanes of an asset.
#[derive(Clone, Default)]
pub struct FoeLanes {
    /// Everything the foe signed, well-formed or not, in order.
    pub mine: Vec<Shadow>,
    /// Nonce of the newest of them that the honest side has accepted, as far as it said so.
    pub accepted: u64,
    /// Those that the honest side took when they were delivered, in order.
    pub delivered: Vec<SignedProof>,
    pub highest: u64,
    /// Updates of the honest side whose base was lost on the way.
    pub orphans: Vec<Update>,
    /// Everything the honest side sent, by nonce.
    pub theirs: BTreeMap<u64, Shadow>,
    /// The newest of them that the foe said it accepted.
    pub taken: u64,
    /// Those that the foe said it refused.
    pub refused: Vec<u64>,
}

impl FoeLanes {
    /// A lane of the foe's own at a nonce, as the honest side accepted it.
    pub fn own(&self, nonce: u64, accepted: Option<SignedProof>) -> Option<&Shadow> {
        let mut found = self.mine.iter().filter(|shadow| shadow.signed.proof.nonce == nonce);
        match accepted {
            // A second message with one nonce is never accepted, whatever ops it comes with.
            Some(signed) => found.find(|shadow| shadow.signed == signed),
            None => found.next_back(),
        }
    }
}

/// A withdrawal with the signatures that the foe has.
pub type HeldWithdrawal = (Withdrawal, Sides<Option<Signature>>, Bytes);
/// A closing with the signatures that the foe has.
pub type HeldClosing = (Closing, Sides<Option<Signature>>);

/// One channel, as the foe sees it.
pub struct Foe {
    pub def: ChannelDef,
    pub id: ChannelId,
    pub side: Side,
    pub key: SecretKey,
    pub online: bool,
    pub lanes: BTreeMap<Asset, FoeLanes>,
    /// From the honest side, not reacted to yet.
    pub inbox: VecDeque<Message>,
    /// To the honest side, on its way.
    pub outbox: Vec<Message>,
    /// Everything ever said.
    pub said: Vec<Message>,
    pub withdrawals: Vec<HeldWithdrawal>,
    pub closings: Vec<HeldClosing>,
}

impl Foe {
    pub fn new((def, id): (ChannelDef, ChannelId), side: Side, key: SecretKey, assets: &[Asset]) -> Self {
        Self {
            def,
            id,
            side,
            key,
            online: true,
            lanes: assets.iter().map(|asset| (*asset, FoeLanes::default())).collect(),
            inbox: VecDeque::new(),
            outbox: Vec::new(),
            said: Vec::new(),
            withdrawals: Vec::new(),
            closings: Vec::new(),
        }
    }

    pub fn owner(&self) -> Address {
        self.def.participant(self.side).owner
    }

    pub fn lanes(&mut self, asset: Asset) -> &mut FoeLanes {
        self.lanes.entry(asset).or_default()
    }

    pub fn hold_withdrawal(&mut self, withdrawal: Withdrawal, side: Side, signature: Signature, owner: Bytes) {
        let entry = match self.withdrawals.iter().position(|held| held.0 == withdrawal) {
            Some(index) => &mut self.withdrawals[index],
            None => {
                self.withdrawals.push((withdrawal, Sides::default(), owner));
                self.withdrawals.last_mut().unwrap()
            }
        };
        *entry.1.of_mut(side) = Some(signature);
    }

    pub fn hold_closing(&mut self, closing: &Closing, side: Side, signature: Signature) {
        let entry = match self.closings.iter().position(|held| held.0 == *closing) {
            Some(index) => &mut self.closings[index],
            None => {
                self.closings.push((closing.clone(), Sides::default()));
                self.closings.last_mut().unwrap()
            }
        };
        *entry.1.of_mut(side) = Some(signature);
    }
}

/// Most schedules have one asset.
pub fn assets(rng: &mut Rng) -> Vec<Asset> {
    if rng.chance(20) { vec![ETH, token()] } else { vec![ETH] }
}
