//! Every failure code, provoked from outside by the real programs on simulators; the person gets it with its words.
//!
//! The table below is the list of tests and at the same time what the codes of the vocabulary are compared with: a code
//! without a provocation fails, and so does a provocation without a code. Each test is given the code of its row and checks that the
//! person meets exactly that, that the words for it are those of the texts, and that the work goes on where it can.

mod app;
mod at_desk;
mod card;
mod delivery;
mod front;
mod gateway;
mod keys;
mod pairing;
mod scene;
mod standing;
mod storage;

use std::collections::BTreeSet;

use tazune_e2e::reader_rig;
use tazune_model::FailureCode;

macro_rules! provocations {
    ($($code:literal $area:ident :: $name:ident;)*) => {
        const PROVOKED: &[&str] = &[$($code,)*];

        $(
            #[test]
            fn $name() {
                $area::$name(FailureCode::from_code($code).expect("a code of this version"));
            }
        )*
    };
}

provocations! {
    "TZ-C01" card::no_card_is_held;
    "TZ-C02" card::the_card_is_torn_away;
    "TZ-C03" card::another_card_is_held_for_the_signature;
    "TZ-C04" card::a_driving_licence_is_held;
    "TZ-C05" card::an_android_phone_is_held;
    "TZ-C05" card::an_iphone_is_held;
    "TZ-C06" card::the_card_has_no_certificate;
    "TZ-C07" card::the_certificate_begins_next_month;
    "TZ-C08" card::the_certificate_is_of_another_authority;
    "TZ-C08" card::the_certificate_is_of_an_impostor;
    "TZ-C09" card::the_certificate_is_cut_short;
    "TZ-C09" card::the_certificate_breaks_its_profile;
    "TZ-C10" card::a_wrong_pin_is_entered;
    "TZ-C11" card::a_card_with_one_try_left_is_held;
    "TZ-C11" card::two_wrong_pins_are_entered;
    "TZ-C12" card::a_locked_card_is_held;
    "TZ-C13" card::the_card_answers_what_no_card_answers;
    "TZ-C14" card::the_slot_of_the_reader_is_taken;
    "TZ-C18" card::a_reader_is_wanted_of_a_build_without_any;
    "TZ-G01" gateway::the_gateway_is_away;
    "TZ-G01" gateway::the_answer_is_lost_on_its_way;
    "TZ-G02" gateway::the_gateway_is_silent;
    "TZ-G02" gateway::the_gateway_is_busy;
    "TZ-G03" gateway::the_certificate_is_revoked;
    "TZ-G04" gateway::the_challenge_is_garbage;
    "TZ-G04" gateway::the_answer_is_garbage;
    "TZ-G05" gateway::the_gateways_clock_is_ahead;
    "TZ-V01" gateway::the_answer_is_about_another_person;
    "TZ-V02" gateway::the_plan_is_too_large_to_be_sealed;
    "TZ-H01" delivery::the_hub_is_down;
    "TZ-H02" delivery::the_front_forgot_the_device;
    "TZ-H03" delivery::the_front_holds_another_envelope_of_this_record;
    "TZ-H04" delivery::an_envelope_is_altered_on_the_device;
    "TZ-H05" delivery::an_envelope_grows_on_the_device;
    "TZ-H06" delivery::a_record_of_another_device_lies_in_the_queue;
    "TZ-H07" delivery::the_desk_signs_with_another_key;
    "TZ-H08" delivery::something_else_answers_with_the_fronts_key;
    "TZ-H09" standing::the_device_is_suspended;
    "TZ-H10" standing::the_device_is_revoked;
    "TZ-H11" standing::the_tombstone_is_signed_with_another_key;
    "TZ-H12" delivery::the_certificate_ran_out_and_the_desk_forgot_the_device;
    "TZ-P01" pairing::the_text_is_no_offer;
    "TZ-P01" pairing::the_session_is_of_another_hub;
    "TZ-P02" pairing::the_offer_is_of_yesterday;
    "TZ-P02" pairing::the_hub_was_restarted_meanwhile;
    "TZ-P03" pairing::another_device_was_faster;
    "TZ-P04" pairing::other_digits_are_typed;
    "TZ-P05" pairing::the_admin_says_no;
    "TZ-P06" pairing::a_visit_begins_on_an_unpaired_device;
    "TZ-P07" pairing::a_device_with_visits_is_paired_anew;
    "TZ-S01" storage::the_devices_disk_is_full;
    "TZ-S01" storage::the_hubs_disk_is_full;
    "TZ-S02" storage::the_devices_database_is_newer;
    "TZ-S02" storage::the_hubs_database_is_newer;
    "TZ-S03" storage::the_devices_database_is_damaged;
    "TZ-S03" storage::the_hubs_database_is_damaged;
    "TZ-S04" storage::a_folder_lies_where_the_database_should;
    "TZ-S05" storage::the_hubs_disk_is_nearly_full;
    "TZ-K01" keys::the_key_file_may_not_be_read;
    "TZ-K02" keys::plain_files_were_not_asked_for;
    "TZ-K03" keys::the_key_files_are_gone;
    "TZ-K04" keys::no_key_store_runs_here;
    "TZ-K05" keys::the_key_store_is_silent;
    "TZ-D01" delivery::the_desk_has_another_clinics_key;
    "TZ-D02" at_desk::the_face_folder_is_gone;
    "TZ-D03" at_desk::no_hub_runs_here;
    "TZ-D04" at_desk::the_gateway_does_not_enrol;
    "TZ-D05" at_desk::a_setting_is_malformed;
    "TZ-D06" at_desk::the_audit_was_altered;
    "TZ-D06" at_desk::the_hubs_database_was_set_back;
    "TZ-D07" at_desk::there_is_no_service_manager;
    "TZ-D08" standing::nobody_has_this_name;
    "TZ-B01" app::the_app_brings_the_library_of_another_version;
}

#[test]
fn every_code_is_provoked_and_nothing_else() {
    let provoked: BTreeSet<_> = PROVOKED.iter().copied().chain(reader_rig::FAILURES).collect();
    let codes: BTreeSet<_> = FailureCode::ALL.iter().map(|code| code.code()).collect();
    assert_eq!(codes.difference(&provoked).count(), 0, "without a provocation: {:?}", &codes - &provoked);
    assert_eq!(provoked.difference(&codes).count(), 0, "without a code: {:?}", &provoked - &codes);
}
