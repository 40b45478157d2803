use std::fs;

use serde_json::Value;
use tazune_hub::admin::{AdminClient, AdminError};

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
