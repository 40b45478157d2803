//! A first visit through every layer: card, consent, PIN, signature, answer, sealing, delivery, face file.

use tazune_e2e::clinic::Clinic;

#[test]
fn a_visit_ends_as_a_face_file_in_the_clinics_folder() {
    let folder = tempfile::tempdir().unwrap();
    let clinic = Clinic::open(folder.path());
    let tablet = clinic.pair("tablet-1");
    let mut visit = tablet.begin_visit(&[]);
    visit.hold(clinic.card("valid"));
    visit.until("sealed", |visit| println!("{}: {:?}", visit.body(), visit.words()));
    println!("{}", visit.finish().success());
    println!("{:?}\n{:?}", clinic.records(), clinic.face_files());
}
