use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use tazune_model::{Consent, ConsentActor, ConsentItem, Language, Timestamp};

use crate::{Intent, TEXT_VERSION};

/// The consent while it is being chosen: nothing is ticked beforehand.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ConsentForm {
    pub(crate) actor: ConsentActor,
    pub(crate) agreed: BTreeSet<ConsentItem>,
}

impl ConsentForm {
    pub(crate) const fn blank() -> Self {
        Self { actor: ConsentActor::Patient, agreed: BTreeSet::new() }
    }

    /// Whether items can be agreed to at all.
    pub(crate) fn takes_ticks(&self) -> bool {
        self.actor != ConsentActor::CannotExpress
    }

    /// Takes a choice about the items `shown`; `None` when it is not one of this form.
    pub(crate) fn on(mut self, intent: &Intent, shown: &[ConsentItem]) -> Option<Self> {
        match intent {
            Intent::ToggleConsent(item) if self.takes_ticks() && shown.contains(item) => {
                if !self.agreed.remove(item) {
                    self.agreed.insert(*item);
                }
            }
            Intent::AgreeAll if self.takes_ticks() => self.agreed = shown.iter().copied().collect(),
            Intent::DeclineAll => self.agreed.clear(),
            Intent::SetActor(actor) => {
                self.actor = *actor;
                if !self.takes_ticks() {
                    self.agreed.clear();
                }
            }
            _ => return None,
        }
        Some(self)
    }

    /// The consent as given now, in the words of `language`.
    pub(crate) fn give(self, shown: &[ConsentItem], language: Language, now: Timestamp) -> Consent {
        let shown = shown.iter().copied().collect();
        Consent::new(self.actor, shown, self.agreed, language, TEXT_VERSION.into(), now)
            .expect("only shown items take a tick, and none for a patient who cannot express a will")
    }
}
