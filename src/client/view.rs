//! What can be seen of a client: who and where it is, what it has, what it paid and was paid.

use super::Client;
use crate::failure::Result;
use crate::transport::Hub;
use alloy_primitives::Address;
use farthing_protocol::eip712::Domain;
use farthing_protocol::types::{Asset, ChannelDef, ChannelId};
use farthing_protocol::wallet::{Balance, Direction, Payment, Status, Wallet};

/// Which payments to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only of this asset.
    pub asset: Option<Asset>,
    /// Only this way.
    pub direction: Option<Direction>,
    /// Only with this status.
    pub status: Option<Status>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// Payments, newest first.
pub type History = Vec<Payment>;

impl Filter {
    fn takes(&self, payment: &Payment) -> bool {
        self.asset.is_none_or(|asset| asset == payment.asset)
            && self.direction.is_none_or(|direction| direction == payment.direction)
            && self.status.is_none_or(|status| status == payment.status)
    }
}

impl Client {
    /// The channel's definition.
    #[must_use]
    pub const fn def(&self) -> &ChannelDef {
        &self.def
    }

    /// The channel.
    #[must_use]
    pub const fn id(&self) -> ChannelId {
        self.id
    }

    /// Chain and contract.
    #[must_use]
    pub const fn domain(&self) -> &Domain {
        &self.chain.domain
    }

    /// The hub.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// Whether the hub is connected.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        self.connected.get()
    }

    /// Blocks on top of a block before what is in it counts.
    #[must_use]
    pub const fn confirmations(&self) -> u64 {
        self.chain.confirmations()
    }

    /// The owner's account.
    #[must_use]
    pub fn address(&self) -> Address {
        self.owner.address()
    }

    /// What there is of each asset that the hub lists.
    pub fn balances(&self) -> Result<Vec<Balance>> {
        self.check_open()?;
        let wallet = self.wallet.borrow();
        Ok(self.terms().assets.iter().map(|terms| wallet.balance(terms.asset)).collect())
    }

    /// Payments, newest first: of this channel, and then of those before it.
    pub async fn payments(&self, filter: Filter) -> Result<History> {
        self.check_open()?;
        let limit = filter.limit.unwrap_or(usize::MAX);
        let live = self.wallet.borrow().payments();
        let mut found: History = live.iter().filter(|payment| filter.takes(payment)).cloned().collect();
        if found.len() < limit {
            let older = self.store.load(&format!("{}/history/", self.prefix)).await?;
            for (_, value) in older.iter().rev() {
                for payment in Wallet::decode_history(value)? {
                    if filter.takes(&payment) && !live.iter().any(|known| known.id == payment.id) {
                        // A batch is nearly in order, so the place is near the end.
                        let newer = found.iter().rposition(|known| known.order() >= payment.order());
                        found.insert(newer.map_or(0, |place| place.saturating_add(1)), payment);
                    }
                }
                if found.len() >= limit {
                    break;
                }
            }
        }
        for prefix in &self.past {
            if found.len() >= limit {
                break;
            }
            let entries = self.store.load(&format!("{prefix}/")).await?;
            let payments = Wallet::stored_payments(prefix, &entries)?;
            found.extend(payments.into_iter().filter(|payment| filter.takes(payment)));
        }
        found.truncate(limit);
        Ok(found)
    }
}
