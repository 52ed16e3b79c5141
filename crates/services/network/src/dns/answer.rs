//! From a query and the names to an answer; no IO.

use super::names::{Entry, Found, Names};
use super::wire::{
    Code, Data, KIND_A, KIND_AXFR, KIND_CNAME, KIND_NS, KIND_PTR, KIND_SOA, KIND_SRV, KIND_TXT, Query, Response,
    Section, error,
};

/// What to do with a query.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Send this.
    Ready(Code, Vec<u8>),
    /// Ask the servers that know all other names.
    Forward,
    /// The name stands for another one that others know: ask them for it and append what they say.
    Follow {
        /// Holds the alias.
        response: Box<Response>,
        /// The other name.
        target: Vec<u8>,
    },
}

/// What an answer depends on besides the names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    /// Bytes that the client takes.
    pub(crate) limit: usize,
    /// Seconds that the client may keep the answer.
    pub(crate) ttl: u32,
    /// Turns lists of addresses, so that clients that take the first spread.
    pub(crate) rotation: usize,
}

/// Aliases of aliases that are followed.
const ALIASES_MAX: usize = 8;

/// Decides about a query. Before the first snapshot nothing is known, which is different from knowing of nothing.
pub(crate) fn answer(names: Option<&Names>, zone: &[u8], query: &Query, terms: Terms) -> Reply {
    if query.edns.is_some_and(|edns| edns.version != 0) {
        return Reply::Ready(Code::BadVersion, error(query, Code::BadVersion));
    }
    if !query.is_internet() || query.kind == KIND_AXFR {
        return Reply::Ready(Code::Refused, error(query, Code::Refused));
    }
    let Some(names) = names else {
        return if query.name.ends_with(zone) {
            Reply::Ready(Code::ServerFailure, error(query, Code::ServerFailure))
        } else {
            Reply::Forward
        };
    };
    match names.find(&query.name) {
        Found::Elsewhere => Reply::Forward,
        Found::Nothing { zone } => ready(Code::NoSuchName, negative(names, query, Code::NoSuchName, zone, terms)),
        Found::Address(address) if query.wants(KIND_A) => {
            let mut response = Response::new(query, Code::NoError, true, terms.limit);
            response.push(Section::Answer, None, terms.ttl, &Data::Address(address));
            ready(Code::NoError, response)
        }
        Found::Pointers(pointers) if query.wants(KIND_PTR) => {
            let mut response = Response::new(query, Code::NoError, true, terms.limit);
            for pointer in pointers {
                response.push(Section::Answer, None, terms.ttl, &Data::Pointer(pointer));
            }
            ready(Code::NoError, response)
        }
        Found::Address(_) | Found::Pointers(_) => {
            ready(Code::NoError, negative(names, query, Code::NoError, names.zone(), terms))
        }
        Found::Entry(entry) => of_entry(names, entry, query, terms),
    }
}

fn ready(code: Code, response: Response) -> Reply {
    Reply::Ready(code, response.finish())
}

/// Says that there is no such name, or no such data, and for how long that may be believed.
fn negative(names: &Names, query: &Query, code: Code, zone: &[u8], terms: Terms) -> Response {
    let mut response = Response::new(query, code, true, terms.limit);
    let authority = Data::Authority { zone, serial: names.serial(), minimum: terms.ttl };
    response.push(Section::Authority, Some(zone), terms.ttl, &authority);
    response
}

fn of_entry(names: &Names, entry: &Entry, query: &Query, terms: Terms) -> Reply {
    let mut response = Response::new(query, Code::NoError, true, terms.limit);
    let mut owner: Option<Vec<u8>> = None;
    let mut entry = entry;
    for _ in 0..ALIASES_MAX {
        let Some(target) = &entry.alias else { break };
        response.push(Section::Answer, owner.as_deref(), terms.ttl, &Data::Alias(target));
        if query.kind == KIND_CNAME {
            return ready(Code::NoError, response);
        }
        match names.find(target) {
            Found::Entry(next) => {
                owner = Some(target.clone());
                entry = next;
            }
            Found::Elsewhere => return Reply::Follow { response: Box::new(response), target: target.clone() },
            Found::Address(address) => {
                response.push(Section::Answer, Some(target), terms.ttl, &Data::Address(address));
                return ready(Code::NoError, response);
            }
            Found::Pointers(_) | Found::Nothing { .. } => return ready(Code::NoError, response),
        }
    }
    let mut found = owner.is_some();
    for data in data(names, entry, query, terms) {
        found = true;
        response.push(Section::Answer, owner.as_deref(), terms.ttl, &data);
    }
    if found {
        ready(Code::NoError, response)
    } else {
        ready(Code::NoError, negative(names, query, Code::NoError, names.zone(), terms))
    }
}

fn data<'a>(names: &'a Names, entry: &'a Entry, query: &Query, terms: Terms) -> Vec<Data<'a>> {
    let mut found = Vec::new();
    if query.wants(KIND_A) && !entry.addresses.is_empty() {
        let (back, front) = entry.addresses.split_at(terms.rotation % entry.addresses.len());
        found.extend(front.iter().chain(back).map(|address| Data::Address(*address)));
    }
    if query.wants(KIND_SRV) {
        found.extend(entry.services.iter().map(|(port, target)| Data::Service { port: *port, target }));
    }
    if query.wants(KIND_TXT) {
        found.extend(entry.text.iter().map(|text| Data::Text(text)));
    }
    if query.wants(KIND_NS) {
        found.extend(entry.name_server.iter().map(|server| Data::NameServer(server)));
    }
    if query.wants(KIND_SOA) && query.name == names.zone() {
        found.push(Data::Authority { zone: names.zone(), serial: names.serial(), minimum: terms.ttl });
    }
    found
}
