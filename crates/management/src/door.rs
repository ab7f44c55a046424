//! The door: one request in, one answer out, whatever carries them.
use crate::context::{Context, Settings};
use crate::crowd::Seat;
use crate::gate::{Gate, Line};
use crate::reply::correct_allow;
use crate::routes;
use crate::shared::Shared;
use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::{Method, Request};
use rowhouse_gateway::routing::Hosts;
use std::sync::Arc;
use tower::ServiceExt as _;

/// Answers requests.
#[derive(Debug)]
pub(crate) struct Door {
    gate: Gate,
    router: Router,
    shared: Arc<Shared>,
}

// === impl Door ===

impl Door {
    pub(crate) fn new(settings: &Settings, context: Context) -> Self {
        let access = context.roster.access().clone();
        let gate = Gate::new(Hosts::new(&settings.allowed_hosts), settings.tokens.clone(), access);
        let shared = Arc::new(Shared::new(context, &settings.service_name));
        Self { gate, router: routes::router(&shared), shared }
    }

    /// Answers a request.
    pub(crate) async fn answer(&self, line: Line, request: Request<Body>) -> Response {
        let (mut parts, body) = request.into_parts();
        let caller = match self.gate.check(line, &parts).await {
            Ok(caller) => caller,
            Err(problem) => return problem.into_response(),
        };
        parts.extensions.insert(caller);
        match parts.method {
            Method::GET => {
                if let Some(seat) = parts.extensions.get::<Arc<Seat>>() {
                    seat.begin();
                }
            }
            // The router would answer it as GET; it is no method of ours, as TRACE is none.
            Method::HEAD => parts.method = Method::TRACE,
            _ => {}
        }
        let answered = self.router.clone().oneshot(Request::from_parts(parts, body)).await;
        let mut response = answered.unwrap_or_else(|never| match never {});
        correct_allow(&mut response);
        response
    }

    /// Waits for what was begun on the runtime of the databases.
    pub(crate) async fn close(&self) {
        self.shared.close().await;
    }
}
