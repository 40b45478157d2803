use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use tazune_engine::{Language, Personal, PlannedPatient, Sex, StaffId};

use crate::{card_source::CardSource, ended::Ended};

/// Mobile-visit eligibility on a laptop: pair with the clinic, make a visit, look after the queue.
///
/// Exit codes and the lines of --json are in the README of this tool.
#[derive(Parser)]
#[command(name = "tazune", version)]
pub(crate) struct Arguments {
    /// Folder of this device's data; by default `tazune` in the user's own data folder.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Keep the device's keys in plain files. For trying out only, never with patients' data.
    #[arg(long, global = true)]
    pub(crate) insecure_file_keys: bool,
    /// Language of the words.
    #[arg(long, global = true, value_enum, default_value_t = SpokenLanguage::Ja)]
    pub(crate) language: SpokenLanguage,
    /// One JSON value a line instead of words.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Pair this device with a clinic: shows six digits to be typed there.
    Pair(PairArguments),
    /// Make a visit, from the consent to the sealed record. The PIN is asked, never taken from here.
    Visit(VisitArguments),
    /// Show the records on this device and where they are.
    Queue(QueueArguments),
    /// Tell what is on the reader, without a PIN; needs no pairing.
    Card(CardArguments),
}

#[derive(Args)]
pub(crate) struct PairArguments {
    /// What the staff call this device.
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Text of the clinic's QR code; without it, a line is read from standard input.
    #[arg(long, value_name = "TEXT")]
    pub(crate) offer: Option<String>,
}

/// What a new visit is planned with; one that goes on has it already.
const PLAN: [&str; 5] = ["staff", "patient_name", "birth_date", "sex", "reference"];

#[derive(Args)]
pub(crate) struct VisitArguments {
    /// Who makes the visit.
    #[arg(long, value_name = "ID", required_unless_present_any = ["resume", "draft"])]
    staff: Option<String>,
    /// Name of the patient the visit is planned for.
    #[arg(long, value_name = "NAME")]
    patient_name: Option<String>,
    /// The patient's birth date, as 1941-05-05.
    #[arg(long, value_name = "DATE")]
    birth_date: Option<String>,
    /// The patient's sex: male, female, not-set.
    #[arg(long)]
    sex: Option<String>,
    /// The clinic's own number for the patient.
    #[arg(long, value_name = "NUMBER")]
    reference: Option<String>,
    /// Where the card is read: pcsc is the only reader that is plugged in, pcsc:PART the one with PART in its name;
    /// virtual:127.0.0.1:PORT opens a slot for a virtual card, port 0 takes a free one.
    #[arg(long, value_name = "READER", default_value = "pcsc")]
    card: String,
    /// How long a card is waited for, each time one is wanted.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..))]
    card_wait: u16,
    /// Go on with the newest unfinished visit.
    #[arg(long, conflicts_with_all = PLAN)]
    pub(crate) resume: bool,
    /// Go on with this unfinished visit.
    #[arg(long, value_name = "ID", conflicts_with_all = PLAN)]
    pub(crate) draft: Option<String>,
}

#[derive(Args)]
pub(crate) struct CardArguments {
    /// Where the card is read: pcsc, pcsc:PART or virtual:127.0.0.1:PORT.
    #[arg(long, value_name = "READER", default_value = "pcsc")]
    card: String,
    /// How long a card is waited for.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    card_wait: u16,
}

impl CardArguments {
    /// Where the card is read.
    pub(crate) fn source(&self) -> Result<CardSource, Ended> {
        CardSource::parse(&self.card)
    }

    /// How long a card is waited for.
    pub(crate) fn card_wait(&self) -> Duration {
        Duration::from_secs(self.card_wait.into())
    }
}

#[derive(Args)]
pub(crate) struct QueueArguments {
    /// Send now and wait a while for the clinic's receipts.
    #[arg(long)]
    pub(crate) send: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum SpokenLanguage {
    /// Japanese, with English beside it where help may be needed.
    Ja,
    /// English.
    En,
}

impl From<SpokenLanguage> for Language {
    fn from(language: SpokenLanguage) -> Self {
        match language {
            SpokenLanguage::Ja => Self::Ja,
            SpokenLanguage::En => Self::En,
        }
    }
}

impl Arguments {
    /// The folder of this device's data.
    pub(crate) fn data_folder(&self) -> Result<PathBuf, Ended> {
        let folder = self.data.clone().or_else(|| user_data_folder(|name| std::env::var_os(name)));
        folder.ok_or(Ended::Usage("tool-no-data"))
    }
}

/// `tazune` in the user's own data folder, as the system's environment names it.
fn user_data_folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let folder = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = folder("XDG_DATA_HOME")
        .or_else(|| folder("LOCALAPPDATA"))
        .or_else(|| Some(folder("HOME")?.join(".local").join("share")))?;
    Some(data.join("tazune"))
}

