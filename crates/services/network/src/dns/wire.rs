//! DNS messages, as far as a server needs them: one question in, records out.
//!
//! Names are kept in wire form without the final root label, in lower case: comparing and hashing them is comparing bytes.
//! Source: RFC 1035 §4; RFC 6891 (EDNS); RFC 2308 (negative answers).

use std::net::Ipv4Addr;

use super::name::{LABEL_BYTES_MAX, NAME_BYTES_MAX, skip_name};

pub(crate) const KIND_A: u16 = 1;
pub(crate) const KIND_NS: u16 = 2;
pub(crate) const KIND_CNAME: u16 = 5;
pub(crate) const KIND_SOA: u16 = 6;
pub(crate) const KIND_PTR: u16 = 12;
pub(crate) const KIND_TXT: u16 = 16;
pub(crate) const KIND_AAAA: u16 = 28;
pub(crate) const KIND_SRV: u16 = 33;
pub(crate) const KIND_OPT: u16 = 41;
pub(crate) const KIND_AXFR: u16 = 252;
pub(crate) const KIND_ANY: u16 = 255;
pub(crate) const CLASS_IN: u16 = 1;
const CLASS_ANY: u16 = 255;

pub(super) const HEADER_BYTES: usize = 12;
pub(super) const OPT_BYTES: usize = 11;
/// What a client takes over UDP unless it says more.
const UDP_BYTES_DEFAULT: usize = 512;
/// What fits into one packet on any usual path.
pub(crate) const UDP_BYTES_MAX: usize = 1232;

pub(super) const FLAG_RESPONSE: u16 = 0x8000;
const FLAG_AUTHORITATIVE: u16 = 0x0400;
pub(super) const FLAG_TRUNCATED: u16 = 0x0200;
pub(super) const FLAG_RECURSION_DESIRED: u16 = 0x0100;
pub(super) const FLAG_RECURSION_AVAILABLE: u16 = 0x0080;
const FLAG_CHECKING_DISABLED: u16 = 0x0010;

/// What a response says about the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Code {
    NoError = 0,
    FormatError = 1,
    ServerFailure = 2,
    NoSuchName = 3,
    NotImplemented = 4,
    Refused = 5,
    /// RFC 6891 §9: another version of EDNS is asked for. Its upper bits are in the OPT record.
    BadVersion = 16,
}

impl Code {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::NoError => "NOERROR",
            Self::FormatError => "FORMERR",
            Self::ServerFailure => "SERVFAIL",
            Self::NoSuchName => "NXDOMAIN",
            Self::NotImplemented => "NOTIMP",
            Self::Refused => "REFUSED",
            Self::BadVersion => "BADVERS",
        }
    }

    fn bits(self) -> u16 {
        match self {
            Self::NoError => 0,
            Self::FormatError => 1,
            Self::ServerFailure => 2,
            Self::NoSuchName => 3,
            Self::NotImplemented => 4,
            Self::Refused => 5,
            Self::BadVersion => 16,
        }
    }
}

/// A query that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) id: u16,
    /// The name asked for, in lower case.
    pub(crate) name: Vec<u8>,
    pub(crate) kind: u16,
    pub(crate) class: u16,
    pub(crate) edns: Option<Edns>,
    pub(crate) recursion_desired: bool,
    pub(crate) checking_disabled: bool,
    /// The question as it came, letter case included.
    pub(crate) question: Vec<u8>,
}

/// What the client says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edns {
    pub(crate) udp_bytes: u16,
    pub(crate) version: u8,
    pub(crate) dnssec_ok: bool,
}

/// Why a packet is not a query that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NotAQuery {
    /// It gets no answer: it is a response, or too short to have an id.
    Silence,
    /// It gets this answer.
    Answer(Vec<u8>),
}

