use tazune_engine::{IntentKind, RenderedScreen, Texts};

use crate::output::harmless;

/// A screen laid out for a terminal.
pub(crate) struct ScreenText {
    title: String,
    lines: Vec<String>,
    /// Numbered from 1; the last line asks for a number. None where nothing but the language could be chosen.
    choices: Vec<String>,
}

impl ScreenText {
    /// Lays a screen out.
    pub(crate) fn new(screen: &RenderedScreen, texts: &Texts) -> Self {
        let is_asked = screen.choices.iter().any(|(kind, _)| !matches!(kind, IntentKind::SetLanguage(_)));
        let mut choices = vec![];
        if is_asked {
            let numbered = screen.choices.iter().zip(1..);
            let numbered =
                numbered.map(|((_, text), number)| format!("  {number:>2}) {}", plain_marks(&harmless(text))));
            choices.extend(numbered.chain([format!("{}:", texts.text("tool-choose", &[]))]));
        }
        let lines = screen.lines.iter().map(|line| format!("  {}", harmless(line))).collect();
        Self { title: harmless(&screen.title), lines, choices }
    }

    /// What to write when `before` is what was written last: the whole screen, or only the lines that are new on it.
    pub(crate) fn after(&self, before: Option<&Self>) -> String {
        match before {
            Some(before) if before.title == self.title && before.choices == self.choices => {
                written(self.lines.iter().filter(|line| !before.lines.contains(line)))
            }
            _ => format!("\n■ {}\n{}", self.title, written(self.lines.iter().chain(&self.choices))),
        }
    }
}

fn written<'a>(lines: impl Iterator<Item = &'a String>) -> String {
    lines.map(|line| format!("{line}\n")).collect()
}

/// Marks that every terminal's typeface has.
fn plain_marks(choice: &str) -> String {
    let marks = [('☑', "[x]"), ('☐', "[ ]"), ('●', "(x)"), ('○', "( )")];
    let marked = marks.iter().find_map(|(mark, plain)| Some(format!("{plain}{}", choice.strip_prefix(*mark)?)));
    marked.unwrap_or_else(|| choice.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tazune_engine::{Body, CardStep, ConsentActor, ConsentItem, Hold, Language, Notice, Screen};

    use crate::{intent_line, screen_json};

    /// Marked, so that it can be looked for.
    const PIN: &str = "4911";

    fn screen(body: Body, intents: &[IntentKind]) -> Screen {
        Screen { language: Language::Ja, notice: None, body, intents: intents.to_vec() }
    }

    fn consent() -> Screen {
        let items = vec![(ConsentItem::Drug, true), (ConsentItem::Surgery, false)];
        screen(
            Body::Consent { patient: None, actor: ConsentActor::Patient, items },
            &[
                IntentKind::ToggleConsent(ConsentItem::Drug),
                IntentKind::ToggleConsent(ConsentItem::Surgery),
                IntentKind::Continue,
                IntentKind::SetActor(ConsentActor::Patient),
                IntentKind::SetActor(ConsentActor::CannotExpress),
            ],
        )
    }

    fn holding(hold: Hold) -> Screen {
        screen(Body::HoldCard { step: CardStep::Reading, hold }, &[IntentKind::EndWithoutAnswer])
    }

    fn pin_asked() -> Screen {
        let code = tazune_engine::FailureCode::from_code("TZ-C10").unwrap();
        Screen {
            notice: Some(Notice::Failure(code.into())),
            ..screen(Body::EnterPin { tries_left: 2, certificate: None }, &[IntentKind::EnterPin, IntentKind::Cancel])
        }
    }

    fn text(screen: &Screen) -> ScreenText {
        let texts = Texts::new(screen.language);
        ScreenText::new(&screen.render(&texts), &texts)
    }

    #[test]
    fn a_consent_is_laid_out_with_boxes_and_numbers() {
        let wanted = "
■ 保険証の確認と、情報を見ることへの同意
";
        let shown = text(&consent()).after(None);
        assert!(shown.starts_with(wanted), "{shown}");
        let choices = "
   1) [x] 薬の情報（これまでに出された薬の名前や量）
   2) [ ] 手術の情報（これまでに受けた手術）
   3) つぎへ
   4) (x) 患者さん本人
   5) ( ) ご本人の気持ちを確かめられない
番号を入れて Enter を押してください:
";
        assert!(shown.ends_with(choices), "{shown}");
    }

    #[test]
    fn a_card_at_work_adds_a_line_and_no_whole_screen() {
        let first = text(&holding(Hold::Working { read: 100, total: Some(1000) }));
        let next = text(&holding(Hold::Working { read: 500, total: Some(1000) }));
        assert_eq!(next.after(Some(&first)), "  読み取っています（50%）。カードを動かさないでください。\n");
        assert_eq!(next.after(Some(&next)), "");
        assert!(next.after(Some(&text(&consent()))).starts_with("\n■ マイナンバーカード"));
    }

    #[test]
    fn nobody_is_asked_when_there_is_nothing_to_choose() {
        let languages = Language::ALL.map(IntentKind::SetLanguage);
        let shown = text(&screen(Body::Sealing, &languages)).after(None);
        assert_eq!(shown, "\n■ 保存しています\n  電源を切らずに、お待ちください。\n");
    }

    #[test]
    fn a_failure_stands_above_the_rest() {
        let shown = text(&pin_asked()).after(None);
        let lines: Vec<_> = shown.lines().collect();
        assert!(lines[2].contains("[TZ-C10]"), "{shown}");
        assert!(shown.contains("これが最後です"), "{shown}");
        assert!(shown.contains("   1) 暗証番号を入れる\n"), "{shown}");
    }

    #[test]
    fn nothing_that_is_said_around_an_entry_shows_the_pin() {
        let screens = [consent(), holding(Hold::Awaited), pin_asked(), holding(Hold::Lost)];
        let mut said = String::new();
        for screen in &screens {
            let rendered = screen.render(&Texts::new(screen.language));
            said += &text(screen).after(None);
            said += &screen_json::line(screen, &rendered).to_string();
            for line in [format!("enter-pin {PIN}"), format!("enter-pin {PIN}0"), format!("pin {PIN}"), PIN.to_owned()]
            {
                said += &format!("{:?}", intent_line::parse(&line, &screen.intents));
            }
        }
        assert!(said.contains("EnterPin") && said.contains("NotAPin") && said.contains("NotOffered"));
        assert!(!said.contains(PIN), "{said}");
    }
}
