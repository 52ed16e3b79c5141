//! Container images on this machine: references, layers, unpacked snapshots.
