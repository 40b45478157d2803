//! P2: how long the same commands would take over the air. A model, no clock is read.

use crate::{
    card::Authentication,
    peers::Peer,
    report::{Row, ratio},
};

/// Fixed cost of one command. Source: card-protocol §11.
const COMMAND_MS: f64 = 15.0;
/// Ten bits at 106 kbit/s. Source: card-protocol §10.3.
const BYTE_MS: f64 = 0.0944;
/// Nominal time of one RSA-2048 signature in the card. Source: card-protocol §10.3.
const SIGNATURE_MS: f64 = 300.0;

pub(crate) fn rows(authentications: &[Authentication], peers: &[Peer]) -> Vec<Row> {
    authentications.iter().map(|authentication| row(authentication, peers)).collect()
}

fn row(authentication: &Authentication, peers: &[Peer]) -> Row {
    let Authentication { name, target, exchanges, .. } = authentication;
    let ours = modelled_ms(exchanges);
    let (mut references, mut ratios) = (Vec::new(), Vec::new());
    for Peer { name, exchanges } in peers {
        match exchanges {
            Ok(exchanges) => {
                references.push(format!("{name} {}", shown(exchanges)));
                ratios.push(ratio(ours, modelled_ms(exchanges)));
            }
            Err(why) => references.push(format!("{name} not run: {why}")),
        }
    }
    let share = target.and_then(|target| target.time_share);
    Row {
        metric: format!("P2 modelled time, {name}"),
        ours: shown(exchanges),
        reference: references.join(", "),
        ratio: if ratios.is_empty() { "–".into() } else { ratios.join(", ") },
        target: share.map_or("–".into(), |share| format!("≤ {share} of OpenSC")),
    }
}

fn shown(exchanges: &[(usize, usize)]) -> String {
    let bytes: usize = exchanges.iter().map(|(sent, received)| sent + received).sum();
    format!("{:.0} ms ({} commands, {bytes} bytes)", modelled_ms(exchanges), exchanges.len())
}

/// Modelled time of commands of which one signs; each is its bytes and those of its answer.
fn modelled_ms(exchanges: &[(usize, usize)]) -> f64 {
    let bytes: usize = exchanges.iter().map(|(sent, received)| sent + received).sum();
    exchanges.len() as f64 * COMMAND_MS + bytes as f64 * BYTE_MS + SIGNATURE_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    const SELECT: (usize, usize) = (15, 2);
    const VERIFY: (usize, usize) = (9, 2);
    const SIGN: (usize, usize) = (57, 258);

    #[test]
    fn the_floors_of_the_protocol_page_come_out_as_it_says() {
        let short = [SELECT, (5, 258), (5, 258), (5, 258), (5, 258), (5, 258), (5, 258), (5, 56), VERIFY, SIGN];
        let extended = [SELECT, (7, 1592), VERIFY, SIGN];
        assert_eq!(modelled_ms(&short).round(), 637.0);
        assert_eq!(modelled_ms(&extended).round(), 543.0);
    }
}
