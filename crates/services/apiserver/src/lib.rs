//! Serves the Kubernetes API.
