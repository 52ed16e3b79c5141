//! Kubernetes' formats: schemas, selectors, patches, field ownership, tables, quantities.
