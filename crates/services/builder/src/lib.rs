//! Builds images from Dockerfiles and from distribution packages.