// What follows is not parsed by clap, whose messages repeat the value: a birth date does not belong into an error.
impl VisitArguments {
    /// Who makes the visit; not needed to go on with one.
    pub(crate) fn staff(&self) -> Result<StaffId, Ended> {
        let staff = self.staff.as_deref().unwrap_or_default();
        StaffId::new(staff).map_err(|_| Ended::Usage("tool-staff-malformed"))
    }

    /// Whom the visit is planned for, if anybody.
    pub(crate) fn patient(&self) -> Result<Option<PlannedPatient>, Ended> {
        let malformed = Ended::Usage("tool-patient-malformed");
        let (name, birth_date, sex) = match (&self.patient_name, &self.birth_date, &self.sex) {
            (None, None, None) if self.reference.is_none() => return Ok(None),
            (Some(name), Some(birth_date), Some(sex)) if !name.trim().is_empty() => (name, birth_date, sex),
            _ => return Err(malformed),
        };
        let Ok(birth_date) = birth_date.parse() else { return Err(malformed) };
        let sex = match sex.as_str() {
            "male" => Sex::Male,
            "female" => Sex::Female,
            "not-set" => Sex::NotSet,
            _ => return Err(malformed),
        };
        Ok(Some(PlannedPatient {
            reference_number: self.reference.clone().map(Personal::new),
            name: Personal::new(name.clone()),
            birth_date: Personal::new(birth_date),
            sex: Personal::new(sex),
        }))
    }

    /// How long a card is waited for.
    pub(crate) fn card_wait(&self) -> Duration {
        Duration::from_secs(self.card_wait.into())
    }

    /// Where the card is read.
    pub(crate) fn source(&self) -> Result<CardSource, Ended> {
        CardSource::parse(&self.card)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn visit(arguments: &[&str]) -> VisitArguments {
        match Arguments::parse_from([&["tazune", "visit", "--staff", "dr-sample"], arguments].concat()).command {
            Command::Visit(visit) => visit,
            _ => unreachable!("the command is visit"),
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn no_argument_takes_a_pin() {
        let command = Arguments::command();
        let arguments = command.get_subcommands().flat_map(clap::Command::get_arguments);
        assert!(arguments.map(|argument| argument.get_id().as_str()).all(|name| !name.contains("pin")));
    }

    #[test]
    fn a_planned_patient_is_whole_or_absent() {
        assert!(visit(&[]).patient().unwrap().is_none());
        let whole = ["--patient-name", "見本 太郎", "--birth-date", "1941-05-05", "--sex", "male"];
        let patient = visit(&whole).patient().unwrap().unwrap();
        assert_eq!(patient.name.expose(), "見本 太郎");
        assert_eq!(patient.birth_date.expose().to_string(), "1941-05-05");
        for wrong in [&whole[..2], &whole[..4], &whole[2..], &["--reference", "7"]] {
            assert_eq!(visit(wrong).patient().unwrap_err(), Ended::Usage("tool-patient-malformed"), "{wrong:?}");
        }
        for (option, value) in [(1, " "), (3, "1941-13-05"), (3, "S16.5.5"), (5, "other")] {
            let mut wrong = whole;
            wrong[option] = value;
            assert_eq!(visit(&wrong).patient().unwrap_err(), Ended::Usage("tool-patient-malformed"), "{value}");
        }
    }

    #[test]
    fn without_a_word_the_only_reader_is_meant() {
        assert_eq!(visit(&[]).source(), Ok(CardSource::Pcsc(None)));
    }

    #[test]
    fn staff_are_named_unless_a_visit_goes_on() {
        assert!(visit(&[]).staff().is_ok());
        assert!(Arguments::try_parse_from(["tazune", "visit"]).is_err());
        assert!(Arguments::try_parse_from(["tazune", "visit", "--resume", "--staff", "dr-sample"]).is_err());
        assert!(Arguments::try_parse_from(["tazune", "visit", "--resume"]).is_ok());
        assert!(Arguments::try_parse_from(["tazune", "visit", "--draft", "0"]).is_ok());
    }

    #[test]
    fn data_lies_in_the_users_own_folder() {
        let folder = |set: &[(&str, &str)]| {
            user_data_folder(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
        };
        assert_eq!(folder(&[("XDG_DATA_HOME", "x"), ("HOME", "h")]), Some(["x", "tazune"].iter().collect()));
        assert_eq!(folder(&[("LOCALAPPDATA", "l")]), Some(["l", "tazune"].iter().collect()));
        assert_eq!(
            folder(&[("XDG_DATA_HOME", ""), ("HOME", "h")]),
            Some(["h", ".local", "share", "tazune"].iter().collect())
        );
        assert_eq!(folder(&[]), None);
    }
}
