//! The same calls against the contract's bytecode: what goes through, what reverts, and every balance.

use crate::Judge;
use crate::chain::Action;
use crate::foe::{CHAIN_ID, DEPLOYER, EXTERNAL, START, keys, token};
use crate::world::{World, label};
use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{SolCall, SolConstructor, sol};
use farthing_protocol::abi::{IERC20, IFarthing};
use farthing_protocol::chain::AssetStatus;
use farthing_protocol::types::{ETH, Side};
use revm::context::TxEnv;
use revm::context::result::{ExecutionResult, Output};
use revm::database::{CacheDB, EmptyDB};
use revm::primitives::TxKind;
use revm::primitives::hardfork::SpecId;
use revm::state::{AccountInfo, Bytecode};
use revm::{Context, Database, ExecuteCommitEvm, MainBuilder, MainContext, MainnetEvm};
use std::path::Path;

sol! {
    function mint(address to, uint256 amount) external;
}

/// What everybody has at first.
const PURSE: u128 = 1 << 100;

/// `calldatasize == 32 ? sstore(0, calldataload(0)) : return(sload(0))`.
const EXTERNAL_CODE: [u8; 26] = [
    0x36, 0x60, 0x20, 0x14, 0x60, 0x12, 0x57, 0x60, 0x00, 0x54, 0x60, 0x00, 0x52, 0x60, 0x20, 0x60, 0x00, 0xf3, 0x5b,
    0x60, 0x00, 0x35, 0x60, 0x00, 0x55, 0x00,
];

/// A chain on which the contract, and if it was built the token, have been deployed.
#[derive(Clone, Debug)]
pub struct Code {
    db: CacheDB<EmptyDB>,
    pub has_token: bool,
}

type Evm = MainnetEvm<Context<revm::context::BlockEnv, TxEnv, revm::context::CfgEnv, CacheDB<EmptyDB>>>;

/// What a build left of it: in the folder of `FARTHING_ARTIFACTS`, where that is set, and otherwise where builds put it.
fn artifact(name: &str) -> Option<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2)?;
    let places = match std::env::var_os("FARTHING_ARTIFACTS") {
        Some(folder) => vec![Path::new(&folder).join(format!("{name}.json"))],
        None => vec![
            root.join(format!("contracts/out/{name}.sol/{name}.json")),
            root.join(format!("target/contracts/{name}.json")),
        ],
    };
    let text = places.iter().find_map(|path| std::fs::read_to_string(path).ok())?;
    let json: serde_json::Value = serde_json::from_str(&text).ok()?;
    let code = json["bytecode"]["object"].as_str().or(json["bytecode"].as_str())?;
    alloy_primitives::hex::decode(code).ok()
}

impl Code {
    /// Deploys the contract from where its build left it.
    pub fn load() -> Result<Self, String> {
        let missing = "the contract is not built: run `cargo xtask contracts`, or `npm ci --ignore-scripts && npm run build` in contracts/";
        let mut code = artifact("Farthing").ok_or(missing)?;
        code.extend(
            IFarthing::constructorCall {
                minChallengePeriod: 60,
                maxChallengePeriod: 1_000_000,
                caps: Vec::new(),
                defaultCap: u128::MAX,
            }
            .abi_encode(),
        );
        let mut db = CacheDB::new(EmptyDB::default());
        let purse = AccountInfo { balance: U256::from(PURSE), ..AccountInfo::default() };
        for owner in owners() {
            db.insert_account_info(owner, purse.clone());
        }
        let external = Bytecode::new_raw(Bytes::from_static(&EXTERNAL_CODE));
        db.insert_account_info(
            EXTERNAL,
            AccountInfo { code_hash: external.hash_slow(), code: Some(external), ..AccountInfo::default() },
        );
        let mut evm = evm(db);
        let contract = deploy(&mut evm, code.into(), 0)?;
        if contract != keys().domain.contract() {
            return Err(format!("the contract went to {contract}"));
        }
        let mut has_token = false;
        if let Some(code) = artifact("TestDai") {
            has_token = deploy(&mut evm, code.into(), 1)? == token();
            for owner in owners() {
                call(
                    &mut evm,
                    owner,
                    token(),
                    mintCall { to: owner, amount: U256::from(PURSE) }.abi_encode().into(),
                    U256::ZERO,
                )?;
                let approve = IERC20::approveCall { spender: contract, amount: U256::MAX };
                call(&mut evm, owner, token(), approve.abi_encode().into(), U256::ZERO)?;
            }
        }
        Ok(Self { db: evm.ctx.journaled_state.database.clone(), has_token })
    }
}

fn owners() -> Vec<Address> {
    let mut owners: Vec<Address> = keys().foes.iter().map(|key| key.address()).collect();
    owners.push(keys().honest_owner);
    owners
}

fn evm(db: CacheDB<EmptyDB>) -> Evm {
    Context::mainnet()
        .with_db(db)
        .modify_cfg_chained(|cfg| {
            cfg.set_spec_and_mainnet_gas_params(SpecId::CANCUN);
            cfg.chain_id = CHAIN_ID;
            cfg.disable_nonce_check = true;
        })
        .modify_block_chained(|block| {
            block.timestamp = U256::from(START);
            block.gas_limit = u64::MAX;
        })
        .build_mainnet()
}

fn transact(
    evm: &mut Evm,
    from: Address,
    kind: TxKind,
    data: Bytes,
    value: U256,
    nonce: u64,
) -> Result<ExecutionResult, String> {
    let tx = TxEnv {
        caller: from,
        gas_limit: 12_000_000,
        gas_price: 0,
        kind,
        value,
        data,
        nonce,
        chain_id: Some(CHAIN_ID),
        ..TxEnv::default()
    };
    evm.transact_commit(tx).map_err(|error| format!("{error:?}"))
}

