-- A database of schema version 2, with marked rows.
CREATE TABLE device (
    device TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    model TEXT NOT NULL,
    os TEXT NOT NULL,
    device_key TEXT NOT NULL,
    sealing_key TEXT NOT NULL,
    paired_at TEXT NOT NULL
) STRICT;
CREATE TABLE record (
    seq INTEGER PRIMARY KEY,
    record_id TEXT NOT NULL UNIQUE,
    device TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    envelope BLOB NOT NULL,
    receipt TEXT NOT NULL,
    at TEXT NOT NULL,
    outcome TEXT NOT NULL,
    validity TEXT,
    export TEXT NOT NULL CHECK (export IN ('not_due', 'unreadable', 'waiting', 'renaming', 'written')),
    file TEXT,
    content BLOB
) STRICT;
CREATE INDEX record_to_export ON record (export, seq) WHERE export IN ('waiting', 'renaming');
CREATE TABLE quarantine (
    seq INTEGER PRIMARY KEY,
    record_id TEXT NOT NULL,
    device TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    envelope BLOB NOT NULL,
    receipt TEXT NOT NULL,
    at TEXT NOT NULL,
    reason TEXT NOT NULL,
    UNIQUE (record_id, sha256)
) STRICT;
CREATE TABLE audit_entry (
    position INTEGER PRIMARY KEY,
    chain TEXT NOT NULL,
    number INTEGER NOT NULL,
    record_id TEXT,
    entry TEXT NOT NULL,
    UNIQUE (chain, number)
) STRICT;
CREATE INDEX audit_entry_of_record ON audit_entry (record_id) WHERE record_id IS NOT NULL;
CREATE TABLE audit_checkpoint (
    number INTEGER PRIMARY KEY,
    checkpoint TEXT NOT NULL
) STRICT;
INSERT INTO device (device, name, model, os, device_key, sealing_key, paired_at) VALUES ('dev-old', '往診タブレット', 'Sample tablet', 'Sample OS 1', '"BAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="', '"CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk="', '2026-11-20T03:00:00.000000000Z');
INSERT INTO record (seq, record_id, device, sha256, envelope, receipt, at, outcome, validity, export, file, content) VALUES (1, '01a1f67c-3e60-7101-8101-010101010101', 'dev-old', '0101010101010101010101010101010101010101010101010101010101010101', X'666972737420656e76656c6f7065', '{"body":"eyJ2ZXJzaW9uIjoxLCJyZWNvcmRfaWQiOiIwMWExZjY3Yy0zZTYwLTcxMDEtODEwMS0wMTAxMDEwMTAxMDEiLCJ0ZW5hbnQiOiIxMzEwMTIzNDU2IiwiZGV2aWNlIjoidGFibGV0LTEiLCJlbnZlbG9wZV9zaGEyNTYiOiI3ZTc0MGQyNDkyNmE5ZDRlMTJkZGVmMTM4OGUzZTNiZWNiNjdmM2M4ZmUxNTgzZGU1YWJlZmRmMDkwZTkzNTRiIiwidmVyZGljdCI6ImFjY2VwdGVkIiwiYXQiOiIyMDI2LTExLTIwVDAzOjAwOjAwWiJ9","signature":"MEYCIQCsGdUJoTXiF3NsQfqdt9PcM+FWvvRPSFfGkB1+pDnTzQIhAOV1lRCgoGrQZOYwbyNlqXnVwLX8xkOYtNAg2HQ0nwih"}', '2026-11-20T03:00:01.000000000Z', '"answer"', NULL, 'written', 'OQSsiquc01res_face_1.xml', NULL);
INSERT INTO record (seq, record_id, device, sha256, envelope, receipt, at, outcome, validity, export, file, content) VALUES (2, '01a1f67c-3e60-7101-8101-010101010102', 'dev-old', '0202020202020202020202020202020202020202020202020202020202020202', X'7365636f6e6420656e76656c6f7065', '{"body":"eyJ2ZXJzaW9uIjoxLCJyZWNvcmRfaWQiOiIwMWExZjY3Yy0zZTYwLTcxMDEtODEwMS0wMTAxMDEwMTAxMDEiLCJ0ZW5hbnQiOiIxMzEwMTIzNDU2IiwiZGV2aWNlIjoidGFibGV0LTEiLCJlbnZlbG9wZV9zaGEyNTYiOiI3ZTc0MGQyNDkyNmE5ZDRlMTJkZGVmMTM4OGUzZTNiZWNiNjdmM2M4ZmUxNTgzZGU1YWJlZmRmMDkwZTkzNTRiIiwidmVyZGljdCI6ImFjY2VwdGVkIiwiYXQiOiIyMDI2LTExLTIwVDAzOjAwOjAwWiJ9","signature":"MEYCIQCsGdUJoTXiF3NsQfqdt9PcM+FWvvRPSFfGkB1+pDnTzQIhAOV1lRCgoGrQZOYwbyNlqXnVwLX8xkOYtNAg2HQ0nwih"}', '2026-11-20T03:00:02.000000000Z', '"answer"', '"valid"', 'waiting', 'OQSsiquc01res_face_2.xml', X'3ce8a68be69cac206e616d653d22e58db0e4bb9820e5a4aae9838e222f3e');
INSERT INTO record (seq, record_id, device, sha256, envelope, receipt, at, outcome, validity, export, file, content) VALUES (3, '01a1f67c-3e60-7101-8101-010101010103', 'dev-old', '0303030303030303030303030303030303030303030303030303030303030303', X'746869726420656e76656c6f7065', '{"body":"eyJ2ZXJzaW9uIjoxLCJyZWNvcmRfaWQiOiIwMWExZjY3Yy0zZTYwLTcxMDEtODEwMS0wMTAxMDEwMTAxMDEiLCJ0ZW5hbnQiOiIxMzEwMTIzNDU2IiwiZGV2aWNlIjoidGFibGV0LTEiLCJlbnZlbG9wZV9zaGEyNTYiOiI3ZTc0MGQyNDkyNmE5ZDRlMTJkZGVmMTM4OGUzZTNiZWNiNjdmM2M4ZmUxNTgzZGU1YWJlZmRmMDkwZTkzNTRiIiwidmVyZGljdCI6ImFjY2VwdGVkIiwiYXQiOiIyMDI2LTExLTIwVDAzOjAwOjAwWiJ9","signature":"MEYCIQCsGdUJoTXiF3NsQfqdt9PcM+FWvvRPSFfGkB1+pDnTzQIhAOV1lRCgoGrQZOYwbyNlqXnVwLX8xkOYtNAg2HQ0nwih"}', '2026-11-20T03:00:03.000000000Z', '"deferred"', NULL, 'not_due', NULL, NULL);
INSERT INTO quarantine (seq, record_id, device, sha256, envelope, receipt, at, reason) VALUES (1, '01a1f67c-3e60-7101-8101-010101010104', 'dev-old', '0404040404040404040404040404040404040404040404040404040404040404', X'736574206173696465', '{"body":"eyJ2ZXJzaW9uIjoxLCJyZWNvcmRfaWQiOiIwMWExZjY3Yy0zZTYwLTcxMDEtODEwMS0wMTAxMDEwMTAxMDEiLCJ0ZW5hbnQiOiIxMzEwMTIzNDU2IiwiZGV2aWNlIjoidGFibGV0LTEiLCJlbnZlbG9wZV9zaGEyNTYiOiI3ZTc0MGQyNDkyNmE5ZDRlMTJkZGVmMTM4OGUzZTNiZWNiNjdmM2M4ZmUxNTgzZGU1YWJlZmRmMDkwZTkzNTRiIiwidmVyZGljdCI6eyJxdWFyYW50aW5lZCI6eyJyZWFzb24iOiJ3cm9uZ19rZXkifX0sImF0IjoiMjAyNi0xMS0yMFQwMzowMDowMFoifQ==","signature":"MEUCIESHCEmDpZ8KWkL1JN6bLgWI+c8arOTEpnYS+icOZxpcAiEAkL4OItX+Iq9TQUW772KjDYkQKvZX1jeTZxGbxMJ6oFg="}', '2026-11-20T03:00:04.000000000Z', '"malformed"');
PRAGMA user_version = 2;
