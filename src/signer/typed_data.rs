//! What owners sign, once as a digest and once as the JSON of `eth_signTypedData_v4`.

use alloy_primitives::{Address, B256, FixedBytes, U256};
use alloy_sol_types::{Eip712Domain, SolStruct};
use farthing_protocol::abi;
use farthing_protocol::eip712::Domain;
use farthing_protocol::types::ChannelId;

/// A message to be signed.
#[derive(Clone, Debug)]
pub struct TypedData {
    /// For a local key.
    pub digest: B256,
    /// For a wallet.
    pub json: String,
    /// Of its domain: a wallet on another chain must not sign it.
    pub chain_id: u64,
}

const DOMAIN_TYPE: &str = r#"[{"name":"name","type":"string"},{"name":"version","type":"string"},{"name":"chainId","type":"uint256"},{"name":"verifyingContract","type":"address"}]"#;

mod message {
    alloy_sol_types::sol! {
        #[derive(Debug)]
        struct Session { string purpose; string origin; address account; address hub; }
        #[derive(Debug)]
        struct Payment { string purpose; address payee; string amount; string asset; bytes16 id; }
    }
}

/// What a wallet shows when a session key is made. A change of any byte makes other keys, and so locks everybody
/// out of their channels.
const PURPOSE: &str = "Create the key that signs payments in this browser. It can spend what you put into your channel with this hub, and nothing else. Sign only on a site that you trust.";

/// The message that a session key is made of: it names the site, the account and the hub, in a domain of its own.
#[must_use]
pub fn session(domain: &Domain, origin: &str, account: Address, hub: Address) -> TypedData {
    let name = "Farthing session";
    let eip712 = Eip712Domain::new(
        Some(name.into()),
        Some("1".into()),
        Some(U256::from(domain.chain_id())),
        Some(domain.contract()),
        None,
    );
    let session = message::Session { purpose: PURPOSE.to_owned(), origin: origin.to_owned(), account, hub };
    let digest = session.eip712_signing_hash(&eip712);
    let fields = [("purpose", "string"), ("origin", "string"), ("account", "address"), ("hub", "address")];
    let values = [quoted(PURPOSE), quoted(origin), quoted(&account.to_string()), quoted(&hub.to_string())];
    TypedData { digest, json: json(domain, name, "Session", &fields, &values), chain_id: domain.chain_id() }
}

/// What the owner is shown before a payment, in words: whom, how much, and of what. It lets nobody take anything.
#[must_use]
pub fn payment(domain: &Domain, told: &Told, payee: Address, asset: Address, id: FixedBytes<16>) -> TypedData {
    let name = "Farthing payment";
    let eip712 = Eip712Domain::new(
        Some(name.into()),
        Some("1".into()),
        Some(U256::from(domain.chain_id())),
        Some(domain.contract()),
        None,
    );
    let asset = format!("{} ({asset})", told.symbol);
    let (purpose, amount) = (told.purpose.clone(), told.amount.clone());
    let payment = message::Payment { purpose, payee, amount, asset: asset.clone(), id };
    let digest = payment.eip712_signing_hash(&eip712);
    let fields =
        [("purpose", "string"), ("payee", "address"), ("amount", "string"), ("asset", "string"), ("id", "bytes16")];
    let values = [
        quoted(&told.purpose),
        quoted(&payee.to_string()),
        quoted(&told.amount),
        quoted(&asset),
        quoted(&id.to_string()),
    ];
    TypedData { digest, json: json(domain, name, "Payment", &fields, &values), chain_id: domain.chain_id() }
}

/// A payment in words.
#[derive(Clone, Debug)]
pub struct Told {
    /// What it is for.
    pub purpose: String,
    /// How much, as people write it.
    pub amount: String,
    /// The asset's symbol.
    pub symbol: String,
}

/// The owner's word that payments to it may go to `signer`'s key in this channel.
#[must_use]
pub fn binding(domain: &Domain, owner: Address, signer: Address, channel: ChannelId) -> TypedData {
    let message = abi::Binding { owner, signer, channelId: channel.0 };
    let fields = [("owner", "address"), ("signer", "address"), ("channelId", "bytes32")];
    let values = [quoted(&owner.to_string()), quoted(&signer.to_string()), quoted(&channel.to_string())];
    TypedData {
        digest: domain.digest(&message),
        json: json(domain, "Farthing", "Binding", &fields, &values),
        chain_id: domain.chain_id(),
    }
}

/// The owner's leave to withdraw to somebody else.
#[must_use]
pub fn withdrawal(domain: &Domain, message: &abi::Withdrawal) -> TypedData {
    let fields = [
        ("channelId", "bytes32"),
        ("asset", "address"),
        ("side", "uint8"),
        ("total", "uint128"),
        ("recipient", "address"),
        ("deadline", "uint64"),
    ];
    let values = [
        quoted(&message.channelId.to_string()),
        quoted(&message.asset.to_string()),
        message.side.to_string(),
        quoted(&message.total.to_string()),
        quoted(&message.recipient.to_string()),
        quoted(&message.deadline.to_string()),
    ];
    TypedData {
        digest: domain.digest(message),
        json: json(domain, "Farthing", "Withdrawal", &fields, &values),
        chain_id: domain.chain_id(),
    }
}

fn quoted(text: &str) -> String {
    farthing_protocol::json::encode(text)
}

fn json(domain: &Domain, name: &str, primary: &str, fields: &[(&str, &str)], values: &[String]) -> String {
    let types: Vec<String> =
        fields.iter().map(|(name, kind)| format!(r#"{{"name":"{name}","type":"{kind}"}}"#)).collect();
    let message: Vec<String> =
        fields.iter().zip(values).map(|((name, _), value)| format!(r#""{name}":{value}"#)).collect();
    format!(
        r#"{{"types":{{"EIP712Domain":{DOMAIN_TYPE},"{primary}":[{}]}},"primaryType":"{primary}","domain":{{"name":"{name}","version":"1","chainId":{},"verifyingContract":"{}"}},"message":{{{}}}}}"#,
        types.join(","),
        domain.chain_id(),
        domain.contract(),
        message.join(","),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_is_json_and_survives_hostile_origins() {
        let domain = Domain::new(31337, Address::repeat_byte(7));
        let data = session(&domain, "https://a\"b\\c", Address::repeat_byte(1), Address::repeat_byte(2));
        let value: serde_json::Value = serde_json::from_str(&data.json).unwrap();
        assert_eq!(value["message"]["origin"], "https://a\"b\\c");
        assert_eq!(value["domain"]["chainId"], 31337);
    }
}
