//! Streams at the edge: what an application calls, and the two small machines that make and check words where it runs,
//! in whichever tab, without the engine.

use super::options::read;
use super::requests::{OfStream, Receipts, Stream, patience};
use super::values::{payments, placed, receipt_key};
use super::{Core, HUB, boxed_promise, check_sound, guarded, promise};
use crate::client::Attempt;
use crate::failure::{Failure, Result};
use crate::js::{bytes, hex, invalid};
use crate::signal::{Patience, Standing};
use alloy_primitives::{Address, B256, Bytes, keccak256};
use farthing_protocol::Code;
use farthing_protocol::condition::{Condition, Kind, MAX_CHAIN, chain_evidence, voucher_evidence};
use farthing_protocol::eip712::Domain;
use farthing_protocol::sign::SecretKey;
use farthing_protocol::wallet::voucher_key;
use js_sys::Promise;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// Words between two that are kept.
const STEP: usize = 128;

/// How long a stream's payee is waited for if the caller does not say, in milliseconds.
const STANDING: u64 = 90_000;

#[wasm_bindgen]
impl Core {
    /// Places a stream; resolves when its payee has it.
    pub fn stream(&self, options: JsValue) -> Result<Promise> {
        check_sound()?;
        let options: Stream = read("stream", options)?;
        let request = options.request(&self.client.terms())?;
        let patience = patience(options.signal, options.timeout, STANDING)?;
        let client = Rc::clone(&self.client);
        let attempt = Rc::new(Attempt::default());
        let (placing, begun) = (Rc::clone(&self.client), Rc::clone(&attempt));
        let work = async move {
            let payment = placing.stream(request, &begun).await?;
            Ok(placed(&placing.terms(), &payment, placing.words_of(&payment.id)))
        };
        let stopped = move |stop| client.give_up(&attempt, stop);
        Ok(boxed_promise(Box::pin(patience.guard(Box::pin(work), Box::new(stopped)))))
    }

    /// Takes streams to us from now on; gives those that are open.
    #[wasm_bindgen(js_name = takeStreams)]
    pub fn take_streams(&self) -> Result<Promise> {
        check_sound()?;
        let client = Rc::clone(&self.client);
        Ok(promise(async move {
            let open = client.take_streams()?;
            Ok(payments(&client.terms(), &open))
        }))
    }

    /// Notes how many units of a stream of ours have been shown.
    #[wasm_bindgen(js_name = noteShown)]
    pub fn note_shown(&self, options: JsValue) -> Result<Promise> {
        self.of_stream(options, |client, options| async move {
            let units = options.units.and_then(|units| u32::try_from(units.0).ok()).unwrap_or_default();
            client.note_shown(options.id()?, units).await?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Stores what proves units of a stream to us, and shows it to the hub.
    pub fn reveal(&self, options: JsValue) -> Result<Promise> {
        self.of_stream(options, |client, options| async move {
            Ok(client.reveal(options.id()?, options.evidence()?).await?.into())
        })
    }

    /// Gives the rest of a stream to us up.
    #[wasm_bindgen(js_name = endStream)]
    pub fn end_stream(&self, options: JsValue) -> Result<Promise> {
        self.of_stream(options, |client, options| async move {
            client.end_stream(options.id()?).await?;
            Ok(JsValue::UNDEFINED)
        })
    }

    fn of_stream<Work: Future<Output = Result<JsValue>> + 'static>(
        &self,
        options: JsValue,
        work: impl FnOnce(Rc<crate::client::Client>, OfStream) -> Work + 'static,
    ) -> Result<Promise> {
        check_sound()?;
        let options: OfStream = read("stream", options)?;
        let patience = Patience::new(JsValue::UNDEFINED, HUB)?;
        let known = Standing::waiting_for(Code::StorageFailed);
        Ok(guarded(&self.client, patience, known, work(Rc::clone(&self.client), options)))
    }

    /// Signs that a key may sign receipts for us.
    #[wasm_bindgen(js_name = signReceiptKey)]
    pub fn sign_receipt_key(&self, options: JsValue) -> Result<Promise> {
        check_sound()?;
        let options: Receipts = read("signReceiptKey", options)?;
        let public_key = options.public_key()?;
        let client = Rc::clone(&self.client);
        Ok(promise(async move {
            let key = client.receipt_key(public_key, options.expires_in.0)?;
            Ok(receipt_key(&client, hex(public_key), &key))
        }))
    }
}

/// Where a stream is: for vouchers, which name its key.
struct Place {
    domain: Domain,
    key: B256,
}

/// Makes the words of a stream.
#[wasm_bindgen(js_name = _Words)]
pub struct Words {
    units: usize,
    /// Every so many words of a chain, from the root on; empty for vouchers.
    kept: Vec<B256>,
    /// The words of one part of it, and which.
    part: (usize, Vec<B256>),
    voucher: Option<(SecretKey, Place)>,
}

impl std::fmt::Debug for Words {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Words").field("units", &self.units).finish_non_exhaustive()
    }
}

fn word_of(text: &str) -> Result<B256> {
    let bytes = bytes(text).and_then(|bytes| B256::try_from(bytes.as_slice()).ok());
    bytes.map_or_else(|| invalid("A word is 0x and 64 hex digits."), Ok)
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "chain ids are whole and below 2^53")]
fn place(chain_id: f64, contract: &str, key: &str) -> Result<Place> {
    let Ok(contract) = contract.parse::<Address>() else { return invalid("A contract is an address.") };
    Ok(Place { domain: Domain::new(chain_id as u64, contract), key: word_of(key)? })
}

