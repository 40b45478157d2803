use std::path::Path;

use rusqlite::Connection;

/// Brings the front's database to so many records that the clinic has answered and the devices have taken.
///
/// They are written past the front, older than all that come after; their bytes name nobody.
pub(crate) fn in_front(database: &Path, count: u32) {
    fill(
        database,
        count,
        "SELECT count(*) FROM envelope",
        &["INSERT INTO envelope (record_id, device, sha256, received_at, sealed, receipt, taken)
           WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2)
           SELECT printf('01900000-0000-7000-8000-%012x', i), 'bench-' || (i % 100), hex(randomblob(32)),
               '2026-01-01T00:00:00.000000000Z', NULL, hex(randomblob(350)), 1 FROM n"],
    );
}

/// Brings the desk's database to so many accepted records with their audit.
///
/// The audit's filling has numbers below the true ones, so that the true chain still is the newest.
pub(crate) fn in_desk(database: &Path, count: u32) {
    fill(
        database,
        count,
        "SELECT count(*) FROM record",
        &[
            "INSERT INTO record (record_id, device, sha256, envelope, receipt, at, outcome, validity, export)
             WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2)
             SELECT printf('01900000-0000-7000-8000-%012x', i), 'bench-' || (i % 100), hex(randomblob(32)),
                 randomblob(2400), hex(randomblob(350)), '2026-01-01T00:00:00.000000000Z', '\"deferred\"', NULL, 'not_due'
             FROM n",
            "INSERT INTO audit_entry (position, chain, number, record_id, entry)
             WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2)
             SELECT -1 - i, 'filling', -1 - i, printf('01900000-0000-7000-8000-%012x', i), hex(randomblob(200)) FROM n",
            "INSERT INTO audit_checkpoint (number, checkpoint)
             WITH RECURSIVE n(i) AS (SELECT ?1 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?2)
             SELECT -1 - i, hex(randomblob(400)) FROM n",
        ],
    );
}

fn fill(database: &Path, count: u32, counting: &str, inserts: &[&str]) {
    let mut connection = Connection::open(database).expect("the hub made it");
    let present: u32 = connection.query_row(counting, [], |row| row.get(0)).expect("the table is there");
    if present >= count {
        return;
    }
    let transaction = connection.transaction().expect("nobody else writes");
    for insert in inserts {
        transaction.execute(insert, [present, count]).expect("the table is there");
    }
    transaction.commit().expect("the disk has room");
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("the disk has room");
}
