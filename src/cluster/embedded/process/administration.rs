//! Asking the running process to keep its state under a name, and to go back to one.

use std::path::Path;

use super::files::Files;
use super::identity::Identity;
use super::{ProcessError, Reported};

/// Keeps the cluster's state under a name; one that has the name already is replaced.
pub async fn snapshot(directory: &Path, name: &str) -> Result<(), ProcessError> {
    ask(directory, &format!("/tutorial/v1/snapshots/{name}"), &format!("keep its state as {name}")).await
}

/// Brings the running cluster to a state that was kept: in place, by ordinary events under rising versions.
pub async fn restore(directory: &Path, name: &str) -> Result<(), ProcessError> {
    ask(directory, &format!("/tutorial/v1/snapshots/{name}/restore"), &format!("go back to {name}")).await
}

async fn ask(directory: &Path, path: &str, action: &str) -> Result<(), ProcessError> {
    let files = Files::new(directory);
    let refused = |source| ProcessError::Refused { action: action.to_owned(), source };
    let identity =
        Identity::load(&files)?.ok_or_else(|| ProcessError::Absent { directory: files.directory().to_owned() })?;
    let client = client(&identity).map_err(|error| refused(Reported::message(error.to_string())))?;
    let request = http::Request::post(path).body(Vec::new()).expect("a path of plain characters");
    match client.request_text(request).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) => Err(refused(Reported::message(status.message.clone()))),
        Err(error) => Err(refused(Reported {
            message: "it does not answer".into(),
            cause: Some(Box::new(Reported::message(error.to_string()))),
            hint: Some("run `tutorial cluster start`".into()),
        })),
    }
}

/// A client with the administrator's token.
fn client(identity: &Identity) -> Result<kube::Client, Box<dyn std::error::Error>> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let uri: http::Uri = format!("https://127.0.0.1:{}", identity.port).parse()?;
    let mut config = kube::Config::new(uri);
    let authority = CertificateDer::from_pem_slice(identity.certificates.authority.as_bytes())?;
    config.root_cert = Some(vec![authority.to_vec()]);
    config.auth_info.token = Some(identity.admin_token.clone().into());
    config.read_timeout = Some(std::time::Duration::from_secs(30));
    Ok(kube::Client::try_from(config)?)
}
