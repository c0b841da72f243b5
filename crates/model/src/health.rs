use jiff::Timestamp;

/// How an endpoint has fared since its last success. An endpoint that is well has the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Health {
    /// When the first attempt failed after the last success; none: none has.
    pub failing_since: Option<Timestamp>,
    /// How many attempts have failed since then.
    pub failures: u32,
    /// How many deliveries have been exhausted since then.
    pub exhausted: u32,
    /// The last warning that was given: which share of the time has passed after which the endpoint is disabled, in
    /// percent; 0: none was.
    pub warned: u8,
}
