//! The card on a socket, seen from a reader that speaks vpcd's framing.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::civil::date;
use tazune_sim::{
    CertificateSpec, TestCa,
    card::{CardSpec, LogEntry, Tear, TearMoment, VirtualCard},
    vpcd::{InField, SharedCard},
};

const AWAY: Duration = Duration::from_millis(50);
const SELECT: &[u8] = &[0x00, 0xA4, 0x04, 0x0C, 0x0A, 0xD3, 0x92, 0xF0, 0x00, 0x26, 0x01, 0x00, 0x00, 0x00, 0x01];
const COUNTER: &[u8] = &[0x00, 0x20, 0x00, 0x98];

fn stage() -> (TcpListener, SharedCard, InField) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let spec = CardSpec::issued(&TestCa::user(), &CertificateSpec::valid_on(date(2026, 11, 21)));
    let card = Arc::new(Mutex::new(VirtualCard::new(&spec)));
    let field = InField::serve(card.clone(), listener.local_addr().unwrap(), AWAY);
    (listener, card, field)
}

fn accept(listener: &TcpListener) -> TcpStream {
    let (socket, _) = listener.accept().unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

fn send(socket: &mut TcpStream, payload: &[u8]) {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    // In two packets, as vpcd itself does.
    socket.write_all(&length).unwrap();
    socket.write_all(payload).unwrap();
}

fn receive(socket: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    socket.read_exact(&mut length).ok()?;
    let mut frame = vec![0; usize::from(u16::from_be_bytes(length))];
    socket.read_exact(&mut frame).ok()?;
    Some(frame)
}

fn exchange(socket: &mut TcpStream, command: &[u8]) -> Option<Vec<u8>> {
    send(socket, command);
    receive(socket)
}

#[test]
fn answers_atr_and_commands_and_nothing_else() {
    let (listener, card, _field) = stage();
    let mut socket = accept(&listener);
    send(&mut socket, &[0x01]);
    send(&mut socket, &[0x02]);
    assert_eq!(exchange(&mut socket, &[0x04]).unwrap(), card.lock().unwrap().atr());
    assert_eq!(exchange(&mut socket, SELECT).unwrap(), [0x90, 0x00]);
    assert_eq!(exchange(&mut socket, COUNTER).unwrap(), [0x63, 0xC3]);
    assert_eq!(exchange(&mut socket, &[0x00, 0xB0, 0x8A, 0x00, 0x00, 0x06, 0x36]).unwrap().len(), 1592);
    assert_eq!(card.lock().unwrap().log()[..2], [LogEntry::PowerOn, LogEntry::Reset]);
}

#[test]
fn power_off_loses_the_application() {
    let (listener, _card, _field) = stage();
    let mut socket = accept(&listener);
    send(&mut socket, &[0x01]);
    exchange(&mut socket, SELECT).unwrap();
    send(&mut socket, &[0x00]);
    send(&mut socket, &[0x01]);
    assert_eq!(exchange(&mut socket, COUNTER).unwrap(), [0x6A, 0x88]);
}

#[test]
fn a_torn_card_closes_the_socket_and_comes_back() {
    let (listener, card, _field) = stage();
    card.lock().unwrap().tear(Tear { at: 2, moment: TearMoment::AnswerLost });
    let mut socket = accept(&listener);
    send(&mut socket, &[0x01]);
    assert_eq!(exchange(&mut socket, SELECT).unwrap(), [0x90, 0x00]);
    let wrong = [0x00, 0x20, 0x00, 0x98, 0x04, 0x39, 0x39, 0x39, 0x39];
    assert_eq!(exchange(&mut socket, &wrong), None);

    let mut socket = accept(&listener);
    send(&mut socket, &[0x01]);
    assert_eq!(exchange(&mut socket, SELECT).unwrap(), [0x90, 0x00]);
    assert_eq!(exchange(&mut socket, COUNTER).unwrap(), [0x63, 0xC2], "the lost try was counted");
}

#[test]
fn a_reader_that_goes_away_finds_the_card_again() {
    let (listener, _card, _field) = stage();
    drop(accept(&listener));
    let mut socket = accept(&listener);
    send(&mut socket, &[0x01]);
    assert_eq!(exchange(&mut socket, SELECT).unwrap(), [0x90, 0x00]);
}

#[test]
fn waits_for_a_reader_that_starts_later() {
    let (listener, card, field) = stage();
    let address = listener.local_addr().unwrap();
    drop((field, listener));
    let _field = InField::serve(card, address, AWAY);
    std::thread::sleep(Duration::from_millis(100));
    let listener = TcpListener::bind(address).unwrap();
    let mut socket = accept(&listener);
    assert!(exchange(&mut socket, &[0x04]).is_some());
}

#[test]
fn dropping_the_field_takes_the_card_away() {
    let (listener, _card, field) = stage();
    let mut socket = accept(&listener);
    send(&mut socket, &[0x01]);
    exchange(&mut socket, SELECT).unwrap();
    drop(field);
    assert_eq!(receive(&mut socket), None);
}
