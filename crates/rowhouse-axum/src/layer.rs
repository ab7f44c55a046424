//! The layer: requests are admitted, or refused, before a handler sees them.
use crate::admission::{Asked, Terms};
use crate::failure::Failure;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use futures::future::BoxFuture;
use rowhouse_access::Access;
use rowhouse_gateway::ConnectionManager;
use rowhouse_gateway::routing::{Domain, InvalidRules, Router, Rule};
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::{Layer, Service};

/// In which order it is read whose database a request is for.
const SOURCES: [Rule; 4] = [Rule::Path, Rule::Claim, Rule::Header, Rule::Subdomain];

/// What the parameter of the path is called.
const PARAMETER: &str = "org_id";

/// A layer that finds out whose database each request is for, and whether they may. The extractors need it.
///
/// Put it on with [`axum::Router::layer`], where the parameters of the path are known; around the whole router
/// they are not, and each extractor decides for itself.
#[derive(Clone, Debug)]
pub struct OrganizationLayer {
    terms: Arc<Terms>,
}

/// A service behind an [`OrganizationLayer`].
#[derive(Clone, Debug)]
pub struct Guarded<S> {
    inner: S,
    terms: Arc<Terms>,
}

// === impl OrganizationLayer ===

impl OrganizationLayer {
    /// Lets in by `access` to the databases of this manager. The parameter `org_id` of the path is read first, then
    /// the token, the header `X-Org-Id`, and a host below `localhost`.
    pub fn new(manager: ConnectionManager, access: Access) -> Self {
        let router = Router::new(&SOURCES, []).expect("each rule once");
        let terms = Terms { manager, access, router, parameter: PARAMETER.to_owned(), prewarm: false };
        Self { terms: Arc::new(terms) }
    }

    /// Reads these in this order, and hosts below these domains and `localhost`. What is not among them is not
    /// read. With [`Rule::Path`] it is the parameter of the path; [`Rule::Default`] names no organization.
    ///
    /// # Errors
    ///
    /// When there is no rule, one is there twice, or one comes after the default.
    pub fn sources(
        self,
        sources: &[Rule],
        domains: impl IntoIterator<Item = Domain>,
    ) -> Result<Self, InvalidRules> {
        let router = Router::new(sources, domains)?;
        Ok(self.with(|terms| terms.router = router))
    }

    /// The parameter of the path that is the organization's name; `org_id` unless set.
    #[must_use]
    pub fn path_parameter(self, name: &str) -> Self {
        self.with(|terms| terms.parameter = name.to_owned())
    }

    /// Whether an organization's database is open, and made if it is missing and they may, before the handler runs.
    #[must_use]
    pub fn prewarm(self, prewarm: bool) -> Self {
        self.with(|terms| terms.prewarm = prewarm)
    }

    fn with(self, change: impl FnOnce(&mut Terms)) -> Self {
        let Terms { manager, access, router, parameter, prewarm } = &*self.terms;
        let (manager, access, router) = (manager.clone(), access.clone(), router.clone());
        let mut terms = Terms { manager, access, router, parameter: parameter.clone(), prewarm: *prewarm };
        change(&mut terms);
        Self { terms: Arc::new(terms) }
    }
}

impl<S> Layer<S> for OrganizationLayer {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, terms: self.terms.clone() }
    }
}

// === impl Guarded ===

impl<S> Service<Request> for Guarded<S>
where
    S: Service<Request, Response = Response> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The one that is ready, not its clone.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let terms = self.terms.clone();
        Box::pin(async move {
            match admitted(terms, request).await {
                Ok(request) => inner.call(request).await,
                Err(failure) => Ok(failure.into_response()),
            }
        })
    }
}

async fn admitted(terms: Arc<Terms>, request: Request) -> Result<Request, Failure> {
    let (mut parts, body) = request.into_parts();
    let asked = Asked::of(terms.clone(), &parts).await;
    if let Some(admitted) = asked.admit(&mut parts).await?
        && terms.prewarm
    {
        terms.manager.org_engine_for(&admitted.org_id, &admitted.behalf).await?;
    }
    parts.extensions.insert(asked);
    Ok(Request::from_parts(parts, body))
}
