//! What every decoder and machine must keep, whatever it is given. Each function takes arbitrary bytes and panics if
//! something that must always hold does not. cargo-fuzz drives them, and so does `tests/corpus.rs`.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod channel;
mod input;
mod lane;
mod schedule;

pub use channel::channel;
pub use lane::lane;
pub use schedule::schedule;

use alloy_primitives::{Address, B256, Bytes, hex};
use farthing_protocol::amount::Amount;
use farthing_protocol::api::limits::MAX_MESSAGE;
use farthing_protocol::channel::{Channel, Fact, LanePage, Policy, State};
use farthing_protocol::codec::{Decode, Encode};
use farthing_protocol::condition::{Condition, Kind};
use farthing_protocol::eip712::Domain;
use farthing_protocol::envelope::{Letter, SharedKey, ephemeral_of};
use farthing_protocol::error::Code;
use farthing_protocol::hub::{Hub, HubConfig, Registration};
use farthing_protocol::journal;
use farthing_protocol::json;
use farthing_protocol::message::Message;
use farthing_protocol::proof::LaneId;
use farthing_protocol::sign::{PublicKey, SecretKey, Signature};
use farthing_protocol::types::{ChannelDef, ETH, Participant, Side};
use farthing_protocol::wallet::{Payment, Wallet, WalletConfig};
use input::Input;
use std::sync::LazyLock;

pub type Target = fn(&[u8]);

/// Every target by its name, which is also its corpus folder's.
pub const TARGETS: &[(&str, Target)] = &[
    ("amount", amount),
    ("channel", channel),
    ("condition", condition),
    ("envelope", envelope),
    ("keys", keys),
    ("lane", lane),
    ("message", message),
    ("records", records),
    ("schedule", schedule),
];

/// The same few keys again and again: making one costs more than most inputs.
static KEYS: LazyLock<Vec<(u8, SecretKey)>> = LazyLock::new(|| {
    [0x03, 0x04, 0x0a, 0x0b, 0x1a, 0x1b].map(|byte| (byte, SecretKey::from_bytes(&[byte; 32]).unwrap())).to_vec()
});

static DEF: LazyLock<ChannelDef> = LazyLock::new(|| ChannelDef {
    a: Participant { owner: key(0x0a).address(), signer: key(0x1a).address() },
    b: Participant { owner: key(0x0b).address(), signer: key(0x1b).address() },
    challenge_period: 86_400,
    salt: 0,
});

pub(crate) fn key(byte: u8) -> SecretKey {
    KEYS.iter().find(|(known, _)| *known == byte).unwrap().1.clone()
}

pub(crate) fn domain() -> Domain {
    Domain::new(31_337, Address::repeat_byte(0xfa))
}

pub(crate) fn def() -> ChannelDef {
    *DEF
}

/// Amounts are plain decimals and come back as they were written.
pub fn amount(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    match Amount::parse(text) {
        Ok(amount) => assert_eq!(amount.to_string(), text),
        Err(error) => assert_eq!(error.code(), Code::InvalidAmount),
    }
    let quoted = serde_json::to_string(text).unwrap();
    assert_eq!(serde_json::from_str::<Amount>(&quoted).is_ok(), Amount::parse(text).is_ok());
    // A JSON number is never money.
    if text.parse::<f64>().is_ok() {
        assert!(serde_json::from_str::<Amount>(text).is_err());
    }
}

/// What is taken is written again as the same message, and no message grows over the limit by that.
pub fn message(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    match Message::decode(text) {
        Ok(message) => {
            let again = message.encode().unwrap();
            assert_eq!(Message::decode(&again).unwrap(), message);
            assert_eq!(Message::decode(&again).unwrap().encode().unwrap(), again);
        }
        Err(error) => {
            let expected = if text.len() > MAX_MESSAGE { Code::MessageTooLarge } else { Code::BadEncoding };
            assert_eq!(error.code(), expected);
        }
    }
    // A lane that is shown is read, and taken for nothing, since nobody here has signed it.
    if let Ok(page) = json::decode::<LanePage>(text) {
        assert_eq!(json::decode::<LanePage>(&json::encode(&page)).unwrap(), page);
        let channel = Channel::new(domain(), def(), Side::A, Policy::default()).unwrap();
        let lane = LaneId { asset: ETH, payer: Side::B };
        assert!(channel.read_shown(lane, vec![page.clone(), page]).map_or(true, |shown| shown.is_none()));
    }
}

/// A signature has one form, and recovers to one key or none; so has a public key.
pub fn keys(data: &[u8]) {
    if let Ok(signature) = Signature::from_slice(data) {
        assert_eq!(signature.as_bytes().as_slice(), data);
        let json = serde_json::to_string(&signature).unwrap();
        assert_eq!(serde_json::from_str::<Signature>(&json).unwrap(), signature);
        let digest = B256::repeat_byte(7);
        if let Ok(address) = signature.recover(digest) {
            signature.verify(digest, address).unwrap();
            // With the other parity it is somebody else's.
            let mut twin = data.to_vec();
            twin[64] = 55 - twin[64];
            assert_ne!(Signature::from_slice(&twin).unwrap().recover(digest), Ok(address));
        }
    }
    if let Ok(key) = PublicKey::from_slice(data) {
        assert_eq!(key.as_bytes().as_slice(), data);
        let address = key.address().unwrap();
        let mut other = data.to_vec();
        other[0] ^= 1;
        assert_ne!(PublicKey::from_slice(&other).unwrap().address().unwrap(), address);
    }
    if let Ok(key) = SecretKey::from_bytes(data) {
        assert_eq!(data.len(), 32);
        assert_eq!(key.public_key().address().unwrap(), key.address());
        let digest = B256::repeat_byte(9);
        key.sign(digest).verify(digest, key.address()).unwrap();
    }
    if let Ok(text) = core::str::from_utf8(data) {
        let _ = serde_json::from_str::<Signature>(text);
        let _ = serde_json::from_str::<PublicKey>(text);
        let _ = hex::decode(text);
    }
}

