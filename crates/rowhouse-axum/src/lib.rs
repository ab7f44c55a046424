//! L4, databases of organizations in programs made with axum: a layer that finds out whose database a request is
//! for and whether they may, and extractors that lend a session with it.
//!
//! Which organization it is, is told by a parameter of the path, the verified token, the header `X-Org-Id` or the
//! host; all that speak must agree, and the token has the last word. Nothing is opened, made or evicted for
//! somebody who may not. A request that names no organization passes through.
//!
//! ```
//! use axum::{Router, routing::get};
//! use rowhouse_axum::{Failure, MetadataSession, OrganizationLayer, OrgSession};
//!
//! async fn jobs(mut session: OrgSession) -> Result<String, Failure> {
//!     let rows = session.query("SELECT count(*) FROM docking_jobs", []).await?;
//!     Ok(format!("{:?}", rows.rows))
//! }
//!
//! async fn title(mut session: MetadataSession) -> Result<String, Failure> {
//!     let rows = session.query("SELECT title FROM organizations", []).await?;
//!     Ok(format!("{:?}", rows.rows))
//! }
//!
//! fn app(manager: rowhouse_gateway::ConnectionManager, access: rowhouse_access::Access) -> Router {
//!     Router::new()
//!         .route("/organizations/{org_id}/jobs", get(jobs))
//!         .route("/organizations/{org_id}", get(title))
//!         // Inside of the router, where the parameters of the path are known.
//!         .layer(OrganizationLayer::new(manager, access).prewarm(true))
//!         .route("/health", get(|| async { "it lives" }))
//! }
//! ```
//!
//! A session is given back when the handler ends, however it does: it returns, fails, panics, or its client
//! leaves and it is dropped. What it holds, such as a transaction, is undone.
mod admission;
mod extract;
mod failure;
mod layer;

pub use extract::{Caller, MetadataSession, OrgSession, Organization};
pub use failure::Failure;
pub use layer::{Guarded, OrganizationLayer};
pub use rowhouse_gateway::routing::{Domain, InvalidRules, Rule};
