//! One error type, sorted by whose fault it is. A code is stable: it is the same in Rust, JSON and TypeScript.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use core::fmt;

/// Whose fault an error is, and so who has to act.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blame {
    /// We refused what was asked of us; nothing changed. The caller may ask for something else.
    Refused,
    /// The other side broke the protocol. Its message was not applied.
    PeerFault,
    /// The store failed. Nothing is signed until it works again.
    Storage,
    /// The chain or its RPC failed or contradicts what was expected.
    Chain,
    /// The user's wallet refused or is not there.
    Wallet,
    /// A defect of ours. Please report it.
    Bug,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $blame:ident $name:ident = $text:literal, $advice:literal;)*) => {
        /// What went wrong, as a stable name.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Code { $($(#[$doc])* #[doc = $advice] $name,)* }

        impl Code {
            /// Every code, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable name, as in JSON and in JavaScript's `error.code`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// Whose fault it is.
            #[must_use]
            pub const fn blame(self) -> Blame {
                match self { $(Self::$name => Blame::$blame,)* }
            }

            /// What to do next, for a person.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$name => $advice,)* }
            }

            /// The code with this stable name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$name),)* _ => None }
            }
        }
    };
}

codes! {
    Refused InvalidArgument = "invalid-argument", "Check the argument named in the message.";
    Refused InvalidAmount = "invalid-amount", "Give a positive bigint of base units below 2^128.";
    Refused AmountOverflow = "amount-overflow", "The sum exceeds 2^128 - 1 base units.";
    Refused InsufficientFunds = "insufficient-funds", "Deposit more, or wait until payments in flight are settled.";
    Refused NoCapacity = "no-capacity", "The hub's side of the channel is too small for now; try later or less.";
    Refused PayeeUnfunded = "payee-unfunded", "The payee has no deposit, and the hub lends it no more today; a deposit of 1 unit helps.";
    Refused HubUnfunded = "hub-unfunded", "The hub has no gas money to make room for this payment; try later or less.";
    Refused LimitExceeded = "limit-exceeded", "Stay within the limits in the hub's configuration.";
    Refused UnknownAsset = "unknown-asset", "Use an asset that the hub lists.";
    Refused UnknownChannel = "unknown-channel", "Open the channel with this hub first.";
    Refused UnknownPayee = "unknown-payee", "The payee has no channel with this hub.";
    Refused UnknownPayment = "unknown-payment", "No payment has this id.";
    Refused ChannelClosing = "channel-closing", "A closing has been signed; wait until it is mined or lapses.";
    Refused ChannelExiting = "channel-exiting", "An exit has started; only the chain can move this money now.";
    Refused ChannelClosed = "channel-closed", "This asset of the channel was closed; open a new channel.";
    Refused ChainStale = "chain-stale", "One side has not seen the newest of the chain yet; try again soon, and check the RPC if that lasts.";
    Refused UnknownCondition = "unknown-condition", "Use a condition that the other side accepts.";
    Refused BadExpiry = "bad-expiry", "The expiry is too near, too far, or has passed.";
    Refused SlotTaken = "slot-taken", "The slot already holds a lock.";
    Refused TooManyLocks = "too-many-locks", "Wait until pending payments are settled.";
    Refused DuplicateSecret = "duplicate-secret", "A lock with this condition is still live; use a fresh secret.";
    Refused LocksPending = "locks-pending", "Wait until payments are settled, give streams back with cancel(id), or exit.";
    Refused Unacknowledged = "unacknowledged", "The other side owes an acknowledgement; wait, or leave with exit().";
    Refused PaymentFailed = "payment-failed", "The payment came back; nothing was paid.";
    Refused PaymentExpired = "payment-expired", "The payee did not take it in time; nothing was paid.";
    Refused PayeeDeclined = "payee-declined", "The payee gave the payment back; nothing was paid.";
    Refused NotConnected = "not-connected", "The hub can't be reached; try again when it is back.";
    Refused NotAHub = "not-a-hub", "What answers at this URL is no Farthing hub: check the URL.";
    Refused OtherChannel = "other-channel", "This account has money in another channel with this hub.";
    Refused ClientClosed = "client-closed", "Call connect() again.";
    Refused Aborted = "aborted", "The caller's AbortSignal fired.";
    Refused Unanswered = "unanswered", "It was signed or sent, and may still go through: see what became of it before you ask again.";
    Refused Unsupported = "unsupported", "This is not supported here; see the message.";
    PeerFault BadSignature = "bad-signature", "The signature is not the one of the key that must sign.";
    PeerFault BadNonce = "bad-nonce", "The nonce must be above every earlier one, by a bounded step.";
    PeerFault UnknownBase = "unknown-base", "The update builds on a proof that was not accepted; sync and sign again.";
    PeerFault TransferredFell = "transferred-fell", "A proof may never give back what an earlier one handed over.";
    PeerFault ProofMismatch = "proof-mismatch", "The ops do not lead to the signed proof.";
    PeerFault BadOp = "bad-op", "The op is malformed or does not fit the lane.";
    PeerFault BadEvidence = "bad-evidence", "The evidence proves nothing for this condition.";
    PeerFault RedeemTooLow = "redeem-too-low", "Redeem at least what the shown evidence proves.";
    PeerFault ReleaseRefused = "release-refused", "The lock can't be released before its expiry is final.";
    PeerFault BadEncoding = "bad-encoding", "The message can't be decoded.";
    PeerFault MessageTooLarge = "message-too-large", "A message is at most 65,536 bytes.";
    PeerFault RateLimited = "rate-limited", "Slow down and try again.";
    PeerFault NotAuthenticated = "not-authenticated", "Prove the channel's signer key on this connection first.";
    PeerFault WrongChannel = "wrong-channel", "The message belongs to another channel.";
    PeerFault BadTerms = "bad-terms", "The other side's terms are not what was agreed.";
    PeerFault HubFault = "hub-fault", "The hub broke the protocol; leave with exit().";
    Storage StorageFailed = "storage-failed", "Nothing was signed. Free space or check permissions, then reload.";
    Storage StorageCorrupt = "storage-corrupt", "The stored state is damaged; restore from the backup.";
    Storage StorageVersion = "storage-version", "The stored state is from a newer version; upgrade.";
    Storage StorageLocked = "storage-locked", "One client at a time can use a store: disconnect() the other one first.";
    Storage StateOutdated = "state-outdated", "The peer holds a newer state signed by this key; restore before paying.";
    Chain ChainUnavailable = "chain-unavailable", "The RPC doesn't answer; check it and try again.";
    Chain ChainMismatch = "chain-mismatch", "The wallet, RPC or contract is on another chain than the hub's.";
    Chain TransactionFailed = "transaction-failed", "The transaction did not go through; look at balances() before you try again.";
    Wallet WalletRejected = "wallet-rejected", "The user said no, so the wallet signed and sent nothing.";
    Wallet WalletUnavailable = "wallet-unavailable", "The wallet doesn't answer or can't do this.";
    Bug Internal = "internal", "A defect; please report it.";
}

/// An error: a stable [`Code`] and a sentence about this case. Never holds secrets.
///
/// One pointer, so that a function that can fail returns in a register, and whoever hands an error on moves one word:
/// that is a twentieth of the client's module.
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<Report>);

#[derive(Clone, PartialEq, Eq)]
struct Report {
    code: Code,
    detail: Cow<'static, str>,
}

impl Error {
    /// An error with a sentence about this case.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::report(code, detail.into())
    }

    #[cold]
    #[inline(never)]
    fn report(code: Code, detail: Cow<'static, str>) -> Self {
        Self(Box::new(Report { code, detail }))
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.0.code
    }

    /// Whose fault it is.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        self.0.code.blame()
    }

    /// The sentence about this case; may be empty.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.0.detail
    }
}

impl From<Code> for Error {
    #[cold]
    #[inline(never)]
    fn from(code: Code) -> Self {
        Self::report(code, Cow::Borrowed(""))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let about = if self.detail().is_empty() { self.code().advice() } else { self.detail() };
        write!(f, "{}: {about}", self.code().as_str())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_code_has_its_own_name_and_comes_back_from_it() {
        let names: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(Code::from_name(code.as_str()), Some(*code));
        }
    }
}
