//! What JavaScript gets: frozen plain objects, with money as `bigint` and times as milliseconds. The names here are the names
//! that applications read.

use super::options::{Raw, Text};
use crate::client::{Client, Notice, ReceiptKey};
use crate::failure::{Failure, Result};
use crate::js::{hex, seal};
use crate::transport::terms::{AssetTerms, Terms};
use alloy_primitives::Address;
use farthing_protocol::Reason;
use farthing_protocol::chain::AssetStatus;
use farthing_protocol::channel::ExitStage;
use farthing_protocol::condition::Kind;
use farthing_protocol::types::Asset;
use farthing_protocol::wallet::{self, Direction, PaymentId, Status};
use farthing_protocol::{Amount, Code};
use serde::{Deserialize, Serialize, Serializer};
use wasm_bindgen::JsValue;

/// Words for a payment's status.
const STATUSES: [(&str, Status); 5] = [
    ("pending", Status::Pending),
    ("held", Status::Held),
    ("completed", Status::Completed),
    ("returning", Status::Returning),
    ("failed", Status::Failed),
];

/// Words for its direction.
const DIRECTIONS: [(&str, Direction); 2] = [("sent", Direction::Sent), ("received", Direction::Received)];

/// Seconds before the hub's own margin at which words are shown to it at the latest.
const EARLY: u64 = 60;

/// A status, as a word.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "Raw")]
pub struct StatusWord(pub Status);

/// A direction, as a word.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "Raw")]
pub struct DirectionWord(pub Direction);

impl TryFrom<Raw> for StatusWord {
    type Error = String;

    fn try_from(word: Raw) -> core::result::Result<Self, String> {
        meaning(&STATUSES, word).map(Self)
    }
}

impl TryFrom<Raw> for DirectionWord {
    type Error = String;

    fn try_from(word: Raw) -> core::result::Result<Self, String> {
        meaning(&DIRECTIONS, word).map(Self)
    }
}

fn meaning<T: Copy>(words: &[(&str, T)], word: Raw) -> core::result::Result<T, String> {
    let Text(text) = Text::try_from(word)?;
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
    found.ok_or_else(|| {
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        format!("one of {}", words.join(", "))
    })
}

