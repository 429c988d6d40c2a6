//! The exported functions. They check what JavaScript hands over, call the client, and turn what comes back into
//! plain objects. After a panic all of them refuse: the memory can't be trusted, and a reload reads the store again.

pub mod inspect;
pub mod options;
pub mod requests;
pub mod streams;
pub mod values;

pub mod bench;
pub mod testing;
pub mod tools;

use crate::chain::rpc::Rpc;
use crate::client::{Attempt, Client, CloseRequest, CollectRequest, DepositRequest, Notice, WithdrawRequest};
use crate::entrance::Settings;
use crate::failure::{Failure, Result};
use crate::js::array;
use crate::signal::{Patience, Standing, Stop};
use crate::signer::Owner;
use crate::task::{Either, Once, Work, race, sleep};
use crate::transport::Hub;
use crate::transport::terms::Terms;
use farthing_protocol::types::Asset;
use farthing_protocol::{Amount, Code};
use js_sys::{Array, Function, Promise};
use options::read;
use requests::{asset, deposit_progress, exit_progress, patience, progress};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use values::{Fee, Identity, Sent, balances, info, notice, payment, payment_id, payments, present};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{future_to_promise, spawn_local};

/// How long a call is waited for where the caller does not say, in milliseconds: one that asks people and the chain, one
/// that asks the hub, and one that asks the store.
const CHAIN: u64 = 3_600_000;
const HUB: u64 = 60_000;
const STORE: u64 = 60_000;

/// And `connect`: a person may be asked four times, and takes at most ten minutes each time.
const CONNECT: u64 = 2_700_000;

/// How long a `connect` that is not waited for may take to let its store go before that is told, in milliseconds.
const LETTING_GO: u32 = 1_000;

