//! P1: commands of one authentication with the user certificate.

use crate::{
    card::Authentication,
    report::{Row, ratio},
};

/// Commands of OpenSC 0.23–0.26, myna 0.6.4 and myna-card 3.3.4. Source: card-protocol §11; not run here.
const QUOTED: [(&str, usize); 3] = [("OpenSC", 18), ("myna", 16), ("myna-card", 12)];

pub(crate) fn rows(authentications: &[Authentication]) -> Vec<Row> {
    authentications.iter().map(row).collect()
}

fn row(authentication: &Authentication) -> Row {
    let Authentication { name, target, certificate_bytes, exchanges } = authentication;
    let ours = exchanges.len();
    Row {
        metric: format!("P1 commands, certificate of {certificate_bytes} bytes, {name}"),
        ours: ours.to_string(),
        reference: QUOTED.map(|(client, count)| format!("{client} {count}")).join(", ") + " (quoted)",
        ratio: QUOTED.map(|(_, count)| ratio(ours as f64, count as f64)).join(", "),
        target: target.map_or("–".into(), |target| target.commands.to_string()),
    }
}
