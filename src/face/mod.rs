//! The exported functions. They check what JavaScript hands over, call the client, and turn what comes back into
//! plain objects. After a panic all of them refuse: the memory can't be trusted, and a reload reads the store again.

pub mod options;
pub mod values;

pub mod bench;
pub mod testing;
pub mod tools;

use crate::client::{Client, CloseRequest, DepositRequest, Filter, Notice, PayOptions, WithdrawRequest};
use crate::failure::{Failure, Result};
use crate::js::{array, freeze, frozen};
use crate::signal::Signal;
use crate::task::{Once, Work};
use crate::transport::terms::Terms;
use farthing_protocol::Code;
use js_sys::{Array, Function, Promise};
use options::Options;
use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use values::{DIRECTIONS, STATUSES, balance, info, notice, payment, payment_id};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{future_to_promise, spawn_local};

thread_local! {
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// Runs once, when the module is instantiated.
#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|panic| {
        PANICKED.set(true);
        crate::js::warn(&format!("farthing: a defect; please report it: {panic}"));
    }));
}

fn check_sound() -> Result<()> {
    if PANICKED.get() {
        return Err(Failure::new(Code::Internal, "The client stopped after a defect; reload to go on from the store."));
    }
    Ok(())
}

fn promise(work: impl Future<Output = Result<JsValue>> + 'static) -> Promise {
    boxed_promise(Box::pin(work))
}

fn guarded(signal: Signal, work: impl Future<Output = Result<JsValue>> + 'static) -> Promise {
    boxed_promise(Box::pin(signal.guard(Box::pin(work))))
}

#[inline(never)]
fn boxed_promise(work: Work<'static, JsValue>) -> Promise {
    future_to_promise(async move {
        check_sound()?;
        Ok(work.await?)
    })
}

/// Every stable code, as in `error.code`.
#[wasm_bindgen(js_name = errorCodes)]
#[must_use]
pub fn error_codes() -> Array {
    array(Code::ALL.iter().map(|code| code.as_str()))
}

/// The options of `connect`.
fn connect_options(options: JsValue) -> Result<(Options, Signal)> {
    let known = [
        "hub",
        "wallet",
        "rpc",
        "store",
        "challengePeriod",
        "confirmations",
        "pollInterval",
        "backup",
        "adopt",
        "dust",
        "watchtowers",
        "chainId",
        "contract",
        "onExitKit",
        "shared",
        "signal",
    ];
    let options = Options::new("connect", options, &known)?;
    options.flag("shared")?;
    let signal = options.signal()?;
    Ok((options, signal))
}

/// Checks the options of `connect` as it does, and gives the owner's address and the hub's URL: tabs with the same
/// ones share a wallet. Asks a wallet for nothing but its account.
#[wasm_bindgen(js_name = _identify)]
pub fn identify(options: JsValue, environment: JsValue) -> Promise {
    promise(async move {
        let (options, signal) = connect_options(options)?;
        let identity = async {
            let settings = options.settings(environment).await?;
            let address = settings.owner.address().to_string();
            Ok(frozen([("address", address.into()), ("hub", settings.hub.url().into())]))
        };
        signal.guard(Box::pin(identity)).await
    })
}

/// Connects to a hub. `tell` is called with each event.
#[wasm_bindgen]
pub fn connect(options: JsValue, environment: JsValue, tell: Function) -> Promise {
    promise(async move {
        let (options, signal) = connect_options(options)?;
        let tell = Rc::new(move |terms: &Terms, happened: Notice| {
            let _ = tell.call1(&JsValue::UNDEFINED, &notice(terms, happened));
        });
        let connected: Once<Result<Rc<Client>>> = Once::default();
        let done = connected.clone();
        spawn_local(async move {
            let settings = options.settings(environment).await;
            done.send(match settings {
                Ok(settings) => Client::connect(settings, tell).await,
                Err(failure) => Err(failure),
            });
        });
        let outcome = signal.guard(Box::pin(connected.wait())).await;
        if outcome.is_err() {
            // Whoever stopped waiting must not be left with a store that nobody closes.
            spawn_local(async move {
                if let Ok(client) = connected.wait().await {
                    client.disconnect().await;
                }
            });
        }
        Ok(Core { client: outcome? }.into())
    })
}

/// A connected client.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Core {
    client: Rc<Client>,
}

#[wasm_bindgen]
impl Core {
    /// Who and where it is.
    #[must_use]
    pub fn info(&self) -> JsValue {
        info(&self.client)
    }

    /// Deposits; resolves when the money can be spent.
    pub fn deposit(&self, options: JsValue) -> Result<Promise> {
        check_sound()?;
        let options = Options::new("deposit", options, &["asset", "amount", "signal", "onProgress"])?;
        let asset = options.asset("asset", &self.client.terms())?.asset;
        let amount = options.amount("amount")?;
        let (signal, progress) = (options.signal()?, Box::new(options.progress()?));
        let client = Rc::clone(&self.client);
        Ok(guarded(signal, async move {
            let hash = client.deposit(DepositRequest { asset, amount, progress }).await?;
            Ok(frozen([("hash", hash.into())]))
        }))
    }

