use std::{fmt, str::FromStr};

use rand::{Rng, RngExt};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rusqlite::{OptionalExtension, params};
use tazune_link::revocation::Revoked;
use tazune_model::{Bytes, StoreFault, TextError, Timestamp};
use zeroize::Zeroizing;

use super::{
    Database, StoreError,
    database::{SqlFault, read_meta, write_meta},
    revocation::is_revoked,
};

/// The only kind of draft there is: a visit that is not sealed yet.
const VISIT: &str = "visit";

/// Name in `meta` of the drafts' key, wrapped by the staff key.
pub(super) const DATA_KEY: &str = "data_key";

/// Identity of a draft (下書き) on this device: 32 random hexadecimal characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DraftId(String);

impl DraftId {
    /// Makes an id.
    pub fn make(generator: &mut impl Rng) -> Self {
        Self(format!("{:032x}", generator.random::<u128>()))
    }
}

impl fmt::Display for DraftId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for DraftId {
    type Err = TextError;

    /// Reads an id as it was shown; there need not be a draft of it.
    fn from_str(text: &str) -> Result<Self, TextError> {
        if text.len() != 32 {
            return Err(TextError::Length { what: "draft id" });
        }
        if !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(TextError::Alphabet { what: "draft id" });
        }
        Ok(Self(text.to_owned()))
    }
}

impl Database {
    /// Encrypts and saves a new draft; a revoked device takes none.
    pub(crate) fn add_draft(&mut self, id: &DraftId, plain: &[u8], now: Timestamp) -> Result<(), StoreError> {
        let (nonce, sealed) = self.encrypt(id, plain)?;
        let is_taken = self.transaction(|transaction| {
            if is_revoked(transaction)? {
                return Ok(false);
            }
            transaction.execute(
                "INSERT OR REPLACE INTO drafts (id, kind, saved_at, nonce, sealed) VALUES (?1, ?2, ?3, ?4, ?5)",
                params![id.0, VISIT, now.to_string(), nonce, sealed],
            )?;
            Ok(true)
        })?;
        if is_taken { Ok(()) } else { Err(Revoked.into()) }
    }

    /// Encrypts a draft and saves it in place of what was saved under this id.
    ///
    /// One that is gone was sealed or thrown away, perhaps by another process, and does not come back:
    /// [`StoreFault::Failed`].
    pub(crate) fn replace_draft(&mut self, id: &DraftId, plain: &[u8], now: Timestamp) -> Result<(), StoreError> {
        let (nonce, sealed) = self.encrypt(id, plain)?;
        self.transaction(|transaction| {
            let changed_count = transaction
                .prepare_cached("UPDATE drafts SET kind = ?2, saved_at = ?3, nonce = ?4, sealed = ?5 WHERE id = ?1")?
                .execute(params![id.0, VISIT, now.to_string(), nonce, sealed])?;
            if changed_count == 1 { Ok(()) } else { Err(SqlFault(StoreFault::Failed)) }
        })?;
        Ok(())
    }

