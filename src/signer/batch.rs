//! Several calls in one confirmation, all of them or none (EIP-5792). What a wallet says of such a batch is not believed: it
//! tells when it is worth while to look at the chain.

use super::eip1193::{Call, Eip1193};
use super::wallet_values::chain_id as id_of_chain;
use crate::failure::{Failure, Result};
use crate::js::{array, get, get_string, hex, object, quantity};
use crate::task::{Either, race, sleep};
use alloy_primitives::Address;
use farthing_protocol::Code;
use js_sys::{Array, Reflect};
use wasm_bindgen::prelude::*;

/// How long a wallet may take to say what it can do, and where a batch stands, in milliseconds: some never answer what they
/// do not know.
const SAYING: u32 = 5_000;

/// The longest id, by EIP-5792.
const LONGEST: usize = 8_194;

/// Errors after which nothing was sent, and two transactions may do what the batch could not: a method or a form that is not
/// served, a capability, a chain, a size or atomicity that is not there, and an account that its user will not have upgraded.
const UNBATCHED: [f64; 8] = [4200.0, -32_601.0, -32_602.0, 5700.0, 5710.0, 5740.0, 5750.0, 5760.0];

/// There is a batch with this id already.
const DUPLICATE: f64 = 5720.0;

/// Where a batch stands, as the wallet tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    /// It is on its way.
    Waits,
    /// It was carried out, by this block where the wallet tells one.
    Done(u64),
    /// It was not, or a part of it only.
    Failed,
    /// The wallet can't tell, or does not.
    Nothing,
}

impl Eip1193 {
    /// Whether the wallet says that it carries out all calls of a batch or none, for this account and chain. One that has not
    /// said so is not asked again.
    pub async fn is_atomic(&self, chain_id: u64, account: Address) -> bool {
        if self.is_unbatched() {
            return false;
        }
        let chains = array([format!("{chain_id:#x}")]);
        let params = array([JsValue::from(account.to_string()), chains.into()]);
        let asked = self.request("wallet_getCapabilities", params, Code::WalletUnavailable);
        let atomic = match race(asked, sleep(SAYING)).await {
            Either::First(Ok(answer)) => is_atomic(&answer, chain_id),
            _ => false,
        };
        if !atomic {
            self.unbatch();
        }
        atomic
    }

    /// Asks for one confirmation of several calls. Gives the batch's id: `id`, or the wallet's own. `None`: nothing was sent,
    /// and the calls are to be sent one by one.
    pub async fn send_calls(
        &self,
        chain_id: u64,
        from: Address,
        calls: &[Call<'_>],
        id: &str,
        asked: bool,
    ) -> Result<Option<String>> {
        self.on_chain(chain_id).await?;
        for call in calls {
            self.has_code(call.to, asked).await?;
        }
        self.ready(chain_id, from).await?;
        self.forget_late();
        let listed = calls.iter().map(|call| {
            object([
                ("to", call.to.to_string().into()),
                ("value", format!("{:#x}", call.value).into()),
                ("data", hex(call.data).into()),
            ])
        });
        let batch = object([
            ("version", "2.0.0".into()),
            ("id", id.into()),
            ("chainId", format!("{chain_id:#x}").into()),
            ("from", from.to_string().into()),
            ("atomicRequired", true.into()),
            ("calls", array(listed).into()),
        ]);
        match self.request("wallet_sendCalls", array([batch]), Code::TransactionFailed).await {
            Ok(answer) => Ok(Some(own_id(&answer).unwrap_or_else(|| id.to_owned()))),
            Err(failure) if number_of(&failure).is_some_and(|number| UNBATCHED.contains(&number)) => {
                self.unbatch();
                Ok(None)
            }
            Err(failure) if number_of(&failure) == Some(DUPLICATE) => Ok(Some(id.to_owned())),
            Err(failure) => Err(failure),
        }
    }

    /// Where a batch stands.
    pub async fn calls_status(&self, id: &str) -> Told {
        let asked = self.request("wallet_getCallsStatus", array([id]), Code::WalletUnavailable);
        match race(asked, sleep(SAYING)).await {
            Either::First(Ok(answer)) => told(&answer),
            _ => Told::Nothing,
        }
    }
}

fn number_of(failure: &Failure) -> Option<f64> {
    get(failure.cause()?, "code").as_f64()
}

/// Whether capabilities name the chain, or all chains, as one where batches are atomic, or are so after a word of its user.
fn is_atomic(capabilities: &JsValue, chain_id: u64) -> bool {
    let Ok(names) = Reflect::own_keys(capabilities) else { return false };
    let fits = |name: &JsValue| {
        let all = name.as_string().is_some_and(|name| name == "0x0");
        all || id_of_chain(name) == Some(chain_id)
    };
    names.iter().filter(fits).any(|name| {
        let chain = Reflect::get(capabilities, &name).unwrap_or(JsValue::UNDEFINED);
        let status = get_string(&get(&chain, "atomic"), "status");
        status.is_some_and(|status| ["supported", "ready"].contains(&status.as_str()))
    })
}

/// The id that the wallet gave, as the standard has it or as it had it before.
fn own_id(answer: &JsValue) -> Option<String> {
    let id = answer.as_string().or_else(|| get_string(answer, "id"))?;
    (!id.is_empty() && id.len() <= LONGEST).then_some(id)
}

#[allow(clippy::cast_possible_truncation, reason = "a number that is cut off is none of these")]
fn told(answer: &JsValue) -> Told {
    let status = get(answer, "status");
    match status.as_f64().map(|number| number as i64) {
        Some(100..=199) => Told::Waits,
        Some(200..=299) => Told::Done(last_block(answer)),
        Some(400..=699) => Told::Failed,
        Some(_) => Told::Nothing,
        None => match status.as_string().as_deref() {
            Some("PENDING") => Told::Waits,
            Some("CONFIRMED") => Told::Done(last_block(answer)),
            _ => Told::Nothing,
        },
    }
}

/// The newest block of a batch's receipts.
fn last_block(answer: &JsValue) -> u64 {
    let receipts = get(answer, "receipts");
    let receipts = receipts.dyn_ref::<Array>().map(Array::to_vec).unwrap_or_default();
    receipts.iter().filter_map(|receipt| quantity(&get(receipt, "blockNumber"))).max().unwrap_or_default()
}
