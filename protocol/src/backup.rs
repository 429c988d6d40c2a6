//! A wallet's state, sealed for whoever keeps it: nobody without the signer's key can read it or make one up.
//!
//! A keeper can still give back an old one. How old it is shows in its progress, and at the next sync, where the hub
//! has to show what it holds of ours by our own signature.

use crate::codec::stored;
use crate::error::{Code, Error};
use crate::journal::{decode, encode};
use crate::sign::SecretKey;
use crate::types::{ChannelDef, ChannelId};
use alloc::vec::Vec;
use alloy_primitives::Bytes;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

/// The version that every backup starts with.
const FORMAT: u8 = 1;
const NONCE: usize = 24;

/// What a backup holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Backup {
    /// The channel.
    pub channel: ChannelDef,
    /// The owner's signature for the signer, where they differ.
    pub binding: Option<Bytes>,
    /// Grows with everything that was signed or accepted: of two backups, the one with more is the newer.
    pub progress: u64,
    /// When it was made, Unix seconds.
    pub time: u64,
    /// What the wallet's journal starts from.
    pub snapshot: Vec<u8>,
}

stored!(struct Backup { channel, binding, progress, time, snapshot });

impl Backup {
    /// Seals it with the signer's key. `nonce` must be fresh randomness.
    pub fn seal(&self, key: &SecretKey, id: ChannelId, nonce: [u8; NONCE]) -> Result<Vec<u8>, Error> {
        let plain = encode(self);
        let sealed = cipher(key)?
            .encrypt(&XNonce::from(nonce), Payload { msg: &plain, aad: id.0.as_slice() })
            .map_err(|_| Error::from(Code::Internal))?;
        Ok([[FORMAT].as_slice(), &nonce, &sealed].concat())
    }

    /// Opens a backup of this channel.
    pub fn open(bytes: &[u8], key: &SecretKey, id: ChannelId) -> Result<Self, Error> {
        let bad = || Error::new(Code::StorageCorrupt, "the backup is damaged, or of another key or channel");
        let (format, rest) = bytes.split_first().ok_or_else(bad)?;
        if *format != FORMAT {
            return Err(Error::new(Code::StorageVersion, "the backup has a format that this build does not know"));
        }
        let (nonce, sealed) = rest.split_at_checked(NONCE).ok_or_else(bad)?;
        let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| bad())?;
        let payload = Payload { msg: sealed, aad: id.0.as_slice() };
        let plain = cipher(key)?.decrypt(&XNonce::from(nonce), payload).map_err(|_| bad())?;
        decode(&plain)
    }
}

fn cipher(key: &SecretKey) -> Result<XChaCha20Poly1305, Error> {
    let secret = zeroize::Zeroizing::new(key.scalar().to_bytes());
    let kdf = hkdf::Hkdf::<sha2::Sha256>::new(Some(b"Farthing backup"), secret.as_slice());
    let mut derived = zeroize::Zeroizing::new([0_u8; 32]);
    kdf.expand(&[], &mut *derived).map_err(|_| Error::from(Code::Internal))?;
    XChaCha20Poly1305::new_from_slice(&*derived).map_err(|_| Error::from(Code::Internal))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Participant;
    use alloy_primitives::{Address, B256};

    #[test]
    fn only_its_key_opens_it_and_only_for_its_channel() {
        let key = SecretKey::from_bytes(&[3; 32]).unwrap();
        let participant = |n| Participant { owner: Address::repeat_byte(n), signer: Address::repeat_byte(n) };
        let backup = Backup {
            channel: ChannelDef { a: participant(1), b: participant(2), challenge_period: 60, salt: 0 },
            binding: None,
            progress: 7,
            time: 1_000,
            snapshot: alloc::vec![2, 3, 4],
        };
        let id = ChannelId(B256::repeat_byte(9));
        let sealed = backup.seal(&key, id, [1; NONCE]).unwrap();
        assert_eq!(Backup::open(&sealed, &key, id).unwrap(), backup);
        let other = SecretKey::from_bytes(&[4; 32]).unwrap();
        assert_eq!(Backup::open(&sealed, &other, id).unwrap_err().code(), Code::StorageCorrupt);
        let elsewhere = ChannelId(B256::repeat_byte(8));
        assert_eq!(Backup::open(&sealed, &key, elsewhere).unwrap_err().code(), Code::StorageCorrupt);
        for at in 1..sealed.len() {
            let mut torn = sealed.clone();
            torn[at] ^= 1;
            assert_eq!(Backup::open(&torn, &key, id).unwrap_err().code(), Code::StorageCorrupt);
        }
        let newer = [[9].as_slice(), &sealed[1..]].concat();
        assert_eq!(Backup::open(&newer, &key, id).unwrap_err().code(), Code::StorageVersion);
        assert!(Backup::open(&[], &key, id).is_err());
    }
}
