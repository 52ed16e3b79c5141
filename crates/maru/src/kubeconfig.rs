//! The administrator's kubeconfig.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Returns a kubeconfig with one cluster, one user with a client certificate, and one context, all named `maru`.
pub(crate) fn render(server: &str, authority_pem: &str, certificate_pem: &str, key_pem: &str) -> String {
    use base64::Engine as _;
    let encode = |pem: &str| base64::engine::general_purpose::STANDARD.encode(pem);
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: maru\n\
         clusters:\n- name: maru\n  cluster:\n    server: {server}\n    certificate-authority-data: {}\n\
         contexts:\n- name: maru\n  context:\n    cluster: maru\n    user: maru-admin\n    namespace: default\n\
         users:\n- name: maru-admin\n  user:\n    client-certificate-data: {}\n    client-key-data: {}\n",
        encode(authority_pem),
        encode(certificate_pem),
        encode(key_pem),
    )
}

/// Writes a file that only its owner can read, whole or not at all.
pub(crate) fn write_private(path: &Path, content: &str) -> std::io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)
}
