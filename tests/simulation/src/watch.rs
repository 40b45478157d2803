//! What must hold during a schedule and at its end.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use rusqlite::{Connection, OptionalExtension as _, params};
use tazune_engine::{Revocation, RevocationStatus};
use tazune_hub::audit::Audit;
use tazune_link::{
    delivery::{Delivery, Reason},
    envelope::Refusal,
    receipt::{ExpectedReceipt, QuarantineReason, SignedReceipt, Verdict},
};

use crate::{
    plan::{DEVICES, Kind, Party, Sealing},
    sim::{Sim, files},
    world::{DESK_DATABASE, DEVICE_DATABASE, Site, WITNESS, draft, random},
};

/// What was seen so far.
pub(crate) struct Watch {
    databases: Vec<Connection>,
    /// What SQLite counts of each device's database: the same as long as nobody else wrote it.
    versions: [Option<i64>; DEVICES],
    /// How far each device's revocation was.
    revocations: [Option<Revocation>; DEVICES],
    /// Records that a revoked device did not seal any more, by device and record.
    refused: BTreeSet<(usize, usize)>,
    /// Last delivery of each record, by device and record id.
    deliveries: BTreeMap<(usize, String), Delivery>,
    /// Face files that were seen, and after how many more looks the consumer takes them; 0 once taken.
    faces: BTreeMap<PathBuf, usize>,
}

impl Watch {
    pub(crate) fn new(site: &Site) -> Self {
        let open = |number| Connection::open(site.device(number).join(DEVICE_DATABASE)).expect("it was copied");
        Self {
            databases: (0..DEVICES).map(open).collect(),
            versions: [None; DEVICES],
            revocations: [None; DEVICES],
            refused: BTreeSet::new(),
            deliveries: BTreeMap::new(),
            faces: BTreeMap::new(),
        }
    }
}

/// A record as its device has it.
struct Row {
    record_id: String,
    delivery: Delivery,
    has_envelope: bool,
    receipt: Option<SignedReceipt>,
}

/// Whether one commit may bring a record from `before` to `after`.
fn may_follow(before: Delivery, after: Delivery) -> bool {
    use Delivery::*;
    match before {
        Sealed => matches!(after, Sealed | Sending | Accepted { .. } | Quarantined { .. }),
        Sending => !matches!(after, Purged),
        Received => !matches!(after, Sealed | Purged),
        Accepted { .. } => matches!(after, Purged) || before == after,
        // Purged only when the device is revoked, which is looked at with its keys.
        Quarantined { reason: Reason::Desk(_) } => matches!(after, Accepted { .. } | Purged) || before == after,
        Quarantined { reason: Reason::Front(_) } => matches!(after, Accepted { .. }) || before == after,
        Purged => matches!(after, Purged),
    }
}

impl Sim {
    /// Puts a sealed record into a device's queue in place of its draft, as the engine does; false when it is there already,
    /// or its draft is gone.
    pub(crate) fn insert(&self, sealing: &Sealing) -> bool {
        let sealed = self.world.devices[sealing.device].sealed(sealing.record, sealing.kind);
        let at = self.now(Party::Device(sealing.device));
        let is_new = {
            let mut state = self.state();
            let database = &mut state.watch.databases[sealing.device];
            let transaction = database.transaction().expect("it can be written");
            let inserted = transaction.execute(
                "INSERT OR IGNORE INTO records (record_id, sealed_at, delivery, envelope_sha256, envelope)
                 VALUES (?1, ?2, '{\"state\":\"sealed\"}', ?3, ?4)",
                params![sealed.record_id.to_string(), at.to_string(), sealed.sha256.to_string(), sealed.envelope],
            );
            if inserted.expect("the table is there") == 0 {
                return false;
            }
            let deleted = transaction.execute("DELETE FROM drafts WHERE id = ?1", [draft(sealing.record)]);
            let is_new = deleted.expect("the table is there") == 1;
            if is_new {
                transaction.commit().expect("it can be written");
                state.counts.records += 1;
            } else {
                drop(transaction);
                let is_first = state.watch.refused.insert((sealing.device, sealing.record));
                state.counts.refused += usize::from(is_first);
            }
            is_new
        };
        let id = sealed.record_id;
        self.note(|| if is_new { format!("{sealing:?} as {id}") } else { format!("{sealing:?} is refused") });
        is_new
    }

