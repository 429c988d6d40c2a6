//! Anvil with the contracts on it.

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use alloy_sol_types::{SolCall, SolConstructor, SolValue};
use farthing_hub::chain::Rpc;
use farthing_protocol::abi::{IERC20, IFarthing};
use farthing_protocol::amount::Amount;
use farthing_protocol::{Asset, ChannelDef, ETH};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The key of Anvil's first account.
pub const OWNER_KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

pub struct Chain {
    anvil: Child,
    /// EIP-155 chain id.
    pub id: u64,
    pub url: String,
    pub rpc: Rpc,
    pub contract: Address,
    pub dai: Address,
    pub accounts: Vec<Address>,
}

impl Drop for Chain {
    fn drop(&mut self) {
        let _ = self.anvil.kill();
        let _ = self.anvil.wait();
    }
}

impl Chain {
    /// A chain for developers that mines a block for each transaction, with both contracts deployed.
    pub async fn start() -> Self {
        Self::start_as(31_337).await
    }

    /// The same, under another chain's id: a hub is more careful there.
    pub async fn start_as(id: u64) -> Self {
        let mut anvil = Command::new(anvil_bin())
            .args(["--port", "0", "--hardfork", "osaka", "--chain-id", &id.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Anvil starts: run `npm ci` in contracts/, or set FARTHING_ANVIL_BIN");
        let mut lines = BufReader::new(anvil.stdout.take().unwrap()).lines();
        let address = loop {
            let line = lines.next().expect("Anvil says where it listens").unwrap();
            if let Some(address) = line.strip_prefix("Listening on ") {
                break address.to_owned();
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        let url = format!("http://{address}");
        let rpc = Rpc::new(url.parse().unwrap());
        let mut chain = Self { anvil, id, url, rpc, contract: Address::ZERO, dai: Address::ZERO, accounts: Vec::new() };
        let accounts = chain.ask("eth_accounts", json!([])).await;
        chain.accounts = serde_json::from_value(accounts).unwrap();
        let arguments = IFarthing::constructorCall {
            minChallengePeriod: 60,
            maxChallengePeriod: 2_592_000,
            caps: Vec::new(),
            defaultCap: u128::MAX,
        };
        chain.contract = chain.deploy("Farthing", &arguments.abi_encode()).await;
        chain.dai = chain.deploy("TestDai", &[]).await;
        chain
    }

    pub async fn ask(&self, method: &str, params: Value) -> Value {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
        let response =
            super::http().post(&self.url).header("content-type", "application/json").body(body).send().await.unwrap();
        let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    pub async fn deploy(&self, name: &str, arguments: &[u8]) -> Address {
        let artifact: Value = serde_json::from_str(&std::fs::read_to_string(artifact(name)).unwrap()).unwrap();
        let code = artifact["bytecode"]["object"].as_str().or_else(|| artifact["bytecode"].as_str()).unwrap();
        let data = format!("{}{}", code, hex::encode(arguments));
        let from = self.accounts[9];
        let hash = self.ask("eth_sendTransaction", json!([{ "from": from, "data": data, "gas": "0x1000000" }])).await;
        let receipt = self.receipt(&hash).await;
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        serde_json::from_value(receipt["contractAddress"].clone()).unwrap()
    }

    /// Automining answers before the block is there.
    async fn receipt(&self, hash: &Value) -> Value {
        super::until("a transaction is mined", || async {
            Some(self.ask("eth_getTransactionReceipt", json!([hash])).await).filter(|receipt| !receipt.is_null())
        })
        .await
    }

    /// Sends from one of Anvil's accounts; returns whether it succeeded.
    pub async fn send(&self, from: Address, to: Address, data: Vec<u8>, value: Amount) -> bool {
        let value = U256::from(value.units());
        let call = json!([{ "from": from, "to": to, "data": Bytes::from(data), "value": value, "gas": "0x100000" }]);
        let hash = self.ask("eth_sendTransaction", call).await;
        let receipt = self.receipt(&hash).await;
        receipt["status"] == "0x1"
    }

    /// Opens a channel or adds to it, from the owner of side A.
    pub async fn deposit(&self, def: &ChannelDef, asset: Asset, amount: Amount) {
        let owner = def.a.owner;
        if asset != ETH {
            let mint = [hex!("40c10f19").to_vec(), (owner, U256::from(amount.units())).abi_encode()].concat();
            assert!(self.send(owner, asset, mint, Amount::ZERO).await);
            let approve = IERC20::approveCall { spender: self.contract, amount: U256::from(amount.units()) };
            assert!(self.send(owner, asset, approve.abi_encode(), Amount::ZERO).await);
        }
        let open = IFarthing::openCall { channel: def.into(), asset, amount: amount.units() };
        let value = if asset == ETH { amount } else { Amount::ZERO };
        assert!(self.send(owner, self.contract, open.abi_encode(), value).await);
    }

    pub async fn mint(&self, to: Address, amount: Amount) {
        let mint = [hex!("40c10f19").to_vec(), (to, U256::from(amount.units())).abi_encode()].concat();
        assert!(self.send(self.accounts[9], self.dai, mint, Amount::ZERO).await);
    }

    pub async fn mine(&self, blocks: u64) {
        self.ask("anvil_mine", json!([format!("{blocks:#x}")])).await;
    }

    pub async fn balance(&self, account: Address, asset: Asset) -> U256 {
        if asset == ETH {
            return serde_json::from_value(self.ask("eth_getBalance", json!([account, "latest"])).await).unwrap();
        }
        let call = IERC20::balanceOfCall { owner: account };
        let answer = self.rpc.call_latest(asset, call.abi_encode().into()).await.unwrap();
        IERC20::balanceOfCall::abi_decode_returns(&answer).unwrap()
    }

    pub async fn state(&self, channel: B256, asset: Asset) -> farthing_protocol::abi::AssetState {
        let call = IFarthing::assetStateCall { channelId: channel, asset };
        let answer = self.rpc.call_latest(self.contract, call.abi_encode().into()).await.unwrap();
        IFarthing::assetStateCall::abi_decode_returns(&answer).unwrap()
    }
}

fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn anvil_bin() -> PathBuf {
    std::env::var_os("FARTHING_ANVIL_BIN").map_or_else(
        || workspace().join("contracts/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"),
        PathBuf::from,
    )
}

fn artifact(name: &str) -> PathBuf {
    match std::env::var_os("FARTHING_ARTIFACTS") {
        Some(folder) => PathBuf::from(folder).join(format!("{name}.json")),
        None => workspace().join(format!("contracts/out/{name}.sol/{name}.json")),
    }
}
