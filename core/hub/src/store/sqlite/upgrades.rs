//! Every earlier version of both databases, as it was shipped, comes up to today's with all that was in it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use rusqlite::{Batch, Connection, TransactionBehavior, fallible_iterator::FallibleIterator as _, types::Value};
use tazune_model::{DeviceId, InstitutionCode, StoreFault, Timestamp};

use super::{SqliteDeskStore, SqliteFrontStore, database::Database, desk, front};
use crate::{
    Ports,
    desk::ReceiptKey,
    store::{DeskStore as _, ExportState, FrontStore as _},
};

const STORES: [(&str, &[&str]); 2] = [("front", front::MIGRATIONS), ("desk", desk::MIGRATIONS)];

/// Each row as its columns by name.
type Rows = Vec<BTreeMap<String, Value>>;

fn dump(name: &str, version: usize) -> PathBuf {
    let file = format!("../../tests/vectors/databases/{name}-v{version}.sql");
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// Makes the database of an earlier version in `folder`.
fn load(folder: &Path, name: &str, version: usize) -> PathBuf {
    let path = folder.join(format!("{name}.sqlite"));
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(&fs::read_to_string(dump(name, version)).unwrap()).unwrap();
    assert_eq!(version_of(&path), version, "{name}");
    path
}

fn version_of(path: &Path) -> usize {
    let version: u32 =
        Connection::open(path).unwrap().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    version as usize
}

/// Every table with its rows, in their order.
fn content(path: &Path) -> BTreeMap<String, Rows> {
    let connection = Connection::open(path).unwrap();
    let mut tables = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let rows = |table: &String| {
        let mut all = connection.prepare(&format!("SELECT * FROM {table} ORDER BY rowid")).unwrap();
        let columns: Vec<String> = all.column_names().into_iter().map(ToOwned::to_owned).collect();
        let row = |row: &rusqlite::Row<'_>| {
            columns.iter().enumerate().map(|(at, column)| Ok((column.clone(), row.get(at)?))).collect()
        };
        all.query_map([], row).unwrap().map(Result::unwrap).collect()
    };
    tables.iter().map(|table| (table.clone(), rows(table))).collect()
}

/// Whether `new` has every row of `old`, each with at least the same columns.
fn has_all(new: &BTreeMap<String, Rows>, old: &BTreeMap<String, Rows>) -> bool {
    let is_in = |row: &BTreeMap<String, Value>, rows: &Rows| {
        rows.iter().any(|new| row.iter().all(|(column, value)| new.get(column) == Some(value)))
    };
    old.iter().all(|(table, rows)| new.get(table).is_some_and(|new| rows.iter().all(|row| is_in(row, new))))
}

fn open(path: &Path, migrations: &'static [&'static str]) {
    Database::open(path, migrations, &Ports::system()).unwrap();
}

/// Each version that an upgrade begins at: all that were shipped, and the newest too once it has a file.
fn versions(name: &str, migrations: &[&str]) -> impl Iterator<Item = usize> {
    (1..=migrations.len()).filter(|version| dump(name, *version).exists()).collect::<Vec<_>>().into_iter()
}

#[test]
fn every_version_before_the_newest_is_kept_as_it_was_shipped() {
    for (name, migrations) in STORES {
        for version in 1..migrations.len() {
            assert!(dump(name, version).exists(), "add {}", dump(name, version).display());
        }
    }
}

#[test]
fn every_row_of_every_version_comes_along_and_a_copy_of_before_stays() {
    for (name, migrations) in STORES {
        for version in versions(name, migrations) {
            let folder = tempfile::tempdir().unwrap();
            let path = load(folder.path(), name, version);
            let before = content(&path);
            for _ in 0..2 {
                open(&path, migrations);
                assert_eq!(version_of(&path), migrations.len(), "{name} {version}");
                assert!(has_all(&content(&path), &before), "{name} {version}");
            }
            let copy = path.with_added_extension(format!("before-v{}", migrations.len()));
            assert_eq!(copy.exists(), version < migrations.len(), "{name} {version}");
            if copy.exists() {
                assert_eq!((version_of(&copy), content(&copy)), (version, before), "{name} {version}");
            }
        }
    }
}

