//! Raw messages of the kernel's netfilter subsystems over netlink.
//!
//! Source: Linux `include/uapi/linux/netlink.h`, `nfnetlink.h`; attributes as in netlink(7).

use rtnetlink::sys::{AsyncSocket as _, AsyncSocketExt as _, SocketAddr, TokioSocket, protocols::NETLINK_NETFILTER};

use crate::NetError;

const HEADER_BYTES: usize = 16;
const FAMILY_HEADER_BYTES: usize = 4;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// Marks an attribute that holds attributes.
pub(crate) const NLA_NESTED: u16 = 0x8000;
const NLA_TYPE_MASK: u16 = 0x3fff;

pub(crate) const NLM_F_REQUEST: u16 = 0x1;
pub(crate) const NLM_F_ACK: u16 = 0x4;
pub(crate) const NLM_F_DUMP: u16 = 0x300;

/// `AF_INET`.
pub(crate) const FAMILY_IPV4: u8 = 2;

/// A message under construction: the netlink header, the netfilter header, attributes.
#[derive(Debug)]
pub(crate) struct MessageBuilder(Vec<u8>);

impl MessageBuilder {
    pub(crate) fn new(subsystem: u8, message: u8, flags: u16, family: u8) -> Self {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend(0u32.to_ne_bytes());
        // The subsystem in the high byte, the message in the low byte.
        bytes.extend((u16::from(subsystem) << 8 | u16::from(message)).to_ne_bytes());
        bytes.extend(flags.to_ne_bytes());
        bytes.extend(1u32.to_ne_bytes());
        bytes.extend(0u32.to_ne_bytes());
        bytes.extend([family, 0, 0, 0]);
        Self(bytes)
    }

    pub(crate) fn attribute(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.pad();
        self
    }

    fn pad(&mut self) {
        while !self.0.len().is_multiple_of(4) {
            self.0.push(0);
        }
    }

    pub(crate) fn build(mut self) -> Vec<u8> {
        let length = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        if let Some(field) = self.0.get_mut(..4) {
            field.copy_from_slice(&length.to_ne_bytes());
        }
        self.0
    }
}

/// A message as the kernel sent it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Message<'a> {
    /// The end of a dump.
    Done,
    /// An acknowledgement (0) or the negative code of an error.
    Status(i32),
    /// One of a netfilter subsystem.
    Payload { subsystem: u8, message: u8, attributes: &'a [u8] },
}

/// Splits a datagram into messages; malformed rests are ignored.
pub(crate) fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(datagram, 0)?).ok()?;
        let whole = datagram.get(..length).filter(|whole| whole.len() >= HEADER_BYTES)?;
        datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
        let kind = u16_at(whole, 4)?;
        Some(match kind {
            NLMSG_DONE => Message::Done,
            NLMSG_ERROR => Message::Status(i32::from_ne_bytes(u32_at(whole, HEADER_BYTES)?.to_ne_bytes())),
            _ => {
                let [message, subsystem] = kind.to_le_bytes();
                let attributes = whole.get(HEADER_BYTES + FAMILY_HEADER_BYTES..).unwrap_or_default();
                Message::Payload { subsystem, message, attributes }
            }
        })
    })
}

/// Splits attributes into (type, value); malformed rests are ignored.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16_at(bytes, 0)?);
        let kind = u16_at(bytes, 2)? & NLA_TYPE_MASK;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// Returns the value of the first attribute of a type.
pub(crate) fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| *found == kind).map(|(_, value)| value)
}

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(offset..offset + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?))
}

/// Returns a number in network order from an attribute's value.
pub(crate) fn be_u32(value: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(value.try_into().ok()?))
}

/// Returns a text without the byte 0 that ends it.
pub(crate) fn text(value: &[u8]) -> &[u8] {
    value.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A socket to the netfilter subsystems of the namespace in which it was opened.
pub(crate) struct NetfilterSocket(TokioSocket);

impl NetfilterSocket {
    pub(crate) fn open() -> Result<Self, NetError> {
        let wrap = |source| NetError::kernel("open a netfilter socket", source);
        let mut socket = TokioSocket::new(NETLINK_NETFILTER).map_err(wrap)?;
        socket.socket_mut().bind_auto().map_err(wrap)?;
        Ok(Self(socket))
    }

    /// Also receives what the kernel tells a multicast group.
    pub(crate) fn join(&mut self, group: u32) -> Result<(), NetError> {
        let socket = self.0.socket_mut();
        // Best effort: the default is enough for a few hundred changes at once.
        if let Err(error) = socket.set_rx_buf_sz(4u32 << 20) {
            tracing::debug!(%error, "netfilter socket keeps its receive buffer");
        }
        socket.add_membership(group).map_err(|source| NetError::kernel("watch netfilter changes", source))
    }

    pub(crate) async fn send(&mut self, message: &[u8]) -> Result<(), NetError> {
        let sent = self.0.send_to(message, &SocketAddr::new(0, 0)).await;
        sent.map(drop).map_err(|source| NetError::kernel("send to netfilter", source))
    }

    /// Receives a datagram. Cancel safe.
    pub(crate) async fn receive(&mut self) -> std::io::Result<Vec<u8>> {
        self.0.recv_from_full().await.map(|(bytes, _)| bytes)
    }

    /// Sends a dump request and hands each message's attributes to `each`.
    pub(crate) async fn dump(&mut self, request: &[u8], mut each: impl FnMut(&[u8])) -> Result<(), NetError> {
        self.send(request).await?;
        loop {
            let datagram = self.receive().await.map_err(|source| NetError::kernel("read from netfilter", source))?;
            for message in messages(&datagram) {
                match message {
                    Message::Done => return Ok(()),
                    Message::Status(0) => {}
                    Message::Status(code) => {
                        return Err(NetError::kernel("list from netfilter", std::io::Error::from_raw_os_error(-code)));
                    }
                    Message::Payload { attributes, .. } => each(attributes),
                }
            }
        }
    }

    /// Sends a request and waits for its acknowledgement: 0, or the kernel's error code.
    pub(crate) async fn acknowledged(&mut self, request: &[u8]) -> Result<i32, NetError> {
        self.send(request).await?;
        loop {
            let datagram = self.receive().await.map_err(|source| NetError::kernel("read from netfilter", source))?;
            let status = messages(&datagram).find_map(|message| match message {
                Message::Status(code) => Some(-code),
                Message::Done | Message::Payload { .. } => None,
            });
            if let Some(code) = status {
                return Ok(code);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_built_is_read_back() {
        let mut builder = MessageBuilder::new(10, 7, NLM_F_REQUEST, FAMILY_IPV4);
        builder.attribute(1, b"abc").attribute(2 | NLA_NESTED, &[5, 0, 3, 0, 9, 0, 0, 0]);
        let bytes = builder.build();
        let found: Vec<Message<'_>> = messages(&bytes).collect();
        let [Message::Payload { subsystem: 10, message: 7, attributes: body }] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert_eq!(attribute(body, 1), Some(b"abc".as_slice()));
        assert_eq!(attribute(attribute(body, 2).unwrap(), 3), Some([9].as_slice()));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_end_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for message in messages(&bytes) {
                if let Message::Payload { attributes: body, .. } = message {
                    prop_assert!(attributes(body).count() <= bytes.len());
                }
            }
        }
    }
}
