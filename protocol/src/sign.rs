//! secp256k1 keys and signatures: low `s`, `v` 27 or 28, 65 bytes; anything else is refused, here as on chain.

use crate::codec::{Decode, Encode, Reader};
use crate::error::{Code, Error};
use crate::json::bridge::as_serde;
use crate::json::{Fault, FromJson, ToJson, Value, read_hex, write_hex};
use alloc::string::String;
use alloc::vec::Vec;
use alloy_primitives::{Address, B256, keccak256};
use core::fmt;
use k256::ecdsa::{RecoveryId, Signature as EcdsaSignature, SigningKey, VerifyingKey};

/// A signature `r ‖ s ‖ v` with low `s` and `v` 27 or 28.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature([u8; 65]);

impl Signature {
    /// Checks the shape (length, `v`, low `s`) of a signature; [`Code::BadSignature`] otherwise.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, Error> {
        let bytes: [u8; 65] =
            bytes.try_into().map_err(|_| Error::new(Code::BadSignature, "a signature has 65 bytes"))?;
        let signature = Self(bytes);
        signature.parts()?;
        Ok(signature)
    }

    /// The 65 bytes `r ‖ s ‖ v`.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 65] {
        &self.0
    }

    /// The address whose key signed `digest`.
    pub fn recover(&self, digest: B256) -> Result<Address, Error> {
        let (signature, id) = self.parts()?;
        let key = VerifyingKey::recover_from_prehash(digest.as_slice(), &signature, id)
            .map_err(|_| Error::new(Code::BadSignature, "no key made this signature"))?;
        Ok(address_of(&key))
    }

    /// Refuses unless `signer`'s key signed `digest`.
    pub fn verify(&self, digest: B256, signer: Address) -> Result<(), Error> {
        if self.recover(digest)? == signer {
            Ok(())
        } else {
            Err(Error::new(Code::BadSignature, "signed by another key"))
        }
    }

    fn parts(&self) -> Result<(EcdsaSignature, RecoveryId), Error> {
        let (rs, v) = self.0.split_at(64);
        let id = match v {
            [27] => RecoveryId::new(false, false),
            [28] => RecoveryId::new(true, false),
            _ => return Err(Error::new(Code::BadSignature, "v must be 27 or 28")),
        };
        let signature =
            EcdsaSignature::from_slice(rs).map_err(|_| Error::new(Code::BadSignature, "r or s is out of range"))?;
        if signature.normalize_s() != signature {
            return Err(Error::new(Code::BadSignature, "s must be in the lower half"));
        }
        Ok((signature, id))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&alloy_primitives::hex::encode_prefixed(self.0))
    }
}

impl Encode for Signature {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }
}

impl Decode for Signature {
    fn get(input: &mut Reader<'_>) -> Self {
        let bytes = <[u8; 65]>::get(input);
        Self::from_slice(&bytes).unwrap_or_else(|_| {
            input.damaged();
            Self(bytes)
        })
    }
}

impl ToJson for Signature {
    fn write(&self, out: &mut String) {
        write_hex(&self.0, out);
    }
}

impl FromJson for Signature {
    fn read(value: &Value<'_>, fault: &mut Fault) -> Self {
        let mut bytes = [0; 65];
        read_hex(value, fault, &mut bytes);
        Self::from_slice(&bytes).unwrap_or_else(|_| {
            fault.found();
            Self(bytes)
        })
    }
}

as_serde!(Signature);

/// A compressed secp256k1 public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; 33]);

impl PublicKey {
    /// Checks that the 33 bytes are a point on the curve.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, Error> {
        let bytes: [u8; 33] =
            bytes.try_into().map_err(|_| Error::new(Code::InvalidArgument, "a compressed public key has 33 bytes"))?;
        // SEC1 knows a third form of 33 bytes, without a parity: here one key has one encoding.
        if !matches!(bytes, [2 | 3, ..]) {
            return Err(Error::new(Code::InvalidArgument, "a compressed public key starts with 2 or 3"));
        }
        k256::PublicKey::from_sec1_bytes(&bytes)
            .map_err(|_| Error::new(Code::InvalidArgument, "not a point on secp256k1"))?;
        Ok(Self(bytes))
    }

    /// The SEC1 compressed form.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 33] {
        &self.0
    }

    /// The address of this key.
    pub fn address(&self) -> Result<Address, Error> {
        VerifyingKey::from_sec1_bytes(&self.0)
            .map(|key| address_of(&key))
            .map_err(|_| Error::new(Code::InvalidArgument, "not a point on secp256k1"))
    }

    pub(crate) fn point(&self) -> Result<k256::PublicKey, Error> {
        k256::PublicKey::from_sec1_bytes(&self.0)
            .map_err(|_| Error::new(Code::InvalidArgument, "not a point on secp256k1"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&alloy_primitives::hex::encode_prefixed(self.0))
    }
}

