//! End-to-end tests: whole conversations and whole systems; all of it lies under `tests/`.