fn deploy(evm: &mut Evm, code: Bytes, nonce: u64) -> Result<Address, String> {
    match transact(evm, DEPLOYER, TxKind::Create, code, U256::ZERO, nonce)? {
        ExecutionResult::Success { output: Output::Create(_, Some(address)), .. } => Ok(address),
        other => Err(format!("deployment: {other:?}")),
    }
}

fn call(evm: &mut Evm, from: Address, to: Address, data: Bytes, value: U256) -> Result<Option<Bytes>, String> {
    match transact(evm, from, TxKind::Call(to), data, value, 0)? {
        ExecutionResult::Success { output, .. } => Ok(Some(output.into_data())),
        ExecutionResult::Revert { .. } => Ok(None),
        ExecutionResult::Halt { reason, .. } => Err(format!("halted: {reason:?}")),
    }
}

fn view<C: SolCall>(evm: &mut Evm, to: Address, question: &C) -> Result<C::Return, String> {
    let answer = call(evm, DEPLOYER, to, question.abi_encode().into(), U256::ZERO)?.ok_or("a view reverts")?;
    C::abi_decode_returns(&answer).map_err(|error| format!("{error}"))
}

fn balance(evm: &mut Evm, account: Address) -> U256 {
    evm.ctx.journaled_state.database.basic(account).ok().flatten().map(|info| info.balance).unwrap_or_default()
}

impl Judge for Code {
    fn differs(&self, world: &World) -> Result<(), String> {
        replay(self, world)
    }
}

/// Replays a schedule's transactions; an error says where contract and model differ.
fn replay(code: &Code, world: &World) -> Result<(), String> {
    if world.assets.len() > 1 && !code.has_token {
        return Ok(());
    }
    let contract = keys().domain.contract();
    let mut evm = evm(code.db.clone());
    for (index, tx) in world.chain.txs.iter().enumerate() {
        evm.ctx.block.number = U256::from(tx.block);
        evm.ctx.block.timestamp = U256::from(tx.time);
        let (to, data, value) = match &tx.action {
            Action::SetExternal(units) => (EXTERNAL, U256::from(*units).to_be_bytes_vec().into(), U256::ZERO),
            Action::Call(call) => (contract, call.calldata(|def| def.id(CHAIN_ID, contract)), call.value()),
        };
        let done = call(&mut evm, tx.from, to, data, value)?.is_some();
        if done != tx.outcome.is_ok() {
            let name = label(&tx.action);
            return Err(format!("transaction {index}, {name}: {done} on chain, {:?} in the model", tx.outcome));
        }
    }
    let model = &world.chain.contract;
    for owner in owners() {
        let expected = (PURSE as i128 + model.account(owner, ETH)) as u128;
        let has = balance(&mut evm, owner);
        if has != U256::from(expected) {
            return Err(format!("{owner} has {has} wei, and {expected} in the model"));
        }
        if world.assets.len() > 1 {
            let has = view(&mut evm, token(), &IERC20::balanceOfCall { owner })?;
            let expected = (PURSE as i128 + model.account(owner, token())) as u128;
            if has != U256::from(expected) {
                return Err(format!("{owner} has {has} tokens, and {expected} in the model"));
            }
        }
    }
    for ((id, asset), record) in &model.records {
        let state = view(&mut evm, contract, &IFarthing::assetStateCall { channelId: id.0, asset: *asset })?;
        let ours = (record.deposits.a, record.deposits.b, record.withdrawn.a, record.withdrawn.b);
        let status = AssetStatus::from_index(state.status);
        if (state.depositA, state.depositB, state.withdrawnA, state.withdrawnB) != ours || status != record.status {
            return Err(format!("the state of {id}: {state:?}, and {record:?} in the model"));
        }
        for side in Side::BOTH {
            let question = IFarthing::laneStateCall { channelId: id.0, asset: *asset, payer: side.index() };
            let lane = view(&mut evm, contract, &question)?;
            let ours = record.lanes.of(side);
            let same = lane.nonce == ours.nonce
                && lane.acknowledged == ours.acknowledged
                && lane.transferred == ours.transferred
                && lane.locked == ours.locked;
            if !same {
                return Err(format!("a lane of {id}: {lane:?}, and {ours:?} in the model"));
            }
            for (slot, (units, returned)) in &ours.claims {
                let payer = side.index();
                let question = IFarthing::claimedCall { channelId: id.0, asset: *asset, payer, slot: *slot };
                let claimed = view(&mut evm, contract, &question)?;
                if (claimed.units, claimed.returned) != (*units, *returned) {
                    return Err(format!("what was claimed of slot {slot} of {id} differs: {ours:?} in the model"));
                }
            }
        }
        if record.status == AssetStatus::Settled {
            let nets = view(&mut evm, contract, &IFarthing::netOfCall { channelId: id.0, asset: *asset })?;
            let ours = (record.net.a.to_string(), record.net.b.to_string(), U256::from(record.left));
            if (nets.netA.to_string(), nets.netB.to_string(), nets.left) != ours {
                return Err(format!("what {id} still owes differs: {:?}", ours));
            }
        }
    }
    for (key, units) in &model.units {
        let known = view(&mut evm, contract, &IFarthing::unitsOfCall { key: key.0 })?;
        if known != *units {
            return Err(format!("units of {key:?}: {known}, and {units} in the model"));
        }
    }
    Ok(())
}
