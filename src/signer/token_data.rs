//! What owners of tokens without ETH sign: what the token or Permit2 takes, and the deposit that is to be made of it.

use super::typed_data::TypedData;
use alloy_primitives::{Address, B256, U256, address, keccak256};
use alloy_sol_types::{Eip712Domain, SolStruct};
use farthing_protocol::abi::RelayedDeposit;
use farthing_protocol::json;

/// Permit2, at the same address on every chain.
pub const PERMIT2: Address = address!("000000000022D473030F116dDEE9F6B43aC78BA3");

mod message {
    alloy_sol_types::sol! {
        struct Permit { address owner; address spender; uint256 value; uint256 nonce; uint256 deadline; }
        struct ReceiveWithAuthorization { address from; address to; uint256 value; uint256 validAfter; uint256 validBefore; bytes32 nonce; }
    }

    pub(super) mod dai {
        alloy_sol_types::sol! {
            struct Permit { address holder; address spender; uint256 nonce; uint256 expiry; bool allowed; }
        }
    }

    pub(super) mod permit2 {
        alloy_sol_types::sol! {
            struct TokenPermissions { address token; uint256 amount; }
        }
    }
}

/// The domain that a token's signatures are for, as the chain says it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TokenDomain(pub Eip712Domain);

/// A signature's typed data, its fields once for the digest and once for people.
struct Sheet<'a> {
    domain: &'a Eip712Domain,
    chain_id: u64,
    struct_hash: B256,
    types: &'a [(&'a str, &'a [(&'a str, &'a str)])],
    message: String,
}

const PERMIT: &[(&str, &str)] = &[
    ("owner", "address"),
    ("spender", "address"),
    ("value", "uint256"),
    ("nonce", "uint256"),
    ("deadline", "uint256"),
];
const DAI_PERMIT: &[(&str, &str)] =
    &[("holder", "address"), ("spender", "address"), ("nonce", "uint256"), ("expiry", "uint256"), ("allowed", "bool")];
const RECEIVE: &[(&str, &str)] = &[
    ("from", "address"),
    ("to", "address"),
    ("value", "uint256"),
    ("validAfter", "uint256"),
    ("validBefore", "uint256"),
    ("nonce", "bytes32"),
];
const DEPOSIT: &[(&str, &str)] = &[
    ("farthing", "address"),
    ("channelId", "bytes32"),
    ("side", "uint8"),
    ("from", "address"),
    ("asset", "address"),
    ("amount", "uint128"),
    ("fee", "uint128"),
    ("relayer", "address"),
    ("deadline", "uint64"),
    ("salt", "bytes32"),
];
const WITNESS: &[(&str, &str)] = &[
    ("permitted", "TokenPermissions"),
    ("spender", "address"),
    ("nonce", "uint256"),
    ("deadline", "uint256"),
    ("witness", "RelayedDeposit"),
];
const PERMISSIONS: &[(&str, &str)] = &[("token", "address"), ("amount", "uint256")];

/// The deposit itself, in the domain of the relay.
#[must_use]
pub fn deposit(chain_id: u64, relay: Address, deposit: &RelayedDeposit) -> TypedData {
    let domain = Eip712Domain::new(
        Some("Farthing DepositRelay".into()),
        Some("1".into()),
        Some(U256::from(chain_id)),
        Some(relay),
        None,
    );
    let types: &[_] = &[("RelayedDeposit", DEPOSIT)];
    sheet(&Sheet {
        domain: &domain,
        chain_id,
        struct_hash: deposit.eip712_hash_struct(),
        types,
        message: of_deposit(deposit),
    })
}

/// ERC-2612: the spender may take so much.
#[must_use]
pub fn permit(
    domain: &TokenDomain,
    chain_id: u64,
    parties: (Address, Address),
    value: u128,
    nonce: U256,
    deadline: u64,
) -> TypedData {
    let (owner, spender) = parties;
    let message = message::Permit { owner, spender, value: U256::from(value), nonce, deadline: U256::from(deadline) };
    let values = [text(owner), text(spender), text(value), text(nonce), text(deadline)];
    sheet(&Sheet {
        domain: &domain.0,
        chain_id,
        struct_hash: message.eip712_hash_struct(),
        types: &[("Permit", PERMIT)],
        message: object(PERMIT, &values),
    })
}

/// DAI's own permit: the spender may take all.
#[must_use]
pub fn dai_permit(
    domain: &TokenDomain,
    chain_id: u64,
    parties: (Address, Address),
    nonce: u64,
    expiry: u64,
) -> TypedData {
    let (holder, spender) = parties;
    let message =
        message::dai::Permit { holder, spender, nonce: U256::from(nonce), expiry: U256::from(expiry), allowed: true };
    let values = [text(holder), text(spender), text(nonce), text(expiry), "true".to_owned()];
    sheet(&Sheet {
        domain: &domain.0,
        chain_id,
        struct_hash: message.eip712_hash_struct(),
        types: &[("Permit", DAI_PERMIT)],
        message: object(DAI_PERMIT, &values),
    })
}

