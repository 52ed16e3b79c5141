//! Notices of changes to nftables.
//!
//! Source: Linux `include/uapi/linux/netfilter/nf_tables.h`.

use std::collections::VecDeque;

use super::TABLE_PREFIX;
use crate::NetError;
use crate::netfilter::{
    FAMILY_IPV4, Message, MessageBuilder, NLM_F_ACK, NLM_F_REQUEST, NetfilterSocket, attribute, be_u32, messages, text,
};

const SUBSYSTEM_NFTABLES: u8 = 10;
const GROUP_NFTABLES: u32 = 7;
const GET_TABLE: u8 = 1;
const NEW_GENERATION: u8 = 15;
const GET_GENERATION: u8 = 16;
const GENERATION_ID: u16 = 1;
/// In messages about tables, chains, rules, sets and elements alike, the first attribute is the table's name.
const TABLE_NAME: u16 = 1;

/// What was noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// A transaction that ended with this generation touched the table.
    Changed {
        /// The generation's id.
        generation: u32,
    },
    /// Notices were lost.
    Overrun,
}

/// Whose changes count.
enum Watched {
    /// One table's.
    Table(Vec<u8>),
    /// All but ours, of any instance: services change all the time.
    Others,
}

impl Watched {
    fn includes(&self, table: &[u8]) -> bool {
        match self {
            Self::Table(own) => table == own,
            Self::Others => !table.starts_with(TABLE_PREFIX.as_bytes()),
        }
    }
}

/// Receives notices about changes.
pub(crate) struct Monitor {
    socket: NetfilterSocket,
    scope: Watched,
    touched: bool,
    queued: VecDeque<Seen>,
}

impl Monitor {
    /// Receives notices about one table.
    pub(super) fn for_table(table: &str) -> Result<Self, NetError> {
        Self::open(Watched::Table(table.as_bytes().to_vec()))
    }

    /// Receives notices about tables of other software.
    pub(crate) fn for_others() -> Result<Self, NetError> {
        Self::open(Watched::Others)
    }

    fn open(scope: Watched) -> Result<Self, NetError> {
        let mut socket = NetfilterSocket::open()?;
        socket.join(GROUP_NFTABLES)?;
        Ok(Self { socket, scope, touched: false, queued: VecDeque::new() })
    }

    /// Waits for a transaction that touches what is watched. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Seen, NetError> {
        loop {
            if let Some(seen) = self.queued.pop_front() {
                return Ok(seen);
            }
            match self.socket.receive().await {
                Ok(datagram) => self.read(&datagram),
                Err(error) if error.raw_os_error() == Some(nix::errno::Errno::ENOBUFS as i32) => {
                    return Ok(Seen::Overrun);
                }
                Err(source) => return Err(NetError::kernel("read notices of nftables", source)),
            }
        }
    }

    /// Forgets what was noticed but not yet returned.
    pub(crate) fn drain(&mut self) {
        self.queued.clear();
    }

    /// A transaction's changes come first, then the generation that it ended with.
    fn read(&mut self, datagram: &[u8]) {
        for message in messages(datagram) {
            let Message::Payload { subsystem: SUBSYSTEM_NFTABLES, message, attributes: body } = message else {
                continue;
            };
            if message != NEW_GENERATION {
                self.touched |= attribute(body, TABLE_NAME).is_some_and(|name| self.scope.includes(text(name)));
                continue;
            }
            if std::mem::take(&mut self.touched) {
                let generation = attribute(body, GENERATION_ID).and_then(be_u32).unwrap_or_default();
                self.queued.push_back(Seen::Changed { generation });
            }
        }
    }
}

/// Returns the generation of the namespace's rules.
pub(super) async fn current_generation() -> Result<u32, NetError> {
    let mut socket = NetfilterSocket::open()?;
    socket.send(&MessageBuilder::new(SUBSYSTEM_NFTABLES, GET_GENERATION, NLM_F_REQUEST, 0).build()).await?;
    let action = "read the generation of nftables";
    let datagram = socket.receive().await.map_err(|source| NetError::kernel(action, source))?;
    let generation = messages(&datagram).find_map(|message| match message {
        Message::Payload { attributes: body, .. } => attribute(body, GENERATION_ID).and_then(be_u32),
        Message::Done | Message::Status(_) => None,
    });
    generation
        .ok_or_else(|| NetError::Protocol { action: action.to_owned(), reason: "the answer has no id".to_owned() })
}

/// Tells whether there is a table of IPv4 with this name.
pub(super) async fn table_exists(table: &str) -> Result<bool, NetError> {
    let mut socket = NetfilterSocket::open()?;
    let mut request = MessageBuilder::new(SUBSYSTEM_NFTABLES, GET_TABLE, NLM_F_REQUEST | NLM_F_ACK, FAMILY_IPV4);
    request.attribute(TABLE_NAME, &[table.as_bytes(), &[0]].concat());
    match socket.acknowledged(&request.build()).await? {
        0 => Ok(true),
        code if code == nix::errno::Errno::ENOENT as i32 => Ok(false),
        code => Err(NetError::kernel(
            format!("look up nftables table \"{table}\""),
            std::io::Error::from_raw_os_error(code),
        )),
    }
}
