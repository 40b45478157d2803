//! What must hold during a schedule and at its end.

use std::{collections::BTreeMap, path::PathBuf};

use rusqlite::{Connection, OptionalExtension as _, params};
use tazune_hub::audit::Audit;
use tazune_link::{
    delivery::{Delivery, Reason},
    envelope::Refusal,
    receipt::{ExpectedReceipt, QuarantineReason, SignedReceipt, Verdict},
};

use crate::{
    plan::{DEVICES, Kind, Party, Sealing},
    sim::{Sim, files},
    world::{DESK_DATABASE, DEVICE_DATABASE, Site, WITNESS, random},
};

/// What was seen so far.
pub(crate) struct Watch {
    databases: Vec<Connection>,
    /// Last delivery of each record, by device and record id.
    deliveries: BTreeMap<(usize, String), Delivery>,
    /// Face files that were seen, and after how many more looks the consumer takes them; 0 once taken.
    faces: BTreeMap<PathBuf, usize>,
}

impl Watch {
    pub(crate) fn new(site: &Site) -> Self {
        let open = |number| Connection::open(site.device(number).join(DEVICE_DATABASE)).expect("it was copied");
        Self { databases: (0..DEVICES).map(open).collect(), deliveries: BTreeMap::new(), faces: BTreeMap::new() }
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
        Quarantined { .. } => matches!(after, Accepted { .. }) || before == after,
        Purged => matches!(after, Purged),
    }
}

impl Sim {
    /// Puts a sealed record into a device's queue, as the engine does; false when it is there already.
    pub(crate) fn insert(&self, sealing: &Sealing) -> bool {
        let sealed = self.world.devices[sealing.device].sealed(sealing.record, sealing.kind);
        let at = self.now(Party::Device(sealing.device));
        let is_new = {
            let mut state = self.state();
            let inserted = state.watch.databases[sealing.device].execute(
                "INSERT OR IGNORE INTO records (record_id, sealed_at, delivery, envelope_sha256, envelope)
                 VALUES (?1, ?2, '{\"state\":\"sealed\"}', ?3, ?4)",
                params![sealed.record_id.to_string(), at.to_string(), sealed.sha256.to_string(), sealed.envelope],
            );
            let is_new = inserted.expect("the table is there") == 1;
            state.counts.records += usize::from(is_new);
            is_new
        };
        if is_new {
            self.note(|| format!("{sealing:?} as {}", sealed.record_id));
        }
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
        let rows = rows(&self.state().watch.databases[number]);
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
        let verdict = match row.delivery {
            Delivery::Accepted { .. } | Delivery::Purged => Verdict::Accepted,
            Delivery::Quarantined { reason: Reason::Desk(reason) } => Verdict::Quarantined { reason },
            _ => return Ok(()),
        };
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
        match receipt.verify(&self.world.receipt_key, &expected) {
            Ok(body) if body.verdict == verdict => {}
            Ok(_) => return wrong("and its receipt says something else"),
            Err(_) => return wrong("and its receipt does not verify"),
        }
        match (self.at_desk(&row.record_id), verdict) {
            ((1, None), Verdict::Accepted) => Ok(()),
            ((0, Some(found)), Verdict::Quarantined { reason }) if found == reason => Ok(()),
            (found, _) => wrong(&format!("and the desk has {found:?}")),
        }
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

    /// Whether all are sealed and where they should be, and their face files too.
    fn is_every_record(&self, is_there: impl Fn(Delivery) -> bool) -> bool {
        let state = self.state();
        let answers = self.plan.sealings.iter().filter(|sealing| sealing.kind == Kind::Answer).count();
        state.counts.records == self.plan.sealings.len()
            && state.watch.faces.len() >= answers
            && state.watch.databases.iter().flat_map(rows).all(|row| is_there(row.delivery))
    }

    /// What must be true of every record at the end.
    pub(crate) fn check_end(&self) -> Result<(), String> {
        let rows: BTreeMap<_, _> = {
            let state = self.state();
            let rows = state.watch.databases.iter().flat_map(rows);
            rows.map(|row| (row.record_id, row.delivery)).collect()
        };
        let mut answers = 0;
        for sealing in &self.plan.sealings {
            let record_id =
                self.world.devices[sealing.device].sealed(sealing.record, sealing.kind).record_id.to_string();
            let delivery = rows.get(&record_id).copied();
            let quarantined =
                |reason| (Some(Delivery::Quarantined { reason: Reason::Desk(reason) }), (0, Some(reason)));
            let wanted = match sealing.kind {
                Kind::Answer | Kind::Deferred => (Some(Delivery::Purged), (1, None)),
                Kind::WrongKey => quarantined(QuarantineReason::WrongKey),
                Kind::Misaddressed => quarantined(QuarantineReason::Misaddressed),
                Kind::Unsigned => (Some(Delivery::Quarantined { reason: Reason::Front(Refusal::Altered) }), (0, None)),
            };
            let found = (delivery, self.at_desk(&record_id));
            if found != wanted {
                return Err(format!("{sealing:?} ended as {found:?}, not as {wanted:?}"));
            }
            answers += usize::from(sealing.kind == Kind::Answer);
        }
        let faces = self.state().watch.faces.len();
        if faces != answers {
            return Err(format!("{faces} face files for {answers} answers"));
        }
        let mut findings = Vec::new();
        let audit = Audit::open(&self.site.desk(), &random()).map_err(|error| error.to_string())?;
        let witness = self.site.desk().join(WITNESS);
        let verified = audit.verify(Some(&witness), |_| {}, |finding| findings.push(format!("{finding:?}")));
        verified.map_err(|error| error.to_string())?;
        if findings.is_empty() { Ok(()) } else { Err(format!("the audit: {}", findings.join(", "))) }
    }
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
