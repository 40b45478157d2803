//! P1: commands of one authentication with the user certificate.

use crate::{
    card::Authentication,
    peers::Peer,
    report::{Row, ratio},
};

/// Commands of myna 0.6.4. Source: card-protocol §11; not run here.
const QUOTED: (&str, usize) = ("myna", 16);

pub(crate) fn rows(authentications: &[Authentication], peers: &[Peer]) -> Vec<Row> {
    authentications.iter().map(|authentication| row(authentication, peers)).collect()
}

fn row(authentication: &Authentication, peers: &[Peer]) -> Row {
    let Authentication { name, target, certificate_bytes, exchanges } = authentication;
    let ours = exchanges.len();
    let (mut references, mut ratios) = (Vec::new(), Vec::new());
    for Peer { name, exchanges } in peers {
        match exchanges {
            Ok(exchanges) => {
                references.push(format!("{name} {}", exchanges.len()));
                ratios.push(ratio(ours as f64, exchanges.len() as f64));
            }
            Err(why) => references.push(format!("{name} not run: {why}")),
        }
    }
    let (quoted, count) = QUOTED;
    references.push(format!("{quoted} {count} (quoted)"));
    ratios.push(ratio(ours as f64, count as f64));
    Row {
        metric: format!("P1 commands, certificate of {certificate_bytes} bytes, {name}"),
        ours: ours.to_string(),
        reference: references.join(", "),
        ratio: ratios.join(", "),
        target: target.map_or("–".into(), |target| target.commands.to_string()),
    }
}