impl Query {
    /// Reads a packet.
    pub(crate) fn parse(packet: &[u8]) -> Result<Self, NotAQuery> {
        let (Some(id), Some(flags)) = (u16_at(packet, 0), u16_at(packet, 2)) else { return Err(NotAQuery::Silence) };
        if flags & FLAG_RESPONSE != 0 || packet.len() < HEADER_BYTES {
            return Err(NotAQuery::Silence);
        }
        if flags >> 11 & 0xf != 0 {
            return Err(NotAQuery::Answer(bare_error(id, flags, Code::NotImplemented)));
        }
        Self::parse_body(packet, id, flags).ok_or_else(|| NotAQuery::Answer(bare_error(id, flags, Code::FormatError)))
    }

    fn parse_body(packet: &[u8], id: u16, flags: u16) -> Option<Self> {
        if u16_at(packet, 4)? != 1 {
            return None;
        }
        let (name, name_end) = read_question_name(packet)?;
        let kind = u16_at(packet, name_end)?;
        let class = u16_at(packet, name_end + 2)?;
        let question = packet.get(HEADER_BYTES..name_end + 4)?.to_vec();
        let records =
            usize::from(u16_at(packet, 6)?) + usize::from(u16_at(packet, 8)?) + usize::from(u16_at(packet, 10)?);
        let mut edns = None;
        let mut position = name_end + 4;
        for _ in 0..records {
            let record = Record::read(packet, position)?;
            if record.kind == KIND_OPT {
                let [_, version, flags, _] = record.ttl.to_be_bytes();
                edns = Some(Edns { udp_bytes: record.class, version, dnssec_ok: flags & 0x80 != 0 });
            }
            position = record.end;
        }
        let recursion_desired = flags & FLAG_RECURSION_DESIRED != 0;
        let checking_disabled = flags & FLAG_CHECKING_DISABLED != 0;
        Some(Self { id, name, kind, class, edns, recursion_desired, checking_disabled, question })
    }

    /// Returns how many bytes the client takes over UDP.
    pub(crate) fn udp_limit(&self) -> usize {
        self.edns.map_or(UDP_BYTES_DEFAULT, |edns| usize::from(edns.udp_bytes).clamp(UDP_BYTES_DEFAULT, UDP_BYTES_MAX))
    }

    pub(crate) fn is_internet(&self) -> bool {
        matches!(self.class, CLASS_IN | CLASS_ANY)
    }

    /// Tells whether records of a type are asked for.
    pub(crate) fn wants(&self, kind: u16) -> bool {
        self.kind == kind || self.kind == KIND_ANY
    }

    /// Returns the same question for another server, under another id.
    pub(crate) fn forwarded(&self, id: u16) -> Vec<u8> {
        let mut flags = FLAG_RECURSION_DESIRED;
        if self.checking_disabled {
            flags |= FLAG_CHECKING_DISABLED;
        }
        let mut packet = header(id, flags);
        packet.extend(&self.question);
        let dnssec_ok = self.edns.is_some_and(|edns| edns.dnssec_ok);
        push_opt(&mut packet, Code::NoError, dnssec_ok);
        set_count(&mut packet, 4, 1);
        set_count(&mut packet, 10, 1);
        packet
    }

    /// Returns the question for another name.
    pub(crate) fn about(&self, name: &[u8]) -> Self {
        let mut question = name.to_vec();
        question.push(0);
        question.extend(self.kind.to_be_bytes());
        question.extend(CLASS_IN.to_be_bytes());
        Self { name: name.to_vec(), question, class: CLASS_IN, ..self.clone() }
    }
}

/// An error without a question, for packets whose question cannot be read.
fn bare_error(id: u16, flags: u16, code: Code) -> Vec<u8> {
    header(id, FLAG_RESPONSE | flags & (0x7800 | FLAG_RECURSION_DESIRED) | code.bits())
}

fn header(id: u16, flags: u16) -> Vec<u8> {
    let mut packet = Vec::with_capacity(512);
    packet.extend(id.to_be_bytes());
    packet.extend(flags.to_be_bytes());
    packet.extend([0; 8]);
    packet
}

