//! Values of options, from TOML or from text, with errors that say where the value stands.
use super::error::ConfigError;
use super::kind::Kind;
use super::layers::Layers;
use super::meant::absolute;
use super::opt::Opt;
use rowhouse_types::DatabaseName;
use serde_json::Value as Json;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::Path;
use std::time::Duration;
use toml::Value;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Layers {
    /// Reads an option with `parse`, which says `None` for a value the option does not take.
    pub(super) fn read<T>(
        &self,
        key: &str,
        parse: impl FnOnce(&Value, Kind) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let option = Opt::find(key).expect("a known option");
        let Some((value, origin)) = self.get(key) else { return Ok(None) };
        match parse(&value, option.kind) {
            Some(parsed) => Ok(Some(parsed)),
            None => Err(ConfigError::Value {
                key: option.key,
                expected: option.kind.expected(),
                found: if option.kind.is_secret() { "what is given".to_owned() } else { found(&value) },
                origin,
            }),
        }
    }

    fn require<T>(&self, key: &str, parse: impl FnOnce(&Value, Kind) -> Option<T>) -> Result<T, ConfigError> {
        Ok(self.read(key, parse)?.expect("an option with a default"))
    }

    /// The main port, and the management port if one is said.
    ///
    /// # Errors
    ///
    /// When one of them is no port.
    pub fn ports(&self) -> Result<(u16, Option<u16>), ConfigError> {
        let port = |number| u16::try_from(number).expect("bounded by the table of options");
        Ok((port(self.integer("port")?), self.read("management_port", integer)?.map(port)))
    }

    /// Where the token of the management API is, if anywhere.
    ///
    /// # Errors
    ///
    /// When the value is no path.
    pub fn management_token_file(&self) -> Result<Option<std::path::PathBuf>, ConfigError> {
        Ok(self.text("management_token_file")?.map(|path| absolute(Path::new(&path))))
    }

    pub(super) fn ip(&self, key: &str) -> Result<Option<IpAddr>, ConfigError> {
        self.read(key, |value, _kind| match value.as_str()?.trim_matches(['[', ']']) {
            "localhost" => Some(IpAddr::from([127, 0, 0, 1])),
            text => text.parse().ok(),
        })
    }

    pub(super) fn socket(&self, key: &str) -> Result<Option<SocketAddr>, ConfigError> {
        self.read(key, |value, _kind| {
            let text = value.as_str()?;
            let text = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).unwrap_or(text);
            resolve(text.trim_end_matches('/'))
        })
    }

    /// Origins such as `https://app.example.com`; one that is `*` alone stands for all.
    pub(super) fn origins(&self, key: &str) -> Result<Vec<String>, ConfigError> {
        let is_origin = |origin: &str| {
            let bare = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            let plain = |byte: u8| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']')
            };
            bare.is_some_and(|host| (1..=253).contains(&host.len()) && host.bytes().all(plain))
        };
        let origins = self.read(key, |value, _kind| {
            let origins: Vec<_> =
                value.as_str()?.split(',').map(|origin| origin.trim().to_ascii_lowercase()).collect();
            (origins == ["*"] || origins.iter().all(|origin| is_origin(origin))).then_some(origins)
        });
        Ok(origins?.unwrap_or_default())
    }

    pub(super) fn texts(&self, key: &str) -> Result<Vec<String>, ConfigError> {
        let texts = self.read(key, |value, _kind| {
            let texts: Vec<_> = value.as_str()?.split(',').map(|text| text.trim().to_owned()).collect();
            texts.iter().all(|text| (1..=512).contains(&text.len())).then_some(texts)
        });
        Ok(texts?.unwrap_or_default())
    }

    pub(super) fn hosts(&self, key: &str) -> Result<Vec<String>, ConfigError> {
        let is_host = |host: &str| {
            (1..=253).contains(&host.len())
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        };
        let hosts = self.read(key, |value, _kind| {
            let hosts: Vec<_> = value.as_str()?.split(',').map(|host| host.trim().to_owned()).collect();
            hosts.iter().all(|host| is_host(host)).then_some(hosts)
        });
        Ok(hosts?.unwrap_or_default())
    }

    pub(super) fn service(&self, key: &str) -> Result<String, ConfigError> {
        self.require(key, |value, _kind| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
            value
                .as_str()
                .filter(|name| (1..=64).contains(&name.len()) && name.bytes().all(plain))
                .map(str::to_owned)
        })
    }

    pub(super) fn boolean(&self, key: &str) -> Result<bool, ConfigError> {
        self.require(key, |value, _kind| match value {
            Value::Boolean(truth) => Some(*truth),
            Value::String(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => Some(true),
                "false" | "0" | "no" | "off" => Some(false),
                _ => None,
            },
            _ => None,
        })
    }

    pub(super) fn integer(&self, key: &str) -> Result<u64, ConfigError> {
        self.require(key, integer)
    }

    pub(super) fn integer_if_set(&self, key: &str) -> Result<Option<u64>, ConfigError> {
        self.read(key, integer)
    }

    pub(super) fn bytes(&self, key: &str) -> Result<u64, ConfigError> {
        self.require(key, bytes)
    }

    pub(super) fn bytes_if_set(&self, key: &str) -> Result<Option<u64>, ConfigError> {
        self.read(key, bytes)
    }

    pub(super) fn duration(&self, key: &str) -> Result<Duration, ConfigError> {
        self.require(key, |value, _kind| {
            let parsed = match value {
                // A bare number is seconds, as the original's command line has it.
                Value::Integer(seconds) => Duration::from_secs(u64::try_from(*seconds).ok()?),
                Value::Float(seconds) => Duration::try_from_secs_f64(*seconds).ok()?,
                Value::String(text) => match text.trim().parse() {
                    Ok(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
                    Err(_) => humantime::parse_duration(text.trim()).ok()?,
                },
                _ => return None,
            };
            (Duration::from_millis(1)..=DAY).contains(&parsed).then_some(parsed)
        })
    }

    pub(super) fn word(&self, key: &str) -> Result<String, ConfigError> {
        self.require(key, |value, kind| {
            let (Value::String(text), Kind::Word(words)) = (value, kind) else { return None };
            words.contains(&text.as_str()).then(|| text.clone())
        })
    }

    pub(super) fn words(&self, key: &str) -> Result<Vec<&'static str>, ConfigError> {
        self.require(key, |value, kind| {
            let (Value::String(text), Kind::Words(words)) = (value, kind) else { return None };
            let word = |text: &str| words.iter().copied().find(|&word| word == text.trim());
            text.split(',').map(word).collect()
        })
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<String>, ConfigError> {
        self.read(key, |value, _kind| match value {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            _ => None,
        })
    }

    pub(super) fn key_id(&self, key: &str) -> Result<Option<String>, ConfigError> {
        self.read(key, |value, _kind| match value {
            Value::String(text) if !text.is_empty() && !text.starts_with('.') => {
                (!text.contains(['/', '\0'])).then(|| text.clone())
            }
            _ => None,
        })
    }

    /// The address that an option names.
    ///
    /// # Errors
    ///
    /// When the value is no address.
    ///
    /// # Panics
    ///
    /// When there is no such option.
    pub fn address(&self, key: &str) -> Result<Option<SocketAddr>, ConfigError> {
        self.read(key, |value, _kind| {
            let Value::String(text) = value else { return None };
            resolve(text.strip_prefix("tcp://")?)
        })
    }

    pub(super) fn database_map(&self, key: &str) -> Result<Vec<(DatabaseName, String)>, ConfigError> {
        let entry = |name: &str, place: Option<&str>| {
            Some((name.parse().ok()?, place.filter(|place| !place.is_empty())?.to_owned()))
        };
        self.require(key, |value, _kind| match value {
            Value::Table(table) => table.iter().map(|(name, place)| entry(name, place.as_str())).collect(),
            Value::String(text) => {
                let map: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).ok()?;
                map.iter().map(|(name, place)| entry(name, place.as_str())).collect()
            }
            _ => None,
        })
    }
}

