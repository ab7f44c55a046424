//! A header whose value is the name.
use crate::routing::error::RouteError;
use crate::routing::facts::Said;
use crate::routing::router::Source;
use rowhouse_types::DatabaseName;

/// The name that this header says, if it is there.
pub(in crate::routing) fn read(source: Source, said: Said<'_>) -> Result<Option<DatabaseName>, RouteError> {
    let value = match said {
        Said::Nothing => return Ok(None),
        Said::Differing => return Err(RouteError::Differing { part: source }),
        Said::This(value) => value,
    };
    let name = String::from_utf8_lossy(value).parse();
    name.map(Some).map_err(|error| RouteError::Name { part: source, error })
}
