//! An embedded API server in the test's own process, and a client that sends it plain requests.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tutorial::cluster::embedded::api::{self, NoPods, PodAccess, Settings};
use tutorial::cluster::embedded::controllers::{self, Controllers};
use tutorial::cluster::embedded::registry::Registry;

pub const ADMIN: &str = "admin-token";
pub const READER: &str = "reader-token";

/// A server that runs until its runtime ends.
pub struct Server {
    pub registry: Arc<Registry>,
    pub port: u16,
    pub authority_pem: String,
    client: Arc<rustls::ClientConfig>,
    controllers: Mutex<Option<Arc<Controllers>>>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    #[allow(dead_code)] // For tests that ask for it.
    pub headers: http::HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| String::from_utf8_lossy(&self.body).into_owned().into())
    }
}

impl Server {
    /// The API alone: no controllers, no node.
    pub async fn start() -> Self {
        Self::over(Registry::in_memory(), Arc::new(NoPods)).await
    }

    /// The API with controllers, no node.
    pub async fn with_controllers() -> Self {
        let server = Self::start().await;
        server.start_controllers();
        server
    }

    pub fn start_controllers(&self) {
        let options = controllers::Options {
            time_factor: 1.0,
            certificate_authority_pem: self.authority_pem.clone(),
            api_port: self.port,
        };
        let running = controllers::start(Arc::clone(&self.registry), options);
        *self.controllers.lock().unwrap() = Some(Arc::new(running));
    }

    /// From here on nothing happens but what clients do.
    pub fn stop_controllers(&self) {
        if let Some(running) = self.controllers.lock().unwrap().take() {
            running.stop();
        }
    }

    pub async fn over(registry: Arc<Registry>, pods: Arc<dyn PodAccess>) -> Self {
        let certified = rcgen::generate_simple_self_signed(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
        let certificate = CertificateDer::from(certified.cert.der().to_vec());
        let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate).unwrap();
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let settings = Settings {
            admin_token: ADMIN.into(),
            read_only_token: READER.into(),
            certificate_authority_pem: certified.cert.pem(),
            snapshots: std::env::temp_dir().join(format!("tutorial-snapshots-{}-{port}", std::process::id())),
        };
        tokio::spawn(api::serve(listener, Arc::new(tls), Arc::clone(&registry), pods, settings));
        Self {
            registry,
            port,
            authority_pem: certified.cert.pem(),
            client: Arc::new(client),
            controllers: Mutex::default(),
        }
    }

    /// Returns once the controllers have done what there is to do.
    pub async fn settled(&self) {
        let running = self.controllers.lock().unwrap().clone();
        let Some(running) = running else { return };
        let caught_up = running.caught_up(&self.registry);
        tokio::time::timeout(Duration::from_secs(20), caught_up).await.expect("the controllers come to an end");
    }

    /// A TLS connection of its own.
    pub async fn connect(&self) -> tokio_rustls::client::TlsStream<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::clone(&self.client)).connect(name, stream).await.unwrap()
    }

    /// A TLS connection that has agreed on HTTP/2.
    pub async fn connect_http_two(&self) -> tokio_rustls::client::TlsStream<TcpStream> {
        let mut client = rustls::ClientConfig::clone(&self.client);
        client.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        TlsConnector::from(Arc::new(client)).connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
    }

    /// Sends one request over a connection of its own and returns the response before its body.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Response<hyper::body::Incoming> {
        let (mut sender, connection) = http1::handshake(TokioIo::new(self.connect().await)).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        sender.send_request(request).await.unwrap()
    }

    /// As the administrator.
    pub async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        self.call_as(ADMIN, method, path, headers, body).await
    }

    /// With a token; an empty one sends none.
    pub async fn call_as(
        &self,
        token: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.send(request.body(Full::new(body.into())).unwrap()).await;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }
}
