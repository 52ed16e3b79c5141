//! OCI image formats: references, digests, manifests, configurations, layers.
