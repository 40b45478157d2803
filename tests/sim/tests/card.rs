//! The card's behaviour as a table: what it answers, what it counts, what it forgets.

use jiff::civil::date;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use rsa::pkcs1::EncodeRsaPublicKey as _;
use tazune_sim::{
    CertificateSpec, TestCa,
    card::{CardKind, CardSpec, LogEntry, Tear, TearMoment, VirtualCard},
    rsa_key,
};

const SELECT: &str = "00A4040C0AD392F000260100000001";
const SELECT_INPUT_SUPPORT: &str = "00A4040C0AD3921000310001010408";
const SELECT_ISSUER_DOMAIN: &str = "00A4040C07A0000001510000";
const VERIFY: &str = "002000980431323334";
const WRONG: &str = "002000980439393939";
const COUNTER: &str = "00200098";

fn spec() -> CardSpec {
    CardSpec::issued(&TestCa::user(), &CertificateSpec::valid_on(date(2026, 11, 21)))
}

fn card(spec: &CardSpec) -> VirtualCard {
    let mut card = VirtualCard::new(spec);
    card.power_on();
    card
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn send(card: &mut VirtualCard, hex: &str) -> (Vec<u8>, u16) {
    let mut answer = card.transmit(&bytes(hex)).expect("the card is there");
    let status = answer.split_off(answer.len() - 2);
    (answer, u16::from_be_bytes([status[0], status[1]]))
}

/// Runs commands with the status word and the number of data bytes that each must give.
fn expect(card: &mut VirtualCard, steps: &[(&str, u16, usize)]) {
    for (index, (command, status, len)) in steps.iter().enumerate() {
        let (data, got) = send(card, command);
        assert_eq!((format!("{got:04X}"), data.len()), (format!("{status:04X}"), *len), "step {index}: {command}");
    }
}

fn sign_command(scheme: u8, input: &[u8]) -> String {
    let hex: String = input.iter().map(|byte| format!("{byte:02X}")).collect();
    format!("802A{scheme:02X}97{:02X}{hex}00", input.len())
}

fn digest_info(message: &[u8]) -> Vec<u8> {
    let mut info = bytes("3031300D060960864801650304020105000420");
    info.extend_from_slice(ring::digest::digest(&ring::digest::SHA256, message).as_ref());
    info
}

#[test]
fn answers_every_command_as_the_facts_say() {
    // Each row on a fresh card: commands before, the command, status word, data bytes.
    let table: &[(&str, &[&str], &str, u16, usize)] = &[
        ("select by name", &[], SELECT, 0x9000, 0),
        ("select by prefix", &[], "00A4040C05D392F00026", 0x9000, 0),
        ("select with control information", &[], "00A404000AD392F00026010000000100", 0x9000, 14),
        ("select issuer domain", &[], SELECT_ISSUER_DOMAIN, 0x9000, 0),
        ("select unknown application", &[], "00A4040C06A00000023101", 0x6A82, 0),
        ("select without name", &[], "00A4040C", 0x6700, 0),
        ("select master file after reset", &[], "00A40000", 0x6A86, 0),
        ("select master file inside", &[SELECT], "00A40000", 0x9000, 0),
        ("select 3F00", &[SELECT], "00A40000023F00", 0x6A82, 0),
        ("select by path", &[SELECT], "00A4080C02000A", 0x6A86, 0),
        ("select file", &[SELECT], "00A4020C02000A", 0x9000, 0),
        ("select missing file", &[SELECT], "00A4020C020011", 0x6A82, 0),
        ("select file by one byte", &[SELECT], "00A4020C010A", 0x6700, 0),
        ("select file outside", &[], "00A4020C02000A", 0x6A82, 0),
        ("read token", &[SELECT], "00B0860020", 0x9000, 32),
        ("read which certificates", &[SELECT], "00B0880003", 0x9000, 3),
        ("read short file with 00", &[SELECT], "00B0860000", 0x9000, 160),
        ("read more than there is", &[SELECT], "00B08600FF", 0x6282, 160),
        ("read at the end", &[SELECT], "00B086A000", 0x6B00, 0),
        ("read past the end", &[SELECT, "00B0860001"], "00B01000 00", 0x6B00, 0),
        ("read 256", &[SELECT], "00B08A0000", 0x9000, 256),
        ("read current file further", &[SELECT, "00B08A0000"], "00B0010000", 0x9000, 256),
        ("read selected file", &[SELECT, "00A4020C020006"], "00B0000010", 0x9000, 16),
        ("read without file", &[SELECT], "00B0000010", 0x6986, 0),
        ("read missing file", &[SELECT], "00B0910010", 0x6A82, 0),
        ("read bad short identifier", &[SELECT], "00B0E00010", 0x6A86, 0),
        ("read a key", &[SELECT], "00B0970010", 0x6981, 0),
        ("read sign certificate", &[SELECT], "00B0810000", 0x6982, 0),
        ("read without length", &[SELECT], "00B08A00", 0x6700, 0),
        ("read extended", &[SELECT], "00B08A00000636", 0x9000, 1590),
        ("read extended all", &[SELECT], "00B08A00000000", 0x9000, 2048),
        ("ask the counter", &[SELECT], COUNTER, 0x63C3, 0),
        ("ask the counter of the selected file", &[SELECT, "00A4020C020018"], "00200080", 0x63C3, 0),
        ("ask the counter without file", &[SELECT], "00200080", 0x6986, 0),
        ("ask the counter after success", &[SELECT, VERIFY], COUNTER, 0x63C3, 0),
        ("verify", &[SELECT], VERIFY, 0x9000, 0),
        ("verify wrong", &[SELECT], WRONG, 0x63C2, 0),
        ("verify too long", &[SELECT], "0020009811 3131313131313131313131313131313131", 0x6700, 0),
        ("verify with Le", &[SELECT], "00200098043132333400", 0x6700, 0),
        ("verify a key", &[SELECT], "0020009704 31323334", 0x6981, 0),
        ("verify what is absent", &[SELECT], "0020009104 31323334", 0x6A88, 0),
        ("verify with P1", &[SELECT], "0020019804 31323334", 0x6A86, 0),
        ("verify sign password, blocked", &[SELECT], "0020009B06 414243444546", 0x6984, 0),
        ("ask sign password, blocked", &[SELECT], "0020009B", 0x63C0, 0),
        ("sign without verify", &[SELECT], "802A00970141 00", 0x6982, 0),
        ("sign with a PIN file", &[SELECT, VERIFY], "802A00980141 00", 0x6981, 0),
        ("sign with an absent key", &[SELECT, VERIFY], "802A00910141 00", 0x6A88, 0),
        ("sign unknown scheme", &[SELECT, VERIFY], "802A06970141 00", 0x6A86, 0),
        ("sign a hash of wrong length", &[SELECT, VERIFY], "802A02970141 00", 0x6985, 0),
        ("sign nothing", &[SELECT, VERIFY], "802A009700", 0x6700, 0),
        ("sign without Le", &[SELECT, VERIFY], "802A00970141", 0x6700, 0),
        ("sign for fewer bytes", &[SELECT, VERIFY], "802A00970141 80", 0x6C00, 0),
        ("sign", &[SELECT, VERIFY], "802A00970141 00", 0x9000, 256),
        ("challenge", &[SELECT], "0084000008", 0x9000, 8),
        ("challenge extended", &[SELECT], "00840000000008", 0x6985, 0),
        ("last command mark", &[SELECT], "80FC0000", 0x6700, 0),
        ("the number, without PIN", &[SELECT_INPUT_SUPPORT], "00B0810000", 0x6982, 0),
        ("logical channel", &[], "01A4040C0AD392F000260100000001", 0x6881, 0),
        ("secure messaging", &[], "0CA4040C0AD392F000260100000001", 0x6882, 0),
        ("unknown class", &[], "F0A40000", 0x6E00, 0),
        ("unknown instruction", &[SELECT], "00CA0045 00", 0x6D00, 0),
        ("sign under the standard class", &[SELECT], "002A00970141 00", 0x6D00, 0),
        ("three bytes", &[], "00A404", 0x6700, 0),
        ("Lc beyond the end", &[], "00A4040C0AD392", 0x6700, 0),
        ("bytes after Le", &[SELECT], "0020009801310000", 0x6700, 0),
        ("extended without data", &[SELECT], "00B08A0000000000", 0x6700, 0),
    ];
    for (name, before, command, status, len) in table {
        let mut card = card(&spec());
        for step in *before {
            send(&mut card, step);
        }
        let (data, got) = send(&mut card, command);
        assert_eq!((format!("{got:04X}"), data.len()), (format!("{status:04X}"), *len), "{name}");
    }
}

#[test]
fn counts_down_locks_and_only_success_resets() {
    let mut card = card(&spec());
    expect(
        &mut card,
        &[
            (SELECT, 0x9000, 0),
            (WRONG, 0x63C2, 0),
            (WRONG, 0x63C1, 0),
            (COUNTER, 0x63C1, 0),
            (VERIFY, 0x9000, 0),
            (COUNTER, 0x63C3, 0),
            (WRONG, 0x63C2, 0),
            ("802A0097014100", 0x6982, 0),
            (WRONG, 0x63C1, 0),
            (WRONG, 0x63C0, 0),
            (WRONG, 0x6984, 0),
            (VERIFY, 0x6984, 0),
            (COUNTER, 0x63C0, 0),
        ],
    );
    card.power_off();
    card.power_on();
    expect(&mut card, &[(SELECT, 0x9000, 0), (VERIFY, 0x6984, 0)]);
    assert_eq!(card.tries_left(), Some(0));
}

#[test]
fn begins_with_the_tries_and_the_pin_it_was_given() {
    let mut card = card(&CardSpec { tries_left: 1, pin: "0918".into(), ..spec() });
    expect(
        &mut card,
        &[(SELECT, 0x9000, 0), (COUNTER, 0x63C1, 0), ("002000980430393138", 0x9000, 0), (COUNTER, 0x63C3, 0)],
    );
}

#[test]
fn forgets_the_verified_pin_with_the_application_or_the_power_and_nothing_else() {
    let sign = "802A0097014100";
    let verified = || {
        let mut card = card(&spec());
        expect(&mut card, &[(SELECT, 0x9000, 0), (VERIFY, 0x9000, 0)]);
        card
    };
    let mut survives = verified();
    expect(
        &mut survives,
        &[("00B08A0000", 0x9000, 256), (COUNTER, 0x63C3, 0), (sign, 0x9000, 256), (sign, 0x9000, 256)],
    );
    survives.reset();
    expect(&mut survives, &[(COUNTER, 0x6A88, 0), (SELECT, 0x9000, 0), (sign, 0x9000, 256)]);

    for other in [SELECT_ISSUER_DOMAIN, SELECT_INPUT_SUPPORT] {
        let mut card = verified();
        expect(&mut card, &[(other, 0x9000, 0), (SELECT, 0x9000, 0), (sign, 0x6982, 0)]);
    }
    let mut card = verified();
    card.power_off();
    assert_eq!(card.transmit(&bytes(SELECT)), None);
    card.power_on();
    expect(&mut card, &[(SELECT, 0x9000, 0), (sign, 0x6982, 0)]);
}

#[test]
fn signs_so_that_another_implementation_verifies() {
    let message = b"a message";
    let hash = ring::digest::digest(&ring::digest::SHA256, message);
    let public = rsa_key("card").as_public_key().to_pkcs1_der().unwrap();
    let mut card = card(&spec());
    expect(&mut card, &[(SELECT, 0x9000, 0), (VERIFY, 0x9000, 0)]);
    let cases: [(u8, Vec<u8>); 3] =
        [(0x00, digest_info(message)), (0x02, hash.as_ref().to_vec()), (0x03, message.to_vec())];
    for (scheme, input) in cases {
        let (signature, status) = send(&mut card, &sign_command(scheme, &input));
        assert_eq!((status, signature.len()), (0x9000, 256), "scheme {scheme}");
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public.as_bytes()).verify(message, &signature).unwrap();
    }
    for (scheme, input) in [(0x04, hash.as_ref()), (0x05, message)] {
        let (signature, _) = send(&mut card, &sign_command(scheme, input));
        UnparsedPublicKey::new(&ring::signature::RSA_PSS_2048_8192_SHA256, public.as_bytes())
            .verify(message, &signature)
            .unwrap();
    }
}

