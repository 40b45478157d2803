use std::path::Path;

use tazune_hub::admin::AdminClient;

use super::remedy;

/// Says on standard error what the running desk wants everybody to know, also beside JSON.
///
/// A desk that cannot be asked is told by the command itself.
#[expect(clippy::print_stderr, reason = "a warning must not be taken for the answer")]
pub(super) async fn tell(folder: &Path) {
    let Ok(client) = AdminClient::find(folder) else { return };
    let Ok(warnings) = client.warnings().await else { return };
    for code in warnings.codes {
        eprintln!("tazune-hub: warning: {code} {}", code.name());
        for line in remedy::of(code) {
            eprintln!("  {line}");
        }
    }
}