fn word<T: PartialEq>(words: &[(&'static str, T)], meaning: &T) -> &'static str {
    words.iter().find(|(_, other)| other == meaning).map_or("", |(word, _)| *word)
}

/// A value as JavaScript gets it.
pub fn present<T: Serialize>(value: &T) -> JsValue {
    // What is presented has strings, flags, numbers of at most 64 bits that are floats, and 128 bits: none of them fails.
    seal(serde_wasm_bindgen::to_value(value).unwrap_or_default())
}

/// A value within another one, frozen as well.
#[derive(Debug)]
pub(super) struct Sealed<T>(pub(super) T);

impl<T: Serialize> Serialize for Sealed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> core::result::Result<S::Ok, S::Error> {
        serde_wasm_bindgen::preserve::serialize(&present(&self.0), serializer)
    }
}

const fn money(amount: Amount) -> u128 {
    amount.units()
}

/// A time of Unix seconds as JavaScript has it.
#[must_use]
#[allow(clippy::cast_precision_loss, reason = "dates stay far below 2^53")]
pub fn date(seconds: u64) -> f64 {
    seconds.saturating_mul(1_000) as f64
}

#[allow(clippy::cast_precision_loss, reason = "chain ids and block counts stay below 2^53")]
pub(super) const fn number(value: u64) -> f64 {
    value as f64
}

/// The name that the hub gives an asset, or its address.
pub(super) fn symbol(terms: &Terms, asset: Asset) -> String {
    let listed = terms.assets.iter().find(|terms| terms.asset == asset);
    listed.map_or_else(|| asset.to_string(), |terms| terms.symbol.clone())
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payment<'a> {
    id: String,
    direction: &'static str,
    status: &'static str,
    asset: String,
    token: String,
    amount: u128,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    memo: &'a str,
    created_at: f64,
    updated_at: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preimage: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<Sealed<Stream>>,
}

/// The part of a payment that is a stream.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stream {
    key: String,
    condition: &'static str,
    params: String,
    unit_price: u128,
    units: u32,
    shown: u32,
    paid: u32,
    granted: bool,
    ending: bool,
    reveal_by: f64,
}

impl Stream {
    fn of(terms: &Terms, payment: &wallet::Payment) -> Option<Sealed<Self>> {
        let (stream, key) = (payment.stream.as_ref()?, payment.stream_key()?);
        let latest = payment.expiry?.saturating_sub(terms.safety_margin).saturating_sub(EARLY);
        Some(Sealed(Self {
            key: key.0.to_string(),
            condition: if stream.condition.kind() == Kind::Voucher { "voucher" } else { "hash-chain" },
            params: stream.condition.params.to_string(),
            unit_price: money(stream.unit_price),
            units: stream.units,
            shown: stream.shown,
            paid: stream.paid,
            granted: stream.granted,
            ending: stream.ending,
            reveal_by: date(latest),
        }))
    }
}

impl<'a> Payment<'a> {
    fn of(terms: &Terms, payment: &'a wallet::Payment) -> Self {
        Self {
            id: hex(payment.id.0),
            direction: word(&DIRECTIONS, &payment.direction),
            status: word(&STATUSES, &payment.status),
            asset: symbol(terms, payment.asset),
            token: payment.asset.to_string(),
            amount: money(payment.amount),
            to: payment.to.map(|to| to.to_string()),
            memo: &payment.memo,
            created_at: date(payment.created),
            updated_at: date(payment.updated),
            expires_at: payment.expiry.map(date),
            preimage: payment.preimage.map(hex),
            code: payment.code.as_ref().map(Reason::as_str),
            stream: Stream::of(terms, payment),
        }
    }
}

/// A payment.
#[must_use]
pub fn payment(terms: &Terms, payment: &wallet::Payment) -> JsValue {
    present(&Payment::of(terms, payment))
}

/// A stream of ours, with what makes its words where that is ours.
#[must_use]
pub fn placed(terms: &Terms, payment: &wallet::Payment, words: Option<[u8; 32]>) -> JsValue {
    #[derive(Serialize)]
    struct Placed<'a> {
        payment: Sealed<Payment<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        words: Option<String>,
    }
    present(&Placed { payment: Sealed(Payment::of(terms, payment)), words: words.map(hex) })
}

/// A key that may sign receipts.
#[must_use]
pub fn receipt_key(client: &Client, public_key: String, key: &ReceiptKey) -> JsValue {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Certificate {
        public_key: String,
        payee: String,
        expires: f64,
        signature: String,
        signer: String,
        channel_id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        binding: Option<String>,
    }
    present(&Certificate {
        public_key,
        payee: key.payee.to_string(),
        expires: number(key.expires),
        signature: key.signature.to_string(),
        signer: client.def().a.signer.to_string(),
        channel_id: client.id().to_string(),
        binding: key.binding.as_ref().map(ToString::to_string),
    })
}

/// Payments, in their order.
#[must_use]
pub fn payments(terms: &Terms, payments: &[wallet::Payment]) -> JsValue {
    present(&payments.iter().map(|payment| Sealed(Payment::of(terms, payment))).collect::<Vec<_>>())
}

/// The id of a payment, from JavaScript.
pub fn payment_id(value: &JsValue) -> Result<PaymentId> {
    let bytes = value.as_string().and_then(|text| crate::js::bytes(&text));
    let id = bytes.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()).map(PaymentId);
    id.ok_or_else(|| Failure::new(Code::InvalidArgument, "A payment's id is a string of 0x and 32 hex digits."))
}

#[derive(Serialize)]
struct Balance {
    asset: String,
    token: String,
    available: u128,
    sending: u128,
    receiving: u128,
    receivable: u128,
    deposited: u128,
    withdrawn: u128,
    #[serde(skip_serializing_if = "Option::is_none")]
    credit: Option<u128>,
    status: &'static str,
}

