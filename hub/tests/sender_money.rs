//! The sender under attack: what it can't pay for, what protects money, and what a transaction may cost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test"
)]

mod support;

use alloy_primitives::{Address, U256, hex};
use alloy_sol_types::{SolCall, SolValue};
use farthing_hub::chain::Outcome;
use farthing_hub::chain::{GasPolicy, Placed};
use farthing_hub::store::{Status, Store};
use farthing_protocol::abi::IERC20;
use farthing_protocol::{Amount, ETH};
use serde_json::json;
use std::time::Duration;
use support::proxy::Proxy;
use support::sending::{Sending, number, spending};
use support::tower::units;
use support::{Chain, eth, until};

const ETHER: u128 = 1_000_000_000_000_000_000;
const GWEI: u128 = 1_000_000_000;

/// A token with USDT's rule: `approve` needs the value or the old allowance to be zero, and returns nothing. Compiled
/// from: mappings `balanceOf` and `allowance`; `mint`, `transfer` and `transferFrom` without a return value; and
/// `approve` with `require(amount == 0 || allowance[msg.sender][spender] == 0)`.
const USDT_LIKE: &str = "6080604052348015600e575f5ffd5b506103878061001c5f395ff3fe608060405234801561000f575f5ffd5b5060043610610060575f3560e01c8063095ea7b31461006457806323b872dd1461007957806340c10f191461008c57806370a082311461009f578063a9059cbb146100d0578063dd62ed3e146100e3575b5f5ffd5b610077610072366004610294565b61010d565b005b6100776100873660046102bc565b61016b565b61007761009a366004610294565b6101ff565b6100be6100ad3660046102f6565b5f6020819052908152604090205481565b60405190815260200160405180910390f35b6100776100de366004610294565b61022f565b6100be6100f1366004610316565b600160209081525f928352604080842090915290825290205481565b80158061013a5750335f9081526001602090815260408083206001600160a01b0386168452909152902054155b610142575f5ffd5b335f9081526001602090815260408083206001600160a01b039590951683529390529190912055565b6001600160a01b0383165f9081526001602090815260408083203384529091528120805483929061019d90849061035b565b90915550506001600160a01b0383165f90815260208190526040812080548392906101c990849061035b565b90915550506001600160a01b0382165f90815260208190526040812080548392906101f5908490610374565b9091555050505050565b6001600160a01b0382165f9081526020819052604081208054839290610226908490610374565b90915550505050565b335f908152602081905260408120805483929061024d90849061035b565b90915550506001600160a01b0382165f9081526020819052604081208054839290610226908490610374565b80356001600160a01b038116811461028f575f5ffd5b919050565b5f5f604083850312156102a5575f5ffd5b6102ae83610279565b946020939093013593505050565b5f5f5f606084860312156102ce575f5ffd5b6102d784610279565b92506102e560208501610279565b929592945050506040919091013590565b5f60208284031215610306575f5ffd5b61030f82610279565b9392505050565b5f5f60408385031215610327575f5ffd5b61033083610279565b915061033e60208401610279565b90509250929050565b634e487b7160e01b5f52601160045260245ffd5b8181038181111561036e5761036e610347565b92915050565b8082018082111561036e5761036e61034756";

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_paid_takes_no_nonce_holds_up_nobody_and_leaves_the_reserve() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let sending = Sending::start(&chain, folder.path(), GasPolicy { reserve: U256::from(ETHER), ..spending() }).await;
    sending.set_balance(5 * ETHER).await;
    // All that there is but a little: signed and sent, it could never be mined, and nothing after it.
    let greedy = sending.fund("greedy", 1, ETH, Amount::new(5 * ETHER - 1_000));
    let reserve = sending.fund("reserve", 2, ETH, eth(4_500));
    let modest = sending.fund("modest", 3, ETH, eth(1_000));
    let (evidence, key) = sending.evidence(1, eth(1_000)).await;
    for order in [greedy, reserve, modest, evidence] {
        assert_eq!(sending.orders.place(order), Placed::Queued);
    }
    sending.look().await;
    assert_eq!(sending.ends("modest").await, Outcome::Mined);
    assert_eq!(sending.ends("evidence/1").await, Outcome::Mined);
    assert!(units(&chain, key.0).await > 0);
    assert_eq!(sending.status("greedy").await, Some(Status::Queued));
    assert_eq!(sending.status("reserve").await, Some(Status::Queued), "it would use the reserve");
    assert_eq!(chain.rpc.nonce(sending.owner()).await.unwrap(), 2);
    assert!(!sending.health.report().gas.unwrap().low);

    // What protects money may use the reserve.
    sending.set_balance(ETHER / 100).await;
    sending.orders.place(sending.evidence(2, eth(1_000)).await.0);
    assert_eq!(sending.ends("evidence/2").await, Outcome::Mined);
    let report = sending.health.report();
    assert!(!report.ready && report.gas.unwrap().low && report.reasons == ["gas low"], "{report:?}");

    sending.set_balance(20 * ETHER).await;
    assert_eq!(sending.ends("greedy").await, Outcome::Mined);
    assert_eq!(sending.ends("reserve").await, Outcome::Mined);
    until("it is ready", || async { sending.health.report().ready.then_some(()) }).await;
    sending.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_protects_money_takes_the_nonce_of_what_does_not_if_both_can_not_be_paid() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let sending = Sending::start(&chain, folder.path(), spending()).await;
    sending.automine(false).await;
    sending.orders.place(sending.fund("fund", 1, ETH, eth(3_000)));
    sending.look().await;
    sending.is_sent("fund").await;
    // Money leaves the account, so that the deposit can be paid, but nothing beside it.
    let cost = {
        let sent = until("it is in the pool", || async { sending.pool().await.pop() }).await;
        3 * ETHER + number(&sent["gas"]) * number(&sent["maxFeePerGas"])
    };
    sending.set_balance(cost + 1_000).await;
    let (evidence, key) = sending.evidence(1, eth(2_000)).await;
    sending.orders.place(evidence);
    sending.is_sent("evidence/1").await;
    let pool = until("it is replaced", || async {
        let pool = sending.pool().await;
        (pool.len() == 1 && number(&pool[0]["value"]) == 0).then_some(pool)
    })
    .await;
    assert_eq!(number(&pool[0]["nonce"]), 0, "in its place");
    assert_eq!(sending.status("fund").await, Some(Status::Sent), "until the other is final, it may still be mined");
    assert_eq!(sending.ends("evidence/1").await, Outcome::Mined);
    assert!(units(&chain, key.0).await > 0);
    sending
        .mined("it waits again", || async { (sending.status("fund").await == Some(Status::Queued)).then_some(()) })
        .await;
    assert!(sending.heard("fund").is_empty(), "it did not fail");
    sending.set_balance(10 * ETHER).await;
    assert_eq!(sending.ends("fund").await, Outcome::Mined);
    assert_eq!(sending.funded(1, ETH).await, 3 * ETHER, "once");
    sending.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_little_money_the_most_valuable_is_protected_and_nothing_else_is_paid() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let sending = Sending::start(&chain, folder.path(), spending()).await;
    // About 40,000 gas for each piece of evidence, at no more than 2 gwei and a bit: enough for ten of fifty.
    sending.set_balance(1_200_000_000_000_000).await;
    for piece in 0..50 {
        let amount = if piece == 33 { eth(900) } else { eth(1) };
        sending.orders.place(sending.evidence(piece, amount).await.0);
    }
    sending.look().await;
    sending.is_sent("evidence/33").await;
    sending.orders.place(sending.fund("fund", 1, ETH, Amount::new(1)));
    until("it is taken", || async { sending.status("fund").await }).await;
    assert_eq!(sending.ends("evidence/33").await, Outcome::Mined);
    assert_eq!(sending.status("fund").await, Some(Status::Queued), "while something that protects money waits");
    sending.set_balance(ETHER).await;
    assert_eq!(sending.ends("fund").await, Outcome::Mined);
    for piece in 0..50 {
        assert_eq!(sending.ends(&format!("evidence/{piece}")).await, Outcome::Mined);
    }
    sending.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nonce_that_can_not_be_paid_any_more_is_cancelled_and_its_order_waits() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let sending = Sending::start(&chain, folder.path(), spending()).await;
    sending.automine(false).await;
    sending.orders.place(sending.fund("large", 1, ETH, eth(3_000)));
    sending.look().await;
    sending.is_sent("large").await;
    sending.orders.place(sending.fund("small", 2, ETH, eth(500)));
    sending.is_sent("small").await;
    sending.set_balance(ETHER).await;
    sending.look().await;
    assert_eq!(sending.ends("small").await, Outcome::Mined, "what came after it goes on");
    sending
        .mined("it waits again", || async { (sending.status("large").await == Some(Status::Queued)).then_some(()) })
        .await;
    sending.set_balance(10 * ETHER).await;
    assert_eq!(sending.ends("large").await, Outcome::Mined);
    assert_eq!((sending.funded(1, ETH).await, sending.funded(2, ETH).await), (3 * ETHER, ETHER / 2));
    sending.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_the_node_never_takes_gives_its_nonce_away() {
    for words in ["exceeds block gas limit", "txpool is full", "something that no other node says"] {
        let folder = tempfile::tempdir().unwrap();
        let chain = Chain::start().await;
        let (proxy, url) = Proxy::start(&chain.url, Duration::ZERO).await;
        let sending = Sending::through(&chain, &url, folder.path(), spending()).await;
        proxy.refuse("eth_sendRawTransaction", Some(words));
        sending.orders.place(sending.fund("fund", 1, ETH, eth(1_000)));
        sending.look().await;
        sending.is_sent("fund").await;
        sending
            .mined("its nonce has another use", || async {
                (sending.store.open_transactions().await.unwrap().len() > 1).then_some(())
            })
            .await;
        proxy.refuse("eth_sendRawTransaction", None);
        assert_eq!(sending.ends("fund").await, Outcome::Mined, "{words}");
        assert_eq!(sending.funded(1, ETH).await, ETHER, "once");
        sending.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fees_rise_only_while_blocks_come_and_never_above_the_cap() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let gas = GasPolicy { max_fee: 20 * GWEI, max_priority_fee: 2 * GWEI, ..spending() };
    let sending = Sending::start(&chain, folder.path(), gas).await;
    sending.automine(false).await;
    sending.orders.place(sending.fund("fund", 1, ETH, eth(1_000)));
    sending.look().await;
    sending.is_sent("fund").await;
    let attempts = async || {
        let open = sending.store.open_transactions().await.unwrap();
        open.iter().flat_map(|used| used.attempts.clone()).collect::<Vec<_>>()
    };
    // No block: however often it looks, there is nothing to be passed by.
    for number in 0..20 {
        sending.orders.place(sending.fund(&format!("other {number}"), 2, ETH, eth(1)));
        sending.look().await;
        until("it was at work", || async { (sending.status(&format!("other {number}")).await).map(drop) }).await;
    }
    let of_first = async |nonce: u64| {
        let open = sending.store.open_transactions().await.unwrap();
        open.iter().filter(|used| used.nonce == nonce).flat_map(|used| used.attempts.clone()).collect::<Vec<_>>()
    };
    assert_eq!(of_first(0).await.len(), 1);

    // Blocks pass by, since they cost more than it pays.
    let mut highest = 0;
    for _ in 0..60 {
        chain.ask("anvil_setNextBlockBaseFeePerGas", json!([U256::from(500 * GWEI)])).await;
        sending.step().await;
        let newest = chain.rpc.latest().await.unwrap().number;
        until("it has looked", || async { (sending.health.report().head == Some(newest)).then_some(()) }).await;
        let most = attempts().await.iter().map(|attempt| (attempt.max_fee, attempt.priority_fee)).max().unwrap();
        assert!(most.0 <= 20 * GWEI && most.1 <= 2 * GWEI, "{most:?}");
        highest = highest.max(most.0);
    }
    assert!(of_first(0).await.len() > 1 && highest > 0, "it was raised");

    // What protects money goes past it, above the cap, up to what it protects.
    let (evidence, key) = sending.evidence(1, eth(2_000)).await;
    sending.orders.place(evidence);
    until("it is on chain", || async {
        chain.ask("anvil_setNextBlockBaseFeePerGas", json!([U256::from(500 * GWEI)])).await;
        sending.step().await;
        (units(&chain, key.0).await > 0).then_some(())
    })
    .await;
    assert_eq!(sending.funded(1, ETH).await, 0, "collateral waits for a lower fee");
    until("it is told", || async {
        chain.ask("anvil_setNextBlockBaseFeePerGas", json!([U256::from(500 * GWEI)])).await;
        sending.step().await;
        (sending.health.report().gas.unwrap().capped > 0).then_some(())
    })
    .await;
    chain.ask("anvil_setNextBlockBaseFeePerGas", json!([U256::from(GWEI)])).await;
    assert_eq!(sending.ends("fund").await, Outcome::Mined);
    assert_eq!(sending.funded(1, ETH).await, ETHER, "once");
    sending.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_reverted_is_tried_again_under_the_same_id() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let sending = Sending::start(&chain, folder.path(), spending()).await;
    chain.mint(sending.owner(), eth(5_000)).await;
    sending.orders.place(sending.fund("first", 1, chain.dai, eth(1_000)));
    sending.look().await;
    assert_eq!(sending.ends("first").await, Outcome::Mined, "with the approval that it needed");
    sending.automine(false).await;
    let fund = sending.fund("fund", 2, chain.dai, eth(2_000));
    sending.orders.place(fund.clone());
    sending.is_sent("fund").await;
    // Between signing and mining the tokens are gone.
    chain.ask("anvil_impersonateAccount", json!([sending.owner()])).await;
    let snapshot = chain.balance(sending.owner(), chain.dai).await;
    let slot = token_slot(&chain, sending.owner(), snapshot).await;
    chain.ask("anvil_setStorageAt", json!([chain.dai, slot, format!("{:#066x}", 0)])).await;
    assert_eq!(sending.ends("fund").await, Outcome::Failed);
    chain.ask("anvil_setStorageAt", json!([chain.dai, slot, format!("{snapshot:#066x}")])).await;
    assert_eq!(sending.orders.place(fund.clone()), Placed::Queued);
    sending
        .mined("it is mined", || async { (sending.heard("fund").last() == Some(&Outcome::Mined)).then_some(()) })
        .await;
    assert_eq!(sending.funded(2, chain.dai).await, 2 * ETHER, "once");
    assert_eq!(sending.orders.place(fund), Placed::Queued);
    sending.mined("it is told again", || async { (sending.heard("fund").len() == 3).then_some(()) }).await;
    assert_eq!(sending.funded(2, chain.dai).await, 2 * ETHER, "never twice");
    sending.kill().await;
}

/// Where a token keeps a balance: the slot that makes `balanceOf` answer something else.
async fn token_slot(chain: &Chain, owner: Address, balance: U256) -> String {
    for index in 0..20_u64 {
        let slot = alloy_primitives::keccak256((owner, U256::from(index)).abi_encode());
        let value = chain.ask("eth_getStorageAt", json!([chain.dai, slot, "latest"])).await;
        if value.as_str().unwrap().parse::<U256>().unwrap() == balance {
            return slot.to_string();
        }
    }
    panic!("no such slot");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_are_missing_hold_up_nobody_and_a_left_over_allowance_is_taken_back_first() {
    let folder = tempfile::tempdir().unwrap();
    let chain = Chain::start().await;
    let sending = Sending::start(&chain, folder.path(), spending()).await;
    let usdt = {
        let call = json!([{ "from": chain.accounts[9], "data": format!("0x{USDT_LIKE}"), "gas": "0x1000000" }]);
        let hash = chain.ask("eth_sendTransaction", call).await;
        let receipt = until("it is deployed", || async {
            Some(chain.ask("eth_getTransactionReceipt", json!([hash])).await).filter(|receipt| !receipt.is_null())
        })
        .await;
        serde_json::from_value::<Address>(receipt["contractAddress"].clone()).unwrap()
    };
    let mint = |amount: Amount| {
        [hex!("40c10f19").to_vec(), (sending.owner(), U256::from(amount.units())).abi_encode()].concat()
    };
    assert!(chain.send(chain.accounts[9], usdt, mint(eth(1_500)), Amount::ZERO).await);
    // Somebody approved a little by hand.
    let little = IERC20::approveCall { spender: chain.contract, amount: U256::from(7) };
    assert!(chain.send(sending.owner(), usdt, little.abi_encode(), Amount::ZERO).await);
    sending.orders.place(sending.fund("too much", 1, usdt, eth(2_000)));
    sending.orders.place(sending.fund("usdt", 2, usdt, eth(1_000)));
    sending.orders.place(sending.fund("eth", 3, ETH, eth(1_000)));
    sending.look().await;
    assert_eq!(sending.ends("eth").await, Outcome::Mined);
    assert_eq!(sending.ends("usdt").await, Outcome::Mined);
    assert_eq!(sending.funded(2, usdt).await, ETHER);
    assert_eq!(sending.status("too much").await, Some(Status::Queued));
    assert!(chain.send(chain.accounts[9], usdt, mint(eth(5_000)), Amount::ZERO).await);
    assert_eq!(sending.ends("too much").await, Outcome::Mined);
    sending.kill().await;
}