#[wasm_bindgen(js_class = _Words)]
impl Words {
    /// From what makes them, for so many units; for vouchers of this stream, on this chain.
    #[wasm_bindgen(constructor)]
    pub fn new(voucher: bool, secret: &str, units: u32, chain_id: f64, contract: &str, key: &str) -> Result<Self> {
        let secret = word_of(secret)?;
        let mut words = Self { units: units as usize, kept: Vec::new(), part: (usize::MAX, Vec::new()), voucher: None };
        if voucher {
            words.voucher = Some((voucher_key(&secret.0)?, place(chain_id, contract, key)?));
            return Ok(words);
        }
        if units > MAX_CHAIN {
            return invalid("A chain has at most 16384 units.");
        }
        let mut word = secret;
        for step in 0..=words.units {
            if step % STEP == 0 {
                words.kept.push(word);
            }
            word = keccak256(word);
        }
        Ok(words)
    }

    /// The word that proves so many units.
    pub fn word(&mut self, units: u32) -> Result<String> {
        if let Some((key, place)) = &self.voucher {
            let evidence =
                voucher_evidence(&place.domain, farthing_protocol::condition::ConditionKey(place.key), units, key);
            return Ok(hex(evidence.get(4..).unwrap_or_default()));
        }
        let Some(steps) = self.units.checked_sub(units as usize) else {
            return invalid("There are not so many units.");
        };
        let (part, place) = (steps / STEP, steps % STEP);
        if self.part.0 != part {
            let mut word = self.kept.get(part).copied().ok_or_else(|| Failure::from(Code::Internal))?;
            let mut made = Vec::with_capacity(STEP);
            for _ in 0..STEP {
                made.push(word);
                word = keccak256(word);
            }
            self.part = (part, made);
        }
        self.part.1.get(place).map(hex).ok_or_else(|| Failure::from(Code::Internal))
    }
}

/// Checks the words of a stream, against the best that it has seen.
#[wasm_bindgen(js_name = _Proofs)]
#[derive(Debug)]
pub struct Proofs {
    condition: Condition,
    domain: Domain,
    expiry: u64,
    units: u32,
    proved: u32,
    best: Bytes,
}

#[wasm_bindgen(js_class = _Proofs)]
impl Proofs {
    /// Of a condition with these parameters and expiry (Unix seconds), on this chain.
    #[wasm_bindgen(constructor)]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and below 2^53")]
    pub fn new(voucher: bool, params: &str, units: u32, expiry: f64, chain_id: f64, contract: &str) -> Result<Self> {
        let Some(params) = bytes(params) else { return invalid("Parameters are hex.") };
        let whole =
            |range: std::ops::Range<usize>| params.get(range).ok_or_else(|| Failure::from(Code::UnknownCondition));
        let condition = match voucher {
            true => Condition::voucher(Address::from_slice(whole(0..20)?), B256::from_slice(whole(20..52)?)),
            false => Condition::hash_chain(B256::from_slice(whole(0..32)?), units),
        };
        if condition.params.as_ref() != params {
            return Err(Code::UnknownCondition.into());
        }
        condition.check()?;
        let domain = place(chain_id, contract, &hex(B256::ZERO))?.domain;
        let best = if voucher { Bytes::new() } else { Bytes::copy_from_slice(whole(0..32)?) };
        Ok(Self { condition, domain, expiry: expiry as u64, units, proved: 0, best })
    }

    /// Takes a word for so many units; gives how many are newly proved by it.
    pub fn take(&mut self, units: u32, word: &str) -> Result<u32> {
        let bad = |said: &str| Failure::new(Code::BadEvidence, said.to_owned());
        if units == 0 || units > self.units {
            return Err(bad("The stream has not so many units. Nothing was taken."));
        }
        let Some(word) = bytes(word) else { return Err(bad("A word is hex. Nothing was taken.")) };
        match self.condition.kind() {
            Kind::HashChain => {
                let word =
                    B256::try_from(word.as_slice()).map_err(|_| bad("A word has 32 bytes. Nothing was taken."))?;
                let best = B256::from_slice(&self.best);
                // From whichever is nearer to the root to the other.
                let (mut from, to, steps) = match units.checked_sub(self.proved) {
                    Some(more) => (word, best, more),
                    None => (best, word, self.proved.saturating_sub(units)),
                };
                for _ in 0..steps {
                    from = keccak256(from);
                }
                if from != to {
                    return Err(bad("The word is not one of this stream. Nothing was taken."));
                }
                let more = units.saturating_sub(self.proved);
                if more > 0 {
                    self.best = Bytes::copy_from_slice(word.as_slice());
                }
                self.proved = self.proved.max(units);
                Ok(more)
            }
            _ => {
                let evidence = [units.to_be_bytes().as_slice(), &word].concat();
                self.condition.evaluate(&self.domain, self.expiry, &evidence)?;
                let more = units.saturating_sub(self.proved);
                if more > 0 {
                    self.best = word.into();
                }
                self.proved = self.proved.max(units);
                Ok(more)
            }
        }
    }

    /// Units that are proved.
    #[must_use]
    pub fn proved(&self) -> u32 {
        self.proved
    }

    /// What proves them to the hub.
    #[must_use]
    pub fn evidence(&self) -> String {
        match self.condition.kind() {
            Kind::HashChain => hex(chain_evidence(self.proved, B256::from_slice(&self.best))),
            _ => hex([self.proved.to_be_bytes().as_slice(), &self.best].concat()),
        }
    }
}