    /// Looks at a party's disk after a piece of work on it.
    pub(crate) fn look(&self, party: Party) -> Result<(), String> {
        match party {
            Party::Device(number) => self.look_at_device(number),
            Party::Desk => self.look_at_faces(),
            Party::Front => Ok(()),
        }
    }

    fn look_at_device(&self, number: usize) -> Result<(), String> {
        let rows = {
            let mut state = self.state();
            let watch = &mut state.watch;
            let version = Some(version(&watch.databases[number]));
            if std::mem::replace(&mut watch.versions[number], version) == version {
                return Ok(());
            }
            rows(&watch.databases[number])
        };
        self.look_at_revocation(number, &rows)?;
        for row in rows {
            let key = (number, row.record_id.clone());
            let before = self.state().watch.deliveries.insert(key, row.delivery).unwrap_or(Delivery::Sealed);
            if before == row.delivery {
                continue;
            }
            self.note(|| format!("device {number}: {} {before:?} -> {:?}", row.record_id, row.delivery));
            if !may_follow(before, row.delivery) {
                return Err(format!("device {number}: {} went from {before:?} to {:?}", row.record_id, row.delivery));
            }
            self.check_proof(number, &row)?;
        }
        Ok(())
    }

    /// A record that a device takes for delivered, or lets go, has a receipt that verifies, and is at the desk.
    fn check_proof(&self, number: usize, row: &Row) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("device {number}: {} is {:?} {what}", row.record_id, row.delivery));
        if row.has_envelope == (row.delivery == Delivery::Purged) {
            return wrong("and its envelope does not fit");
        }
        let is_closing =
            matches!(self.state().watch.revocations[number], Some(Revocation::Closing | Revocation::Finished));
        let is_wanted = |verdict| match row.delivery {
            Delivery::Purged => verdict == Verdict::Accepted || is_closing,
            Delivery::Quarantined { reason: Reason::Desk(reason) } => verdict == Verdict::Quarantined { reason },
            _ => verdict == Verdict::Accepted,
        };
        match row.delivery {
            Delivery::Accepted { .. } | Delivery::Purged | Delivery::Quarantined { reason: Reason::Desk(_) } => {}
            _ => return Ok(()),
        }
        let Some(receipt) = &row.receipt else { return wrong("without a receipt") };
        let device = &self.world.devices[number];
        let sealed = self
            .plan
            .sealings
            .iter()
            .filter(|sealing| sealing.device == number)
            .map(|sealing| device.sealed(sealing.record, sealing.kind))
            .find(|sealed| sealed.record_id.to_string() == row.record_id);
        let Some(sealed) = sealed else { return wrong("and was never sealed") };
        let expected = ExpectedReceipt {
            record_id: sealed.record_id,
            tenant: &self.world.tenant,
            device: &device.id,
            envelope_sha256: sealed.sha256,
        };
        let verdict = match receipt.verify(&self.world.receipt_key, &expected) {
            Ok(body) if is_wanted(body.verdict) => body.verdict,
            Ok(_) => return wrong("and its receipt says something else"),
            Err(_) => return wrong("and its receipt does not verify"),
        };
        match (self.at_desk(&row.record_id), verdict) {
            ((1, None), Verdict::Accepted) => Ok(()),
            ((0, Some(found)), Verdict::Quarantined { reason }) if found == reason => Ok(()),
            (found, _) => wrong(&format!("and the desk has {found:?}")),
        }
    }

    /// A device that the clinic revoked has none of its secrets any more, and lets go of the last key when nothing is left.
    fn look_at_revocation(&self, number: usize, rows: &[Row]) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("device {number}: {what}"));
        let keys = &self.keys[number];
        if !keys.has_transport() && rows.iter().any(|row| row.has_envelope) {
            return wrong("the transport key is gone and a record is not handed over");
        }
        let (before, state, has_secrets) = {
            let mut state = self.state();
            let watch = &mut state.watch;
            let (database, before) = (&watch.databases[number], watch.revocations[number]);
            let Some(RevocationStatus { state: reached, .. }) = revocation(database) else {
                return if keys.has_staff() && before.is_none() { Ok(()) } else { wrong("it is not revoked any more") };
            };
            let secrets = "SELECT EXISTS (SELECT 1 FROM drafts) OR EXISTS (SELECT 1 FROM meta WHERE name = 'data_key')
                OR (SELECT CAST(value AS TEXT) ->> 'opening_key' FROM meta WHERE name = 'pairing') <> ''";
            let has_secrets = database.query_row(secrets, [], |row| row.get::<_, bool>(0));
            let has_secrets = has_secrets.expect("the tables are there") || keys.has_staff();
            watch.revocations[number] = Some(reached);
            (before, reached, has_secrets)
        };
        if before == Some(state) {
            return Ok(());
        }
        self.note(|| format!("device {number}: revocation {before:?} -> {state:?}"));
        let rank = |state| match state {
            Revocation::Destroying => 1,
            Revocation::HandingIn => 2,
            Revocation::Closing => 3,
            Revocation::Finished => 4,
        };
        if before.map_or(0, rank) > rank(state) {
            return wrong("its revocation goes back");
        }
        if before.is_none() && !self.is_revoked_at_desk(number) {
            return wrong("it is revoked and the desk does not know");
        }
        if state != Revocation::Destroying && has_secrets {
            return wrong("it is revoked and has its secrets");
        }
        if (state == Revocation::Finished) == keys.has_transport() {
            return wrong("its revocation and its transport key do not fit");
        }
        Ok(())
    }

    fn is_revoked_at_desk(&self, number: usize) -> bool {
        let desk = Connection::open(self.site.desk().join(DESK_DATABASE)).expect("it was copied");
        let sql = "SELECT standing = '\"revoked\"' FROM device WHERE device = ?1";
        desk.query_row(sql, [self.world.devices[number].id.as_str()], |row| row.get(0)).expect("the table is there")
    }

    /// How often the desk has accepted a record, and why it was set aside, if it was.
    fn at_desk(&self, record_id: &str) -> (u32, Option<QuarantineReason>) {
        let desk = Connection::open(self.site.desk().join(DESK_DATABASE)).expect("it was copied");
        let count = desk.query_row("SELECT count(*) FROM record WHERE record_id = ?1", [record_id], |row| row.get(0));
        let reason = desk
            .query_row("SELECT reason FROM quarantine WHERE record_id = ?1", [record_id], |row| row.get::<_, String>(0))
            .optional();
        let reason = reason.expect("the table is there");
        (count.expect("the table is there"), reason.map(|json| serde_json::from_str(&json).expect("a reason")))
    }

    /// The consumer looks into the face folder: nothing that it took may come again.
    fn look_at_faces(&self) -> Result<(), String> {
        let mut state = self.state();
        let lag = self.plan.consumer_lag;
        for path in files(&self.site.face(), "xml") {
            let left = state.watch.faces.entry(path.clone()).or_insert(lag + 1);
            match *left {
                0 => return Err(format!("{} was taken and is there again", path.display())),
                1 => std::fs::remove_file(&path).expect("it is there"),
                _ => {}
            }
            *left -= 1;
        }
        Ok(())
    }

    /// Whether nothing is left to do.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_every_record(|delivery| matches!(delivery, Delivery::Purged | Delivery::Quarantined { .. }))
    }

    /// Whether nothing is left to do but to purge.
    pub(crate) fn is_answered(&self) -> bool {
        use Delivery::{Accepted, Purged, Quarantined};
        self.is_every_record(|delivery| matches!(delivery, Accepted { .. } | Purged | Quarantined { .. }))
    }

    /// Whether every order is done, and the front told.
    pub(crate) fn is_told(&self) -> bool {
        if self.plan.orders.is_empty() {
            return true;
        }
        let desk = Connection::open(self.site.desk().join(DESK_DATABASE)).expect("it was copied");
        let is_told =
            desk.query_row("SELECT NOT EXISTS (SELECT 1 FROM device WHERE changes > told)", [], |row| row.get(0));
        self.state().orders_done == self.plan.orders.len() && is_told.expect("the table is there")
    }

    /// Whether all are sealed and where they should be, their face files too, and revoked devices on the end of their way.
    fn is_every_record(&self, is_there: impl Fn(Delivery) -> bool) -> bool {
        if self.state().orders_done < self.plan.orders.len() {
            return false;
        }
        let answers = self.answers_at_desk();
        let state = self.state();
        let is_gone = |number: &usize| {
            let wanted =
                if self.keeps_a_record(&state.watch, *number) { Revocation::HandingIn } else { Revocation::Finished };
            state.watch.revocations[*number] == Some(wanted)
        };
        state.counts.records + state.counts.refused == self.plan.sealings.len()
            && state.watch.faces.len() >= answers
            && state.watch.databases.iter().flat_map(rows).all(|row| is_there(row.delivery))
            && (0..DEVICES).filter(|number| self.plan.revokes(*number)).all(|number| is_gone(&number))
    }

    /// Whether a device holds what the front refused: a person has to look at it, and a revoked device waits for that.
    fn keeps_a_record(&self, watch: &Watch, number: usize) -> bool {
        let is_kept = |sealing: &&Sealing| {
            let is_sealed = !watch.refused.contains(&(number, sealing.record));
            sealing.device == number && sealing.kind == Kind::Unsigned && is_sealed
        };
        self.plan.sealings.iter().any(|sealing| is_kept(&sealing))
    }

    /// How many face files the desk owes: one for each answer, but for what it set aside of a revoked device.
    fn answers_at_desk(&self) -> usize {
        if !self.plan.orders.iter().any(crate::plan::Orders::revokes) {
            return self.plan.sealings.iter().filter(|sealing| sealing.kind == Kind::Answer).count();
        }
        let desk = Connection::open(self.site.desk().join(DESK_DATABASE)).expect("it was copied");
        let count =
            desk.query_row("SELECT count(*) FROM record WHERE export <> 'not_due'", [], |row| row.get::<_, u32>(0));
        count.expect("the table is there") as usize
    }

    /// What must be true of every record at the end.
    pub(crate) fn check_end(&self) -> Result<(), String> {
        let rows: BTreeMap<_, _> = {
            let state = self.state();
            let rows = state.watch.databases.iter().flat_map(rows);
            rows.map(|row| (row.record_id, row.delivery)).collect()
        };
        for sealing in &self.plan.sealings {
            let record_id =
                self.world.devices[sealing.device].sealed(sealing.record, sealing.kind).record_id.to_string();
            let found = (rows.get(&record_id).copied(), self.at_desk(&record_id));
            let wanted = self.ends(sealing);
            if !wanted.contains(&found) {
                return Err(format!("{sealing:?} ended as {found:?}, not as one of {wanted:?}"));
            }
            let is_aside = found.1.1 == Some(QuarantineReason::DeviceRevoked);
            self.state().counts.aside += usize::from(is_aside);
        }
        let (faces, answers) = (self.state().watch.faces.len(), self.answers_at_desk());
        if faces != answers {
            return Err(format!("{faces} face files for {answers} answers"));
        }
        (0..DEVICES).try_for_each(|number| self.check_end_of_device(number))?;
        let mut findings = Vec::new();
        let audit = Audit::open(&self.site.desk(), &random()).map_err(|error| error.to_string())?;
        let witness = self.site.desk().join(WITNESS);
        let verified = audit.verify(Some(&witness), |_| {}, |finding| findings.push(format!("{finding:?}")));
        verified.map_err(|error| error.to_string())?;
        if findings.is_empty() { Ok(()) } else { Err(format!("the audit: {}", findings.join(", "))) }
    }

    /// How a record may end: at the device, and at the desk.
    fn ends(&self, sealing: &Sealing) -> Vec<End> {
        let state = self.state();
        if state.watch.refused.contains(&(sealing.device, sealing.record)) {
            return vec![(None, (0, None))];
        }
        let aside = |reason| (Some(Delivery::Quarantined { reason: Reason::Desk(reason) }), (0, Some(reason)));
        let usual = match sealing.kind {
            Kind::Answer | Kind::Deferred => (Some(Delivery::Purged), (1, None)),
            Kind::WrongKey => aside(QuarantineReason::WrongKey),
            Kind::Misaddressed => aside(QuarantineReason::Misaddressed),
            Kind::Unsigned => (Some(Delivery::Quarantined { reason: Reason::Front(Refusal::Altered) }), (0, None)),
        };
        if !self.plan.revokes(sealing.device) || sealing.kind == Kind::Unsigned {
            return vec![usual];
        }
        let ends = [usual, aside(QuarantineReason::DeviceRevoked)];
        if self.keeps_a_record(&state.watch, sealing.device) {
            return ends.into();
        }
        // The bytes of all are gone from the device.
        ends.map(|(_, at_desk)| (Some(Delivery::Purged), at_desk)).into()
    }

    /// A revoked device has nothing left, and the desk took nothing of it after the revocation; another has all its keys.
    fn check_end_of_device(&self, number: usize) -> Result<(), String> {
        let keys = (self.keys[number].has_staff(), self.keys[number].has_transport());
        let is_revoked = self.plan.revokes(number);
        let is_gone = is_revoked && {
            let state = self.state();
            !self.keeps_a_record(&state.watch, number)
        };
        if keys != (!is_revoked, !is_gone) {
            return Err(format!("device {number} ends with staff and transport key {keys:?}"));
        }
        self.state().counts.revoked += usize::from(is_gone);
        let desk = Connection::open(self.site.desk().join(DESK_DATABASE)).expect("it was copied");
        let late = "SELECT count(*) FROM audit_entry AS taken JOIN audit_entry AS revoked USING (chain)
            WHERE chain = ?1 AND taken.number > revoked.number
            AND instr(taken.entry, '\"record_accepted\"') AND instr(revoked.entry, '\"device_revoked\"')";
        let chain = format!("device:{}", self.world.devices[number].id);
        match desk.query_row(late, [chain], |row| row.get(0)).expect("the table is there") {
            0 => Ok(()),
            count => Err(format!("{count} records of device {number} were accepted after it was revoked")),
        }
    }
}

