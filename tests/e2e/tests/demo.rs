//! The story that newcomers are told, told here as well.

use tazune_e2e::process::Program;

#[test]
fn the_demo_tells_three_visits_and_leaves_three_face_files() {
    let told = Program::run("tazune-demo", &["--language", "ja"]).success();
    for part in ["== Visit 1", "== Visit 2", "== Visit 3", "none was sent twice", "answer, valid", "answer, invalid"] {
        assert!(told.contains(part), "{part} is missing in:\n{told}");
    }
    let faces: Vec<_> = told.lines().filter_map(|line| line.trim().strip_prefix("face file")).collect();
    assert_eq!(faces.len(), 3);
    assert!(faces.iter().all(|face| std::path::Path::new(face.trim()).exists()), "{faces:?}");
}

#[test]
fn the_demo_explains_itself_to_who_asks_and_to_who_errs() {
    assert!(Program::run("tazune-demo", &["--help"]).success().contains("Usage:"));
    let erred = Program::run("tazune-demo", &["--fast"]);
    assert_eq!(erred.code(), 2);
    assert!(erred.transcript.contains("--fast"));
}
