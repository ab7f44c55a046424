//! Who may come in over HTTP, as configured.
use super::error::ConfigError;
use super::layers::Layers;
use super::meant::absolute;
use rowhouse_access::AccessParts;
use std::path::Path;

/// What the layers mean.
pub(super) fn access(layers: &Layers) -> Result<AccessParts, ConfigError> {
    let file = |key: &str| Ok(layers.text(key)?.map(|path| absolute(Path::new(&path))));
    Ok(AccessParts {
        allow_anonymous: layers.boolean("allow_anonymous")?,
        jwt_key_file: file("jwt_key_file")?,
        jwks_file: file("jwks_file")?,
        database_keys_directory: file("database_keys_directory")?,
        jwt_issuers: layers.texts("jwt_issuer")?,
        jwt_audiences: layers.texts("jwt_audience")?,
        users_file: file("users_file")?,
    })
}