/// How a record ended: its delivery at the device, and what the desk has.
type End = (Option<Delivery>, (u32, Option<QuarantineReason>));

fn version(connection: &Connection) -> i64 {
    let mut statement = connection.prepare_cached("PRAGMA data_version").expect("a word of SQLite");
    statement.query_row([], |row| row.get(0)).expect("a word of SQLite")
}

/// How a device's revocation stands, if it is revoked.
fn revocation(connection: &Connection) -> Option<RevocationStatus> {
    let mut statement =
        connection.prepare_cached("SELECT value FROM meta WHERE name = 'revocation'").expect("the table is there");
    let status = statement.query_row([], |row| row.get::<_, Vec<u8>>(0)).optional().expect("the table is there");
    status.map(|json| serde_json::from_slice(&json).expect("the engine's own words"))
}

fn rows(connection: &Connection) -> Vec<Row> {
    let mut statement = connection
        .prepare_cached("SELECT record_id, delivery, envelope IS NOT NULL, receipt FROM records ORDER BY record_id")
        .expect("the table is there");
    let rows = statement.query_map([], |row| {
        let (delivery, receipt): (String, Option<Vec<u8>>) = (row.get(1)?, row.get(3)?);
        Ok(Row {
            record_id: row.get(0)?,
            delivery: serde_json::from_str(&delivery).expect("the engine's own words"),
            has_envelope: row.get(2)?,
            receipt: receipt.map(|json| serde_json::from_slice(&json).expect("the engine's own words")),
        })
    });
    rows.expect("the table is there").map(|row| row.expect("the table is there")).collect()
}
