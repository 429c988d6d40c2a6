//! An injected wallet: any object with EIP-1193's `request`. It may throw, reject, answer at once, or never; and between
//! two questions its user may have changed the chain or the account.

use super::hook::Hook;
use super::layers::{layers, without_urls};
use super::refusal::is_refusal;
use super::wallet_values::{address, chain_id, has_code, hash, signature};
use crate::failure::{Failure, Result};
use crate::js::{array, get, get_function, get_string, hex, invalid, invoke, message, object, settle};
use crate::task::{Either, Once, Waits, begin, race, sleep};
use crate::url::{any, only_origins};
use alloy_primitives::{Address, Bytes, U256};
use farthing_protocol::Code;
use js_sys::Array;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// How long a person may take to answer, in milliseconds: they may have to find their hardware wallet.
const PERSON: u32 = 600_000;

/// How long a wallet may take for what it answers by itself, in milliseconds.
const ITSELF: u32 = 20_000;

/// What a person is asked for.
const ASKS_PERSON: [&str; 5] =
    ["eth_requestAccounts", "eth_signTypedData_v4", "eth_sendTransaction", "wallet_sendCalls", SWITCH];

/// How long an answer may still come after the wallet has said that it is disconnected, in milliseconds.
const FAREWELL: u32 = 3_000;

/// Asks for another chain (EIP-3326).
const SWITCH: &str = "wallet_switchEthereumChain";

/// What a provider says.
type Said = core::result::Result<JsValue, JsValue>;

/// A provider.
#[derive(Clone, Debug)]
pub struct Eip1193 {
    object: JsValue,
    /// The account that a wallet library chose, of all that the wallet shows.
    named: Option<Address>,
    /// Questions about the account and to its user that are not answered.
    asked: Rc<Cell<u32>>,
    /// It has not said that it carries out batches as a whole, or has refused to.
    unbatched: Rc<Cell<bool>>,
    /// The last question for a transaction: its answer may come when nobody waits for it any more.
    last: Rc<RefCell<Option<Once<Said>>>>,
}

impl Eip1193 {
    /// Of an object that has `request`. A viem client names its account. One that signs with a key of its own is
    /// refused: its `request` does not, and would have the node sign with whatever account that one has unlocked.
    pub fn new(object: JsValue) -> Result<Self> {
        let account = get(&object, "account");
        let kind = get(&account, "type").as_string();
        if kind.is_none() && (account.is_null() || account.is_undefined()) {
            return Ok(Self::of(object, None));
        }
        if kind.as_deref().is_some_and(|kind| kind != "json-rpc") {
            return invalid(
                "wallet is a client with a key of its own, which its request() does not sign with: give { privateKey } \
                 or { mnemonic } and rpc, or a provider whose account signs.",
            );
        }
        match address(&account).or_else(|| address(&get(&account, "address"))) {
            Some(named) => Ok(Self::of(object, Some(named))),
            None => invalid("wallet.account has no address that can be read, so whose money it is is not known."),
        }
    }

    fn of(object: JsValue, named: Option<Address>) -> Self {
        Self { object, named, asked: Rc::default(), unbatched: Rc::default(), last: Rc::default() }
    }

    /// Whether calls are to be sent one by one.
    pub(super) fn is_unbatched(&self) -> bool {
        self.unbatched.get()
    }

    /// From now on they are.
    pub(super) fn unbatch(&self) {
        self.unbatched.set(true);
    }

    /// The JavaScript object.
    #[must_use]
    pub const fn object(&self) -> &JsValue {
        &self.object
    }

