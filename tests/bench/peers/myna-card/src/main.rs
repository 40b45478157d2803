//! One authentication with the user certificate as myna-card does it: `peer-myna-card READER PIN`, over PC/SC.

use std::{env, error::Error};

use myna_card::{
    Pin,
    ap::jpki::{JpkiAp, SignatureScheme},
    transport::pcsc::{Sharing, connect},
};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let (Some(reader), Some(pin)) = (arguments.next(), arguments.next()) else {
        return Err("give a reader and a PIN".into());
    };
    let mut card = connect(&reader, Sharing::Shared)?;
    let mut application = JpkiAp::select(&mut card)?;
    let certificate = application.read_auth_certificate_der()?;
    application.verify_auth_pin(&Pin::numeric(&pin)?)?;
    let signature = application.sign_with_auth_key(SignatureScheme::PreHashedDigestInfo, &[7; 32])?;
    println!("certificate {} bytes, signature {} bytes", certificate.len(), signature.len());
    Ok(())
}