#[tokio::test]
async fn what_earlier_versions_kept_can_be_used() {
    for version in versions("front", front::MIGRATIONS) {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteFrontStore::open(&load(folder.path(), "front", version), &Ports::system()).unwrap();
        let device = DeviceId::new("dev-old").unwrap();
        assert!(store.device(&device).await.unwrap().is_some());
        assert_eq!(store.waiting_envelopes(1000).await.unwrap()[0].as_slice(), b"marked envelope");
        assert_eq!(store.receipts(&device, 10).await.unwrap().len(), 1);
        assert_eq!(store.waiting_hellos().await.unwrap()[0].hello.sealed.as_slice(), b"marked hello");
        let pulse = store.pulse().await.unwrap();
        assert_eq!((pulse.waiting, pulse.oldest_received_at.is_some()), (1, true));
        assert_eq!(pulse.devices, [("active".to_owned(), 1), ("revoked".to_owned(), 1)]);
    }
    for version in versions("desk", desk::MIGRATIONS) {
        let folder = tempfile::tempdir().unwrap();
        let (tenant, key) = (InstitutionCode::new("1310123458").unwrap(), ReceiptKey::for_tests());
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let path = load(folder.path(), "desk", version);
        let store = SqliteDeskStore::open(&path, tenant, key, now, &Ports::system()).await.unwrap();
        assert_eq!(store.device(&DeviceId::new("dev-old").unwrap()).await.unwrap().unwrap().name, "往診タブレット");
        let records = store.records(None, 10).await.unwrap().lines;
        let exports: Vec<_> = records.iter().map(|record| record.export).collect();
        use ExportState::{NotDue, Waiting, Written};
        assert_eq!(exports, [Written, Waiting, NotDue, NotDue]);
        assert!(records[3].quarantine.is_some() && records[3].accepted_at.is_none());
        let pulse = store.pulse().await.unwrap();
        assert_eq!((pulse.waiting, pulse.oldest_accepted_at), (1, records[1].accepted_at));
        let [export] = store.next_exports(10).await.unwrap().try_into().unwrap();
        assert!(String::from_utf8(export.content.0).unwrap().contains("印付 太郎"));
        store.exports_renaming(vec![export.record_id]).await.unwrap();
        store.exports_written(vec![export.record_id], now).await.unwrap();
        assert_eq!(store.next_exports(10).await.unwrap(), []);
    }
}

/// Three steps of the kinds that upgrades are made of; the real lists may have no second step.
const STEPS: &[&str] = &[
    "CREATE TABLE old (word TEXT NOT NULL) STRICT; INSERT INTO old VALUES ('kept'), ('too');",
    "CREATE TABLE new (word TEXT NOT NULL) STRICT; INSERT INTO new SELECT word FROM old; DROP TABLE old;
     ALTER TABLE new RENAME TO old; CREATE INDEX by_word ON old (word);",
    "ALTER TABLE old ADD COLUMN tone TEXT NOT NULL DEFAULT 'plain'; UPDATE old SET tone = 'loud' WHERE word = 'too';",
];

/// Copies database and log as they are on the disk, which is what a killed program leaves.
fn killed(path: &Path, folder: &Path) -> PathBuf {
    let copy = folder.join("killed.sqlite");
    for end in ["", "-wal"] {
        let name = |path: &Path| PathBuf::from(format!("{}{end}", path.display()));
        let _ = fs::remove_file(name(&copy));
        if name(path).exists() {
            fs::copy(name(path), name(&copy)).unwrap();
        }
    }
    copy
}

#[test]
fn a_kill_at_any_statement_leaves_the_version_before_and_the_next_start_upgrades_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut upgrades: Vec<(&str, &'static [&'static str], usize)> = vec![("steps", STEPS, 1), ("steps", STEPS, 2)];
    for (name, migrations) in STORES {
        upgrades.extend(versions(name, migrations).map(|version| (name, migrations, version)));
    }
    for (name, migrations, version) in upgrades {
        let place = tempfile::tempdir().unwrap();
        let path = match name {
            "steps" => {
                let path = place.path().join("steps.sqlite");
                let connection = Connection::open(&path).unwrap();
                connection.execute_batch(&migrations[..version].concat()).unwrap();
                connection.pragma_update(None, "user_version", version as u32).unwrap();
                path
            }
            name => load(place.path(), name, version),
        };
        let before = content(&path);
        let mut connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        // Unfinished work goes to the disk at once, as it does when there is much of it.
        connection.pragma_update(None, "cache_size", 1).unwrap();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        for step in &migrations[version..] {
            let mut statements = Batch::new(&transaction, step);
            while let Some(mut statement) = statements.next().unwrap() {
                statement.raw_execute().unwrap();
                transaction.cache_flush().unwrap();
                let left = killed(&path, folder.path());
                assert_eq!((version_of(&left), content(&left)), (version, before.clone()), "{name} {version}");
                let left = killed(&path, folder.path());
                open(&left, migrations);
                assert_eq!(version_of(&left), migrations.len(), "{name} {version}");
                if name == "steps" {
                    assert_eq!(content(&left)["old"].len(), 2);
                } else {
                    assert!(has_all(&content(&left), &before), "{name} {version}");
                }
            }
        }
    }
}

#[test]
fn a_step_that_fails_leaves_the_version_before_with_all_steps_undone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("steps.sqlite");
    open(&path, &STEPS[..1]);
    let before = content(&path);
    const BROKEN: &[&str] = &[STEPS[0], STEPS[1], "UPDATE nowhere SET word = ''"];
    for _ in 0..2 {
        let error = Database::open(&path, BROKEN, &Ports::system()).map(drop).unwrap_err();
        assert_eq!(error.fault(), StoreFault::Failed);
        assert_eq!((version_of(&path), content(&path)), (1, before.clone()));
    }
    let mut names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["steps.sqlite", "steps.sqlite.before-v3"], "one copy, not one for each try");
    open(&path, STEPS);
    assert_eq!(content(&path)["old"][1]["tone"], Value::Text("loud".into()));
}