    /// Whether it owes an answer that no node could give.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.asked.get() > 0
    }

    /// Asks. `otherwise` is the code of a failure that EIP-1193 has no number for.
    pub async fn request(&self, method: &str, params: Array, otherwise: Code) -> Result<JsValue> {
        let person = ASKS_PERSON.contains(&method);
        let _asked = (person || otherwise == Code::WalletUnavailable).then(|| Waits::new(&self.asked));
        self.answer(method, self.ask(method, params), otherwise).await
    }

    fn ask(&self, method: &str, params: Array) -> impl Future<Output = Said> + use<> {
        let call = array([object([("method", method.into()), ("params", params.into())])]);
        settle(invoke(&self.object, "request", &call))
    }

    async fn answer(&self, method: &str, asked: impl Future<Output = Said>, otherwise: Code) -> Result<JsValue> {
        let person = ASKS_PERSON.contains(&method);
        match race(asked, self.silence(person)).await {
            // Some give an error in place of an answer.
            Either::First(Ok(answer)) if person && !answer.is_string() && is_refusal(&answer) => {
                Err(failure(method, &answer, otherwise))
            }
            Either::First(Ok(answer)) => Ok(answer),
            Either::First(Err(thrown)) => Err(failure(method, &thrown, otherwise)),
            Either::Second(why) => {
                let code = if person { Code::WalletUnavailable } else { otherwise };
                let late = match sends(method) {
                    true => {
                        " If it is agreed to later it is sent all the same: look into the wallet before you try again."
                    }
                    false => "",
                };
                Err(Failure::new(code, format!("{method}: the wallet {why}.{late}")))
            }
        }
    }

    /// Returns when no answer is waited for any more, with the reason. A wallet that has gone may answer for a moment yet.
    async fn silence(&self, person: bool) -> &'static str {
        if !person {
            sleep(ITSELF).await;
            return "has not answered";
        }
        let gone = Once::default();
        let told = gone.clone();
        let _hook = self.listen("disconnect", move |_| told.send(()));
        match race(sleep(PERSON), gone.wait()).await {
            Either::First(()) => "has not answered",
            Either::Second(()) => {
                sleep(FAREWELL).await;
                "disconnected, and has not answered"
            }
        }
    }

    /// The account that the wallet shows to this site; asks for leave if need be.
    pub async fn account(&self) -> Result<Address> {
        let accounts = self.request("eth_requestAccounts", Array::new(), Code::WalletUnavailable).await?;
        self.account_of(&accounts).ok_or_else(|| self.no_account())
    }

    /// Of accounts that are shown, the one that a library named, or the first.
    #[must_use]
    pub fn account_of(&self, accounts: &JsValue) -> Option<Address> {
        let list = accounts.dyn_ref::<Array>()?;
        match self.named {
            Some(named) => list.iter().filter_map(|account| address(&account)).find(|account| *account == named),
            // The first counts, also where something else is there in its place.
            None => address(&list.get(0)),
        }
    }

    fn no_account(&self) -> Failure {
        let detail = match self.named {
            Some(named) => format!("The wallet does not show account {named}."),
            None => "The wallet shows no account: unlock it, and let it show one.".to_owned(),
        };
        Failure::new(Code::WalletUnavailable, detail)
    }

    /// The account that the wallet shows now, without asking its user.
    pub async fn shown(&self) -> Result<Option<Address>> {
        let accounts = self.request("eth_accounts", Array::new(), Code::WalletUnavailable).await?;
        if !Array::is_array(&accounts) {
            return Err(Failure::new(Code::WalletUnavailable, "eth_accounts: the wallet gave no accounts."));
        }
        Ok(self.account_of(&accounts))
    }

    /// The chain that the wallet is on.
    pub async fn chain(&self) -> Result<u64> {
        let mut answer = self.request("eth_chainId", Array::new(), Code::WalletUnavailable).await;
        if answer.as_ref().is_err_and(is_not_served) {
            answer = self.request("net_version", Array::new(), Code::WalletUnavailable).await;
        }
        chain_id(&answer?)
            .ok_or_else(|| Failure::new(Code::WalletUnavailable, "eth_chainId: the wallet gave no chain id."))
    }

    /// Refuses unless the wallet is on this chain, or comes to it when the application lets it be asked. A wallet that does
    /// not answer is not.
    pub async fn on_chain(&self, wanted: u64) -> Result<()> {
        let chain = async || self.chain().await.map_err(|failure| failure.because("Nothing was signed or sent."));
        let mut found = chain().await?;
        if found != wanted && self.can_switch() {
            self.switch(wanted).await?;
            // What the wallet says of a switch is not what it does.
            found = chain().await?;
        }
        if found == wanted {
            return Ok(());
        }
        let detail = format!(
            "The wallet is on chain {found}, the channel on {wanted}: nothing was signed or sent. Switch the wallet to \
             chain {wanted} and try again."
        );
        Err(Failure::new(Code::ChainMismatch, detail))
    }

    /// Whether the application lets its user be asked for another chain.
    #[must_use]
    pub fn can_switch(&self) -> bool {
        get_function(&self.object, "_switchTo").is_some()
    }

    async fn switch(&self, wanted: u64) -> Result<()> {
        let _asked = Waits::new(&self.asked);
        let asked = settle(invoke(&self.object, "_switchTo", &array([format!("{wanted:#x}").as_str()])));
        match race(asked, sleep(PERSON)).await {
            Either::First(Ok(_)) => Ok(()),
            Either::First(Err(thrown)) => match failure(SWITCH, &thrown, Code::ChainMismatch) {
                // Its user has to do it by themselves.
                failure if is_not_served(&failure) => Ok(()),
                failure => Err(failure.because("Nothing was signed or sent.")),
            },
            Either::Second(()) => {
                let detail = format!("{SWITCH}: the wallet has not answered. Nothing was signed or sent.");
                Err(Failure::new(Code::WalletUnavailable, detail))
            }
        }
    }

    /// Refuses unless the wallet shows this account and is on this chain. Asked right before whatever it is to sign or
    /// send; the chain last, since a person may take time over the account.
    pub(super) async fn ready(&self, chain_id: u64, account: Address) -> Result<()> {
        let shown = match self.shown().await {
            // It is locked, or has forgotten this site.
            Ok(None) if self.named.is_none() => self.account().await?,
            Ok(shown) => shown.ok_or_else(|| self.no_account())?,
            // One that can't tell has but the account that it told at the start; what is asked of it names that.
            Err(failure) if is_not_served(&failure) => account,
            Err(failure) => return Err(failure.because("Nothing was signed or sent.")),
        };
        if shown != account {
            let detail = format!(
                "The wallet shows account {shown}, not {account}, which opened this channel: nothing was signed or sent. \
                 Switch the wallet back, or connect() anew for the other account."
            );
            return Err(Failure::new(Code::WalletUnavailable, detail));
        }
        self.on_chain(chain_id).await
    }

    /// A signature over typed data of this chain, in whichever form the wallet gives it.
    pub async fn sign_typed_data(&self, chain_id: u64, account: Address, json: &str) -> Result<Vec<u8>> {
        self.ready(chain_id, account).await?;
        let params = array([account.to_string().as_str(), json]);
        let asked = self.request("eth_signTypedData_v4", params, Code::WalletUnavailable).await;
        let signed = asked.map_err(|failure| match is_untyped(&failure) {
            true => failure.seen_as(Code::Unsupported).because("This wallet signs no typed data (EIP-712)."),
            false => failure,
        })?;
        let signed = signed.as_string().and_then(|text| signature(&text));
        signed.ok_or_else(|| Failure::new(Code::WalletUnavailable, "The wallet gave no signature."))
    }

    /// Refuses an address that the wallet's node knows no code at. A wallet that serves no such questions says nothing
    /// about it, which is enough only where another node was `asked`.
    pub(super) async fn has_code(&self, to: Address, asked: bool) -> Result<()> {
        let params = array([to.to_string().as_str(), "latest"]);
        let answer = match self.request("eth_getCode", params, Code::ChainUnavailable).await {
            Ok(answer) => answer,
            Err(failure) if asked && is_not_served(&failure) => return Ok(()),
            Err(failure) => return Err(failure.because("Nothing was sent.")),
        };
        match answer.as_string().and_then(|code| has_code(&code)) {
            Some(true) => Ok(()),
            Some(false) => {
                let detail = format!("By the wallet's node there is no contract at {to}: nothing was sent.");
                Err(Failure::new(Code::ChainMismatch, detail))
            }
            None => {
                Err(Failure::new(Code::ChainUnavailable, "eth_getCode: the wallet gave no code. Nothing was sent."))
            }
        }
    }

    /// Sends a transaction on this chain to a contract; gas and fees are the wallet's business. `asked`: whether another
    /// node knows the contract.
    pub async fn send_transaction(&self, chain_id: u64, from: Address, call: Call<'_>, asked: bool) -> Result<String> {
        let Call { to, value, data } = call;
        // What a node of another chain knows is of no use.
        self.on_chain(chain_id).await?;
        self.has_code(to, asked).await?;
        self.ready(chain_id, from).await?;
        let call = object([
            ("chainId", format!("{chain_id:#x}").into()),
            ("from", from.to_string().into()),
            ("to", to.to_string().into()),
            ("value", format!("{value:#x}").into()),
            ("data", hex(data).into()),
        ]);
        let _asked = Waits::new(&self.asked);
        // Who waits for it may stop, and its answer come all the same. No timer of ours outlives them.
        let asked = begin(self.ask("eth_sendTransaction", array([call])));
        self.last.replace(Some(asked.clone()));
        let sent = self.answer("eth_sendTransaction", asked.wait(), Code::TransactionFailed).await;
        if asked.is_sent() {
            self.forget_late();
        }
        let sent = sent?;
        hash(&sent).ok_or_else(|| {
            let detail = format!("The wallet gave no transaction hash. {UNKNOWN}");
            Failure::new(Code::WalletUnavailable, detail)
        })
    }

    /// Nothing that comes late is of what is asked for now.
    pub fn forget_late(&self) {
        self.last.take();
    }

    /// The hash of the transaction that was asked for last, if it came after all; nobody else is told it again.
    #[must_use]
    pub fn late_hash(&self) -> Option<String> {
        let answer = self.last.borrow().as_ref().and_then(Once::value)?;
        self.last.take();
        hash(&answer.ok()?)
    }

    /// Calls `callback` at each event with this name, until what is given is dropped.
    #[must_use]
    pub fn listen(&self, event: &'static str, callback: impl FnMut(JsValue) + 'static) -> Option<Hook> {
        Hook::new(&self.object, event, callback)
    }
}