impl Encode for PublicKey {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }
}

impl Decode for PublicKey {
    fn get(input: &mut Reader<'_>) -> Self {
        let bytes = <[u8; 33]>::get(input);
        Self::from_slice(&bytes).unwrap_or_else(|_| {
            input.damaged();
            Self(bytes)
        })
    }
}

impl ToJson for PublicKey {
    fn write(&self, out: &mut String) {
        write_hex(&self.0, out);
    }
}

impl FromJson for PublicKey {
    fn read(value: &Value<'_>, fault: &mut Fault) -> Self {
        let mut bytes = [0; 33];
        read_hex(value, fault, &mut bytes);
        Self::from_slice(&bytes).unwrap_or_else(|_| {
            fault.found();
            Self(bytes)
        })
    }
}

as_serde!(PublicKey);

/// A secret key. It is redacted in `Debug`, never serialised, and wiped when dropped.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// A key from its 32 bytes; zero and values beyond the group order are refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let bad = || Error::new(Code::InvalidArgument, "a private key is 32 bytes, not zero, below the group order");
        // `SigningKey` itself takes shorter ones, too, and fills them up with zeros.
        let bytes: &[u8; 32] = bytes.try_into().map_err(|_| bad())?;
        SigningKey::from_slice(bytes).map(Self).map_err(|_| bad())
    }

    /// A key made from key material of any kind by hashing it under a label.
    pub fn derive(label: &str, material: &[u8]) -> Result<Self, Error> {
        let mut data = zeroize::Zeroizing::new(label.as_bytes().to_vec());
        data.push(0);
        data.extend_from_slice(material);
        // The chance that a keccak digest is no valid key is below 2^-127.
        Self::from_bytes(keccak256(&*data).as_slice())
    }

    /// The address of the key.
    #[must_use]
    pub fn address(&self) -> Address {
        address_of(self.0.verifying_key())
    }

    /// The public key.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        let point = self.0.verifying_key().to_sec1_point(true);
        let mut bytes = [0; 33];
        for (to, from) in bytes.iter_mut().zip(point.as_bytes()) {
            *to = *from;
        }
        PublicKey(bytes)
    }

    /// Signs a digest; deterministic (RFC 6979), low `s`.
    #[must_use]
    pub fn sign(&self, digest: B256) -> Signature {
        let (signature, id) = self.0.sign_prehash_recoverable(digest.as_slice());
        let mut bytes = [0; 65];
        let v = if id.is_y_odd() { 28 } else { 27 };
        let rs = signature.to_bytes();
        for (to, from) in bytes.iter_mut().zip(rs.iter().copied().chain([v])) {
            *to = from;
        }
        Signature(bytes)
    }

    /// A key for another purpose, which tells nothing about this one.
    pub fn child(&self, label: &str) -> Result<Self, Error> {
        let bytes = zeroize::Zeroizing::new(<[u8; 32]>::from(self.0.to_bytes()));
        Self::derive(label, &*bytes)
    }

    /// The 32 bytes, for who keeps them: never for a log or a message.
    #[must_use]
    pub fn to_bytes(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.0.to_bytes().into())
    }

    /// 32 secret bytes bound to `label` and `context`, for a secret or an encryption key.
    #[must_use]
    pub fn secret(&self, label: &str, context: &[u8]) -> [u8; 32] {
        let bytes = zeroize::Zeroizing::new(<[u8; 32]>::from(self.0.to_bytes()));
        let kdf = hkdf::Hkdf::<sha2::Sha256>::new(Some(label.as_bytes()), &*bytes);
        let mut out = [0; 32];
        // HKDF only fails for outputs over 255 hashes long; this is one.
        if kdf.expand(context, &mut out).is_err() {
            out = [0; 32];
        }
        out
    }

    pub(crate) fn scalar(&self) -> &k256::NonZeroScalar {
        self.0.as_nonzero_scalar()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.address())
    }
}

fn address_of(key: &VerifyingKey) -> Address {
    let point = key.to_sec1_point(false);
    let hash = keccak256(point.as_bytes().get(1..).unwrap_or_default());
    Address::from_word(hash)
}
