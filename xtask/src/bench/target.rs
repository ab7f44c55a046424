//! A target: a bound on what a run measured, met or missed by that run's own figures.

use std::fmt;

use serde_json::{Value, json};

use super::report::number;

/// A bound and what was measured against it.
#[derive(Debug)]
pub(super) struct Target {
    what: String,
    unit: &'static str,
    bound: Bound,
    measured: f64,
}

/// Which side of it is wanted.
#[derive(Debug, Clone, Copy)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

// === impl Target ===

impl Target {
    /// A target that smaller figures meet.
    pub(super) fn at_most(what: impl Into<String>, unit: &'static str, bound: f64, measured: f64) -> Self {
        Self { what: what.into(), unit, bound: Bound::AtMost(bound), measured }
    }

    /// A target that larger figures meet.
    pub(super) fn at_least(what: impl Into<String>, unit: &'static str, bound: f64, measured: f64) -> Self {
        Self { what: what.into(), unit, bound: Bound::AtLeast(bound), measured }
    }

    /// Returns whether it was met; what could not be computed was not.
    fn met(&self) -> bool {
        match self.bound {
            Bound::AtMost(bound) => self.measured <= bound,
            Bound::AtLeast(bound) => self.measured >= bound,
        }
    }

    pub(super) fn json(&self) -> Value {
        let (side, bound) = self.bound.parts();
        json!({
            "target": self.what,
            "unit": self.unit,
            "bound": bound,
            "side": side,
            "measured": self.measured,
            "met": self.met(),
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, unit, measured, .. } = self;
        let (side, bound) = self.bound.parts();
        let verdict = if self.met() { "met" } else { "missed" };
        let ratio = number(measured / bound);
        let (measured, bound) = (number(*measured), number(bound));
        write!(f, "**{verdict}**: {what}: {measured} {unit}, {side} {bound} wanted ({ratio} of it)")
    }
}

// === impl Bound ===

impl Bound {
    fn parts(self) -> (&'static str, f64) {
        match self {
            Self::AtMost(bound) => ("at most", bound),
            Self::AtLeast(bound) => ("at least", bound),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_met_on_its_own_side() {
        assert!(Target::at_most("p99", "ms", 10.0, 10.0).met());
        assert!(!Target::at_most("p99", "ms", 10.0, 10.1).met());
        assert!(Target::at_least("inserts", "times", 8.0, 8.0).met());
        assert!(!Target::at_least("inserts", "times", 8.0, 7.9).met());
    }

    #[test]
    fn what_could_not_be_computed_is_not_met() {
        assert!(!Target::at_most("p99", "ms", 10.0, f64::NAN).met());
        assert!(!Target::at_least("p99", "ms", 10.0, f64::NAN).met());
    }

    #[test]
    fn the_line_tells_the_figure_the_bound_and_the_ratio() {
        let target = Target::at_most("cold open, p50", "ms", 1.0, 1.5);

        assert_eq!(
            target.to_string(),
            "**missed**: cold open, p50: 1.50 ms, at most 1.00 wanted (1.50 of it)"
        );
    }
}
