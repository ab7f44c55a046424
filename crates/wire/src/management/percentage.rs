//! A share in percent, written as scripts know it.
use serde::{Deserialize, Serialize, Serializer};

/// A share in percent: finite, not negative, unrounded.
///
/// Whole numbers are written without a fraction: `0`, `4.5`, `66.66666666666666`, `100`.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, PartialOrd)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Percentage(f64);

impl Percentage {
    /// The share of `part` in `whole`; above 100 when more are in use than a lowered limit allows.
    ///
    /// Of nothing it is 0.
    pub fn of(part: u32, whole: u32) -> Self {
        if whole == 0 {
            return Self(0.0);
        }
        // In this order, which decides the last digit.
        Self(f64::from(part) / f64::from(whole) * 100.0)
    }

    /// As a number.
    pub fn value(self) -> f64 {
        self.0
    }
}

impl Serialize for Percentage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Within what an integer of 32 bits can be in percent, so that nothing is lost.
        if self.0.fract() == 0.0 {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "whole and bounded"
            )]
            return serializer.serialize_u64(self.0 as u64);
        }
        serializer.serialize_f64(self.0)
    }
}