#[test]
fn every_kind_of_card_shows_itself() {
    let label = |card: &mut VirtualCard| {
        send(card, SELECT);
        String::from_utf8(send(card, "00B0860020").0).unwrap().trim_end().to_owned()
    };
    let read = ("00B08A0000", 0x9000, 256);
    let refused = ("00B08A0000", 0x6982, 0);

    let mut plastic = card(&spec());
    assert_eq!(label(&mut plastic), "JPKIAPICCTOKEN2");
    expect(&mut plastic, &[read, (SELECT_INPUT_SUPPORT, 0x9000, 0)]);

    let mut android = card(&CardSpec { kind: CardKind::AndroidPhone, ..spec() });
    assert_eq!(label(&mut android), "JPKIAPGPSETOKEN");
    expect(&mut android, &[refused, (VERIFY, 0x9000, 0), read, (SELECT_INPUT_SUPPORT, 0x6A82, 0)]);

    let mut iphone = card(&CardSpec { kind: CardKind::IPhone, ..spec() });
    assert_eq!(label(&mut iphone), "JPKIAPIOSTOKEN");
    expect(&mut iphone, &[read, ("80FC0000", 0x9000, 0), (SELECT_INPUT_SUPPORT, 0x6A82, 0)]);

    let mut other = card(&CardSpec { kind: CardKind::Other, ..spec() });
    expect(&mut other, &[(SELECT, 0x6A82, 0), ("00A4040C06A00000023101", 0x9000, 0)]);

    let mut without = card(&CardSpec { certificate: None, ..spec() });
    expect(&mut without, &[(SELECT, 0x9000, 0), ("00B08A0000", 0x6A82, 0), ("00B0880003", 0x9000, 3)]);
}

