//! What stands around every page.

use crate::{
    assets::{ADDRESSES, Addresses},
    door::Door,
    fields::Fields,
    may::May,
};

/// The frame of a page: its title, the way around, and what forms have to carry.
#[derive(Clone)]
pub(crate) struct Page {
    pub(crate) title: String,
    /// Which entry of the menu it belongs to.
    pub(crate) section: &'static str,
    /// What paths begin with.
    pub(crate) at: &'static str,
    /// Whether it goes across tenants: it is the console's.
    pub(crate) operates: bool,
    /// What is offered on it.
    pub(crate) may: May,
    /// What the key is for, where that is less than everything.
    pub(crate) role: Option<String>,
    /// What forms carry; empty: nobody is signed in.
    pub(crate) csrf: String,
    /// The name of the tenant whose people look at it.
    pub(crate) own: Option<String>,
    /// What the last thing they did came to.
    pub(crate) said: Option<&'static str>,
    /// What it loads.
    pub(crate) files: &'static Addresses,
}

/// An entry of the menu.
pub(crate) struct Entry {
    pub(crate) section: &'static str,
    pub(crate) path: &'static str,
    pub(crate) name: &'static str,
}

/// Whom an entry of the menu is for.
#[derive(PartialEq, Eq)]
enum Whom {
    Everybody,
    /// Whoever looks through the console.
    Console,
    /// Who may see who did what.
    Operators,
    Admins,
}

const ENTRIES: [(Entry, Whom); 10] = [
    (Entry { section: "overview", path: "", name: "Overview" }, Whom::Everybody),
    (Entry { section: "deliveries", path: "/deliveries", name: "Deliveries" }, Whom::Everybody),
    (Entry { section: "events", path: "/events", name: "Events" }, Whom::Everybody),
    (Entry { section: "live", path: "/live", name: "Live" }, Whom::Everybody),
    (Entry { section: "endpoints", path: "/endpoints", name: "Endpoints" }, Whom::Everybody),
    (Entry { section: "replays", path: "/replays", name: "Replays" }, Whom::Console),
    (Entry { section: "tenants", path: "/tenants", name: "Tenants" }, Whom::Console),
    (Entry { section: "topics", path: "/topics", name: "Topics" }, Whom::Console),
    (Entry { section: "keys", path: "/keys", name: "Keys" }, Whom::Admins),
    (Entry { section: "audit", path: "/audit", name: "Audit" }, Whom::Operators),
];

impl Page {
    /// A page that nobody is signed in for.
    pub(crate) fn new(door: Door, section: &'static str, title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            section,
            at: door.prefix(),
            operates: door == Door::Console,
            may: May::default(),
            role: None,
            csrf: String::new(),
            own: None,
            said: None,
            files: &ADDRESSES,
        }
    }

    /// The menu: who may do less has less of it.
    pub(crate) fn menu(&self) -> impl Iterator<Item = Entry> {
        let (operates, may) = (self.operates, self.may);
        let is_for = move |whom: &Whom| match whom {
            Whom::Everybody => true,
            Whom::Console => operates,
            Whom::Operators => may.operate,
            Whom::Admins => may.administer,
        };
        ENTRIES.into_iter().filter(move |(_, whom)| is_for(whom)).map(|(entry, _)| entry)
    }
}

/// What was done, by the word for it in the address: nothing that an address holds is shown.
pub(crate) fn said(query: &str) -> Option<&'static str> {
    let word = Fields::read(query.as_bytes());
    SAID.iter().find_map(|(known, text)| (*known == word.get("said")).then_some(*text))
}

const SAID: &[(&str, &str)] = &[
    ("retried", "One more attempt was asked for. Its outcome appears below in a moment."),
    ("replayed", "The delivery was opened again. Its retry policy begins anew."),
    ("cancelled", "The delivery was given up. Nothing more is sent."),
    ("sent", "The event was sent to one more endpoint."),
    (
        "sent-before",
        "Nothing was sent: the event went to that endpoint before, by this delivery. To send it again, replay it.",
    ),
    ("created", "The endpoint was created. Its secret is behind “Reveal the secret”."),
    ("changed", "The change was saved."),
    ("verified", "The endpoint has given its handshake. What was held goes out."),
    ("paused", "The endpoint is paused. Its deliveries are held until it is resumed."),
    ("resumed", "The endpoint is resumed. What was held goes out in its order."),
    ("enabled", "The endpoint is enabled. To send what it missed, use “Recover”."),
    (
        "waits",
        "The endpoint is no longer disabled. It waits for its handshake: run that once the receiver can answer it.",
    ),
    ("disabled", "The endpoint is disabled. Deliveries to it are skipped."),
    ("deleted", "It was deleted."),
    ("key-deleted", "The key was deleted, and is good no more."),
    ("replay-cancelled", "The replay was cancelled. What it has opened stays open."),
    ("signed-out", "You are signed out."),
    ("tenant", "The tenant was saved."),
    ("topic", "The topic was saved."),
];

#[cfg(test)]
mod tests {
    use posthaste_client::Role;

    use super::*;

    #[test]
    fn only_known_words_are_said() {
        assert_eq!(said("a=b&said=deleted"), Some("It was deleted."));
        assert_eq!(said("said=%3Cscript%3E"), None);
        assert_eq!(said(""), None);
    }

    #[test]
    fn who_may_do_less_has_less_of_the_menu() {
        let names = |role, door| {
            let page = Page { may: May::of(&role, door), ..Page::new(door, "", "") };
            page.menu().map(|entry| entry.name).collect::<Vec<_>>()
        };
        let all = names(Role::Admin, Door::Console);
        assert_eq!(all.len(), ENTRIES.len());
        assert_eq!(names(Role::Operator, Door::Console), [&all[..8], &["Audit"]].concat());
        assert_eq!(names(Role::Viewer, Door::Console), all[..8]);
        assert_eq!(
            names(Role::Tenant, Door::Portal),
            ["Overview", "Deliveries", "Events", "Live", "Endpoints"]
        );
    }
}
