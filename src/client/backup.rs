//! Keeps a sealed backup of the wallet at the hub and, if the application gives one, at a second place.

use super::{Client, Notice};
use crate::entrance::backup::{answered, failed};
use crate::failure::{Failure, Result};
use crate::js::{array, invoke, random, settle};
use crate::task::{Either, race, sleep};
use alloy_primitives::Bytes;
use farthing_protocol::Code;
use farthing_protocol::api::hub::BackupPut;
use farthing_protocol::api::limits::MAX_BACKUP;
use farthing_protocol::backup::Backup;
use js_sys::Uint8Array;
use std::rc::Rc;

/// Pause after a change, so that several go into one backup, and least time between two, in milliseconds.
const GATHER: u32 = 500;
const REST: u32 = 2_500;

/// How long a client that ends waits for its last backup, in milliseconds.
const LAST: u32 = 2_000;

impl Client {
    /// Runs until the client ends.
    pub(super) async fn keep_backup(self: Rc<Self>) {
        let mut told = false;
        while let Either::Second(()) = race(self.closed.wait(), self.unsaved.rings()).await {
            if let Either::First(()) = race(self.closed.wait(), sleep(GATHER)).await {
                return;
            }
            let outcome = self.save_backup().await;
            if let Err(failure) = outcome {
                // Once, until it works again.
                if !std::mem::replace(&mut told, true) {
                    self.tell(Notice::Error(failure));
                }
            } else {
                told = false;
            }
            if let Either::First(()) = race(self.closed.wait(), sleep(REST)).await {
                return;
            }
        }
    }

    /// Before the client ends: what was not saved yet.
    pub(super) async fn save_last_backup(&self) {
        if self.stale_backup.get() && self.failed.borrow().is_none() {
            let _ = race(Box::pin(self.save_backup()), sleep(LAST)).await;
        }
    }

    async fn save_backup(&self) -> Result<()> {
        self.stale_backup.set(false);
        let (snapshot, progress) = self.wallet.borrow().backup();
        let backup =
            Backup { channel: self.def, binding: self.binding.clone(), progress, time: self.chain.now(), snapshot };
        let sealed = backup.seal(self.signer()?, self.id, random()?)?;
        let at_hub = self.save_at_hub(&sealed).await;
        if let Some(place) = &self.backup {
            let bytes = Uint8Array::from(sealed.as_slice());
            let put = settle(invoke(place, "put", &array([bytes])));
            let put = answered("put", Box::pin(async { put.await.map_err(|thrown| failed("put away", thrown)) })).await;
            put.inspect_err(|_| self.stale_backup.set(true))?;
        }
        at_hub
    }

    async fn save_at_hub(&self, sealed: &[u8]) -> Result<()> {
        let Some(socket) = self.hub.socket() else {
            // Saved as soon as the hub is back.
            self.stale_backup.set(true);
            return Ok(());
        };
        if sealed.len() > MAX_BACKUP {
            return Err(Failure::new(
                Code::LimitExceeded,
                "The backup is too large for the hub until payments settle.",
            ));
        }
        let put = BackupPut { channel_id: self.id, backup: Bytes::copy_from_slice(sealed) };
        let kept = self.hub.call_on(&socket, &put).await;
        kept.and_then(|answer| answer.check()).inspect_err(|_| self.stale_backup.set(true))
    }

    /// Something changed that a backup has to hold.
    pub(super) fn needs_backup(&self) {
        self.stale_backup.set(true);
        self.unsaved.ring();
        self.unwatched.ring();
    }
}