    /// Pays; resolves when the payee has it, or when the hub holds it for a payee that is away.
    pub fn pay(&self, options: JsValue) -> Result<Promise> {
        check_sound()?;
        let known = ["to", "asset", "amount", "memo", "wait", "expiresIn", "signal", "id", "fresh"];
        let options = Options::new("pay", options, &known)?;
        let id = options.value("id");
        let request = PayOptions {
            to: options.required_address("to")?,
            asset: options.asset("asset", &self.client.terms())?.asset,
            amount: options.amount("amount")?,
            memo: options.text("memo")?.unwrap_or_default(),
            wait: options.flag("wait")?,
            expires_in: options.integer("expiresIn", 1)?,
            id: if id.is_undefined() { None } else { Some(payment_id(&id)?) },
            fresh: options.flag("fresh")?,
        };
        let signal = options.signal()?;
        let client = Rc::clone(&self.client);
        Ok(guarded(signal, async move {
            let receipt = client.pay(request).await?;
            Ok(payment(&client.terms(), &receipt))
        }))
    }

    /// Asks to have a payment back that the payee has not taken.
    pub fn cancel(&self, id: JsValue) -> Result<Promise> {
        check_sound()?;
        let id = payment_id(&id)?;
        let client = Rc::clone(&self.client);
        Ok(promise(async move {
            let ended = client.cancel(id).await?;
            Ok(payment(&client.terms(), &ended))
        }))
    }

    /// Withdraws; resolves when the money is on chain.
    pub fn withdraw(&self, options: JsValue) -> Result<Promise> {
        check_sound()?;
        let options = Options::new("withdraw", options, &["asset", "amount", "to", "relay", "signal", "onProgress"])?;
        let request = WithdrawRequest {
            asset: options.asset("asset", &self.client.terms())?.asset,
            amount: options.amount("amount")?,
            to: options.address("to")?,
            relay: options.flag("relay")?,
            progress: Box::new(options.progress()?),
        };
        let signal = options.signal()?;
        let client = Rc::clone(&self.client);
        Ok(guarded(signal, async move { client.withdraw(request).await.map(sent) }))
    }

    /// Closes the channel, or some assets of it; resolves when the money is on chain.
    pub fn close(&self, options: JsValue) -> Result<Promise> {
        check_sound()?;
        let options = Options::new("close", options, &["assets", "relay", "signal", "onProgress"])?;
        let assets = options.value("assets");
        let assets = match assets.dyn_ref::<Array>() {
            None if assets.is_undefined() => None,
            None => return crate::js::invalid("close(): assets must be an array of assets."),
            Some(names) => {
                let asset = |name: JsValue| {
                    self.client.terms().asset(&name.as_string().unwrap_or_default()).map(|terms| terms.asset)
                };
                Some(names.iter().map(asset).collect::<Result<_>>()?)
            }
        };
        let request = CloseRequest { assets, relay: options.flag("relay")?, progress: Box::new(options.progress()?) };
        let signal = options.signal()?;
        let client = Rc::clone(&self.client);
        Ok(guarded(signal, async move { client.close(request).await.map(sent) }))
    }

    /// Leaves without the hub; resolves when nothing is left in the contract.
    pub fn exit(&self, options: JsValue) -> Result<Promise> {
        check_sound()?;
        let options = Options::new("exit", options, &["signal", "onProgress"])?;
        let (signal, progress) = (options.signal()?, Box::new(options.exit_progress()?));
        let client = Rc::clone(&self.client);
        Ok(guarded(signal, async move {
            client.exit(progress).await?;
            Ok(JsValue::UNDEFINED)
        }))
    }

    /// What it takes to leave without hub, store and this package, as JSON.
    #[wasm_bindgen(js_name = exitKit)]
    pub fn exit_kit(&self) -> Result<String> {
        check_sound()?;
        Ok(self.client.exit_kit())
    }

    /// What there is of each asset that the hub lists.
    pub fn balances(&self) -> Result<JsValue> {
        check_sound()?;
        let balances = self.client.balances()?;
        let terms = self.client.terms();
        let balances = array(balances.iter().map(|found| balance(&terms, found)));
        Ok(freeze(balances.into()))
    }

    /// Payments, newest first.
    pub fn payments(&self, options: JsValue) -> Result<Promise> {
        check_sound()?;
        let options = Options::new("payments", options, &["asset", "direction", "status", "limit"])?;
        let asset = match options.text("asset")? {
            Some(name) => Some(self.client.terms().asset(&name)?.asset),
            None => None,
        };
        let limit = options.integer("limit", 1)?.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
        let filter = Filter {
            asset,
            direction: options.word("direction", &DIRECTIONS)?,
            status: options.word("status", &STATUSES)?,
            limit,
        };
        let client = Rc::clone(&self.client);
        Ok(promise(async move {
            let found = client.payments(filter).await?;
            let terms = client.terms();
            let found = array(found.iter().map(|found| payment(&terms, found)));
            Ok(freeze(found.into()))
        }))
    }

    /// Lets the hub, the timers and the store go.
    pub fn disconnect(&self) -> Promise {
        let client = Rc::clone(&self.client);
        promise(async move {
            client.disconnect().await;
            Ok(JsValue::UNDEFINED)
        })
    }
}

fn sent(hash: Option<String>) -> JsValue {
    frozen([("hash", hash.map_or(JsValue::UNDEFINED, Into::into))])
}
