//! Responses of other servers: checked, aged and passed on as bytes.

use super::name::expand_name;
use super::wire::{
    Code, Data, FLAG_RECURSION_AVAILABLE, FLAG_RECURSION_DESIRED, FLAG_RESPONSE, FLAG_TRUNCATED, HEADER_BYTES, KIND_A,
    KIND_AAAA, KIND_CNAME, KIND_OPT, KIND_SOA, OPT_BYTES, Query, Record, Response, Section, mark_truncated, push_opt,
    set_count, u16_at, u32_at,
};

/// Another server's response, checked, and ready to be sent to others who ask the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Foreign {
    /// Without its OPT record.
    packet: Vec<u8>,
    records: Vec<Record>,
    answers: usize,
    pub(crate) code: u8,
    pub(crate) truncated: bool,
}

impl Foreign {
    /// Reads a response; `None` unless it answers this query under this id.
    pub(crate) fn parse(packet: &[u8], query: &Query, id: u16) -> Option<Self> {
        let flags = u16_at(packet, 2)?;
        let question_end = HEADER_BYTES + query.question.len();
        let question = packet.get(HEADER_BYTES..question_end)?;
        let same = question.eq_ignore_ascii_case(&query.question);
        if u16_at(packet, 0)? != id || flags & FLAG_RESPONSE == 0 || u16_at(packet, 4)? != 1 || !same {
            return None;
        }
        let answers = usize::from(u16_at(packet, 6)?);
        let count = answers + usize::from(u16_at(packet, 8)?) + usize::from(u16_at(packet, 10)?);
        let mut records = Vec::new();
        let mut position = question_end;
        for _ in 0..count {
            let record = Record::read(packet, position)?;
            position = record.end;
            records.push(record);
        }
        let mut packet = packet.get(..position)?.to_vec();
        if let Some(last) = records.last().copied().filter(|last| last.kind == KIND_OPT) {
            // Ours to say, not to pass on. Only the last one can go without moving others.
            packet.truncate(last.start);
            records.pop();
            let additional = u16_at(&packet, 10)?.saturating_sub(1);
            set_count(&mut packet, 10, additional);
        }
        let code = u8::try_from(flags & 0xf).ok()?;
        Some(Self { packet, records, answers, code, truncated: flags & FLAG_TRUNCATED != 0 })
    }

    pub(crate) fn len(&self) -> usize {
        self.packet.len()
    }

    /// Returns for how many seconds it may be kept: the least of its records' times, and for negative answers what the
    /// zone's authority says (RFC 2308 §5).
    pub(crate) fn ttl_seconds(&self, positive_max: u32, negative_max: u32) -> u32 {
        let of_records =
            |records: &[Record]| records.iter().filter(|one| one.kind != KIND_OPT).map(|one| one.ttl).min();
        let answers = self.records.get(..self.answers).unwrap_or_default();
        match (self.code, answers.iter().any(|record| record.kind != KIND_CNAME)) {
            (0, true) => of_records(&self.records).unwrap_or(0).min(positive_max),
            (0 | 3, _) => {
                let authority = self.records.iter().find(|record| record.kind == KIND_SOA);
                let minimum = authority
                    .and_then(|record| u32_at(&self.packet, record.end - 4).map(|found| found.min(record.ttl)));
                minimum.unwrap_or(0).min(negative_max)
            }
            _ => 0,
        }
    }

    /// Returns the response for a client, aged by so many seconds.
    pub(crate) fn answer(&self, query: &Query, age_seconds: u32, limit: usize) -> Vec<u8> {
        let reserved = if query.edns.is_some() { OPT_BYTES } else { 0 };
        let mut packet = self.packet.clone();
        let upstream_flags = u16_at(&packet, 2).unwrap_or_default();
        let mut flags = FLAG_RESPONSE | FLAG_RECURSION_AVAILABLE | upstream_flags & 0x003f;
        if query.recursion_desired {
            flags |= FLAG_RECURSION_DESIRED;
        }
        set_count(&mut packet, 0, query.id);
        set_count(&mut packet, 2, flags);
        if let Some(question) = packet.get_mut(HEADER_BYTES..HEADER_BYTES + query.question.len()) {
            question.copy_from_slice(&query.question);
        }
        for record in &self.records {
            if record.kind != KIND_OPT
                && let Some(ttl) = packet.get_mut(record.ttl_at..record.ttl_at + 4)
            {
                ttl.copy_from_slice(&record.ttl.saturating_sub(age_seconds).to_be_bytes());
            }
        }
        if packet.len() + reserved > limit {
            packet.truncate(HEADER_BYTES + query.question.len());
            for offset in [6, 8, 10] {
                set_count(&mut packet, offset, 0);
            }
            mark_truncated(&mut packet);
        }
        if let Some(edns) = query.edns {
            push_opt(&mut packet, Code::NoError, edns.dnssec_ok);
            let additional = u16_at(&packet, 10).unwrap_or_default().saturating_add(1);
            set_count(&mut packet, 10, additional);
        }
        packet
    }

    /// Appends the addresses and aliases that it holds to another response, whose alias it was asked for.
    pub(crate) fn append_to(&self, response: &mut Response, ttl_max: u32) {
        for record in self.records.get(..self.answers).unwrap_or_default() {
            let Some(owner) = expand_name(&self.packet, record.start) else { continue };
            let ttl = record.ttl.min(ttl_max);
            if record.kind == KIND_CNAME {
                let Some(target) = expand_name(&self.packet, record.data_at) else { continue };
                response.push(Section::Answer, Some(&owner), ttl, &Data::Alias(&target));
            } else if matches!(record.kind, KIND_A | KIND_AAAA)
                && let Some(data) = self.packet.get(record.data_at..record.end)
            {
                response.push(Section::Answer, Some(&owner), ttl, &Data::Raw { kind: record.kind, data });
            }
        }
    }
}