    /// Decrypts a draft.
    ///
    /// A row that was altered, or moved to another id or kind, is [`StoreFault::Damaged`].
    pub(crate) fn load_draft(&mut self, id: &DraftId) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let row = self.transaction(|transaction| {
            let row = transaction
                .query_row("SELECT kind, nonce, sealed FROM drafts WHERE id = ?1", params![id.0], |row| {
                    Ok((row.get::<_, String>(0)?, row.get::<_, [u8; NONCE_LEN]>(1)?, row.get::<_, Vec<u8>>(2)?))
                })
                .optional()?;
            Ok(row)
        })?;
        let Some((kind, nonce, sealed)) = row else { return Ok(None) };
        let key = self.data_key()?;
        let mut opened = Zeroizing::new(sealed);
        let length = key
            .open_in_place(Nonce::assume_unique_for_key(nonce), associated_data(id, &kind), &mut opened)
            .map(|plain| plain.len());
        let length = self.reported(length.map_err(|_| SqlFault(StoreFault::Damaged)))?;
        opened.truncate(length);
        Ok(Some(opened))
    }

    /// The saved drafts, oldest change first, with the instant of their last change.
    pub(crate) fn drafts(&mut self) -> Result<Vec<(DraftId, Timestamp)>, StoreFault> {
        self.transaction(|transaction| {
            let mut statement = transaction.prepare("SELECT id, saved_at FROM drafts")?;
            let rows = statement.query_map([], |row| Ok((DraftId(row.get(0)?), row.get::<_, String>(1)?)))?;
            let mut drafts = Vec::new();
            for row in rows {
                let (id, saved_at) = row?;
                drafts.push((id, saved_at.parse().map_err(|_| SqlFault(StoreFault::Damaged))?));
            }
            drafts.sort_by_key(|(_, saved_at)| *saved_at);
            Ok(drafts)
        })
    }

    /// Deletes a draft, if it is there.
    pub(crate) fn delete_draft(&mut self, id: &DraftId) -> Result<(), StoreFault> {
        self.transaction(|transaction| delete_draft(transaction, id).map(|_| ()))?;
        self.wipe_log();
        Ok(())
    }

    /// A fresh nonce, and the content sealed under it and tied to its place.
    fn encrypt(&mut self, id: &DraftId, plain: &[u8]) -> Result<([u8; NONCE_LEN], Vec<u8>), StoreError> {
        let key = self.data_key()?;
        let mut nonce = [0; NONCE_LEN];
        crate::clock::system_generator().fill_bytes(&mut nonce);
        let mut sealed = plain.to_vec();
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), associated_data(id, VISIT), &mut sealed)
            .map_err(|_| StoreFault::Failed)?;
        Ok((nonce, sealed))
    }

    /// The key of the drafts, made at first use; unwrapped each time, because the staff key may be locked meanwhile.
    fn data_key(&mut self) -> Result<LessSafeKey, StoreError> {
        let stored = self.transaction(|transaction| read_meta::<Bytes>(transaction, DATA_KEY))?;
        let wrapped = match stored {
            Some(wrapped) => wrapped,
            None => self.make_data_key()?,
        };
        let key = self.keys.unwrap_key(wrapped.as_slice())?;
        Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key).expect("the key has 32 bytes")))
    }

    fn make_data_key(&mut self) -> Result<Bytes, StoreError> {
        let mut key = Zeroizing::new([0; 32]);
        crate::clock::system_generator().fill_bytes(&mut *key);
        let wrapped = Bytes(self.keys.wrap_key(&key)?);
        let kept = self.transaction(|transaction| {
            if is_revoked(transaction)? {
                return Ok(None);
            }
            // Another process may have made one meanwhile: the first stays.
            if let Some(first) = read_meta(transaction, DATA_KEY)? {
                return Ok(Some(first));
            }
            write_meta(transaction, DATA_KEY, &wrapped)?;
            Ok(Some(wrapped))
        })?;
        kept.ok_or_else(|| Revoked.into())
    }
}

/// Deletes a draft and says whether it was there.
pub(super) fn delete_draft(connection: &rusqlite::Connection, id: &DraftId) -> Result<bool, SqlFault> {
    Ok(connection.prepare_cached("DELETE FROM drafts WHERE id = ?1")?.execute(params![id.0])? == 1)
}

