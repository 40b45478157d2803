use std::fs;

use serde_json::Value;
use tazune_hub::admin::{AdminClient, AdminError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::clinic::Clinic;

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_opens_nothing() {
    let clinic = Clinic::open().await;
    let file = clinic.desk_folder().join("admin.json");
    let mut json: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    json["token"] = "0".repeat(64).into();
    fs::write(&file, json.to_string()).unwrap();
    let admin = AdminClient::find(&clinic.desk_folder()).unwrap();
    assert!(matches!(admin.records().await, Err(AdminError::NotRunning(why)) if why.contains("401")));
    assert!(admin.open_pairing().await.is_err());
}

/// A page in a browser of the clinic's PC can be led to the port by its own name, and must not get in.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_names_another_host_is_refused_also_with_the_token() {
    let clinic = Clinic::open().await;
    let file: Value = serde_json::from_slice(&fs::read(clinic.desk_folder().join("admin.json")).unwrap()).unwrap();
    let (address, token) = (file["address"].as_str().unwrap(), file["token"].as_str().unwrap());
    for (host, status) in [
        (address, "200"),
        ("localhost", "200"),
        ("[::1]:80", "200"),
        ("clinic.example", "421"),
        ("127.0.0.1.clinic.example:80", "421"),
        ("", "421"),
    ] {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET /v1/records HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut told = String::new();
        stream.read_to_string(&mut told).await.unwrap();
        assert_eq!(told.split(' ').nth(1), Some(status), "{host}: {told}");
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn token_and_keys_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let clinic = Clinic::open().await;
    let names = ["admin.json", "ca.key", "clinic.key", "receipt.key", "desk.key", "gateway-secret", "settings.json"];
    for path in
        names.map(|name| clinic.desk_folder().join(name)).iter().chain([&clinic.front_folder().join("front.key")])
    {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_does_not_run_is_named() {
    let mut clinic = Clinic::open().await;
    let before = clinic.admin();
    clinic.stop().await;
    let gone = AdminClient::find(&clinic.desk_folder()).map(drop).unwrap_err();
    assert_eq!(gone.failure_code().map(|code| code.name()), Some("HubNotRunning"));
    let gone = before.records().await.unwrap_err();
    assert_eq!(gone.failure_code().map(|code| code.name()), Some("HubNotRunning"));
}
