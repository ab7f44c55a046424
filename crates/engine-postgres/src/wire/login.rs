//! Making a connection and logging in.
use crate::dsn::{Host, Target};
use crate::errors::Failure;
use crate::secret::Secret;
use crate::wire::cancel::Canceller;
use crate::wire::link::{Incoming, Link};
use crate::wire::stream::{Socket, Stream};
use crate::wire::tls::{Tls, end_point};
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::{md5_hash, sasl};
use postgres_protocol::message::backend::{ErrorResponseBody, Message};
use postgres_protocol::message::frontend;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Whom to log in as, where.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) hosts: Arc<[Host]>,
    pub(crate) tls: Option<Tls>,
    pub(crate) user: String,
    pub(crate) password: Option<Secret>,
    pub(crate) database: String,
    pub(crate) application_name: String,
    pub(crate) timeout: Duration,
    pub(crate) target: Target,
    /// Further settings of the session.
    pub(crate) settings: Vec<(String, String)>,
}

/// A session that has begun.
#[derive(Debug)]
pub(crate) struct Welcome {
    pub(crate) link: Link,
    pub(crate) canceller: Arc<Canceller>,
}

/// There is no session.
#[derive(Debug)]
pub(crate) enum LoginError {
    /// The server refused it, and told why. What it says is for operators.
    Refused { sqlstate: String, message: String },
    /// Nobody answered, or not as a server does.
    Unreachable(io::Error),
}

/// What results are written like: what is read here.
const SETTINGS: [(&str, &str); 6] = [
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO"),
    ("IntervalStyle", "postgres"),
    ("bytea_output", "hex"),
    ("extra_float_digits", "1"),
    ("standard_conforming_strings", "on"),
];

/// Logs in to the first of the hosts that answers.
///
/// Who is refused by one that answers is refused.
pub(crate) async fn connect(login: &Login) -> Result<Welcome, LoginError> {
    let mut last = io::Error::other("there is no host to connect to");
    for host in login.hosts.iter() {
        match tokio::time::timeout(login.timeout, connect_to(login, host)).await {
            Ok(Err(LoginError::Unreachable(error))) => last = error,
            Ok(answer) => return answer,
            Err(elapsed) => last = elapsed.into(),
        }
    }
    Err(LoginError::Unreachable(last))
}

async fn connect_to(login: &Login, host: &Host) -> Result<Welcome, LoginError> {
    let socket = Socket::connect(host).await?;
    let stream = match &login.tls {
        Some(tls) => tls.begin(socket, host).await?,
        None => Stream::Plain(socket),
    };
    let mut link = Link::new(stream);
    let own = [
        ("user", login.user.as_str()),
        ("database", login.database.as_str()),
        ("application_name", login.application_name.as_str()),
    ];
    let more = login.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    frontend::startup_message(own.into_iter().chain(SETTINGS).chain(more), link.out())?;
    link.flush().await?;
    authenticate(&mut link, login).await?;
    let (mut key, mut is_standby) = (None, false);
    loop {
        match message(&mut link).await? {
            // Told by every version that is supported.
            Message::ParameterStatus(status) if status.name()? == "in_hot_standby" => {
                is_standby = status.value()? == "on";
            }
            Message::BackendKeyData(data) => key = Some((data.process_id(), data.secret_key())),
            Message::ReadyForQuery(_) => break,
            _ => {}
        }
    }
    if is_standby && login.target == Target::Primary {
        return Err(io::Error::other("the server is a standby").into());
    }
    let key = key.ok_or_else(|| io::Error::other("the server told no key to cancel with"))?;
    let canceller = Arc::new(Canceller::new(host.clone(), login.tls.clone(), key));
    Ok(Welcome { link, canceller })
}

async fn authenticate(link: &mut Link, login: &Login) -> Result<(), LoginError> {
    let password = login.password.as_ref().map(Secret::reveal);
    let needed = || io::Error::other("the server asks for a password, and there is none");
    match message(link).await? {
        Message::AuthenticationOk => return Ok(()),
        Message::AuthenticationCleartextPassword => {
            // Nobody is told a password whose name is not known.
            if login.tls.is_none() && !login.hosts.iter().all(Host::is_local) {
                return Err(io::Error::other("the server asks for a password in plain text").into());
            }
            frontend::password_message(password.ok_or_else(needed)?, link.out())?;
        }
        Message::AuthenticationMd5Password(body) => {
            let password = password.ok_or_else(needed)?;
            let hashed = md5_hash(login.user.as_bytes(), password, body.salt());
            frontend::password_message(hashed.as_bytes(), link.out())?;
        }
        Message::AuthenticationSasl(body) => {
            let mechanisms: Vec<_> = body.mechanisms().map(|name| Ok(name.to_owned())).collect()?;
            return scram(link, password.ok_or_else(needed)?, &mechanisms).await;
        }
        _ => return Err(io::Error::other("the server asks for what is not known here").into()),
    }
    link.flush().await?;
    match message(link).await? {
        Message::AuthenticationOk => Ok(()),
        _ => Err(unexpected().into()),
    }
}

async fn scram(link: &mut Link, password: &[u8], mechanisms: &[String]) -> Result<(), LoginError> {
    let offers = |name: &str| mechanisms.iter().any(|mechanism| mechanism == name);
    let bound = end_point(link.stream());
    let (mechanism, binding) = match bound {
        Some(bound) if offers(sasl::SCRAM_SHA_256_PLUS) => {
            (sasl::SCRAM_SHA_256_PLUS, sasl::ChannelBinding::tls_server_end_point(bound))
        }
        // The server is told that it could have been bound, so that nobody takes the offer away.
        Some(_) => (sasl::SCRAM_SHA_256, sasl::ChannelBinding::unrequested()),
        None => (sasl::SCRAM_SHA_256, sasl::ChannelBinding::unsupported()),
    };
    if !offers(mechanism) {
        return Err(io::Error::other("the server asks for a login that is not known here").into());
    }
    let mut scram = sasl::ScramSha256::new(password, binding);
    frontend::sasl_initial_response(mechanism, scram.message(), link.out())?;
    link.flush().await?;
    let Message::AuthenticationSaslContinue(body) = message(link).await? else {
        return Err(unexpected().into());
    };
    scram.update(body.data())?;
    frontend::sasl_response(scram.message(), link.out())?;
    link.flush().await?;
    let Message::AuthenticationSaslFinal(body) = message(link).await? else {
        return Err(unexpected().into());
    };
    scram.finish(body.data())?;
    match message(link).await? {
        Message::AuthenticationOk => Ok(()),
        _ => Err(unexpected().into()),
    }
}

async fn message(link: &mut Link) -> Result<Message, LoginError> {
    loop {
        match link.next().await? {
            Incoming::Message(Message::NoticeResponse(_)) => {}
            Incoming::Message(Message::ErrorResponse(body)) => return Err(refused(&body)?),
            Incoming::Message(message) => return Ok(message),
            Incoming::LongRow => return Err(unexpected().into()),
        }
    }
}

fn refused(body: &ErrorResponseBody) -> io::Result<LoginError> {
    let Failure { sqlstate, message } = Failure::read(body)?;
    Ok(LoginError::Refused { sqlstate, message })
}

fn unexpected() -> io::Error {
    io::Error::other("the server answered something else")
}

// === impl LoginError ===

impl From<io::Error> for LoginError {
    fn from(error: io::Error) -> Self {
        Self::Unreachable(error)
    }
}