thread_local! {
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// Runs once, when the module is instantiated.
#[wasm_bindgen(start)]
fn start() {
    std::panic::set_hook(Box::new(|panic| {
        PANICKED.set(true);
        crate::js::defect(&format!("A defect; please report it: {panic}"));
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

fn guarded(
    client: &Rc<Client>,
    patience: Patience,
    known: Standing,
    work: impl Future<Output = Result<JsValue>> + 'static,
) -> Promise {
    let (client, at_end, work): (_, _, Work<'_, JsValue>) = (Rc::clone(client), known.clone(), Box::pin(work));
    let work = Box::pin(async move {
        match work.await {
            Err(failure) if failure.code() == Code::ClientClosed => Err(at_end.ended(Code::ClientClosed)),
            Err(failure) => match client.certain(failure).await {
                // What was signed before the store failed goes its way.
                failure if failure.code() == Code::StorageFailed && at_end.is_sent() => {
                    let said = format!("The store failed, so the client has stopped. {}", at_end.said());
                    Err(failure.seen_as(Code::Unanswered).instead(said))
                }
                failure => Err(failure),
            },
            done => done,
        }
    });
    boxed_promise(Box::pin(patience.guard(work, Box::new(move |stop| stop.told(&known)))))
}

#[inline(never)]
fn boxed_promise(work: Work<'static, JsValue>) -> Promise {
    future_to_promise(async move {
        check_sound()?;
        Ok(work.await?)
    })
}

/// Runs once, before anything else: what objects with amounts have as `toJSON`, and who is told of defects.
#[wasm_bindgen(js_name = _jsonWith)]
pub fn json_with(to_json: Function, defect: Function) {
    crate::js::json_with(to_json);
    crate::js::tell_defects(defect);
}

/// The package's version.
#[wasm_bindgen(js_name = _version)]
#[must_use]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// Every stable code, as in `error.code`.
#[wasm_bindgen(js_name = errorCodes)]
#[must_use]
pub fn error_codes() -> Array {
    array(Code::ALL.iter().map(|code| code.as_str()))
}

/// Checks the options of `connect` as it does, and gives the owner's address and the hub's URL: tabs with the same
/// ones share a wallet. Asks a wallet for nothing but its account.
#[wasm_bindgen(js_name = _identify)]
pub fn identify(options: JsValue, environment: JsValue) -> Promise {
    promise(async move {
        let options: requests::Connect = read("connect", options)?;
        let patience = options.patience(CONNECT)?;
        let identity = async {
            let settings = options.settings(environment).await?;
            Ok(present(&Identity { address: settings.owner.address().to_string(), hub: settings.hub.url() }))
        };
        let known = Standing::waiting_for(Code::WalletUnavailable);
        patience.guard(Box::pin(identity), Box::new(|stop| stop.told(&known))).await
    })
}

/// Connects to a hub. `tell` is called with each event.
#[wasm_bindgen]
pub fn connect(options: JsValue, environment: JsValue, tell: Function) -> Promise {
    promise(async move {
        let options: requests::Connect = read("connect", options)?;
        let patience = options.patience(CONNECT)?;
        let tell = Rc::new(move |terms: &Terms, happened: Notice, credit: &dyn Fn(Asset) -> Option<Amount>| {
            let _ = tell.call1(&JsValue::UNDEFINED, &notice(terms, &happened, credit));
        });
        let connected: Once<Result<Rc<Client>>> = Once::default();
        let (done, enough) = (connected.clone(), Once::<()>::default());
        let stop = enough.clone();
        // While there are no settings, it is the wallet that is asked for its account.
        let known = Standing::waiting_for(Code::WalletUnavailable);
        let asked: Rc<RefCell<Option<Asked>>> = Rc::default();
        let (known_of, asking) = (known.clone(), Rc::clone(&asked));
        spawn_local(async move {
            let settings = match race(options.settings(environment), stop.wait()).await {
                Either::First(settings) => settings,
                Either::Second(()) => Err(Code::Aborted.into()),
            };
            done.send(match settings {
                Ok(settings) => {
                    asking.replace(Some(Asked::of(&settings)));
                    Client::connect(settings, tell, stop).await
                }
                Err(failure) => Err(failure),
            });
        });
        let stopped = |stop: Stop| {
            if let Some(asked) = &*asked.borrow() {
                known_of.waits_for(asked.silent());
            }
            stop.told(&known_of)
        };
        let outcome = patience.guard(Box::pin(connected.wait()), Box::new(stopped)).await;
        if outcome.is_err() {
            // Whoever stopped waiting must not be left with a store that nobody closes.
            enough.send(());
            let let_go = async {
                if let Ok(client) = connected.wait().await {
                    client.disconnect().await;
                }
            };
            let _ = race(let_go, sleep(LETTING_GO)).await;
        }
        Ok(Core { client: outcome? }.into())
    })
}

/// Whom `connect` asks.
struct Asked {
    hub: Rc<Hub>,
    rpc: Rpc,
    owner: Owner,
}

impl Asked {
    fn of(settings: &Settings) -> Self {
        Self { hub: Rc::clone(&settings.hub), rpc: settings.rpc.clone(), owner: settings.owner.clone() }
    }

    /// The code of who has not answered.
    fn silent(&self) -> Code {
        match &self.owner {
            Owner::Wallet { provider, .. } if provider.is_asked() => Code::WalletUnavailable,
            _ if self.hub.is_asked() => Code::NotConnected,
            _ if self.rpc.is_asked() => Code::ChainUnavailable,
            _ => Code::NotConnected,
        }
    }
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
        let options: requests::Deposit = read("deposit", options)?;
        let asset = asset(&options.asset, &self.client.terms())?.asset;
        let fee = Rc::new(Cell::new(None));
        let told = Rc::clone(&fee);
        let gas = options.gas(move |fee| told.set(Some(fee)))?;
        let (amount, progress) = (options.amount.0, Box::new(deposit_progress(options.on_progress, Rc::clone(&fee))));
        let patience = patience(options.signal, options.timeout, CHAIN)?;
        let client = Rc::clone(&self.client);
        let known = Standing::waiting_for(Code::ChainUnavailable);
        Ok(guarded(&self.client, patience, known.clone(), async move {
            let hash = client.deposit(DepositRequest { asset, amount, gas, progress }, &known).await?;
            Ok(present(&Sent { hash: Some(hash), fee: fee.get().map(Amount::units) }))
        }))
    }

    /// What the hub takes for sending a deposit; `null` if it sends none of this asset.
    #[wasm_bindgen(js_name = depositFee)]
    pub fn deposit_fee(&self, options: JsValue) -> Result<Promise> {
        check_sound()?;
        let options: requests::DepositFee = read("depositFee", options)?;
        let asset = asset(&options.asset, &self.client.terms())?.asset;
        let patience = patience(options.signal, options.timeout, HUB)?;
        let client = Rc::clone(&self.client);
        let known = Standing::waiting_for(Code::NotConnected);
        Ok(guarded(&self.client, patience, known, async move {
            let fee = client.deposit_fee(asset).await?;
            Ok(fee.map_or(JsValue::NULL, |fee| {
                present(&Fee { fee: fee.fee.units(), token: fee.token.to_string(), how: fee.how })
            }))
        }))
    }

    /// Pays; resolves when the payee has it, or when the hub holds it for a payee that is away.
    pub fn pay(&self, options: JsValue) -> Result<Promise> {
        check_sound()?;
        let options: requests::Pay = read("pay", options)?;
        let request = options.request(&self.client.terms())?;
        let patience = patience(options.signal, options.timeout, self.client.patience(&request))?;
        let client = Rc::clone(&self.client);
        let attempt = Rc::new(Attempt::default());
        let (paying, begun) = (Rc::clone(&self.client), Rc::clone(&attempt));
        let work = async move {
            let receipt = paying.pay(request, &begun).await?;
            Ok(payment(&paying.terms(), &receipt))
        };
        let stopped = move |stop| client.give_up(&attempt, stop);
        Ok(boxed_promise(Box::pin(patience.guard(Box::pin(work), Box::new(stopped)))))
    }

    /// Asks to have a payment back that the payee has not taken.
    pub fn cancel(&self, options: JsValue) -> Result<Promise> {
        check_sound()?;
        let options: requests::Cancel = read("cancel", options)?;
        let id = payment_id(&options.id.0)?;
        let (patience, known) =
            (patience(options.signal, options.timeout, HUB)?, Standing::waiting_for(Code::NotConnected));
        let client = Rc::clone(&self.client);
        Ok(guarded(&self.client, patience, known.clone(), async move {
            let ended = client.cancel(id, &known).await?;
            Ok(payment(&client.terms(), &ended))
        }))
    }

    /// Withdraws; resolves when the money is on chain.
    pub fn withdraw(&self, options: JsValue) -> Result<Promise> {
        check_sound()?;
        let options: requests::Withdraw = read("withdraw", options)?;
        let request = WithdrawRequest {
            asset: asset(&options.asset, &self.client.terms())?.asset,
            amount: options.amount.0,
            to: options.to.map(|to| to.0),
            relay: options.relay.0,
            progress: Box::new(progress(options.on_progress)),
        };
        let patience = patience(options.signal, options.timeout, CHAIN)?;
        let known = Standing::waiting_for(Code::NotConnected);
        let client = Rc::clone(&self.client);
        Ok(guarded(
            &self.client,
            patience,
            known.clone(),
            async move { client.withdraw(request, &known).await.map(sent) },
        ))
    }

    /// Closes the channel, or some assets of it; resolves when the money is on chain.
    pub fn close(&self, options: JsValue) -> Result<Promise> {
        check_sound()?;
        let options: requests::Close = read("close", options)?;
        let request = CloseRequest {
            assets: options.assets(&self.client.terms())?,
            relay: options.relay.0,
            progress: Box::new(progress(options.on_progress)),
        };
        let patience = patience(options.signal, options.timeout, CHAIN)?;
        let known = Standing::waiting_for(Code::NotConnected);
        let client = Rc::clone(&self.client);
        Ok(guarded(&self.client, patience, known.clone(), async move { client.close(request, &known).await.map(sent) }))
    }

    /// Fetches what the contract keeps for the owner since it could not be paid out.
    #[wasm_bindgen(js_name = collectCredit)]
    pub fn collect_credit(&self, options: JsValue) -> Result<Promise> {
        check_sound()?;
        let options: requests::CollectCredit = read("collectCredit", options)?;
        let request = CollectRequest {
            asset: options.asset(&self.client.terms())?,
            to: options.to.map(|to| to.0),
            progress: Box::new(progress(options.on_progress)),
        };
        let patience = patience(options.signal, options.timeout, CHAIN)?;
        let known = Standing::waiting_for(Code::ChainUnavailable);
        let client = Rc::clone(&self.client);
        Ok(guarded(&self.client, patience, known.clone(), async move {
            client.collect_credit(request, &known).await.map(Some).map(sent)
        }))
    }

    /// Leaves without the hub; resolves when nothing is left in the contract.
    pub fn exit(&self, options: JsValue) -> Result<Promise> {
        check_sound()?;
        let options: requests::Exit = read("exit", options)?;
        let progress = Box::new(exit_progress(options.on_progress));
        let patience = patience(options.signal, options.timeout, self.client.exit_patience())?;
        let client = Rc::clone(&self.client);
        let known = Standing::waiting_for(Code::ChainUnavailable);
        Ok(guarded(&self.client, patience, known.clone(), async move {
            client.exit(progress, &known).await?;
            Ok(JsValue::UNDEFINED)
        }))
    }

    /// What it takes to leave without hub, store and this package, as JSON.
    #[wasm_bindgen(js_name = exitKit)]
    pub fn exit_kit(&self) -> Result<String> {
        check_sound()?;
        Ok(self.client.exit_kit())
    }

    /// The key that signs payments, where it is not the wallet's own.
    #[wasm_bindgen(js_name = sessionKey)]
    pub fn session_key(&self) -> Result<String> {
        check_sound()?;
        self.client.session_key()
    }

    /// What there is of each asset that the hub lists.
    pub fn balances(&self) -> Result<Promise> {
        check_sound()?;
        let client = Rc::clone(&self.client);
        Ok(promise(async move {
            client.credits_asked().await;
            Ok(balances(&client.terms(), &client.balances()?, |asset| client.credit(asset)))
        }))
    }

    /// The same at once, as far as it is known, whatever has failed.
    #[wasm_bindgen(js_name = balancesNow)]
    #[must_use]
    pub fn balances_now(&self) -> JsValue {
        balances(&self.client.terms(), &self.client.last_balances(), |asset| self.client.credit(asset))
    }

    /// For bug reports: where it stands, without secrets, whatever has failed.
    #[must_use]
    pub fn standing(&self) -> JsValue {
        inspect::engine(&self.client)
    }

    /// Payments, newest first.
    pub fn payments(&self, options: JsValue) -> Result<Promise> {
        check_sound()?;
        let options: requests::Payments = read("payments", options)?;
        let filter = options.filter(&self.client.terms())?;
        let patience = patience(options.signal, options.timeout, STORE)?;
        let known = Standing::waiting_for(Code::StorageFailed);
        let client = Rc::clone(&self.client);
        Ok(guarded(&self.client, patience, known, async move {
            let found = client.payments(filter).await?;
            Ok(payments(&client.terms(), &found))
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
    present(&Sent { hash, fee: None })
}
