use std::fmt;

/// What an acknowledgement is worth: which accident it survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// None: what is acknowledged lives in memory.
    Volatile,
    /// A crash of the process; a crash of the host may lose the last seconds.
    Buffered,
    /// A crash of the host: it is on disk before it is acknowledged.
    Disk,
    /// The loss of a host: it is on others, too.
    Replicated,
}

impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Volatile => "volatile",
            Self::Buffered => "buffered",
            Self::Disk => "disk",
            Self::Replicated => "replicated",
        })
    }
}

/// Names the key that secrets are sealed with, without telling anything of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId(pub [u8; 4]);
