//! P9: what a visit costs between the accepted PIN and the answer on the screen, without card and network.

use tazune_model::Language;
use tazune_visit::{Body, Event, Texts};

use crate::{
    device::TestDevice,
    report::{Row, p50_p99},
    stopwatch::{Samples, Stopwatch},
    visit::{ANSWER, authenticating, now, received},
};

/// The engine's steps in its order: state, draft, and once more with the answer, then the screen in words.
pub(crate) async fn rows(device: &TestDevice, iterations: usize) -> Vec<Row> {
    let (visit, signature) = authenticating();
    let texts = Texts::new(Language::Ja);
    device.add(&visit).await;
    let (mut whole, mut saving) = (Samples::default(), Samples::default());
    for _ in 0..iterations {
        let (mut visit, signature) = (visit.clone(), signature.clone());
        let watch = Stopwatch::start();
        visit.on(Event::CardAuthenticated(Ok(signature)), now()).expect("the card is signing");
        let first_save = Stopwatch::start();
        device.save(&visit).await;
        let first_save = first_save.elapsed();
        visit.on(Event::Answered(Ok(received(ANSWER))), now()).expect("the answer is awaited");
        let second_save = Stopwatch::start();
        device.save(&visit).await;
        saving.push(first_save + second_save.elapsed());
        let screen = visit.screen();
        let rendered = screen.render(&texts);
        whole.push(watch.elapsed());
        assert!(matches!(screen.body, Body::Answer { .. }) && !rendered.lines.is_empty(), "the answer is shown");
    }
    vec![Row {
        metric: "P9 visit outside card and network: PIN accepted → answer in words".into(),
        ours: format!("{}; of this two durable drafts {}", p50_p99(&whole), p50_p99(&saving)),
        reference: "–".into(),
        ratio: "–".into(),
        target: "p99 ≤ 5 ms".into(),
    }]
}
