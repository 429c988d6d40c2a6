//! Deposits of owners who have tokens and no ETH, sent by the real hub on a real chain: once each, within what is
//! configured, and never what would fail.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test"
)]

mod support;

use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::{SolCall, SolStruct};
use farthing_hub::clock;
use farthing_protocol::abi::{self, IDepositRelay, IERC20};
use farthing_protocol::api::relay::CODE_HASH;
use farthing_protocol::eip712::Domain;
use farthing_protocol::sign::SecretKey;
use farthing_protocol::{Amount, ChannelDef, ETH, Participant};
use serde_json::{Value, json};
use support::client::call;
use support::hub::start_on;
use support::{Chain, until};

const FEE: u128 = 3_000;
const AMOUNT: u128 = 1_000_000;

alloy_sol_types::sol! {
    #[derive(Debug)]
    struct Permit { address owner; address spender; uint256 value; uint256 nonce; uint256 deadline; }
}

/// A hub that sends deposits of DAI, and an owner who has some and no ETH.
struct World {
    chain: Chain,
    relay: Address,
    folder: tempfile::TempDir,
    more: String,
}

struct Asked {
    params: Value,
    digest: B256,
}

impl World {
    async fn new(more: &str) -> Self {
        let chain = Chain::start().await;
        let relay = chain.deploy("DepositRelay", &[]).await;
        let folder = tempfile::tempdir().unwrap();
        Self { chain, relay, folder, more: more.to_owned() }
    }

    fn toml(&self) -> String {
        let relay = format!("[relay]\ncontract = \"{}\"\n{}", self.relay, self.more);
        let toml = support::hub::toml(&self.chain, &self.database(), &relay);
        toml.replace("symbol = \"DAI\"", &format!("symbol = \"DAI\"\ndeposit_fee = \"{FEE}\""))
    }

    fn database(&self) -> std::path::PathBuf {
        self.folder.path().join("hub.sqlite")
    }

    async fn start(&self) -> (farthing_hub::node::Node, String) {
        let hub = start_on(&self.toml(), &self.database()).await;
        let url = format!("http://{}", hub.address);
        (hub, url)
    }

    /// An owner with tokens.
    async fn owner(&self, number: u8) -> SecretKey {
        let key = SecretKey::derive("owner", &[number]).unwrap();
        self.chain.mint(key.address(), Amount::new(10 * AMOUNT)).await;
        assert_eq!(self.chain.balance(key.address(), ETH).await, U256::ZERO);
        key
    }

    /// What the owner signs, after a change by the caller.
    async fn ask(&self, url: &str, key: &SecretKey, change: impl FnOnce(&mut abi::RelayedDeposit)) -> Asked {
        let terms = call(url, "farthing_config", json!({})).await.unwrap();
        let hub = |field: &str| serde_json::from_value::<Address>(terms["hub"][field].clone()).unwrap();
        let session = SecretKey::derive("session", key.address().as_slice()).unwrap();
        let def = ChannelDef {
            a: Participant { owner: key.address(), signer: session.address() },
            b: Participant { owner: hub("owner"), signer: hub("signer") },
            challenge_period: 86_400,
            salt: 7,
        };
        let mut wish = abi::RelayedDeposit {
            farthing: self.chain.contract,
            channelId: def.id(31_337, self.chain.contract).0,
            side: 0,
            from: key.address(),
            asset: self.chain.dai,
            amount: AMOUNT,
            fee: FEE,
            relayer: hub("owner"),
            deadline: clock::now() + 3_600,
            salt: B256::repeat_byte(1),
        };
        change(&mut wish);
        let digest = Domain::relay(31_337, self.relay).digest(&wish);
        let signature = key.sign(digest);
        let (v, r, s, deadline) = self.permit(key, wish.amount, clock::now() + 3_600).await;
        let params = json!({
            "channel": {
                "a": { "owner": def.a.owner, "signer": def.a.signer },
                "b": { "owner": def.b.owner, "signer": def.b.signer },
                "challengePeriod": def.challenge_period, "salt": def.salt,
            },
            "deposit": {
                "farthing": wish.farthing, "channelId": wish.channelId, "side": if wish.side == 0 { "A" } else { "B" }, "from": wish.from,
                "asset": wish.asset, "amount": wish.amount.to_string(), "fee": wish.fee.to_string(),
                "relayer": wish.relayer, "deadline": wish.deadline, "salt": wish.salt,
            },
            "authorization": {
                "type": "permit", "deadline": deadline, "v": v, "r": r, "s": s,
                "signature": alloy_primitives::hex::encode_prefixed(signature.as_bytes()),
            },
        });
        Asked { params, digest }
    }

