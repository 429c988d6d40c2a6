//! From options to a channel that is taken up, in a row: each step uses those above it, and none knows the client that
//! the last one is for.
//!
//! | step | does |
//! | --- | --- |
//! | [`settings`] | holds what `connect` was told, checked, and opens stores |
//! | [`known`] | reads what hubs said of themselves at earlier connects |
//! | [`session`] | says which key signs payments: made by the wallet, kept here, or given |
//! | [`greeting`] | asks a hub who it is, tells it who we are, proves our key |
//! | [`record`] | reads which channel is stored, and what the chain says of one |
//! | [`backup`] | looks for the newest backup of a channel |
//! | [`choose`] | finds the channel to use: one that the chain or the hub knows, or a new one |
//! | [`load`] | brings a wallet from its store up to what the chain says |
//! | [`adopt`] | takes over what the hub shows of a channel whose store is lost or old |
//! | [`take_up`] | does all of this in order, and gives an [`Opened`] |

pub(crate) mod adopt;
pub(crate) mod backup;
pub(crate) mod choose;
pub(crate) mod greeting;
pub(crate) mod known;
pub(crate) mod load;
pub(crate) mod record;
pub(crate) mod session;
mod settings;
pub(crate) mod take_up;

pub(crate) use backup::Restored;
pub use session::SessionKey;
pub use settings::{Settings, StoreChoice};
pub(crate) use take_up::{News, Opened, Way, take_up};
