//! What a write of a limit asks for, read from its body.
//!
//! Everything is checked before anything is changed: what comes out of here is in range.
use super::{DEFAULT_AMOUNT, MAX_LIMIT};
use serde::Serialize;
use serde_json::{Map, Value};
use std::num::NonZeroU32;

/// The longest reason, in bytes.
const MAX_REASON: usize = 200;

/// `PUT /limit`: set the limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewLimit {
    /// Whether a limit below those connected is taken: nobody is cut off, newcomers are refused
    /// until enough have left.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "openapi", schema(default = false, required = false))]
    pub drain: bool,
    /// The limit: 1 to 2147483647.
    #[cfg_attr(feature = "openapi", schema(value_type = u32, minimum = 1, maximum = 2147483647))]
    pub limit: NonZeroU32,
    /// Why, for the history: at most 200 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// `POST /limit/increase` and `/limit/decrease`: change the limit by an amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Amount {
    /// By how much: 1 to 2147483647; 100 unless said.
    #[cfg_attr(feature = "openapi", schema(value_type = u32, minimum = 1, maximum = 2147483647, required = false, default = 100))]
    pub amount: NonZeroU32,
    /// Of a decrease: as of [`NewLimit`].
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "openapi", schema(default = false, required = false))]
    pub drain: bool,
    /// Why, for the history: at most 200 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Why a body asks for nothing.
#[derive(Debug, thiserror::Error)]
pub enum Malformed {
    /// It is no JSON.
    #[error("invalid JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// It is JSON, but no object.
    #[error("the body must be a JSON object, not {0}")]
    NoObject(&'static str),
    /// It has a key that means nothing here.
    #[error("unknown key: {0} are understood here")]
    Unknown(&'static str),
    /// A value is of another type.
    #[error("{key} must be {wanted}, not {found}")]
    Type {
        /// Whose value.
        key: &'static str,
        /// What it should be.
        wanted: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// The number is 0 or less, or not there.
    #[error("{0} must be positive")]
    NotPositive(&'static str),
    /// The number is too great.
    #[error("{0} must be at most {MAX_LIMIT}")]
    TooGreat(&'static str),
    /// The reason is too long, or would disturb who reads it.
    #[error("reason must be at most {MAX_REASON} bytes without control characters")]
    Reason,
}

// === impl NewLimit ===

impl NewLimit {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// When it does not ask for a limit; without one, as for 0.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let object = object(body, &["limit", "drain", "reason"], "limit, drain and reason")?;
        let limit = number(&object, "limit", "connection limit")?;
        let limit = limit.ok_or(Malformed::NotPositive("connection limit"))?;
        Ok(Self { drain: drain(&object)?, limit, reason: reason(&object)? })
    }
}

// === impl Amount ===

impl Amount {
    /// Reads a body. An empty one, or one without an amount, asks for 100.
    ///
    /// # Errors
    ///
    /// When it asks for something else than an amount.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let object = object(body, &["amount", "drain", "reason"], "amount, drain and reason")?;
        let amount = number(&object, "amount", "amount")?;
        let amount = amount.unwrap_or(NonZeroU32::new(DEFAULT_AMOUNT).expect("not zero"));
        Ok(Self { amount, drain: drain(&object)?, reason: reason(&object)? })
    }
}

impl From<NonZeroU32> for Amount {
    fn from(amount: NonZeroU32) -> Self {
        Self { amount, drain: false, reason: None }
    }
}

impl From<NonZeroU32> for NewLimit {
    fn from(limit: NonZeroU32) -> Self {
        Self { drain: false, limit, reason: None }
    }
}

/// The object that a body is, with these keys only; an empty body is an empty object.
fn object(body: &[u8], keys: &[&str], told: &'static str) -> Result<Map<String, Value>, Malformed> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body)? {
        Value::Object(object) if object.keys().all(|key| keys.contains(&key.as_str())) => Ok(object),
        Value::Object(_) => Err(Malformed::Unknown(told)),
        other => Err(Malformed::NoObject(kind(&other))),
    }
}

/// The number under this key, which is called `name` where it is out of range.
fn number(
    object: &Map<String, Value>,
    key: &'static str,
    name: &'static str,
) -> Result<Option<NonZeroU32>, Malformed> {
    let number = match object.get(key) {
        None => return Ok(None),
        Some(Value::Number(number)) => number,
        Some(other) => {
            return Err(Malformed::Type { key, wanted: "a whole number", found: kind(other) });
        }
    };
    let value = number.as_f64().unwrap_or(f64::INFINITY);
    if value <= 0.0 {
        return Err(Malformed::NotPositive(name));
    }
    if f64::from(MAX_LIMIT) < value {
        return Err(Malformed::TooGreat(name));
    }
    let whole = number.as_u64().and_then(|whole| u32::try_from(whole).ok()).and_then(NonZeroU32::new);
    whole.map(Some).ok_or(Malformed::Type { key, wanted: "a whole number", found: "a fraction" })
}

fn drain(object: &Map<String, Value>) -> Result<bool, Malformed> {
    match object.get("drain") {
        None => Ok(false),
        Some(Value::Bool(drain)) => Ok(*drain),
        Some(other) => Err(Malformed::Type { key: "drain", wanted: "true or false", found: kind(other) }),
    }
}

fn reason(object: &Map<String, Value>) -> Result<Option<String>, Malformed> {
    match object.get("reason") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(reason)) if MAX_REASON < reason.len() || reason.contains(char::is_control) => {
            Err(Malformed::Reason)
        }
        Some(Value::String(reason)) => Ok(Some(reason.clone())),
        Some(other) => Err(Malformed::Type { key: "reason", wanted: "a text", found: kind(other) }),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
