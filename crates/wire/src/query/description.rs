//! The description of what clients ask on the main port without a driver, as OpenAPI.
#![expect(dead_code, reason = "these are read by macros only")]
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::openapi::server::{ServerBuilder, ServerVariableBuilder};
use utoipa::{OpenApi, ToSchema};

/// One statement and its arguments.
#[derive(Serialize, ToSchema)]
struct Query {
    /// The statement, one.
    #[schema(example = "SELECT name FROM users WHERE id = ?")]
    sql: String,
    /// Its arguments.
    args: Option<Args>,
}

/// By position, or by name with or without `:`, `@` or `$`. Each is null, a boolean (1 or 0), a number
/// (an integer if it is written as one), a string, or bytes as `{"base64": "..."}`.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Args {
    Positional(Vec<Value>),
    Named(BTreeMap<String, Value>),
}

/// The result of a statement. Integers beyond 2^53 - 1 and numbers that are not finite are strings, bytes
/// are `{"base64": "..."}`.
#[derive(Serialize, ToSchema)]
struct QueryResult {
    /// The names of the columns.
    columns: Vec<String>,
    /// The rows, each with a value for each column.
    rows: Vec<Vec<Value>>,
    /// How many rows were inserted, updated or deleted.
    rows_affected: u64,
    /// The key of the row inserted last, if one was.
    last_insert_id: Option<i64>,
}

/// Why there is no result.
#[derive(Serialize, ToSchema)]
struct QueryFailed {
    error: QueryFault,
}

/// What went wrong.
#[derive(Serialize, ToSchema)]
struct QueryFault {
    /// A word for programs; it never changes its meaning.
    #[schema(example = "sql_error")]
    code: String,
    /// A sentence for people.
    message: String,
    /// What to do next.
    hint: Option<String>,
}

macro_rules! query {
    ($(#[doc = $doc:literal])* $name:ident, $path:literal $(, $params:tt)?) => {
        $(#[doc = $doc])*
        #[utoipa::path(post, path = $path, tag = "queries" $(, params $params)?,
            request_body(content((Query = "application/json"), (String = "application/sql"))),
            responses(
                (status = 200, description = "The result, streamed. As lines, each row is an object. A result that \
                    fails midway is broken off and never ends; except in CSV, the error is the last thing it says",
                    content((QueryResult = "application/json"), (String = "application/x-ndjson"), (String = "text/csv"))),
                (status = 400, body = QueryFailed, description = "The request or its SQL is wrong"),
                (status = 401, body = QueryFailed, description = "Who asks has to say who they are"),
                (status = 403, body = QueryFailed, description = "This is not permitted"),
                (status = 404, body = QueryFailed, description = "There is no such database"),
                (status = 408, body = QueryFailed, description = "It took too long and was undone"),
                (status = 413, body = QueryFailed, description = "The request is too long"),
                (status = 429, body = QueryFailed, description = "Asked too often; Retry-After says when to come again"),
                (status = 503, body = QueryFailed, description = "There is no room just now; Retry-After says when to come again"),
            ))]
        fn $name() {}
    };
}

query!(
    /// Runs one statement on the database that the host, a header or the token names, else on the default one.
    query,
    "/query"
);
query!(
    /// Runs one statement on a database.
    query_named,
    "/db/{name}/query",
    (("name" = String, Path, description = "Which database"))
);

#[derive(OpenApi)]
#[openapi(
    info(title = "rowhouse queries", description = "Plain SQL over HTTP, on the main port."),
    paths(query, query_named),
    components(schemas(QueryFailed))
)]
struct Head;

/// The description. Each of its paths says that it is served on the main port.
pub fn description() -> utoipa::openapi::OpenApi {
    let mut description = Head::openapi();
    let port = ServerVariableBuilder::new().default_value("9090").description(Some("the main port")).build();
    let server = ServerBuilder::new().url("http://localhost:{port}").parameter("port", port).build();
    for path in description.paths.paths.values_mut() {
        path.servers = Some(vec![server.clone()]);
    }
    description
}