impl Balance {
    fn of(terms: &Terms, balance: &wallet::Balance, credit: Option<Amount>) -> Self {
        // What was closed has been paid out, whatever the last proofs say.
        let live = |amount| if balance.status == AssetStatus::Open { money(amount) } else { 0 };
        Self {
            asset: symbol(terms, balance.asset),
            token: balance.asset.to_string(),
            available: live(balance.available),
            sending: live(balance.locked_out),
            receiving: live(balance.locked_in),
            receivable: live(balance.receivable),
            deposited: money(balance.deposited),
            withdrawn: money(balance.withdrawn),
            credit: credit.map(money),
            status: match balance.status {
                AssetStatus::Open => "open",
                AssetStatus::Closed => "closed",
                AssetStatus::Settled => "settled",
            },
        }
    }
}

/// What there is of each asset, and what the contract keeps of it, once that is known.
#[must_use]
pub fn balances(terms: &Terms, balances: &[wallet::Balance], credit: impl Fn(Asset) -> Option<Amount>) -> JsValue {
    let of_asset = |found: &wallet::Balance| Sealed(Balance::of(terms, found, credit(found.asset)));
    present(&balances.iter().map(of_asset).collect::<Vec<_>>())
}

/// The transaction that a call sent, if it did.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the package's typings describe it")]
pub struct Sent {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fee: Option<u128>,
}

/// What a deposit by the hub costs.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the package's typings describe it")]
pub struct Fee {
    pub fee: u128,
    pub token: String,
    pub how: &'static str,
}

/// What `onProgress` is told.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the package's typings describe it")]
pub struct Told<'a> {
    pub stage: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locks: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fee: Option<u128>,
}

impl<'a> Told<'a> {
    /// A stage alone.
    #[must_use]
    pub fn of(stage: &'a str) -> Self {
        Self { stage, ..Self::default() }
    }
}

/// Whose wallet `connect` would open.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "for `tabs.mjs`")]
pub struct Identity<'a> {
    pub address: String,
    pub hub: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Info<'a> {
    address: String,
    signer: String,
    channel_id: String,
    chain_id: f64,
    contract: String,
    challenge_period: u32,
    confirmations: f64,
    connected: bool,
    hub: Sealed<HubInfo<'a>>,
}

#[derive(Serialize)]
struct HubInfo<'a> {
    url: &'a str,
    owner: String,
    signer: String,
    assets: Sealed<Vec<Sealed<Listed<'a>>>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed<'a> {
    asset: &'a str,
    token: String,
    decimals: u8,
    channel_capacity: u128,
    min_payment: u128,
    max_payment: u128,
    #[serde(skip_serializing_if = "Option::is_none")]
    deposit_fee: Option<u128>,
}

impl<'a> Listed<'a> {
    fn of(terms: &'a AssetTerms) -> Self {
        Self {
            asset: &terms.symbol,
            token: terms.asset.to_string(),
            decimals: terms.decimals,
            channel_capacity: money(terms.channel_capacity),
            min_payment: money(terms.min_payment),
            max_payment: money(terms.max_payment),
            deposit_fee: terms.deposit_fee.map(money),
        }
    }
}

/// Who and where a client is.
#[must_use]
pub fn info(client: &Client) -> JsValue {
    let (terms, def) = (client.terms(), client.def());
    let assets = terms.assets.iter().map(|asset| Sealed(Listed::of(asset))).collect();
    present(&Info {
        address: client.address().to_string(),
        signer: def.a.signer.to_string(),
        channel_id: client.id().to_string(),
        chain_id: number(client.domain().chain_id()),
        contract: client.domain().contract().to_string(),
        challenge_period: def.challenge_period,
        confirmations: number(client.confirmations()),
        connected: client.is_connected(),
        hub: Sealed(HubInfo {
            url: client.hub().url(),
            owner: terms.hub.owner.to_string(),
            signer: terms.hub.signer.to_string(),
            assets: Sealed(assets),
        }),
    })
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase", rename_all_fields = "camelCase")]
#[allow(clippy::large_enum_variant, reason = "made, presented and dropped")]
enum Event<'a> {
    Payment {
        payment: Sealed<Payment<'a>>,
    },
    /// For the face, which tells the stream's object.
    #[serde(rename = "_endAsked")]
    EndAsked {
        id: String,
    },
    Deposit {
        asset: String,
        token: String,
        total: u128,
    },
    Balance {
        balances: Sealed<Vec<Sealed<Balance>>>,
    },
    Offers {
        waiting: usize,
    },
    Withdrawal {
        asset: String,
        token: String,
        total: u128,
        to: String,
    },
    Closing {
        assets: Sealed<Vec<String>>,
    },
    Credit {
        asset: String,
        token: String,
        amount: u128,
    },
    Exit {
        stage: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        ends_at: Option<f64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        locks: Option<u32>,
    },
    Restored {
        from: &'static str,
        made_at: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        older: Option<&'static str>,
    },
    Watched {
        url: &'a str,
        tower: String,
    },
    Wallet {
        changed: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        account: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        chain_id: Option<f64>,
        usable: bool,
    },
    Connected {},
    Disconnected {},
    Error {
        #[serde(with = "serde_wasm_bindgen::preserve")]
        error: JsValue,
    },
    /// For the face, which logs it.
    #[serde(rename = "_trouble")]
    Trouble {
        with: &'static str,
        #[serde(with = "serde_wasm_bindgen::preserve")]
        error: JsValue,
    },
}

