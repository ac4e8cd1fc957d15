//! From a disk to an engine: the same steps on every platform.

use alloc::{string::String, sync::Arc, vec::Vec};
use core::fmt;

use intralith_config::{Config, ConfigError, Network, TlsVersion};
use pg_executor::{Engine, Initial};
use pg_storage::{FormatOptions, Probe, Storage, StorageConfig, StorageError};
use pg_types::SqlError;
use pg_wire::scram::{self, Verifier};
use platform::{block::BlockDevice, compute::Devices};

use crate::config::{Authentication, ServerConfig};

/// First role and database.
pub const FIRST_NAME: &str = "intralith";

/// Why a disk cannot be served.
#[derive(Debug)]
pub enum VolumeError {
    /// It holds something else; it was not written.
    Foreign(String),
    /// Storage.
    Storage(StorageError),
    /// Catalogs.
    Engine(SqlError),
    /// Its configuration block.
    Config(ConfigError),
}

impl fmt::Display for VolumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(what) => {
                write!(f, "the disk holds {what}; it was left as it is (Intralith formats blank disks only)")
            }
            Self::Storage(e) => write!(f, "the volume cannot be opened: {e}"),
            Self::Engine(e) => write!(f, "the catalogs cannot be opened: {e}"),
            Self::Config(e) => write!(f, "the configuration is wrong: {e}"),
        }
    }
}

impl core::error::Error for VolumeError {}

impl From<StorageError> for VolumeError {
    fn from(e: StorageError) -> Self {
        Self::Storage(e)
    }
}

impl From<SqlError> for VolumeError {
    fn from(e: SqlError) -> Self {
        Self::Engine(e)
    }
}

/// An open volume.
pub struct Volume {
    /// The engine on it.
    pub engine: Arc<Engine>,
    /// Its configuration, with the caller's words applied.
    pub config: Config,
    /// Password of the first role, if it was made at random just now because none was configured.
    pub new_password: Option<String>,
}

/// Would [`open_volume`] format this disk?
pub fn is_blank(device: &dyn BlockDevice) -> Result<bool, VolumeError> {
    Ok(Storage::probe(device)? == Probe::Blank)
}

/// Opens a volume, formatting a blank disk first. `configure` has the last word on the configuration;
/// `default_pool`: bytes of buffer pool if the configuration says nothing; `compute`: devices that may compute.
pub fn open_volume(
    device: Arc<dyn BlockDevice>,
    default_pool: u64,
    compute: Devices,
    configure: impl FnOnce(&mut Config) -> Result<(), ConfigError>,
) -> Result<Volume, VolumeError> {
    match Storage::probe(&*device)? {
        Probe::Foreign { what } => return Err(VolumeError::Foreign(what)),
        Probe::Blank => {
            log::info!("formatting a blank disk");
            Storage::format(&*device, &FormatOptions::default())?;
        }
        Probe::Intralith { .. } => {}
    }
    let block: Vec<u8> = Storage::read_config(&*device)?;
    // The block may be padded.
    let text = block.split(|b| *b == 0).next().unwrap_or_default();
    let mut config = Config::parse(text).map_err(VolumeError::Config)?;
    configure(&mut config).map_err(VolumeError::Config)?;
    let storage = Storage::open(
        device.clone(),
        StorageConfig {
            buffer_pool_bytes: config.buffer_pool.unwrap_or(default_pool),
            ..StorageConfig::default()
        },
    )?;
    let mut new_password = None;
    if !Engine::is_bootstrapped(&storage)? {
        let password = config.first_password.clone().unwrap_or_else(|| {
            let password = random_password();
            new_password = Some(password.clone());
            password
        });
        let mut salt = [0; scram::SALT_LEN];
        platform::entropy::fill(&mut salt);
        let verifier = Verifier::new(&password, &salt, scram::ITERATIONS);
        Engine::bootstrap(
            &storage,
            &Initial {
                user: FIRST_NAME.into(),
                verifier: Some(alloc::format!("{verifier}")),
                database: FIRST_NAME.into(),
            },
        )?;
        forget_password(&*device, text)?;
    }
    let engine = Engine::open(storage, compute)?;
    if config.ssl {
        let address = match config.network {
            Network::Static { address, .. } => alloc::format!("{address}"),
            Network::Dhcp => String::from("127.0.0.1"),
        };
        let mut names = Vec::from([config.hostname.as_str(), FIRST_NAME, "localhost", address.as_str()]);
        if config.hostname == FIRST_NAME {
            names.remove(0);
        }
        engine.ensure_certificate(&names)?;
    }
    Ok(Volume { engine, config, new_password })
}

/// Takes the first password out of the configuration block: from now on the verifier in the catalog is what counts.
fn forget_password(device: &dyn BlockDevice, block: &[u8]) -> Result<(), VolumeError> {
    let mut config = Config::parse(block).map_err(VolumeError::Config)?;
    if config.first_password.take().is_some() {
        Storage::write_config(device, config.to_text().as_bytes())?;
    }
    Ok(())
}

/// The server's part of a configuration.
pub fn server_config(config: &Config) -> ServerConfig {
    ServerConfig {
        authentication: match config.authentication {
            intralith_config::Authentication::Scram => Authentication::Scram,
            intralith_config::Authentication::Trust => Authentication::Trust,
        },
        max_connections: config.max_connections as usize,
        hba: config.hba,
        encryption: config.ssl.then(|| pg_tls::Settings {
            least: tls_version(config.least_tls),
            most: tls_version(config.most_tls),
            client_authorities: None,
        }),
        settings: Vec::from([(
            String::from("intralith.enable_test_functions"),
            String::from(if config.test_functions { "on" } else { "off" }),
        )]),
        ..ServerConfig::default()
    }
}

fn tls_version(version: TlsVersion) -> pg_tls::Version {
    match version {
        TlsVersion::Tls12 => pg_tls::Version::Tls12,
        TlsVersion::Tls13 => pg_tls::Version::Tls13,
    }
}

/// 144 random bits as text that needs no quoting in URLs.
pub fn random_password() -> String {
    scram::random_text(18, platform::entropy::fill)
}
