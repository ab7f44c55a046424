//! A failure told in words of its command's own, which scripts may know.

/// What is said on standard error, as it stands, and with which exit code the process ends.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Failure {
    text: String,
    code: u8,
}

// === impl Failure ===

impl Failure {
    /// What was asked for was not done.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: 1 }
    }

    /// The command line is wrong.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: crate::USAGE }
    }

    pub(crate) fn code(&self) -> u8 {
        self.code
    }
}
