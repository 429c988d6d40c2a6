//! Envelopes: how a payer hands the secret of a lock to the payee through a hub that must not learn it.
//!
//! ECDH on secp256k1, HKDF-SHA256, XChaCha20-Poly1305, bound to the lock's hash. One ephemeral key serves all
//! payments to one payee in a session; every envelope has a random nonce of its own.

use crate::error::{Code, Error};
use crate::sign::{PublicKey, SecretKey};
use alloc::string::String;
use alloy_primitives::Bytes;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use core::fmt;

const NONCE: usize = 24;
const PUBLIC: usize = 33;

/// What an envelope holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Letter {
    /// The preimage of the hash lock.
    pub secret: [u8; 32],
    /// The payer's words.
    pub memo: String,
}

impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Letter").field("secret", &"redacted").field("memo", &self.memo).finish()
    }
}

/// A key that a payer and a payee share.
#[derive(Clone)]
pub struct SharedKey {
    cipher: XChaCha20Poly1305,
    ephemeral: PublicKey,
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedKey(by {:?})", self.ephemeral)
    }
}

impl SharedKey {
    /// The payer's: from its ephemeral key and the payee's public key.
    pub fn of_payer(ephemeral: &SecretKey, payee: &PublicKey) -> Result<Self, Error> {
        Self::new(ephemeral, payee, ephemeral.public_key(), payee)
    }

    /// The payee's: from its own key and the ephemeral key in an envelope.
    pub fn of_payee(key: &SecretKey, ephemeral: &PublicKey) -> Result<Self, Error> {
        Self::new(key, ephemeral, *ephemeral, &key.public_key())
    }

    fn new(secret: &SecretKey, public: &PublicKey, ephemeral: PublicKey, payee: &PublicKey) -> Result<Self, Error> {
        let shared = k256::ecdh::diffie_hellman(secret.scalar(), public.point()?.as_affine());
        let kdf = hkdf::Hkdf::<sha2::Sha256>::new(Some(b"Farthing envelope"), shared.raw_secret_bytes().as_slice());
        let context = [ephemeral.as_bytes().as_slice(), payee.as_bytes()].concat();
        let mut key = zeroize::Zeroizing::new([0_u8; 32]);
        kdf.expand(&context, &mut *key).map_err(|_| Error::from(Code::Internal))?;
        let cipher = XChaCha20Poly1305::new_from_slice(&*key).map_err(|_| Error::from(Code::Internal))?;
        Ok(Self { cipher, ephemeral })
    }

    /// Seals a letter for the lock with this hash. `nonce` must be fresh randomness.
    pub fn seal(&self, letter: &Letter, hash: &[u8], nonce: [u8; NONCE]) -> Result<Bytes, Error> {
        let plain = zeroize::Zeroizing::new([letter.secret.as_slice(), letter.memo.as_bytes()].concat());
        let sealed = self
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: &plain, aad: hash })
            .map_err(|_| Error::from(Code::Internal))?;
        Ok([self.ephemeral.as_bytes().as_slice(), &nonce, &sealed].concat().into())
    }

    /// Opens an envelope that was sealed with this key.
    pub fn open(&self, envelope: &[u8], hash: &[u8]) -> Result<Letter, Error> {
        let bad = || Error::new(Code::BadEvidence, "the envelope is not for this key and lock");
        let (_, rest) = envelope.split_at_checked(PUBLIC).ok_or_else(bad)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE).ok_or_else(bad)?;
        let nonce: [u8; NONCE] = nonce.try_into().map_err(|_| bad())?;
        let plain = self.cipher.decrypt(&XNonce::from(nonce), Payload { msg: sealed, aad: hash }).map_err(|_| bad())?;
        let (secret, memo) = plain.split_at_checked(32).ok_or_else(bad)?;
        Ok(Letter {
            secret: secret.try_into().map_err(|_| bad())?,
            memo: String::from_utf8(memo.to_vec()).map_err(|_| bad())?,
        })
    }
}

/// The ephemeral key that an envelope was sealed with.
pub fn ephemeral_of(envelope: &[u8]) -> Result<PublicKey, Error> {
    let bytes = envelope.get(..PUBLIC).ok_or_else(|| Error::new(Code::BadEvidence, "the envelope is too short"))?;
    PublicKey::from_slice(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_payee_opens_it_and_only_for_its_lock() {
        let payee = SecretKey::from_bytes(&[3; 32]).unwrap();
        let ephemeral = SecretKey::from_bytes(&[4; 32]).unwrap();
        let letter = Letter { secret: [9; 32], memo: "for the croissant".into() };
        let payer_key = SharedKey::of_payer(&ephemeral, &payee.public_key()).unwrap();
        let envelope = payer_key.seal(&letter, b"hash", [1; 24]).unwrap();
        let payee_key = SharedKey::of_payee(&payee, &ephemeral_of(&envelope).unwrap()).unwrap();
        assert_eq!(payee_key.open(&envelope, b"hash").unwrap(), letter);
        assert!(payee_key.open(&envelope, b"other").is_err());
        let mut torn = envelope.to_vec();
        torn[60] ^= 1;
        assert!(payee_key.open(&torn, b"hash").is_err());
        let other = SecretKey::from_bytes(&[5; 32]).unwrap();
        let other_key = SharedKey::of_payee(&other, &ephemeral_of(&envelope).unwrap()).unwrap();
        assert!(other_key.open(&envelope, b"hash").is_err());
    }
}
