//! How much may be sent at once. Both sides keep to these, and a hub refuses what is beyond.

/// The largest message on the wire, in bytes: a frame of a socket, or a body of HTTP.
pub const MAX_MESSAGE: usize = 65_536;

/// Most peer messages in one frame, in both directions. A hub counts them before it reads the first, so that nobody
/// makes it read what is not paid for. The longest frame has room for fewer of those that a wallet sends in numbers
/// (the shortest of them is longer than `MAX_MESSAGE / MAX_MESSAGES` bytes), so no honest sender is held up by it: as
/// a sender's own limit, anything lower would split frames for nothing, anything higher would be refused.
pub const MAX_MESSAGES: usize = 1_024;

/// Most channels that one connection attaches.
pub const MAX_ATTACHED: usize = 64;

/// The longest backup that a hub keeps, in bytes: as hex, with what stands around it, it is a message.
pub const MAX_BACKUP: usize = 30_000;

/// Most requests in a batch, over HTTP only.
pub const MAX_BATCH: usize = 64;

/// Most bytes of the answers to a batch: the calls after them are not made.
pub const MAX_ANSWER: usize = 262_144;

/// The longest id of a request that is echoed, in bytes of JSON.
pub const MAX_ID: usize = 128;