impl Layers {
    /// The value of an option, the same whichever way it is written; `None` where nobody set it and there
    /// is no default.
    ///
    /// # Errors
    ///
    /// When the value is not one the option takes.
    ///
    /// # Panics
    ///
    /// When there is no such option.
    pub fn value(&self, key: &str) -> Result<Option<Json>, ConfigError> {
        let option = Opt::find(key).expect("a known option");
        if self.get(key).is_none() {
            return Ok(None);
        }
        Ok(Some(match option.kind {
            Kind::Boolean => self.boolean(key)?.into(),
            Kind::Integer(..) => self.integer(key)?.into(),
            Kind::Bytes(..) => self.bytes(key)?.into(),
            Kind::Duration => humantime::format_duration(self.duration(key)?).to_string().into(),
            Kind::Word(_) => self.word(key)?.into(),
            Kind::Path | Kind::Database | Kind::Filter => self.text(key)?.into(),
            Kind::Socket => self.socket(key)?.map(|address| address.to_string()).into(),
            Kind::Ip => self.ip(key)?.map(|ip| ip.to_string()).into(),
            Kind::Hosts => self.hosts(key)?.join(",").into(),
            Kind::Texts => self.texts(key)?.join(",").into(),
            Kind::Origins => self.origins(key)?.join(",").into(),
            Kind::Words(_) => self.words(key)?.join(",").into(),
            Kind::Service => self.service(key)?.into(),
            Kind::Dsn => self.dsn(key).map(|_checked| self.shown(key))?.into(),
            Kind::DsnMap => self.dsn_map(key).map(|_checked| self.shown(key))?.into(),
            Kind::KeyId => self.key_id(key)?.into(),
            Kind::Address => self.address(key)?.map(|address| format!("tcp://{address}")).into(),
            Kind::DatabaseMap => {
                let map = self.database_map(key)?.into_iter();
                Json::Object(map.map(|(name, place)| (name.to_string(), place.into())).collect())
            }
        }))
    }
}

/// A host and a port; `*` for every address of IPv4.
fn resolve(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    let host = match host.trim_start_matches('[').trim_end_matches(']') {
        "*" => "0.0.0.0",
        host => host,
    };
    (host, port).to_socket_addrs().ok()?.next()
}

fn integer(value: &Value, kind: Kind) -> Option<u64> {
    let Kind::Integer(low, high) = kind else { return None };
    let parsed = match value {
        Value::Integer(n) => u64::try_from(*n).ok()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    (low..=high).contains(&parsed).then_some(parsed)
}

fn bytes(value: &Value, kind: Kind) -> Option<u64> {
    let Kind::Bytes(low, high) = kind else { return None };
    let parsed = match value {
        Value::Integer(n) => u64::try_from(*n).ok()?,
        Value::String(text) => text.trim().parse::<bytesize::ByteSize>().ok()?.as_u64(),
        _ => return None,
    };
    (low..=high).contains(&parsed).then_some(parsed)
}

fn found(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        value => value.to_string(),
    }
}
