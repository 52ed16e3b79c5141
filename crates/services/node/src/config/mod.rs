//! From a pod's specification and an image to what a container is asked to be.

mod container;
mod env;
mod expand;
mod fields;
mod files;
mod security;

pub(crate) use security::sysctls;

pub(crate) use container::{ContainerInput, PodFiles, container_config};
pub(crate) use env::{Environment, environment};
pub(crate) use fields::{FieldFacts, field, resource_field};
pub(crate) use files::{HostsInput, hostname, hosts, resolv_conf};
