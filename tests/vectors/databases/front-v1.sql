-- A database of schema version 1, with marked rows.
CREATE TABLE device (
    device TEXT PRIMARY KEY,
    registration TEXT NOT NULL
) STRICT;
CREATE TABLE envelope (
    seq INTEGER PRIMARY KEY,
    record_id TEXT NOT NULL UNIQUE,
    device TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    received_at TEXT NOT NULL,
    sealed BLOB,
    receipt TEXT,
    taken INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX envelope_for_desk ON envelope (seq) WHERE sealed IS NOT NULL;
CREATE INDEX envelope_for_device ON envelope (device, seq) WHERE receipt IS NOT NULL AND taken = 0;
CREATE TABLE pairing (
    session TEXT PRIMARY KEY,
    expires_at TEXT NOT NULL,
    hello TEXT,
    answer TEXT
) STRICT;
INSERT INTO device (device, registration) VALUES ('dev-old', '{"state":"active","device_key":"BAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=","tenant":"1310123458"}');
INSERT INTO device (device, registration) VALUES ('dev-gone', '{"state":"revoked","device_key":"BAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=","tenant":"1310123458"}');
INSERT INTO envelope (seq, record_id, device, sha256, received_at, sealed, receipt, taken) VALUES (1, '01a1f67c-3e60-7101-8101-010101010101', 'dev-old', '0101010101010101010101010101010101010101010101010101010101010101', '2026-11-20T03:00:01.000000000Z', X'6d61726b656420656e76656c6f7065', NULL, 0);
INSERT INTO envelope (seq, record_id, device, sha256, received_at, sealed, receipt, taken) VALUES (2, '01a1f67c-3e60-7101-8101-010101010102', 'dev-old', '0202020202020202020202020202020202020202020202020202020202020202', '2026-11-20T03:00:02.000000000Z', NULL, '{"body":"eyJ2ZXJzaW9uIjoxLCJyZWNvcmRfaWQiOiIwMWExZjY3Yy0zZTYwLTcxMDEtODEwMS0wMTAxMDEwMTAxMDEiLCJ0ZW5hbnQiOiIxMzEwMTIzNDU2IiwiZGV2aWNlIjoidGFibGV0LTEiLCJlbnZlbG9wZV9zaGEyNTYiOiI3ZTc0MGQyNDkyNmE5ZDRlMTJkZGVmMTM4OGUzZTNiZWNiNjdmM2M4ZmUxNTgzZGU1YWJlZmRmMDkwZTkzNTRiIiwidmVyZGljdCI6ImFjY2VwdGVkIiwiYXQiOiIyMDI2LTExLTIwVDAzOjAwOjAwWiJ9","signature":"MEYCIQCsGdUJoTXiF3NsQfqdt9PcM+FWvvRPSFfGkB1+pDnTzQIhAOV1lRCgoGrQZOYwbyNlqXnVwLX8xkOYtNAg2HQ0nwih"}', 0);
INSERT INTO envelope (seq, record_id, device, sha256, received_at, sealed, receipt, taken) VALUES (3, '01a1f67c-3e60-7101-8101-010101010103', 'dev-old', '0303030303030303030303030303030303030303030303030303030303030303', '2026-11-20T03:00:03.000000000Z', NULL, '{"body":"eyJ2ZXJzaW9uIjoxLCJyZWNvcmRfaWQiOiIwMWExZjY3Yy0zZTYwLTcxMDEtODEwMS0wMTAxMDEwMTAxMDEiLCJ0ZW5hbnQiOiIxMzEwMTIzNDU2IiwiZGV2aWNlIjoidGFibGV0LTEiLCJlbnZlbG9wZV9zaGEyNTYiOiI3ZTc0MGQyNDkyNmE5ZDRlMTJkZGVmMTM4OGUzZTNiZWNiNjdmM2M4ZmUxNTgzZGU1YWJlZmRmMDkwZTkzNTRiIiwidmVyZGljdCI6eyJxdWFyYW50aW5lZCI6eyJyZWFzb24iOiJ3cm9uZ19rZXkifX0sImF0IjoiMjAyNi0xMS0yMFQwMzowMDowMFoifQ==","signature":"MEUCIESHCEmDpZ8KWkL1JN6bLgWI+c8arOTEpnYS+icOZxpcAiEAkL4OItX+Iq9TQUW772KjDYkQKvZX1jeTZxGbxMJ6oFg="}', 1);
INSERT INTO pairing (session, expires_at, hello, answer) VALUES ('06060606060606060606060606060606', '2026-11-20T03:00:09.000000000Z', '{"encapsulated":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=","sealed":"bWFya2VkIGhlbGxv"}', NULL);
PRAGMA user_version = 1;
