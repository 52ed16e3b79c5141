//! Containers and the pod shim around libcontainer.
