//! Encryption of connections: what is installed follows the catalogs.

use alloc::sync::Arc;

use pg_executor::{Engine, StoredCertificates};
use pg_tls::{Acceptor, Identity, Settings, TlsStream, Version};
use platform::{net::Stream, sync::Mutex};

/// What was installed, and from which version of the catalogs.
#[derive(Default)]
struct Installed {
    version: Option<u64>,
    certificates: Option<StoredCertificates>,
}

/// See the module.
pub struct Encryption {
    acceptor: Acceptor,
    /// `None`: off.
    settings: Option<Settings>,
    installed: Mutex<Installed>,
}

impl Encryption {
    /// With what the configuration says; `None`: off.
    pub fn new(settings: Option<Settings>) -> Self {
        Self { acceptor: Acceptor::default(), settings, installed: Mutex::default() }
    }

    /// Settings whose values are not the built-in ones.
    pub fn shown(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let default = Settings::default();
        let name = |v| if v == Version::Tls12 { "TLSv1.2" } else { "TLSv1.3" };
        let of = |given: fn(&Settings) -> Version, setting: &'static str| {
            let given = self.settings.as_ref().map(given).filter(|v| *v != given(&default));
            given.map(|v| (setting, name(v)))
        };
        [
            self.settings.is_none().then_some(("ssl", "off")),
            of(|s| s.least, "ssl_min_protocol_version"),
            of(|s| s.most, "ssl_max_protocol_version"),
        ]
        .into_iter()
        .flatten()
    }

    /// The encrypted side of a connection that asked for it; `None`: refused.
    pub fn accept(&self, engine: &Engine, stream: &Arc<dyn Stream>) -> Option<Arc<TlsStream>> {
        self.follow(engine);
        match self.acceptor.accept(stream.clone())? {
            Ok(stream) => Some(stream),
            Err(e) => {
                log::error!("encryption: {e}");
                None
            }
        }
    }

    /// Installs what the catalogs have, if that is not what is installed.
    fn follow(&self, engine: &Engine) {
        let Some(settings) = &self.settings else { return };
        // Read first: a change meanwhile is seen the next time.
        let version = engine.catalog_version();
        let mut installed = self.installed.lock();
        if installed.version == Some(version) {
            return;
        }
        let stored = match engine.certificates() {
            Ok(stored) => stored,
            Err(e) => return log::error!("certificates: {e}"),
        };
        if stored != installed.certificates {
            self.install(settings, stored.as_ref());
            installed.certificates = stored;
        }
        installed.version = Some(version);
    }

    fn install(&self, settings: &Settings, stored: Option<&StoredCertificates>) {
        let Some(stored) = stored else { return self.acceptor.uninstall() };
        let settings = Settings { client_authorities: stored.client_authorities.clone(), ..settings.clone() };
        let done = Identity::from_pem(&stored.certificate, &stored.private_key)
            .and_then(|identity| self.acceptor.install(&identity, &settings));
        if let Err(e) = done {
            // Rather none than one that was taken back.
            self.acceptor.uninstall();
            log::error!("the certificate cannot be used: {e}");
        }
    }
}
