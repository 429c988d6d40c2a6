//! The client of Farthing: adapters and a driver around [`farthing_protocol`], and a thin JavaScript face.
//!
//! No rule of the protocol lives here. `farthing_protocol::wallet::Wallet` decides everything; this crate stores
//! what it says must be durable, sends what it says may be sent, tells it what the hub and the chain say, and
//! turns JavaScript values into checked types at one edge, [`face`].
//!
//! | module | holds |
//! | --- | --- |
//! | [`face`] | the exported functions, options in, plain objects out |
//! | [`entrance`] | from options to a channel that is taken up, step by step |
//! | [`client`] | the driver: commit loop, payments, deposits, withdrawals |
//! | [`store`] | where state is kept: IndexedDB, memory, any JavaScript object |
//! | [`signer`] | a local key or an EIP-1193 wallet |
//! | [`chain`] | what the chain says, over the wallet's provider or an RPC URL |
//! | [`transport`] | the hub's JSON-RPC over WebSocket and HTTP |
//! | [`js`], [`global`], [`task`], [`signal`], [`small`], [`url`], [`failure`] | small tools that the others share |

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

#[cfg(all(target_arch = "wasm32", not(cpubits = "32")))]
compile_error!(
    "build with .cargo/config.toml of this repository: without 32-bit limbs every signature takes twice as long"
);

pub mod chain;
pub mod client;
pub mod entrance;
pub mod face;
pub mod failure;
pub mod global;
pub mod js;
pub mod signal;
pub mod signer;
pub mod small;
pub mod store;
pub mod task;
pub mod transport;
pub mod url;

#[cfg(target_family = "wasm")]
#[global_allocator]
static MEMORY: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();
