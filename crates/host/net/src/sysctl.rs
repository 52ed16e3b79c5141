//! Kernel settings of the calling thread's network namespace.

use crate::NetError;

fn path(name: &str) -> String {
    format!("/proc/sys/{name}")
}

/// Reads a setting, such as `net/ipv4/ip_forward`.
pub(crate) fn read(name: &str) -> Result<String, NetError> {
    std::fs::read_to_string(path(name))
        .map(|text| text.trim().to_owned())
        .map_err(|source| NetError::kernel(format!("read the kernel setting \"{name}\""), source))
}

/// Sets a setting unless it has the value already: where `/proc/sys` is read-only, right values are enough.
pub(crate) fn ensure(name: &str, value: &str) -> Result<(), NetError> {
    if read(name)? == value {
        return Ok(());
    }
    std::fs::write(path(name), value)
        .map_err(|source| NetError::kernel(format!("set the kernel setting \"{name}\" to {value}"), source))
}

/// Sets a setting that some kernels lack.
pub(crate) fn ensure_if_present(name: &str, value: &str) {
    if let Err(error) = ensure(name, value) {
        tracing::debug!(setting = name, %error, "kernel setting left as it is");
    }
}