/// Where an exit stands: its name, until when, and how many locks are left.
pub(super) fn exit_stage(stage: ExitStage) -> (&'static str, Option<f64>, Option<u32>) {
    match stage {
        ExitStage::None => ("none", None, None),
        ExitStage::Starting => ("starting", None, None),
        ExitStage::Challenge { ends_at } => ("challenge", Some(date(ends_at)), None),
        ExitStage::Settling => ("settling", None, None),
        ExitStage::Claiming { locks, until } => ("claiming", Some(date(until)), Some(locks)),
        ExitStage::Done => ("done", None, None),
    }
}

/// An event.
#[must_use]
pub fn notice(terms: &Terms, notice: &Notice, credit: &dyn Fn(Asset) -> Option<Amount>) -> JsValue {
    let named = |asset: Asset| (symbol(terms, asset), asset.to_string());
    present(&match notice {
        Notice::Payment(changed) => Event::Payment { payment: Sealed(Payment::of(terms, changed)) },
        Notice::EndAsked(id) => Event::EndAsked { id: hex(id.0) },
        Notice::Deposit { asset, total } => {
            let ((asset, token), total) = (named(*asset), money(*total));
            Event::Deposit { asset, token, total }
        }
        Notice::Balance(all) => {
            let of_asset = |found: &wallet::Balance| Sealed(Balance::of(terms, found, credit(found.asset)));
            Event::Balance { balances: Sealed(all.iter().map(of_asset).collect()) }
        }
        Notice::Offers(waiting) => Event::Offers { waiting: *waiting },
        Notice::Withdrawal(signed) => {
            let (asset, token) = named(signed.withdrawal.asset);
            let (total, to) = (money(signed.withdrawal.total), signed.withdrawal.recipient.to_string());
            Event::Withdrawal { asset, token, total, to }
        }
        Notice::Closing(signed) => {
            let assets = signed.closing.assets.iter().map(|entry| symbol(terms, entry.asset)).collect();
            Event::Closing { assets: Sealed(assets) }
        }
        Notice::Credit { asset, amount } => {
            let ((asset, token), amount) = (named(*asset), money(*amount));
            Event::Credit { asset, token, amount }
        }
        Notice::Exit { stage } => {
            let (stage, ends_at, locks) = exit_stage(*stage);
            Event::Exit { stage, ends_at, locks }
        }
        Notice::Restored(restored) => {
            Event::Restored { from: restored.from, made_at: date(restored.time), older: restored.older }
        }
        Notice::Watched { url, tower } => Event::Watched { url, tower: tower.to_string() },
        Notice::Wallet { changed, shown } => Event::Wallet {
            changed,
            account: shown.account.map(|account: Address| account.to_string()),
            chain_id: shown.chain_id.map(number),
            usable: shown.usable,
        },
        Notice::Connected => Event::Connected {},
        Notice::Disconnected => Event::Disconnected {},
        Notice::Error(failure) => Event::Error { error: failure.clone().into() },
        Notice::Trouble { with, failure } => Event::Trouble { with, error: failure.clone().into() },
    })
}