/// A record is read whole or refused; what is read is written again and read the same.
pub fn records(data: &[u8]) {
    fn stable<T: Encode + Decode>(data: &[u8]) {
        match journal::decode::<T>(data) {
            Ok(value) => {
                let once = journal::encode(&value);
                let again: T = journal::decode(&once).unwrap();
                assert_eq!(journal::encode(&again), once);
            }
            Err(error) => assert!(matches!(error.code(), Code::StorageCorrupt | Code::StorageVersion)),
        }
    }
    stable::<Registration>(data);
    stable::<State>(data);
    stable::<Payment>(data);
    stable::<Fact>(data);
    stable::<Vec<Fact>>(data);
    let _ = Wallet::decode_history(data);
    if let Ok(facts) = journal::decode::<Vec<Fact>>(data) {
        let mut state = State::default();
        for fact in &facts {
            if state.replay(fact).is_err() {
                return;
            }
        }
        stable::<State>(&journal::encode(&state));
    }
    let config = WalletConfig { domain: domain(), def: def(), policy: Policy::default() };
    let prefix = Wallet::prefix(&config);
    for name in ["snapshot", "log/0000000000000001"] {
        let entries = [(format!("{prefix}/{name}"), data.to_vec())];
        if let Ok(mut wallet) = Wallet::restore(config.clone(), Some(key(0x1a)), &entries) {
            let _ = wallet.balances();
            wallet.connected(1_700_000_000);
            let _ = wallet.poll_commit(1_700_000_000);
        }
        let hub = HubConfig {
            domain: domain(),
            owner: def().b.owner,
            policy: Policy::default(),
            assets: Default::default(),
            challenge_period: (1, u32::MAX),
            backlog: Default::default(),
            relay: Default::default(),
            strangers: Default::default(),
        };
        let id = def().id(31_337, domain().contract());
        let registration = Registration { channel: def(), public_key: None, binding: None };
        let entries =
            [(format!("c/{id}/def"), journal::encode(&registration)), (format!("c/{id}/{name}"), data.to_vec())];
        if let Ok(mut hub) = Hub::restore(hub, key(0x1b), &entries, 1_700_000_000) {
            let _ = hub.poll_commit(1_700_000_000);
        }
    }
}

/// Evidence proves a bounded number of units for params that are well formed, and is nothing else's.
pub fn condition(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = input.byte() % 4;
    let mut condition = match kind {
        0 => Condition::hash_lock([0; 32]),
        1 => Condition::hash_chain(B256::ZERO, 1),
        2 => Condition::voucher(Address::ZERO, B256::ZERO),
        _ => Condition { address: Address::from_slice(&input.array::<20>()), params: Bytes::new() },
    };
    let expiry = input.number();
    let length = usize::from(input.byte());
    condition.params = input.slice(length).to_vec().into();
    let evidence = input.rest();
    let checked = condition.check();
    match condition.evaluate(&domain(), expiry, evidence) {
        Ok(units) => {
            checked.unwrap();
            assert!(units > 0);
            assert!(!matches!(condition.kind(), Kind::External(_)));
            // One byte more is another thing.
            let longer = [evidence, &[0]].concat();
            assert!(condition.evaluate(&domain(), expiry, &longer).is_err());
        }
        Err(error) => assert_eq!(error.code(), Code::BadEvidence),
    }
    let json = serde_json::to_string(&condition).unwrap();
    assert_eq!(serde_json::from_str::<Condition>(&json).unwrap(), condition);
}

/// Nobody's envelope opens, and what is sealed is opened by its payee alone.
pub fn envelope(data: &[u8]) {
    let payee = key(3);
    if let Ok(ephemeral) = ephemeral_of(data) {
        let shared = SharedKey::of_payee(&payee, &ephemeral).unwrap();
        if let Ok(letter) = shared.open(data, b"hash") {
            // Only whoever knows the tag's key seals one: the corpus does not.
            panic!("opened {letter:?}");
        }
    }
    let mut input = Input::new(data);
    let (nonce, at) = (input.array::<24>(), input.number());
    let secret = input.array::<32>();
    let memo = String::from_utf8_lossy(input.rest()).into_owned();
    let letter = Letter { secret, memo };
    static PAYER: LazyLock<SharedKey> = LazyLock::new(|| SharedKey::of_payer(&key(4), &key(3).public_key()).unwrap());
    static PAYEE: LazyLock<SharedKey> = LazyLock::new(|| SharedKey::of_payee(&key(3), &key(4).public_key()).unwrap());
    let mut sealed = PAYER.seal(&letter, b"lock", nonce).unwrap().to_vec();
    let open = |sealed: &[u8], hash: &[u8]| {
        // As a wallet does it: the last payer's key is kept.
        if ephemeral_of(sealed)? == key(4).public_key() {
            return PAYEE.open(sealed, hash);
        }
        SharedKey::of_payee(&payee, &ephemeral_of(sealed)?).and_then(|shared| shared.open(sealed, hash))
    };
    assert_eq!(open(&sealed, b"lock").unwrap(), letter);
    assert!(open(&sealed, b"hash").is_err());
    let at = at as usize % sealed.len();
    sealed[at] ^= 1 << (at % 8);
    assert!(open(&sealed, b"lock").is_err());
}
