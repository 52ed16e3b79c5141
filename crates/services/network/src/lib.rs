//! Service addresses and DNS.