/// What a transaction does.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Whom it calls.
    pub to: Address,
    /// Wei sent along.
    pub value: U256,
    /// The call.
    pub data: &'a Bytes,
}

const UNKNOWN: &str =
    "Whether it was sent is not known: look into the wallet's history and at balances() before you try again.";

/// Whether an answer to this says that money may move.
fn sends(method: &str) -> bool {
    matches!(method, "eth_sendTransaction" | "wallet_sendCalls")
}

/// Whether the wallet says that it does not serve this question at all, itself or in what it wraps.
#[allow(clippy::cast_possible_truncation, reason = "error numbers are small integers")]
fn is_not_served(failure: &Failure) -> bool {
    let number = |layer: &JsValue| get(layer, "code").as_f64().map(|number| number as i64);
    let layers = failure.cause().map(layers).unwrap_or_default();
    layers.iter().any(|layer| matches!(number(layer), Some(4200 | -32_601 | -32_004)))
}

/// Whether a wallet, asked for a signature over typed data, says that there will be none: by the number, or in the words of
/// one that passes on what a device or an older version lacks.
fn is_untyped(failure: &Failure) -> bool {
    let says = |said: String| {
        let said = said.to_ascii_lowercase();
        let lacks = any(&said, &["not support", "unsupported", "not implemented", "does not exist"]);
        lacks && any(&said, &["typeddata", "typed data", "eip-712", "eip712"])
    };
    // A person who says no says it of whatever was asked.
    failure.code() != Code::WalletRejected
        && (is_not_served(failure)
            || failure.cause().map(layers).unwrap_or_default().iter().any(|layer| says(message(layer))))
}