/// Ties a row's content to its place; id and kind contain no zero byte, so two places never give the same bytes.
fn associated_data(id: &DraftId, kind: &str) -> Aad<Vec<u8>> {
    Aad::from([b"tazune draft v1", id.0.as_bytes(), kind.as_bytes()].join(&0))
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use tazune_link::keys::sha256;
    use tazune_model::RecordId;

    use super::{super::database::tests::keys, *};
    use crate::keys::{KeyStore, KeyStoreError, MemoryKeyStore};

    const MARKED: &[u8] = b"MARKED-VALUE of a patient";

    fn now() -> Timestamp {
        "2026-11-21T01:00:00Z".parse().unwrap()
    }

    fn id(number: u128) -> DraftId {
        DraftId(format!("{number:032x}"))
    }

    #[test]
    fn a_draft_is_replaced_listed_and_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.db");
        let keys = keys();
        let mut database = Database::open(&path, keys.clone()).unwrap();
        database.add_draft(&id(1), b"first", now()).unwrap();
        database.replace_draft(&id(1), b"second", now()).unwrap();
        drop(database);
        let mut database = Database::open(&path, keys).unwrap();
        assert_eq!(**database.load_draft(&id(1)).unwrap().unwrap(), *b"second");
        assert_eq!(database.drafts().unwrap(), [(id(1), now())]);
        database.delete_draft(&id(1)).unwrap();
        assert!(database.load_draft(&id(1)).unwrap().is_none());
        assert_eq!(database.replace_draft(&id(1), b"third", now()), Err(StoreError::Fault(StoreFault::Failed)));
        assert!(database.drafts().unwrap().is_empty(), "what was deleted does not come back");
    }

    #[test]
    fn a_draft_that_was_deleted_or_sealed_leaves_no_byte_on_the_disk() {
        let delete = |database: &mut Database| database.delete_draft(&id(1));
        let seal = |database: &mut Database| {
            database.insert_sealed(RecordId::make(now(), &[1; 10]), now(), b"envelope", sha256(b"envelope"), &id(1))?;
            database.wipe_log();
            Ok(())
        };
        for end in [&delete as &dyn Fn(&mut Database) -> Result<(), StoreFault>, &seal] {
            let folder = tempfile::tempdir().unwrap();
            let mut database = Database::open(&folder.path().join("device.db"), keys()).unwrap();
            database.add_draft(&id(1), MARKED, now()).unwrap();
            let select = "SELECT sealed FROM drafts";
            let sealed: Vec<u8> = database.connection.query_row(select, [], |row| row.get(0)).unwrap();
            let is_on_disk = || {
                fs::read_dir(folder.path()).unwrap().any(|entry| {
                    let bytes = fs::read(entry.unwrap().path()).unwrap();
                    bytes.windows(sealed.len()).any(|window| window == sealed)
                })
            };
            assert!(is_on_disk());
            end(&mut database).unwrap();
            assert!(!is_on_disk());
        }
    }

    #[test]
    fn opening_wipes_what_a_kill_left_of_a_sealed_draft() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.db");
        let mut killed = Database::open(&path, keys()).unwrap();
        killed.add_draft(&id(1), MARKED, now()).unwrap();
        let select = "SELECT sealed FROM drafts";
        let sealed: Vec<u8> = killed.connection.query_row(select, [], |row| row.get(0)).unwrap();
        let record_id = RecordId::make(now(), &[1; 10]);
        killed.insert_sealed(record_id, now(), b"envelope", sha256(b"envelope"), &id(1)).unwrap();
        let is_on_disk = || {
            ["device.db", "device.db-wal"].iter().any(|name| {
                let bytes = fs::read(folder.path().join(name)).unwrap();
                bytes.windows(sealed.len()).any(|window| window == sealed)
            })
        };
        assert!(is_on_disk(), "saved does not wait for the wiping");
        // Never closed, as by a kill: closing would tidy up.
        std::mem::forget(killed);
        let _opened = Database::open(&path, keys()).unwrap();
        assert!(!is_on_disk());
    }

    #[test]
    fn no_draft_lies_in_clear_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = Database::open(&folder.path().join("device.db"), keys()).unwrap();
        database.add_draft(&id(1), MARKED, now()).unwrap();
        for entry in fs::read_dir(folder.path()).unwrap() {
            let bytes = fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(12).any(|window| window == &MARKED[..12]));
        }
    }

    #[test]
    fn rows_swapped_moved_or_altered_are_refused() {
        let tampers = [
            "UPDATE drafts SET kind = 'round' WHERE id LIKE '%1'",
            "UPDATE drafts SET sealed = (SELECT sealed FROM drafts WHERE id LIKE '%2'),
                               nonce = (SELECT nonce FROM drafts WHERE id LIKE '%2') WHERE id LIKE '%1'",
            "UPDATE drafts SET nonce = zeroblob(12) WHERE id LIKE '%1'",
            "UPDATE drafts SET nonce = zeroblob(11) WHERE id LIKE '%1'",
            "UPDATE drafts SET sealed = zeroblob(3) WHERE id LIKE '%1'",
        ];
        for tamper in tampers {
            let folder = tempfile::tempdir().unwrap();
            let mut database = Database::open(&folder.path().join("device.db"), keys()).unwrap();
            database.add_draft(&id(1), b"first", now()).unwrap();
            database.add_draft(&id(2), b"other", now()).unwrap();
            database.connection.execute(tamper, []).unwrap();
            assert_eq!(database.load_draft(&id(1)).unwrap_err(), StoreError::Fault(StoreFault::Damaged), "{tamper}");
            assert_eq!(**database.load_draft(&id(2)).unwrap().unwrap(), *b"other");
        }
    }

    #[test]
    fn drafts_open_only_with_their_staff_key_and_only_while_it_is_unlocked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.db");
        let own = Arc::new(MemoryKeyStore::new());
        own.make_keys().unwrap();
        let mut database = Database::open(&path, own.clone()).unwrap();
        database.add_draft(&id(1), b"first", now()).unwrap();
        own.set_locked(true);
        assert_eq!(database.load_draft(&id(1)).unwrap_err(), StoreError::Keys(KeyStoreError::Locked));
        assert_eq!(database.add_draft(&id(2), b"x", now()).unwrap_err(), StoreError::Keys(KeyStoreError::Locked));
        own.set_locked(false);
        assert!(database.load_draft(&id(1)).unwrap().is_some());
        let mut stolen = Database::open(&path, keys()).unwrap();
        assert_eq!(stolen.load_draft(&id(1)).unwrap_err(), StoreError::Keys(KeyStoreError::Missing));
    }

    #[test]
    fn the_same_content_never_gives_the_same_row() {
        let folder = tempfile::tempdir().unwrap();
        let mut database = Database::open(&folder.path().join("device.db"), keys()).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..20 {
            database.add_draft(&id(1), b"same", now()).unwrap();
            let sealed: Vec<u8> = database.connection.query_row("SELECT sealed FROM drafts", [], |r| r.get(0)).unwrap();
            assert!(seen.insert(sealed));
        }
    }
}
