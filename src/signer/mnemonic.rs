//! A key from a BIP-39 phrase (English, no passphrase) along `m/44'/60'/0'/0/0`, as Ethereum wallets do.
//!
//! Written here on RustCrypto's primitives, which the protocol links anyway, because the word list as one text
//! costs 6 kB after gzip; `bip39` and `coins-bip39` store it as an array of slices, twice that, and the latter
//! brings a second copy of k256.

use crate::failure::{Failure, Result};
use farthing_protocol::Code;
use farthing_protocol::sign::SecretKey;
use hmac::{Hmac, KeyInit, Mac};
use k256::elliptic_curve::PrimeField;
use k256::elliptic_curve::sec1::ToSec1Point;
use k256::{NonZeroScalar, PublicKey, Scalar};
use sha2::{Digest, Sha256, Sha512};
use zeroize::Zeroizing;

/// The list of BIP-39, one word a line, sorted.
const WORDS: &str = include_str!("bip39_english.txt");

const ROUNDS: u32 = 2048;

const HARDENED: u32 = 1 << 31;

/// `m/44'/60'/0'/0/0`.
const PATH: [u32; 5] = [44 | HARDENED, 60 | HARDENED, HARDENED, 0, 0];

/// The key of a phrase, after its words and its checksum were checked.
pub fn key(phrase: &str) -> Result<SecretKey> {
    let words: Vec<&str> = phrase.split_ascii_whitespace().collect();
    check(&words)?;
    let phrase = Zeroizing::new(words.join(" "));
    let mut seed = Zeroizing::new([0_u8; 64]);
    let hashed = pbkdf2::pbkdf2::<Hmac<Sha512>>(phrase.as_bytes(), b"mnemonic", ROUNDS, &mut *seed);
    hashed.map_err(|_| Failure::from(Code::Internal))?;
    let (mut secret, mut chain) = halves(b"Bitcoin seed", &[&*seed])?;
    for index in PATH {
        let parent = scalar(&secret)?;
        let child = if index >= HARDENED {
            halves(&*chain, &[&[0], &*secret, &index.to_be_bytes()])?
        } else {
            let public = PublicKey::from_secret_scalar(&parent).to_sec1_point(true);
            halves(&*chain, &[public.as_bytes(), &index.to_be_bytes()])?
        };
        // Fails with a chance of 2^-127, as BIP-32 says.
        let sum = Option::<NonZeroScalar>::from(NonZeroScalar::new(add(&scalar(&child.0)?, &parent)));
        let sum = sum.ok_or_else(|| Failure::from(Code::Internal))?;
        secret = Zeroizing::new(sum.to_repr().into());
        chain = child.1;
    }
    Ok(SecretKey::from_bytes(&*secret)?)
}

#[allow(clippy::arithmetic_side_effects, reason = "addition in the field of scalars does not overflow")]
fn add(a: &NonZeroScalar, b: &NonZeroScalar) -> Scalar {
    **a + **b
}

type Half = Zeroizing<[u8; 32]>;

fn halves(key: &[u8], parts: &[&[u8]]) -> Result<(Half, Half)> {
    let mut mac = Hmac::<Sha512>::new_from_slice(key).map_err(|_| Failure::from(Code::Internal))?;
    for part in parts {
        mac.update(part);
    }
    let out = mac.finalize().into_bytes();
    let (mut left, mut right) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
    let (low, high) = out.split_at(32);
    left.copy_from_slice(low);
    right.copy_from_slice(high);
    Ok((left, right))
}

fn scalar(bytes: &Half) -> Result<NonZeroScalar> {
    let scalar = Option::<Scalar>::from(Scalar::from_repr((**bytes).into()));
    let scalar = scalar.and_then(|scalar| Option::<NonZeroScalar>::from(NonZeroScalar::new(scalar)));
    scalar.ok_or_else(|| Code::Internal.into())
}

/// 12, 15, 18, 21 or 24 words of the list, whose last bits are the checksum of the others.
fn check(words: &[&str]) -> Result<()> {
    let refused = |why: &'static str| Err(Failure::new(Code::InvalidArgument, why));
    if !matches!(words.len(), 12 | 15 | 18 | 21 | 24) {
        return refused("wallet.mnemonic must have 12, 15, 18, 21 or 24 words.");
    }
    let mut bits: Zeroizing<Vec<bool>> = Zeroizing::new(Vec::with_capacity(264));
    for word in words {
        let Some(index) = WORDS.lines().position(|listed| listed == *word) else {
            return refused("wallet.mnemonic has a word that is not in the English list of BIP-39.");
        };
        bits.extend((0..11_u32).rev().map(|bit| (index >> bit) & 1 == 1));
    }
    // One bit in 33 is checksum: 4 for 12 words, 8 for 24.
    let (data, checksum) = bits.split_at(words.len().saturating_mul(32).div_euclid(3));
    let entropy: Zeroizing<Vec<u8>> = Zeroizing::new(data.chunks(8).map(byte).collect());
    let hash = Sha256::digest(&*entropy);
    let wanted = hash.iter().flat_map(|byte| (0..8_u32).rev().map(move |bit| (byte >> bit) & 1 == 1));
    if checksum.iter().copied().eq(wanted.take(checksum.len())) {
        Ok(())
    } else {
        refused("wallet.mnemonic is mistyped: its checksum is wrong.")
    }
}

fn byte(bits: &[bool]) -> u8 {
    bits.iter().fold(0, |byte, bit| (byte << 1) | u8::from(*bit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::address;

    #[test]
    fn the_usual_test_phrase_gives_the_usual_account() {
        let key = key("test test test test test test test test test test test junk").unwrap();
        assert_eq!(key.address(), address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"));
    }

    #[test]
    fn phrases_of_24_words_work_and_spaces_do_not_matter() {
        let phrase = format!(" {} art\n", "abandon  ".repeat(23));
        assert_eq!(key(&phrase).unwrap().address(), address!("F278cF59F82eDcf871d630F28EcC8056f25C1cdb"));
    }

    #[test]
    fn a_wrong_word_count_and_checksum_are_refused() {
        for bad in [
            "",
            "test test test",
            "test test test test test test test test test test test test",
            "test test test test test test test test test test test junc",
            "Test test test test test test test test test test test junk",
        ] {
            assert_eq!(key(bad).unwrap_err().code(), Code::InvalidArgument, "{bad}");
        }
    }
}
