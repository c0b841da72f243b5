//! What an error of the HTTP client means, in words fit for customers.

use std::error::Error;
use std::io;

use posthaste_model::{ErrorClass, Outcome};

use crate::TlsIdentity;
use crate::tls;
use crate::vetting::Unresolved;

pub(crate) fn failed(class: ErrorClass, detail: impl Into<String>) -> Outcome {
    Outcome::Failed { class, detail: detail.into() }
}

/// The outcome of an exchange under `identity` that ended in `error`. `asked`: the receiver wanted to know who we are.
pub(crate) fn outcome_of(error: &reqwest::Error, identity: Option<&TlsIdentity>, asked: bool) -> Outcome {
    let (class, detail) = judge(error, identity, asked);
    failed(class, detail)
}

fn judge(error: &reqwest::Error, identity: Option<&TlsIdentity>, asked: bool) -> (ErrorClass, &'static str) {
    if error.is_builder() {
        return (ErrorClass::Internal, "the request could not be built");
    }
    if let Some(unresolved) = find::<Unresolved>(error) {
        return judge_unresolved(unresolved);
    }
    if let Some(error) = find::<rustls::Error>(error) {
        return (ErrorClass::Tls, tls::describe(error, identity));
    }
    // The innermost: the client wraps what goes wrong in a handshake once more, as being of no particular kind.
    let io = causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).last();
    if io.and_then(io::Error::raw_os_error).is_some_and(|code| EXHAUSTED.contains(&code)) {
        return (ErrorClass::Internal, "the service is short of sockets");
    }
    let io = io.map(io::Error::kind);
    if error.is_connect() {
        return match io {
            Some(kind) if asked && is_loss(kind) => (ErrorClass::Tls, tls::describe_loss(identity)),
            // A TCP connect never meets the end of a stream, a handshake can.
            Some(io::ErrorKind::UnexpectedEof) => {
                (ErrorClass::Tls, "the connection was closed during the TLS handshake")
            }
            Some(io::ErrorKind::ConnectionRefused) => (ErrorClass::Connect, "the connection was refused"),
            _ if error.is_timeout() => (ErrorClass::Connect, "no connection could be made in time"),
            _ => (ErrorClass::Connect, "no connection could be made"),
        };
    }
    if io.is_some_and(is_loss) || says(error, &LOST) {
        // In TLS 1.3 the handshake is over before the receiver has looked at what it was shown. Its alert may be lost:
        // it hangs up with the request unread, and the network then drops what else it said.
        let before = "the connection was lost before the answer was complete";
        (ErrorClass::Connect, if asked { tls::describe_loss(identity) } else { before })
    } else {
        (ErrorClass::Protocol, "the answer is not valid HTTP, or its head is too large")
    }
}

fn judge_unresolved(unresolved: &Unresolved) -> (ErrorClass, &'static str) {
    match unresolved {
        Unresolved::Forbidden(_) => (ErrorClass::Blocked, "the address is not publicly reachable"),
        Unresolved::Timeout => (ErrorClass::Dns, "the host name was not resolved in time"),
        Unresolved::Failed(_) | Unresolved::Empty => (ErrorClass::Dns, "the host name could not be resolved"),
        Unresolved::Astray => (ErrorClass::Internal, "the host name could not be judged"),
    }
}

/// What Linux answers when this host has no more sockets to give: ENFILE, EMFILE, ENOBUFS (errno(3)). No fault of the
/// receiver's. EADDRNOTAVAIL is not among them: a name with addresses of a family that this host lacks causes it, too.
const EXHAUSTED: [i32; 3] = [23, 24, 105];

/// Whether the connection ended before anything of the request was written.
pub(crate) fn is_unsent(error: &reqwest::Error) -> bool {
    !error.is_connect() && says(error, &[UNSENT])
}

/// hyper's words for a connection that ended too early. Its error type is not within reach to be asked.
const LOST: [&str; 3] = ["connection closed before message completed", UNSENT, "channel closed"];
/// The same for one that ended before the request was given to it.
const UNSENT: &str = "operation was canceled";

/// Whether an error, or one below it, is one of those words.
fn says(error: &reqwest::Error, words: &[&str]) -> bool {
    causes(error).any(|cause| words.contains(&cause.to_string().as_str()))
}

fn is_loss(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, TimedOut, UnexpectedEof,
    };
    matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | TimedOut | UnexpectedEof)
}

fn find<E: Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// An error and all below it. An io error keeps what it wraps out of its `source`.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(Some(error as &(dyn Error + 'static)), |&cause| {
        match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => cause.source(),
        }
    })
}
