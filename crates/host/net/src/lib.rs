//! Links, routes and nftables.
