//! An injected wallet: any object with EIP-1193's `request`. It may throw, reject, or answer at once.

use crate::failure::{Failure, Result};
use crate::js::{array, bytes, get, hex, invoke, message, object, settle};
use alloy_primitives::{Address, Bytes, U256};
use farthing_protocol::Code;
use js_sys::Array;
use wasm_bindgen::prelude::*;

/// A provider.
#[derive(Clone, Debug)]
pub struct Eip1193 {
    object: JsValue,
}

impl Eip1193 {
    /// Of an object that has `request`.
    #[must_use]
    pub const fn new(object: JsValue) -> Self {
        Self { object }
    }

    /// The JavaScript object.
    #[must_use]
    pub const fn object(&self) -> &JsValue {
        &self.object
    }

    /// Asks. `otherwise` is the code of a failure that EIP-1193 has no number for.
    pub async fn request(&self, method: &str, params: Array, otherwise: Code) -> Result<JsValue> {
        let call = array([object([("method", method.into()), ("params", params.into())])]);
        settle(invoke(&self.object, "request", &call)).await.map_err(|thrown| failure(method, thrown, otherwise))
    }

    /// The account that the wallet shows to this site; asks for leave if need be.
    pub async fn account(&self) -> Result<Address> {
        let accounts = self.request("eth_requestAccounts", Array::new(), Code::WalletUnavailable).await?;
        let first = accounts.dyn_ref::<Array>().and_then(|accounts| accounts.get(0).as_string());
        first
            .and_then(|account| account.parse().ok())
            .ok_or_else(|| Failure::new(Code::WalletUnavailable, "The wallet shows no account."))
    }

    /// A signature over typed data.
    pub async fn sign_typed_data(&self, account: Address, json: &str) -> Result<Vec<u8>> {
        let params = array([account.to_string().as_str(), json]);
        let signature = self.request("eth_signTypedData_v4", params, Code::WalletUnavailable).await?;
        let signature = signature.as_string().and_then(|text| bytes(&text));
        signature.ok_or_else(|| Failure::new(Code::WalletUnavailable, "The wallet gave no signature."))
    }

    /// Sends a transaction; gas and fees are the wallet's business.
    pub async fn send_transaction(&self, from: Address, to: Address, value: U256, data: &Bytes) -> Result<String> {
        let call = object([
            ("from", from.to_string().into()),
            ("to", to.to_string().into()),
            ("value", format!("{value:#x}").into()),
            ("data", hex(data).into()),
        ]);
        let hash = self.request("eth_sendTransaction", array([call]), Code::TransactionFailed).await?;
        hash.as_string().ok_or_else(|| Failure::new(Code::WalletUnavailable, "The wallet gave no transaction hash."))
    }
}

/// Keeps what the wallet said as the cause, with its number in `cause.code`.
#[allow(clippy::cast_possible_truncation, reason = "error numbers are small integers")]
fn failure(method: &str, thrown: JsValue, otherwise: Code) -> Failure {
    let code = match get(&thrown, "code").as_f64().map(|number| number as i64) {
        Some(4001) => Code::WalletRejected,
        Some(4100 | 4200) => Code::WalletUnavailable,
        Some(4900 | 4901) => Code::ChainUnavailable,
        _ => otherwise,
    };
    Failure::caused(code, format!("{method}: {}.", message(&thrown).trim_end_matches('.')), thrown)
}