#[test]
fn refuses_extended_lengths_when_told_to() {
    let mut card = card(&CardSpec { takes_extended: false, ..spec() });
    expect(&mut card, &[(SELECT, 0x9000, 0), ("00B08A00000636", 0x6700, 0), ("00B08A0000", 0x9000, 256)]);
}

#[test]
fn delivers_the_certificate_and_then_filler() {
    let spec = CardSpec { filler: 0x00, certificate_file_len: 1800, ..spec() };
    let certificate = spec.certificate.clone().unwrap();
    let mut card = card(&spec);
    send(&mut card, SELECT);
    let (file, _) = send(&mut card, "00B08A00000000");
    assert_eq!(file.len(), 1800);
    assert_eq!(file[..certificate.len()], certificate);
    assert!(file[certificate.len()..].iter().all(|byte| *byte == 0));
}

#[test]
fn is_torn_away_before_or_after_the_command_took_effect() {
    for (moment, tries_left) in [(TearMoment::BeforeProcessing, 3), (TearMoment::AnswerLost, 2)] {
        let mut card = card(&spec());
        card.tear(Tear { at: 2, moment });
        assert!(card.transmit(&bytes(SELECT)).is_some());
        assert_eq!(card.transmit(&bytes(WRONG)), None);
        assert_eq!(card.transmit(&bytes(SELECT)), None, "a torn card stays away");
        assert_eq!(card.tries_left(), Some(tries_left));
        card.power_on();
        expect(&mut card, &[(SELECT, 0x9000, 0), (VERIFY, 0x9000, 0), ("802A0097014100", 0x9000, 256)]);
    }
}

