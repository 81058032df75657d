//! The cluster's certificate authority and the certificate of its API server.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::ProcessError;

/// Names and addresses that the API server is called by.
const NAMES: [&str; 8] = [
    "localhost",
    "127.0.0.1",
    "::1",
    "10.96.0.1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];

/// Certificates and the server's key, as PEM. The authority's own key is not kept: it signs once.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Certificates {
    pub authority: String,
    pub server: String,
    pub server_key: String,
}

impl Certificates {
    /// Makes new ones, valid for as long as any workspace lives.
    pub fn generate() -> Result<Self, ProcessError> {
        let authority_key = KeyPair::generate()?;
        let mut authority = CertificateParams::new(Vec::new())?;
        authority.distinguished_name.push(DnType::CommonName, "tutorial");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        set_validity(&mut authority);
        let authority = rcgen::CertifiedIssuer::self_signed(authority, authority_key)?;

        let key = KeyPair::generate()?;
        let mut server = CertificateParams::new(NAMES.map(String::from).to_vec())?;
        server.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        server.use_authority_key_identifier_extension = true;
        set_validity(&mut server);
        let certificate = server.signed_by(&key, &authority)?;
        Ok(Self { authority: authority.pem(), server: certificate.pem(), server_key: key.serialize_pem() })
    }

    /// What the API server speaks TLS with.
    pub fn server_config(&self) -> Result<Arc<rustls::ServerConfig>, ProcessError> {
        let unreadable = |_| rustls::Error::General("the certificate is no PEM".into());
        let chain = vec![CertificateDer::from_pem_slice(self.server.as_bytes()).map_err(unreadable)?];
        let key = PrivateKeyDer::from_pem_slice(self.server_key.as_bytes()).map_err(unreadable)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn set_validity(parameters: &mut CertificateParams) {
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2099, 1, 1);
}