/// ERC-3009: the relay may fetch so much, and with `nonce`, the digest of the deposit, for that deposit alone.
#[must_use]
pub fn authorization(
    domain: &TokenDomain,
    chain_id: u64,
    parties: (Address, Address),
    value: u128,
    before: u64,
    nonce: B256,
) -> TypedData {
    let (from, to) = parties;
    let message = message::ReceiveWithAuthorization {
        from,
        to,
        value: U256::from(value),
        validAfter: U256::ZERO,
        validBefore: U256::from(before),
        nonce,
    };
    let values = [text(from), text(to), text(value), text(0), text(before), text(nonce)];
    sheet(&Sheet {
        domain: &domain.0,
        chain_id,
        struct_hash: message.eip712_hash_struct(),
        types: &[("ReceiveWithAuthorization", RECEIVE)],
        message: object(RECEIVE, &values),
    })
}

/// Permit2, with the deposit as witness.
#[must_use]
pub fn permit2(chain_id: u64, relay: Address, deposit: &RelayedDeposit, nonce: B256) -> TypedData {
    let domain = Eip712Domain::new(Some("Permit2".into()), None, Some(U256::from(chain_id)), Some(PERMIT2), None);
    let deadline = deposit.deadline;
    let permissions = message::permit2::TokenPermissions { token: deposit.asset, amount: U256::from(deposit.amount) };
    // Of the types that it mentions, in the order of the alphabet, behind its own.
    let kind = format!(
        "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,RelayedDeposit witness){}{}",
        RelayedDeposit::eip712_root_type(),
        message::permit2::TokenPermissions::eip712_root_type(),
    );
    let struct_hash = [
        keccak256(kind),
        permissions.eip712_hash_struct(),
        relay.into_word(),
        nonce,
        B256::from(U256::from(deadline)),
        deposit.eip712_hash_struct(),
    ];
    let permitted = object(PERMISSIONS, &[text(deposit.asset), text(deposit.amount)]);
    let nonce: U256 = nonce.into();
    let values = [permitted, text(relay), text(nonce), text(deadline), of_deposit(deposit)];
    sheet(&Sheet {
        domain: &domain,
        chain_id,
        struct_hash: keccak256(struct_hash.concat()),
        types: &[
            ("PermitWitnessTransferFrom", WITNESS),
            ("TokenPermissions", PERMISSIONS),
            ("RelayedDeposit", DEPOSIT),
        ],
        message: object(WITNESS, &values),
    })
}

fn of_deposit(deposit: &RelayedDeposit) -> String {
    let values = [
        text(deposit.farthing),
        text(deposit.channelId),
        text(deposit.side),
        text(deposit.from),
        text(deposit.asset),
        text(deposit.amount),
        text(deposit.fee),
        text(deposit.relayer),
        text(deposit.deadline),
        text(deposit.salt),
    ];
    object(DEPOSIT, &values)
}

fn text(value: impl ToString) -> String {
    json::encode(value.to_string().as_str())
}

fn object(fields: &[(&str, &str)], values: &[String]) -> String {
    let members: Vec<String> =
        fields.iter().zip(values).map(|((name, _), value)| format!(r#""{name}":{value}"#)).collect();
    format!("{{{}}}", members.join(","))
}

fn kinds(fields: &[(&str, &str)]) -> String {
    let members: Vec<String> =
        fields.iter().map(|(name, kind)| format!(r#"{{"name":"{name}","type":"{kind}"}}"#)).collect();
    format!("[{}]", members.join(","))
}

fn sheet(sheet: &Sheet<'_>) -> TypedData {
    let domain = sheet.domain;
    let mut data = Vec::with_capacity(66);
    data.extend_from_slice(&[0x19, 0x01]);
    data.extend_from_slice(domain.separator().as_slice());
    data.extend_from_slice(sheet.struct_hash.as_slice());
    let members: [(&str, &str, Option<String>); 5] = [
        ("name", "string", domain.name.as_ref().map(text)),
        ("version", "string", domain.version.as_ref().map(text)),
        ("chainId", "uint256", domain.chain_id.map(|id| id.to_string())),
        ("verifyingContract", "address", domain.verifying_contract.map(text)),
        ("salt", "bytes32", domain.salt.map(text)),
    ];
    let (mut fields, mut values) = (Vec::new(), Vec::new());
    for (name, kind, value) in members {
        if let Some(value) = value {
            fields.push((name, kind));
            values.push(value);
        }
    }
    let types: Vec<String> =
        sheet.types.iter().map(|(name, fields)| format!(r#""{name}":{}"#, kinds(fields))).collect();
    let primary = sheet.types.first().map_or("", |(name, _)| name);
    let json = format!(
        r#"{{"types":{{"EIP712Domain":{},{}}},"primaryType":"{primary}","domain":{},"message":{}}}"#,
        kinds(&fields),
        types.join(","),
        object(&fields, &values),
        sheet.message,
    );
    TypedData { digest: keccak256(data), json, chain_id: sheet.chain_id }
}
