//! Reads the chain for one process, as a driver does: the questions of a look go to a node as nodes are, what is told
//! goes to the machine, and the place up to which was read becomes durable together with the facts.

use super::chain::{Chain, FINALITY};
use super::machine::{Config, Machine};
use super::node::{Node, TRIES};
use farthing_protocol::chain::ChainFact;
use farthing_protocol::channel::Channel;
use farthing_protocol::error::Error;
use farthing_protocol::reading::{Cursor, Heard, Reading, ReadingConfig, Step};
use farthing_protocol::types::{Asset, ChannelId};
use std::collections::BTreeSet;

/// What is stored of it.
#[derive(Clone)]
pub struct Place {
    cursor: Option<Cursor>,
    /// Channels that were never read as a whole.
    unread: BTreeSet<ChannelId>,
}

pub struct Reader {
    config: ReadingConfig,
    reading: Reading,
    pub node: Node,
    pub place: Place,
}

impl Reader {
    /// Of a process that knows nothing of the chain. A wallet asks as clients do, and of these assets; without a list,
    /// of what something happened to, as a tower does.
    pub fn new(config: &Config, of_wallet: Option<Vec<Asset>>, machine: &Machine, node: Node) -> Self {
        let (contract, assets, by_channel) = match config {
            Config::Wallet(config) => (config.domain.contract(), of_wallet, true),
            Config::Hub(config) => (config.domain.contract(), Some(config.assets.keys().copied().collect()), false),
        };
        let (confirmations, log_range, resets_after) = (FINALITY, 5, None);
        let config = ReadingConfig { contract, assets, confirmations, log_range, resets_after, by_channel };
        let known: BTreeSet<_> = machine.channels().into_iter().map(Channel::id).collect();
        let reading = Reading::new(config.clone(), known.clone(), None);
        Self { config, reading, node, place: Place { cursor: None, unread: known } }
    }

    /// The process starts again, with what was stored.
    pub fn restart(&mut self, machine: &Machine, place: Place) {
        let channels = machine.channels();
        // Of each exit that it remembers it may not know yet whether it is final.
        let exits = channels.iter().filter(|channel| channel.state().exit.is_some());
        let exits = exits.map(|channel| (channel.id(), u64::MAX));
        let known = channels.iter().map(|channel| channel.id());
        self.reading = Reading::new(self.config.clone(), known, place.cursor.clone())
            .with_unread(place.unread.clone())
            .with_exits(exits);
        self.place = place;
    }

    /// A channel is new to it.
    pub fn add(&mut self, channel: ChannelId) {
        self.reading.add(channel);
        self.place.unread.insert(channel);
    }

    /// Reads up to the newest block. Whoever is refused asks again before much time has passed.
    pub fn read(&mut self, machine: &mut Machine, chain: &Chain) {
        for left in (0..TRIES).rev() {
            self.node.turn(left == 0);
            if self.look(machine, chain).is_ok() {
                return;
            }
        }
        panic!("a node that is well can be read");
    }

    fn look(&mut self, machine: &mut Machine, chain: &Chain) -> Result<(), Error> {
        let now = chain.now;
        if let Machine::Wallet(wallet) = &*machine {
            self.reading.seek(wallet.channel().live_keys().into_iter().collect());
        }
        self.reading.look(now);
        loop {
            match self.reading.step() {
                Step::Ask(questions) => {
                    let answers: Result<_, Error> =
                        questions.iter().map(|question| self.node.answer(chain, question)).collect();
                    self.reading.answered(answers?)?;
                }
                Step::Announced(_) => self.reading.announced([])?,
                Step::Store(cursor) => {
                    self.place.cursor = Some(cursor);
                    self.reading.stored()?;
                }
                Step::Tell { facts, .. } => {
                    facts.iter().for_each(|(channel, fact)| machine.tell(*channel, fact, now));
                    self.reading.told(Vec::new())?;
                }
                Step::CaughtUp { channels, .. } => {
                    self.place.unread.retain(|channel| !channels.contains(channel));
                    self.reading.told(Vec::new())?;
                }
                Step::Head { facts, head } => {
                    facts.iter().for_each(|(channel, fact)| machine.tell(*channel, fact, now));
                    self.reading.heard(Heard { unread: machine.head(head, now), gone: Vec::new() })?;
                }
                Step::Recorded(facts) => {
                    facts.iter().for_each(|fact: &ChainFact| machine.tell(None, fact, now));
                    self.reading.told(Vec::new())?;
                }
                Step::Done(_) | Step::Rest => return Ok(()),
            }
        }
    }
}