pub(super) fn push_opt(packet: &mut Vec<u8>, code: Code, dnssec_ok: bool) {
    let [upper, _] = (code.bits() >> 4 << 8).to_be_bytes();
    let bytes = u16::try_from(UDP_BYTES_MAX).unwrap_or(u16::MAX).to_be_bytes();
    packet.push(0);
    packet.extend(KIND_OPT.to_be_bytes());
    packet.extend(bytes);
    packet.extend([upper, 0, if dnssec_ok { 0x80 } else { 0 }, 0, 0, 0]);
}

pub(super) fn set_count(packet: &mut [u8], offset: usize, count: u16) {
    if let Some(field) = packet.get_mut(offset..offset + 2) {
        field.copy_from_slice(&count.to_be_bytes());
    }
}

/// Reads the question's name in lower case and returns where it ends. Questions have no compression.
fn read_question_name(packet: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut position = HEADER_BYTES;
    loop {
        let length = usize::from(*packet.get(position)?);
        if length == 0 {
            break;
        }
        if length > LABEL_BYTES_MAX || position - HEADER_BYTES > NAME_BYTES_MAX {
            return None;
        }
        position += length + 1;
    }
    let name = packet.get(HEADER_BYTES..position)?;
    // Length bytes are below 64 and so no letters.
    (name.len() <= NAME_BYTES_MAX).then(|| (name.to_ascii_lowercase(), position + 1))
}

/// A record as it stands in a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) kind: u16,
    pub(crate) class: u16,
    pub(crate) ttl: u32,
    /// Where the record, its time to live, its data begin, and where it ends.
    pub(crate) start: usize,
    pub(crate) ttl_at: usize,
    pub(crate) data_at: usize,
    pub(crate) end: usize,
}

impl Record {
    pub(crate) fn read(packet: &[u8], start: usize) -> Option<Self> {
        let fields = skip_name(packet, start)?;
        let data_at = fields + 10;
        let end = data_at + usize::from(u16_at(packet, fields + 8)?);
        packet.get(data_at..end)?;
        Some(Self {
            kind: u16_at(packet, fields)?,
            class: u16_at(packet, fields + 2)?,
            ttl: u32_at(packet, fields + 4)?,
            start,
            ttl_at: fields + 4,
            data_at,
            end,
        })
    }
}

pub(crate) fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(offset..offset + 2)?.try_into().ok()?))
}

pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?))
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Data<'a> {
    Address(Ipv4Addr),
    Alias(&'a [u8]),
    Pointer(&'a [u8]),
    NameServer(&'a [u8]),
    Service {
        port: u16,
        target: &'a [u8],
    },
    Text(&'a [u8]),
    Authority {
        zone: &'a [u8],
        serial: u32,
        minimum: u32,
    },
    /// Of another server, without compressed names.
    Raw {
        kind: u16,
        data: &'a [u8],
    },
}

/// A response under construction, at most so many bytes long.
#[derive(Debug)]
pub(crate) struct Response {
    packet: Vec<u8>,
    counts: [u16; 2],
    limit: usize,
    edns: Option<Edns>,
    code: Code,
    truncated: bool,
}

/// Where a record goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Answer,
    Authority,
}

/// Points at the question's name.
const QUESTION_NAME: [u8; 2] = [0xc0, 12];

impl Response {
    pub(crate) fn new(query: &Query, code: Code, authoritative: bool, limit: usize) -> Self {
        let mut flags = FLAG_RESPONSE | FLAG_RECURSION_AVAILABLE | code.bits() & 0xf;
        if query.recursion_desired {
            flags |= FLAG_RECURSION_DESIRED;
        }
        if authoritative {
            flags |= FLAG_AUTHORITATIVE;
        }
        let mut packet = header(query.id, flags);
        packet.extend(&query.question);
        set_count(&mut packet, 4, 1);
        let reserved = if query.edns.is_some() { OPT_BYTES } else { 0 };
        Self { packet, counts: [0; 2], limit: limit.saturating_sub(reserved), edns: query.edns, code, truncated: false }
    }

    /// Appends a record; `owner` is the question's name unless given. What does not fit marks the response as truncated.
    pub(crate) fn push(&mut self, section: Section, owner: Option<&[u8]>, ttl: u32, data: &Data<'_>) {
        if self.truncated {
            return;
        }
        let start = self.packet.len();
        match owner {
            None => self.packet.extend(QUESTION_NAME),
            Some(name) => self.push_name(name),
        }
        self.packet.extend(data.kind().to_be_bytes());
        self.packet.extend(CLASS_IN.to_be_bytes());
        self.packet.extend(ttl.to_be_bytes());
        let length_at = self.packet.len();
        self.packet.extend([0; 2]);
        self.push_data(data);
        let length = u16::try_from(self.packet.len() - length_at - 2).unwrap_or(u16::MAX);
        set_count(&mut self.packet, length_at, length);
        if self.packet.len() > self.limit {
            self.packet.truncate(start);
            // Negative answers are as good without the authority.
            self.truncated = section == Section::Answer;
            return;
        }
        let [answers, authorities] = &mut self.counts;
        match section {
            Section::Answer => *answers += 1,
            Section::Authority => *authorities += 1,
        }
    }

    fn push_name(&mut self, name: &[u8]) {
        self.packet.extend(name);
        self.packet.push(0);
    }

    fn push_data(&mut self, data: &Data<'_>) {
        match data {
            Data::Address(address) => self.packet.extend(address.octets()),
            Data::Alias(name) | Data::Pointer(name) | Data::NameServer(name) => self.push_name(name),
            Data::Service { port, target } => {
                // Priority 0; all targets weigh the same.
                self.packet.extend([0, 0, 0, 100]);
                self.packet.extend(port.to_be_bytes());
                self.push_name(target);
            }
            Data::Text(text) => {
                let text: &[u8] = text.get(..255).unwrap_or(text);
                self.packet.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
                self.packet.extend(text);
            }
            Data::Authority { zone, serial, minimum } => {
                self.packet.extend(b"\x02ns\x03dns");
                self.push_name(zone);
                self.packet.extend(b"\x0ahostmaster");
                self.push_name(zone);
                for number in [*serial, 7200, 1800, 86_400, *minimum] {
                    self.packet.extend(number.to_be_bytes());
                }
            }
            Data::Raw { data, .. } => self.packet.extend(*data),
        }
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        let [answers, authorities] = self.counts;
        set_count(&mut self.packet, 6, answers);
        set_count(&mut self.packet, 8, authorities);
        if self.truncated {
            mark_truncated(&mut self.packet);
        }
        if let Some(edns) = self.edns {
            push_opt(&mut self.packet, self.code, edns.dnssec_ok);
            set_count(&mut self.packet, 10, 1);
        }
        self.packet
    }
}

pub(super) fn mark_truncated(packet: &mut [u8]) {
    if let Some(flags) = packet.get_mut(2) {
        *flags |= FLAG_TRUNCATED.to_be_bytes()[0];
    }
}

impl Data<'_> {
    fn kind(&self) -> u16 {
        match self {
            Self::Address(_) => KIND_A,
            Self::Alias(_) => KIND_CNAME,
            Self::Pointer(_) => KIND_PTR,
            Self::NameServer(_) => KIND_NS,
            Self::Service { .. } => KIND_SRV,
            Self::Text(_) => KIND_TXT,
            Self::Authority { .. } => KIND_SOA,
            Self::Raw { kind, .. } => *kind,
        }
    }
}

/// Returns a response without records.
pub(crate) fn error(query: &Query, code: Code) -> Vec<u8> {
    Response::new(query, code, false, UDP_BYTES_MAX).finish()
}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