    async fn permit(&self, key: &SecretKey, value: u128, deadline: u64) -> (u8, B256, B256, u64) {
        let owner = key.address();
        let nonces = IERC20::noncesCall { owner }.abi_encode();
        let answer = self.chain.rpc.call_latest(self.chain.dai, nonces.into()).await.unwrap();
        let nonce = IERC20::noncesCall::abi_decode_returns(&answer).unwrap();
        let separator = IERC20::DOMAIN_SEPARATORCall {}.abi_encode();
        let separator = self.chain.rpc.call_latest(self.chain.dai, separator.into()).await.unwrap();
        let (value, spender) = (U256::from(value), self.relay);
        let permit = Permit { owner, spender, value, nonce, deadline: U256::from(deadline) };
        let data = [&[0x19, 0x01], &separator[..], &permit.eip712_hash_struct()[..]].concat();
        let signature = key.sign(keccak256(data));
        let bytes = signature.as_bytes();
        (bytes[64], B256::from_slice(&bytes[..32]), B256::from_slice(&bytes[32..64]), deadline)
    }

    async fn send(&self, url: &str, asked: &Asked) -> Result<B256, (String, String)> {
        match call(url, "farthing_relayDeposit", asked.params.clone()).await {
            Ok(answer) => Ok(serde_json::from_value(answer["transaction"].clone()).unwrap()),
            Err(error) => {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                Err((text(&error["data"]["code"]), text(&error["message"])))
            }
        }
    }

    async fn refused(&self, url: &str, asked: &Asked, code: &str) {
        let before = self.sent().await;
        let (found, said) = self.send(url, asked).await.unwrap_err();
        assert_eq!(found, code, "{said}");
        if code != "rate-limited" {
            assert!(said.starts_with("this deposit was not sent, and nothing has moved: "), "{said}");
        }
        assert_eq!(self.sent().await, before, "the hub sent something");
        assert!(!self.used(asked).await);
    }

    async fn used(&self, asked: &Asked) -> bool {
        let question = IDepositRelay::usedCall { digest: asked.digest }.abi_encode();
        let answer = self.chain.rpc.call_latest(self.relay, question.into()).await.unwrap();
        IDepositRelay::usedCall::abi_decode_returns(&answer).unwrap()
    }

