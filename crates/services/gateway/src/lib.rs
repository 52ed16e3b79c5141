//! Carries HTTP traffic by Ingress and Gateway API.