/// Keeps what the wallet said as the cause, with its number in `cause.code`.
#[allow(clippy::cast_possible_truncation, reason = "error numbers are small integers")]
fn failure(method: &str, thrown: &JsValue, otherwise: Code) -> Failure {
    let mut said = message(thrown);
    let (code, meaning) = match get(thrown, "code").as_f64().map(|number| number as i64) {
        Some(4001) => (Code::WalletRejected, ""),
        _ if ASKS_PERSON.contains(&method) && is_refusal(thrown) => (Code::WalletRejected, ""),
        Some(4100 | 4200 | -32_601) if sends(method) => {
            (Code::WalletUnavailable, "It was never sent, and no money moved.")
        }
        // Of a library's account, which the package asked for a signature that it never gave.
        _ if get(thrown, "_unsent").is_truthy() && of_layers(thrown).is_none() => {
            (Code::WalletUnavailable, "It was never sent, and no money moved.")
        }
        Some(4100 | 4200) => (Code::WalletUnavailable, ""),
        Some(-32_002) if ASKS_PERSON.contains(&method) && !sends(method) => (
            Code::WalletUnavailable,
            "Its user has such a question already: open the wallet, answer it, and try again.",
        ),
        Some(4900 | 4901) if !sends(method) => (Code::ChainUnavailable, ""),
        _ if sends(method) => match of_layers(thrown) {
            Some((code, meaning, why)) => {
                said = why;
                (code, meaning)
            }
            // Whatever is not sure to be refused may have been sent.
            None => (Code::WalletUnavailable, UNKNOWN),
        },
        _ => (otherwise, ""),
    };
    // Libraries tell the whole URL of their node, with the key that is in it.
    let detail = format!("{method}: {}.", only_origins(&said).trim_end_matches('.'));
    let failure = Failure::caused(code, detail, without_urls(thrown));
    if meaning.is_empty() { failure } else { failure.because(meaning) }
}