    /// Transactions of the hub's account.
    async fn sent(&self) -> u64 {
        let count = self.chain.ask("eth_getTransactionCount", json!([self.chain.accounts[0], "pending"])).await;
        u64::from_str_radix(count.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
    }

    async fn mined(&self, hash: B256) {
        until("the deposit is mined", || async {
            let receipt = self.chain.ask("eth_getTransactionReceipt", json!([hash])).await;
            (!receipt.is_null()).then(|| assert_eq!(receipt["status"], "0x1", "{receipt}"))
        })
        .await;
    }

    /// Also final, so that the hub knows it.
    async fn ended(&self, url: &str, asked: &Asked, hash: B256) {
        self.mined(hash).await;
        self.chain.mine(3).await;
        assert_eq!(self.send(url, asked).await, Ok(hash));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_code_is_what_clients_expect_and_the_terms_say_what_it_costs() {
    let world = World::new("").await;
    assert_eq!(world.chain.rpc.code_hash(world.relay).await.unwrap(), CODE_HASH, "contracts/src/DepositRelay.sol");
    let (_hub, url) = world.start().await;
    let terms = call(&url, "farthing_config", json!({})).await.unwrap();
    assert_eq!(terms["relay"], json!({ "contract": world.relay, "relayer": world.chain.accounts[0] }));
    assert_eq!(terms["assets"][0].get("depositFee"), None, "nobody needs it for ETH");
    assert_eq!(terms["assets"][1]["depositFee"], json!(FEE.to_string()));

    let toml = world.toml().replace(&world.relay.to_string(), &world.chain.dai.to_string());
    let key = [("FARTHING_HUB_PRIVATE_KEY".to_owned(), support::chain::OWNER_KEY.to_owned())];
    let config = farthing_hub::config::Raw::parse(&toml, "test.toml", key.into_iter()).unwrap();
    let config = farthing_hub::config::Config::check(config).unwrap();
    let other = world.folder.path().join("other.sqlite");
    let store = std::sync::Arc::new(farthing_hub::store::Sqlite::open(&other).await.unwrap());
    let refusal = format!("{:#}", farthing_hub::node::Node::start(config, store).await.unwrap_err());
    assert!(refusal.contains("relay.contract"), "{refusal}");
}

/// One is sent once, whoever asks how often, and also after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn a_deposit_arrives_once() {
    let world = World::new("").await;
    let (hub, url) = world.start().await;
    let key = world.owner(1).await;
    let asked = world.ask(&url, &key, |_| {}).await;
    let before = world.chain.balance(world.chain.accounts[0], world.chain.dai).await;
    let sent = world.sent().await;
    let answers = futures_util::future::join_all((0..5).map(|_| world.send(&url, &asked))).await;
    let hash = answers[0].clone().unwrap();
    assert!(answers.iter().all(|answer| *answer == Ok(hash)), "{answers:?}");
    world.mined(hash).await;
    let id: B256 = serde_json::from_value(asked.params["deposit"]["channelId"].clone()).unwrap();
    assert_eq!(world.chain.state(id, world.chain.dai).await.depositA, AMOUNT - FEE);
    let after = world.chain.balance(world.chain.accounts[0], world.chain.dai).await;
    assert_eq!(after - before, U256::from(FEE));
    assert_eq!(world.chain.balance(world.relay, world.chain.dai).await, U256::ZERO);
    assert!(world.used(&asked).await);
    world.ended(&url, &asked, hash).await;
    let metrics = support::http().get(format!("{url}/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("\nfarthing_relayed_deposits_today 1\n"), "{metrics}");
    hub.stop();
    hub.ended().await.unwrap();

    let (hub, url) = world.start().await;
    assert_eq!(world.send(&url, &asked).await, Ok(hash), "after a restart");
    assert_eq!(world.sent().await, sent + 1);
    hub.stop();
    hub.ended().await.unwrap();
}

/// The hub ends before its transaction is mined, and the same one goes on.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_signed_before_a_restart_is_what_is_mined() {
    let world = World::new("").await;
    let (hub, url) = world.start().await;
    let key = world.owner(1).await;
    let asked = world.ask(&url, &key, |_| {}).await;
    world.chain.ask("evm_setAutomine", json!([false])).await;
    let hash = world.send(&url, &asked).await.unwrap();
    hub.stop();
    hub.ended().await.unwrap();
    // The node forgets it as well.
    world.chain.ask("anvil_dropTransaction", json!([hash])).await;
    world.chain.ask("evm_setAutomine", json!([true])).await;
    assert!(!world.used(&asked).await);

    let (hub, url) = world.start().await;
    assert_eq!(world.send(&url, &asked).await, Ok(hash));
    world.mined(hash).await;
    assert!(world.used(&asked).await);
    hub.stop();
    hub.ended().await.unwrap();
}

/// Whatever would fail, or is not this hub's to send, costs nobody anything.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_not_sent() {
    let world = World::new("").await;
    let (hub, url) = world.start().await;
    let key = world.owner(1).await;
    let other = Address::repeat_byte(9);
    let now = clock::now();
    world.refused(&url, &world.ask(&url, &key, |wish| wish.fee = FEE - 1).await, "invalid-amount").await;
    world.refused(&url, &world.ask(&url, &key, |wish| wish.fee = AMOUNT).await, "invalid-amount").await;
    world.refused(&url, &world.ask(&url, &key, |wish| wish.relayer = other).await, "invalid-argument").await;
    world.refused(&url, &world.ask(&url, &key, |wish| wish.farthing = other).await, "bad-terms").await;
    world.refused(&url, &world.ask(&url, &key, |wish| wish.side = 1).await, "wrong-channel").await;
    world.refused(&url, &world.ask(&url, &key, |wish| wish.channelId = B256::ZERO).await, "wrong-channel").await;
    world.refused(&url, &world.ask(&url, &key, |wish| wish.asset = ETH).await, "unknown-asset").await;
    world.refused(&url, &world.ask(&url, &key, |wish| wish.deadline = now + 5).await, "bad-expiry").await;
    // More than there is.
    world.refused(&url, &world.ask(&url, &key, |wish| wish.amount = 11 * AMOUNT).await, "insufficient-funds").await;

    // A permit that is over before it is mined would make it fail, and cost its owner nothing.
    let mut brief = world.ask(&url, &key, |_| {}).await;
    let (v, r, s, deadline) = world.permit(&key, AMOUNT, now + 20).await;
    let permit = json!({ "type": "permit", "deadline": deadline, "v": v, "r": r, "s": s });
    let parts = brief.params["authorization"].as_object_mut().unwrap();
    parts.extend(permit.as_object().unwrap().clone());
    world.refused(&url, &brief, "bad-expiry").await;

    let mut forged = world.ask(&url, &key, |_| {}).await;
    let foe = SecretKey::derive("foe", &[1]).unwrap().sign(forged.digest);
    forged.params["authorization"]["signature"] = json!(alloy_primitives::hex::encode_prefixed(foe.as_bytes()));
    world.refused(&url, &forged, "bad-signature").await;

    let mut foreign = world.ask(&url, &key, |_| {}).await;
    foreign.params["channel"]["b"]["owner"] = json!(other);
    let channel = ChannelDef {
        a: serde_participant(&foreign.params["channel"]["a"]),
        b: serde_participant(&foreign.params["channel"]["b"]),
        challenge_period: 86_400,
        salt: 7,
    };
    foreign.params["deposit"]["channelId"] = json!(channel.id(31_337, world.chain.contract).0);
    let (code, said) = world.send(&url, &foreign).await.unwrap_err();
    assert_eq!((code.as_str(), said.contains("not with this hub")), ("wrong-channel", true), "{said}");
    hub.stop();
    hub.ended().await.unwrap();
}

fn serde_participant(value: &Value) -> Participant {
    let address = |name: &str| serde_json::from_value(value[name].clone()).unwrap();
    Participant { owner: address("owner"), signer: address("signer") }
}

/// The node's transactions stay unmined, so that one is under way as long as the test wants.
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_has_one_under_way_and_so_many_in_a_day() {
    let world = World::new("deposits_per_owner = 2\n").await;
    let (hub, url) = world.start().await;
    let (key, neighbour) = (world.owner(1).await, world.owner(2).await);
    world.chain.ask("evm_setAutomine", json!([false])).await;
    let first = world.ask(&url, &key, |_| {}).await;
    let hash = world.send(&url, &first).await.unwrap();
    let second = world.ask(&url, &key, |wish| wish.salt = B256::repeat_byte(2)).await;
    world.refused(&url, &second, "rate-limited").await;
    let theirs = world.ask(&url, &neighbour, |_| {}).await;
    let other = world.send(&url, &theirs).await.unwrap();
    world.chain.ask("evm_setAutomine", json!([true])).await;
    world.chain.mine(1).await;
    world.mined(other).await;
    world.ended(&url, &first, hash).await;

    let second = world.ask(&url, &key, |wish| wish.salt = B256::repeat_byte(2)).await;
    let hash = until("the first is final", || async { world.send(&url, &second).await.ok() }).await;
    world.ended(&url, &second, hash).await;
    let third = world.ask(&url, &key, |wish| wish.salt = B256::repeat_byte(3)).await;
    let (code, _) = until("the second is final", || async {
        world.send(&url, &third).await.err().filter(|(code, _)| code != "rate-limited")
    })
    .await;
    assert_eq!(code, "limit-exceeded");
    assert!(!world.used(&third).await);
    hub.stop();
    hub.ended().await.unwrap();
}

/// The budget is kept across restarts, and to the wei.
#[tokio::test(flavor = "multi_thread")]
async fn the_days_budget_is_not_exceeded() {
    let world = World::new("max_fee_per_gas = \"10000000000\"\ndeposit_gas_per_day = \"5000000000000000\"\n").await;
    let (hub, url) = world.start().await;
    let key = world.owner(1).await;
    let first = world.ask(&url, &key, |_| {}).await;
    let hash = world.send(&url, &first).await.unwrap();
    world.ended(&url, &first, hash).await;
    hub.stop();
    hub.ended().await.unwrap();

    let (hub, url) = world.start().await;
    let neighbour = world.owner(2).await;
    let second = world.ask(&url, &neighbour, |_| {}).await;
    world.refused(&url, &second, "hub-unfunded").await;
    hub.stop();
    hub.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn dear_gas_an_empty_account_and_many_questions_are_refused() {
    let more = "max_fee_per_gas = \"3000000000\"\ndeposits_per_minute = 3\n";
    let world = World::new(more).await;
    let (hub, url) = world.start().await;
    let key = world.owner(1).await;
    let asked = world.ask(&url, &key, |_| {}).await;
    world.chain.ask("anvil_setNextBlockBaseFeePerGas", json!(["0x12a05f200"])).await;
    world.chain.mine(1).await;
    world.refused(&url, &asked, "limit-exceeded").await;
    world.chain.ask("anvil_setNextBlockBaseFeePerGas", json!(["0x3b9aca00"])).await;
    world.chain.mine(1).await;
    world.chain.ask("anvil_setBalance", json!([world.chain.accounts[0], "0x1"])).await;
    world.refused(&url, &asked, "hub-unfunded").await;
    let _ = world.send(&url, &asked).await;
    world.refused(&url, &asked, "rate-limited").await;
    hub.stop();
    hub.ended().await.unwrap();
}

/// An owner that is a contract checks its signature as dearly as it likes, at the hub's cost: it takes any signature here.
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_whose_check_takes_much_gas_is_not_served() {
    let world = World::new("").await;
    let (hub, url) = world.start().await;
    let key = world.owner(1).await;
    for (number, rounds, is_served) in [(1, 200_000_u32, false), (2, 2_000, true)] {
        let owner = Address::repeat_byte(0xe0 + number);
        world.chain.mint(owner, Amount::new(10 * AMOUNT)).await;
        world.chain.ask("anvil_impersonateAccount", json!([owner])).await;
        world.chain.ask("anvil_setBalance", json!([owner, "0xde0b6b3a7640000"])).await;
        let approve = IERC20::approveCall { spender: world.relay, amount: U256::MAX }.abi_encode();
        let approve =
            json!([{ "from": owner, "to": world.chain.dai, "data": alloy_primitives::hex::encode_prefixed(approve) }]);
        world.chain.ask("eth_sendTransaction", approve).await;
        // Counts down, 26 gas a round, and returns ERC-1271's magic number.
        let code = format!("0x63{rounds:08x}5b6001900380600557507f1626ba7e{}60005260206000f3", "00".repeat(28));
        world.chain.ask("anvil_setCode", json!([owner, code])).await;
        let asked = world.ask(&url, &key, |wish| wish.from = owner).await;
        if is_served {
            let hash = world.send(&url, &asked).await.unwrap();
            world.mined(hash).await;
        } else {
            world.refused(&url, &asked, "limit-exceeded").await;
        }
    }
    hub.stop();
    hub.ended().await.unwrap();
}
