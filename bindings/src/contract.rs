use tazune_engine::{FailureCode, Language};

use crate::{Failure, TazuneError};

/// What library and generated code were made of: the version, and a sum over the façade's sources.
///
/// `cargo xtask bindings` writes it beside the code that it generates.
pub const CONTRACT: &str = env!("TAZUNE_CONTRACT");

/// Says whether the app's generated code and this library belong together; a shell calls it before anything else.
///
/// # Errors
/// [`TazuneError::Failed`] when they do not: another call could read memory wrongly.
#[uniffi::export]
#[expect(clippy::needless_pass_by_value, reason = "what crosses the border is owned")]
pub fn check_library(contract: String, language: Language) -> Result<(), TazuneError> {
    if contract == CONTRACT {
        return Ok(());
    }
    Err(Failure::new(FailureCode::LibraryMismatch, language).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_librarys_own_contract_passes() {
        assert_eq!(check_library(CONTRACT.into(), Language::Ja), Ok(()));
        for other in ["", "0.0.1", &CONTRACT[..CONTRACT.len() - 1], &format!("{CONTRACT}0")] {
            let Err(TazuneError::Failed { failure }) = check_library(other.into(), Language::En) else {
                panic!("{other}")
            };
            assert_eq!(failure.code, "TZ-B01", "{other}");
        }
    }
}
