//! The library as an app loads it; that Kotlin and Swift get the same is shown by their own tests.

use tazune::{CONTRACT, Failure, TazuneError, check_library};
use tazune_model::{FailureCode, Language};
use tazune_visit::Texts;

pub(crate) fn the_app_brings_the_library_of_another_version(code: FailureCode) {
    for language in Language::ALL {
        assert_eq!(check_library(CONTRACT.to_owned(), language), Ok(()));
        let texts = Texts::new(language);
        let failure = Failure {
            code: code.code().to_owned(),
            title: texts.failure_title(code),
            remedy: texts.failure_remedy(code),
        };
        assert_eq!(check_library("0.0.9+feedfacefeedface".to_owned(), language), Err(TazuneError::Failed { failure }));
    }
}
