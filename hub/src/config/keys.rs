//! The hub's two keys: the owner's, which sends transactions and holds the collateral, and the signer's,
//! which signs proofs.

use super::Raw;
use anyhow::{Context, Result, bail};
use farthing_protocol::sign::SecretKey;
use std::path::Path;
use zeroize::Zeroizing;

/// Derives the signer's key where none is configured. Never change it: channels name the signer for life.
const SIGNER_LABEL: &str = "farthing hub signer";

/// The hub's keys. `Debug` shows addresses only.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Sends transactions and holds the collateral. Nothing else may use this account: the hub counts its nonces.
    pub owner: SecretKey,
    /// Signs proofs in every channel.
    pub signer: SecretKey,
}

/// Reads the keys that the configuration names.
pub(crate) fn read(raw: &Raw) -> Result<Keys> {
    let owner = key("private_key", raw.private_key.as_ref(), raw.private_key_file.as_deref())?
        .context("set FARTHING_HUB_PRIVATE_KEY or private_key_file")?;
    let signer = match key("signer_key", raw.signer_key.as_ref(), raw.signer_key_file.as_deref())? {
        Some(signer) => signer,
        None => owner.child(SIGNER_LABEL).context("cannot derive the signer's key")?,
    };
    Ok(Keys { owner, signer })
}

pub(crate) fn key(name: &str, value: Option<&Zeroizing<String>>, file: Option<&Path>) -> Result<Option<SecretKey>> {
    let text = match (value, file) {
        (Some(_), Some(_)) => bail!("{name} and {name}_file are both set"),
        (Some(value), None) => value.clone(),
        (None, Some(path)) => {
            let shown = path.display();
            Zeroizing::new(std::fs::read_to_string(path).with_context(|| format!("{name}_file: cannot read {shown}"))?)
        }
        (None, None) => return Ok(None),
    };
    // The cause is left out on purpose: it may quote a part of the key.
    let mut bytes = Zeroizing::new([0_u8; 32]);
    if alloy_primitives::hex::decode_to_slice(text.trim(), bytes.as_mut_slice()).is_err() {
        bail!("{name}: expected 32 bytes in hex");
    }
    SecretKey::from_bytes(&*bytes).map(Some).with_context(|| format!("{name} is no key"))
}
