//! One question and its answer, over one connection.
use super::endpoint::Endpoint;
use super::error::ApiError;
use super::{Answer, Api, Question};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rowhouse_wire::management::{INTERFACE_CLI, INTERFACE_HEADER};
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// The largest answer that is read.
const MOST_BYTES: usize = 64 << 20;

/// Asks. Bounded in size, not in time.
pub(super) async fn exchange(api: &Api, question: &Question) -> Result<Answer, ApiError> {
    let at = &api.at;
    let request = request(at, api.token.as_deref(), question);
    let unreachable = |source| ApiError::Unreachable { port: at.port(), source };
    let stream = TcpStream::connect((at.host(), at.port())).await.map_err(unreachable)?;
    stream.set_nodelay(true).map_err(unreachable)?;
    match &api.trust {
        None => over(stream, request).await,
        Some(trust) => over(trust.handshake(at, stream).await.map_err(ApiError::Untrusted)?, request).await,
    }
}

fn request(at: &Endpoint, token: Option<&str>, question: &Question) -> Request<Full<Bytes>> {
    let body = question.body.as_ref().map(|body| Bytes::from(body.to_string()));
    let mut request = Request::new(Full::new(body.clone().unwrap_or_default()));
    *request.method_mut() = question.method.clone();
    let path = format!("{}{}", at.base(), question.path);
    *request.uri_mut() = path.parse().expect("paths are made of names and numbers, encoded");
    let headers = request.headers_mut();
    headers.insert(HOST, at.authority().try_into().expect("read from a URL"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(INTERFACE_HEADER, HeaderValue::from_static(INTERFACE_CLI));
    if body.is_some() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Some(token) = token {
        let mut value: HeaderValue =
            format!("Bearer {token}").try_into().expect("looked at when it was read");
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    request
}

async fn over(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
) -> Result<Answer, ApiError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(ApiError::NotHttp)?;
    let asked = async move {
        let response = sender.send_request(request).await.map_err(ApiError::NotHttp)?;
        read(response).await
    };
    tokio::pin!(connection, asked);
    tokio::select! {
        biased;
        answer = &mut asked => answer,
        ended = &mut connection => {
            ended.map_err(ApiError::NotHttp)?;
            asked.await
        }
    }
}

async fn read(response: Response<Incoming>) -> Result<Answer, ApiError> {
    let status = response.status();
    if (MOST_BYTES as u64) < response.body().size_hint().lower() {
        return Err(ApiError::TooLarge(MOST_BYTES));
    }
    match Limited::new(response.into_body(), MOST_BYTES).collect().await {
        Ok(body) => Ok(Answer { status, body: body.to_bytes().into() }),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::TooLarge(MOST_BYTES)),
        Err(error) => Err(match error.downcast::<hyper::Error>() {
            Ok(error) => ApiError::NotHttp(*error),
            Err(error) => ApiError::Untrusted(io::Error::other(error)),
        }),
    }
}