/// What the outermost error means that says why it is not sent, and what it says: wallets wrap what their node told them.
fn of_layers(thrown: &JsValue) -> Option<(Code, &'static str, String)> {
    layers(thrown).iter().find_map(|layer| {
        let said = message(layer);
        let (code, meaning) = of_sending(&format!("{said}\n{}", get_string(layer, "code").unwrap_or_default()))?;
        Some((code, meaning, said))
    })
}

/// What an error in place of a transaction's hash means, by its words and the word that is its code, if that is sure.
fn of_sending(said: &str) -> Option<(Code, &'static str)> {
    let said = said.to_ascii_lowercase();
    let unpaid = [
        "insufficient funds",
        "insufficient balance",
        "insufficient_funds",
        "exceeds the balance of the account",
        "intrinsic gas",
        "exceeds block gas",
    ];
    if any(&said, &unpaid) {
        return Some((Code::TransactionFailed, "It was never sent, and no money moved."));
    }
    // Some nodes tell so of one that is mined already.
    let reverts = any(&said, &["revert", "call_exception"]);
    reverts.then_some((Code::TransactionFailed, "The contract refuses it, so no money moved."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_certainly_not_sent_is_called_so() {
        for text in [
            "insufficient funds for gas * price + value",
            "Intrinsic gas too low",
            "execution reverted: x",
            "x\nINSUFFICIENT_FUNDS",
            "x\nCALL_EXCEPTION",
            "The total cost of executing this transaction exceeds the balance of the account.",
        ] {
            assert_eq!(of_sending(text).map(|(code, _)| code), Some(Code::TransactionFailed), "{text}");
        }
        for text in ["nonce too low", "replacement transaction underpriced", "already known", "request aborted", ""] {
            assert_eq!(of_sending(text), None, "{text}");
        }
    }
}
