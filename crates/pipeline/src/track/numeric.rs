//! Small numeric helpers of the filter.

/// e to the power of `x`, 0 for what is too small to matter.
#[inline]
pub(crate) fn exp(x: f64) -> f64 {
    if x < -40.0 { 0.0 } else { x.exp() }
}

/// Natural logarithm.
#[inline]
pub(crate) fn ln(x: f64) -> f64 {
    x.ln()
}