#[test]
fn each_tear_happens_once_and_counts_from_the_one_before() {
    let mut card = card(&spec());
    for at in [1, 2] {
        card.tear(Tear { at, moment: TearMoment::BeforeProcessing });
    }
    assert_eq!(card.transmit(&bytes(SELECT)), None);
    card.power_on();
    assert!(card.transmit(&bytes(SELECT)).is_some());
    assert_eq!(card.transmit(&bytes(SELECT)), None);
    card.power_on();
    expect(&mut card, &[(SELECT, 0x9000, 0), (SELECT, 0x9000, 0), (SELECT, 0x9000, 0)]);
}

#[test]
fn the_log_shows_everything_but_the_pin() {
    let mut card = card(&CardSpec { pin: "7391".into(), ..spec() });
    for command in [SELECT, "00200098 04 37333931", "00200098 0000043733 3931", "0020019804 37333931"] {
        send(&mut card, command);
    }
    card.tear(Tear { at: 1, moment: TearMoment::BeforeProcessing });
    card.transmit(&bytes(COUNTER));
    let commands: Vec<_> = card.log().iter().filter_map(LogEntry::as_command).collect();
    assert_eq!(commands.len(), 5);
    assert_eq!(commands[1], bytes("0020009804 2A2A2A2A"));
    assert!(commands.iter().all(|command| !command.windows(4).any(|part| part == b"7391")));
    assert_eq!(format!("{:?}", card.log()).matches("37333931").count(), 0);
    assert_eq!(card.log().first(), Some(&LogEntry::PowerOn));
    assert_eq!(card.log().last(), Some(&LogEntry::Torn));
}
