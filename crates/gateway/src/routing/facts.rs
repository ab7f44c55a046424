//! What a request says of the database that it is for.
use rowhouse_types::DatabaseName;

/// What a request says of the database that it is for, as it came: nothing is checked yet.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The host it was sent to, with its port if there is one: `Host`, or `:authority`.
    pub host: Said<'a>,
    /// Its path, without a query.
    pub path: &'a str,
    /// The part of the path that is the name, where whoever serves the path has read it. `path` is not looked
    /// at then.
    pub parameter: Option<&'a str>,
    /// The header `x-namespace`, which libSQL's clients send.
    pub namespace: Said<'a>,
    /// The header `x-org-id`.
    pub organization: Said<'a>,
    /// The one database that its verified token is for, if it is for one.
    pub claim: Option<&'a DatabaseName>,
}

/// What a part of a request says that may come more than once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Said<'a> {
    /// It is not there.
    #[default]
    Nothing,
    /// It is there and says this, however often.
    This(&'a [u8]),
    /// It is there more than once and does not say the same.
    Differing,
}

// === impl Facts ===

impl<'a> Facts<'a> {
    /// Those of a request for this path that says nothing else.
    pub fn of(path: &'a str) -> Self {
        let (host, namespace, organization) = (Said::Nothing, Said::Nothing, Said::Nothing);
        Self { host, path, parameter: None, namespace, organization, claim: None }
    }
}

// === impl Said ===

impl<'a> Said<'a> {
    /// What all of these say together.
    pub fn by(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        values.into_iter().fold(Self::Nothing, |said, value| match said {
            Self::Nothing => Self::This(value),
            Self::This(first) if first == value => said,
            _ => Self::Differing,
        })
    }
}
