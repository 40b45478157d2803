//! What a device believes of a tombstone, and what not.

#[expect(dead_code, reason = "shared by several test programs")]
mod common;

use common::*;
use tazune_link::{
    V1,
    keys::Label,
    tombstone::{ExpectedTombstone, RevocationKind, SignedTombstone, TombstoneBody, TombstoneError, UnsignedTombstone},
};
use tazune_model::{DeviceId, FailureCode, InstitutionCode};

fn body(kind: RevocationKind) -> TombstoneBody {
    TombstoneBody {
        version: V1,
        tenant: tenant(),
        device: device_id(),
        device_key_id: Signer::device().verifying_key().key_id(),
        revoked_at: at("2026-11-20T04:00:00Z"),
        kind,
    }
}

fn tombstone(body: &TombstoneBody) -> SignedTombstone {
    let unsigned = UnsignedTombstone::new(body);
    let signature = Signer::desk().sign(&unsigned.bytes_to_sign());
    unsigned.sign(signature)
}

fn verify(tombstone: &SignedTombstone) -> Result<TombstoneBody, TombstoneError> {
    let (tenant, device, device_key) = (tenant(), device_id(), Signer::device().verifying_key());
    let expected = ExpectedTombstone { tenant: &tenant, device: &device, device_key: &device_key };
    tombstone.verify(&Signer::desk().verifying_key(), &expected)
}

#[test]
fn a_tombstone_is_for_one_device_of_one_clinic_with_one_key() {
    for kind in RevocationKind::ALL {
        assert_eq!(verify(&tombstone(&body(kind))).unwrap(), body(kind));
    }
    let genuine = body(RevocationKind::Lost);
    let misaddressed = [
        TombstoneBody { tenant: InstitutionCode::new("1310000000").unwrap(), ..genuine.clone() },
        TombstoneBody { device: DeviceId::new("tablet-2").unwrap(), ..genuine.clone() },
        TombstoneBody { device_key_id: Signer::desk().verifying_key().key_id(), ..genuine },
    ];
    for body in misaddressed {
        assert_eq!(verify(&tombstone(&body)), Err(TombstoneError::AboutAnother));
    }
    assert_eq!(TombstoneError::AboutAnother.failure_code(), FailureCode::TombstoneInvalid);
}

#[test]
fn a_tombstone_of_another_key_or_under_another_label_proves_nothing() {
    let unsigned = || UnsignedTombstone::new(&body(RevocationKind::Lost));
    let json = serde_json::to_vec(&body(RevocationKind::Lost)).unwrap();
    let by_device = unsigned().sign(Signer::device().sign(&unsigned().bytes_to_sign()));
    let as_receipt = unsigned().sign(Signer::desk().sign(&Label::Receipt.bytes_to_sign(&json)));
    for forged in [by_device, as_receipt] {
        assert_eq!(verify(&forged), Err(TombstoneError::Signature));
    }
}

#[test]
fn signed_bytes_of_another_version_are_no_tombstone() {
    let mut json = serde_json::to_value(body(RevocationKind::Lost)).unwrap();
    json["version"] = 2.into();
    let body = serde_json::to_vec(&json).unwrap();
    let signature = Signer::desk().sign(&Label::Tombstone.bytes_to_sign(&body));
    let newer = serde_json::json!({ "body": tazune_model::Bytes(body), "signature": signature });
    assert_eq!(verify(&serde_json::from_value(newer).unwrap()), Err(TombstoneError::Malformed));
}

#[test]
fn an_alteration_of_any_byte_of_a_tombstone_is_refused() {
    let bytes = serde_json::to_vec(&tombstone(&body(RevocationKind::Stolen))).unwrap();
    for place in 0..bytes.len() {
        for flip in [0x01, 0x20, 0xff] {
            let mut altered = bytes.clone();
            altered[place] ^= flip;
            let Ok(altered) = serde_json::from_slice(&altered) else { continue };
            assert!(verify(&altered).is_err(), "took byte {place} flipped by {flip:#04x}");
        }
    }
}
