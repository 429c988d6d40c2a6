//! What JavaScript gets: frozen plain objects, with money as `bigint` and times as milliseconds.

use crate::client::{Client, Notice};
use crate::failure::{Failure, Result};
use crate::js::{array, freeze, frozen, hex};
use crate::transport::terms::Terms;
use alloy_primitives::Address;
use farthing_protocol::chain::AssetStatus;
use farthing_protocol::channel::ExitStage;
use farthing_protocol::types::Asset;
use farthing_protocol::wallet::{Balance, Direction, Payment, PaymentId, Status};
use farthing_protocol::{Amount, Code};
use wasm_bindgen::JsValue;

/// Words for a payment's status.
pub const STATUSES: [(&str, Status); 5] = [
    ("pending", Status::Pending),
    ("held", Status::Held),
    ("completed", Status::Completed),
    ("returning", Status::Returning),
    ("failed", Status::Failed),
];

/// Words for its direction.
pub const DIRECTIONS: [(&str, Direction); 2] = [("sent", Direction::Sent), ("received", Direction::Received)];

fn word<T: PartialEq>(words: &[(&'static str, T)], meaning: &T) -> JsValue {
    words.iter().find(|(_, other)| other == meaning).map_or(JsValue::UNDEFINED, |(word, _)| (*word).into())
}

fn money(amount: Amount) -> JsValue {
    amount.units().into()
}

#[allow(clippy::cast_precision_loss, reason = "dates stay far below 2^53")]
pub(super) fn date(seconds: u64) -> JsValue {
    (seconds.saturating_mul(1_000) as f64).into()
}

fn text(address: Address) -> JsValue {
    address.to_string().into()
}

/// The name that the hub gives an asset, or its address.
fn symbol(terms: &Terms, asset: Asset) -> JsValue {
    let listed = terms.assets.iter().find(|terms| terms.asset == asset);
    listed.map_or_else(|| text(asset), |terms| terms.symbol.as_str().into())
}

fn optional<T>(value: Option<T>, convert: impl Fn(T) -> JsValue) -> JsValue {
    value.map_or(JsValue::UNDEFINED, convert)
}

/// A payment.
#[must_use]
pub fn payment(terms: &Terms, payment: &Payment) -> JsValue {
    frozen([
        ("id", hex(payment.id.0).into()),
        ("direction", word(&DIRECTIONS, &payment.direction)),
        ("status", word(&STATUSES, &payment.status)),
        ("asset", symbol(terms, payment.asset)),
        ("token", text(payment.asset)),
        ("amount", money(payment.amount)),
        ("to", optional(payment.to, text)),
        ("memo", payment.memo.as_str().into()),
        ("createdAt", date(payment.created)),
        ("updatedAt", date(payment.updated)),
        ("expiresAt", optional(payment.expiry, date)),
        ("preimage", optional(payment.preimage, |preimage| hex(preimage).into())),
        ("code", optional(payment.code.as_deref(), Into::into)),
    ])
}

/// The id of a payment, from JavaScript.
pub fn payment_id(value: &JsValue) -> Result<PaymentId> {
    let bytes = value.as_string().and_then(|text| crate::js::bytes(&text));
    let id = bytes.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok()).map(PaymentId);
    id.ok_or_else(|| Failure::new(Code::InvalidArgument, "A payment's id is a string of 0x and 32 hex digits."))
}

/// What there is of an asset.
#[must_use]
pub fn balance(terms: &Terms, balance: &Balance) -> JsValue {
    let status = match balance.status {
        AssetStatus::Open => "open",
        AssetStatus::Closed => "closed",
        AssetStatus::Settled => "settled",
    };
    // What was closed has been paid out, whatever the last proofs say.
    let live = |amount| if balance.status == AssetStatus::Open { money(amount) } else { money(Amount::ZERO) };
    frozen([
        ("asset", symbol(terms, balance.asset)),
        ("token", text(balance.asset)),
        ("available", live(balance.available)),
        ("sending", live(balance.locked_out)),
        ("receiving", live(balance.locked_in)),
        ("receivable", live(balance.receivable)),
        ("deposited", money(balance.deposited)),
        ("withdrawn", money(balance.withdrawn)),
        ("status", status.into()),
    ])
}

/// Who and where a client is.
#[must_use]
pub fn info(client: &Client) -> JsValue {
    let terms = client.terms();
    let assets = array(terms.assets.iter().map(|asset| {
        frozen([
            ("asset", asset.symbol.as_str().into()),
            ("token", text(asset.asset)),
            ("decimals", asset.decimals.into()),
            ("channelCapacity", money(asset.channel_capacity)),
            ("minPayment", money(asset.min_payment)),
            ("maxPayment", money(asset.max_payment)),
        ])
    }));
    let def = client.def();
    let hub = frozen([
        ("url", client.hub().url().into()),
        ("owner", text(terms.hub.owner)),
        ("signer", text(terms.hub.signer)),
        ("assets", freeze(assets.into())),
    ]);
    frozen([
        ("address", text(client.address())),
        ("signer", text(def.a.signer)),
        ("channelId", client.id().to_string().into()),
        ("chainId", number(client.domain().chain_id())),
        ("contract", text(client.domain().contract())),
        ("challengePeriod", def.challenge_period.into()),
        ("confirmations", number(client.confirmations())),
        ("connected", client.is_connected().into()),
        ("hub", hub),
    ])
}

#[allow(clippy::cast_precision_loss, reason = "chain ids and block counts stay below 2^53")]
fn number(value: u64) -> JsValue {
    (value as f64).into()
}

/// An event.
#[must_use]
pub fn notice(terms: &Terms, notice: Notice) -> JsValue {
    let typed = |kind: &str| ("type", JsValue::from(kind));
    match notice {
        Notice::Payment(changed) => frozen([typed("payment"), ("payment", payment(terms, &changed))]),
        Notice::Deposit { asset, total } => {
            frozen([typed("deposit"), ("asset", symbol(terms, asset)), ("token", text(asset)), ("total", money(total))])
        }
        Notice::Withdrawal(signed) => frozen([
            typed("withdrawal"),
            ("asset", symbol(terms, signed.withdrawal.asset)),
            ("token", text(signed.withdrawal.asset)),
            ("total", money(signed.withdrawal.total)),
            ("to", text(signed.withdrawal.recipient)),
        ]),
        Notice::Closing(signed) => {
            let assets = array(signed.closing.assets.iter().map(|entry| symbol(terms, entry.asset)));
            frozen([typed("closing"), ("assets", freeze(assets.into()))])
        }
        Notice::Exit { stage } => {
            let (word, ends_at, locks) = match stage {
                ExitStage::None => ("none", None, None),
                ExitStage::Starting => ("starting", None, None),
                ExitStage::Challenge { ends_at } => ("challenge", Some(ends_at), None),
                ExitStage::Settling => ("settling", None, None),
                ExitStage::Claiming { locks, until } => ("claiming", Some(until), Some(locks)),
                ExitStage::Done => ("done", None, None),
            };
            frozen([
                typed("exit"),
                ("stage", word.into()),
                ("endsAt", optional(ends_at, date)),
                ("locks", optional(locks, Into::into)),
            ])
        }
        Notice::Restored(restored) => frozen([
            typed("restored"),
            ("from", restored.from.into()),
            ("madeAt", date(restored.time)),
            ("older", optional(restored.older, Into::into)),
        ]),
        Notice::Watched { url, tower } => frozen([typed("watched"), ("url", url.into()), ("tower", text(tower))]),
        Notice::Connected => frozen([typed("connected")]),
        Notice::Disconnected => frozen([typed("disconnected")]),
        Notice::Error(failure) => frozen([typed("error"), ("error", failure.into())]),
    }
}
