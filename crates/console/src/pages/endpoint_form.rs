//! Making an endpoint, and changing one.

use actix_web::{HttpResponse, ResponseError as _, http::StatusCode, web};
use askama::Template;
use posthaste_client::{
    Endpoint, EndpointFilter, EndpointId, HeaderField, NewEndpoint, TenantId, Topic, TopicPattern,
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    both,
    endpoint::{ANSWERED_WITHIN, unverified},
    id,
};
use crate::{
    fault::{Fault, Told},
    fields::Fields,
    page::Page,
    paging::first,
    posted::Posted,
    visitor::{Visitor, html_as},
};

/// How many topics can be chosen from.
const TOPICS: u32 = 500;

#[derive(Template)]
#[template(path = "endpoint_form.html")]
struct Form {
    page: Page,
    /// Where the form goes.
    action: String,
    /// Where one goes who changes nothing.
    back: String,
    is_new: bool,
    /// Whether the endpoint has secrets that were given for the host of its URL. There are no fields for them here.
    has_secrets: bool,
    filled: Filled,
    topics: Vec<Topic>,
    refused: Option<Told>,
}

/// The fields as they were filled in.
struct Filled {
    url: String,
    topics: String,
    description: String,
    filter: String,
    ordered: bool,
}

/// What changes of an endpoint. What is none stays as it is, and so as it is spelled.
#[derive(Debug, Default, Serialize)]
struct Patch {
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topics: Option<Vec<TopicPattern>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ordered: Option<bool>,
    /// None in it: all events are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<Option<Box<RawValue>>>,
}

impl Filled {
    fn new() -> Self {
        let empty = String::new;
        Self { url: empty(), topics: "*".into(), description: empty(), filter: empty(), ordered: false }
    }

    fn of(endpoint: &Endpoint) -> Self {
        let topics: Vec<_> = endpoint.topics.iter().map(ToString::to_string).collect();
        Self {
            url: endpoint.url.clone(),
            topics: topics.join("\n"),
            description: endpoint.description.clone(),
            filter: endpoint.filter.as_ref().map(ToString::to_string).unwrap_or_default(),
            ordered: endpoint.ordered,
        }
    }

    fn read(fields: &Fields) -> Self {
        // Browsers end the lines of a form with CR LF, whatever they were ended with (HTML, section 4.10.22.4).
        let text = |name| fields.get(name).replace("\r\n", "\n");
        Self {
            url: text("url"),
            topics: text("topics"),
            description: text("description"),
            filter: text("filter"),
            ordered: fields.get("ordered") == "true",
        }
    }

    /// The topics, one in a line or between commas.
    fn patterns(&self) -> Result<Vec<TopicPattern>, Fault> {
        let names = self.topics.split([',', '\n', ' ', '\r']).filter(|name| !name.is_empty());
        let expected = "a topic such as order.paid, or a pattern such as order.* or *";
        names.map(|name| name.parse().map_err(|_| Fault::field("topics", name, expected))).collect()
    }

    fn filter(&self) -> Result<Option<EndpointFilter>, Fault> {
        match self.filter.as_str() {
            "" => Ok(None),
            text => text
                .parse()
                .map(Some)
                .map_err(|_| Fault::field("filter", text, "a filter, which is a JSON object")),
        }
    }

    fn endpoint(&self) -> Result<NewEndpoint, Fault> {
        Ok(NewEndpoint {
            topics: self.patterns()?,
            description: self.description.clone(),
            filter: self.filter()?,
            ordered: self.ordered,
            ..NewEndpoint::new(self.url.clone())
        })
    }

    /// What changes of an endpoint that was shown so.
    fn patch(&self, was: &Self) -> Result<Patch, Fault> {
        let mut patch = Patch::default();
        if self.url != was.url {
            patch.url = Some(self.url.clone());
        }
        if self.topics != was.topics {
            patch.topics = Some(self.patterns()?);
        }
        // A field of one line has lost the ends of lines.
        if self.description != was.description.replace(['\r', '\n'], "").trim() {
            patch.description = Some(self.description.clone());
        }
        if self.ordered != was.ordered {
            patch.ordered = Some(self.ordered);
        }
        if self.filter != was.filter.replace("\r\n", "\n") {
            let written = self.filter()?.map(|filter| RawValue::from_string(filter.as_str().to_owned()));
            let written = written.transpose().map_err(|_| Fault::field("filter", &self.filter, "JSON"))?;
            patch.filter = Some(written);
        }
        Ok(patch)
    }
}

/// Whether the receiver is shown secrets that were given for it.
fn has_secrets(endpoint: &Endpoint) -> bool {
    let is_secret = |field: &HeaderField| matches!(field, HeaderField::Secret { .. });
    endpoint.auth.is_some() || endpoint.headers.values().any(is_secret)
}

/// There is no form for who may not send it.
fn require_care(visitor: &Visitor) -> Result<(), Fault> {
    if visitor.may().care { Ok(()) } else { Err(Fault::Nowhere) }
}

pub(super) async fn begin(visitor: Visitor, path: web::Path<String>) -> Result<HttpResponse, Fault> {
    let tenant = id(&path)?;
    require_care(&visitor)?;
    form(&visitor, &tenant, None, Filled::new(), None).await
}

pub(super) async fn create(posted: Posted, path: web::Path<String>) -> Result<HttpResponse, Fault> {
    let (Posted { visitor, fields }, tenant) = (posted, id::<TenantId>(&path)?);
    let filled = Filled::read(&fields);
    let created = match filled.endpoint() {
        Ok(endpoint) => {
            let client = visitor.client.clone().with_timeout(ANSWERED_WITHIN);
            client.create_endpoint(&tenant, &endpoint).await.map_err(Fault::from)
        }
        Err(fault) => Err(fault),
    };
    match created {
        Ok(created) => after(&visitor, &created.endpoint, "created", "The endpoint was created."),
        Err(fault) if fault.is_askers() => form(&visitor, &tenant, None, filled, Some(&fault)).await,
        Err(fault) => Err(fault),
    }
}

pub(super) async fn edit(visitor: Visitor, path: web::Path<(String, String)>) -> Result<HttpResponse, Fault> {
    let (tenant, id): (TenantId, EndpointId) = both(&path)?;
    require_care(&visitor)?;
    let endpoint = visitor.client.endpoint(&tenant, id).await?;
    form(&visitor, &tenant, Some(&endpoint), Filled::of(&endpoint), None).await
}

pub(super) async fn change(posted: Posted, path: web::Path<(String, String)>) -> Result<HttpResponse, Fault> {
    let Posted { visitor, fields } = posted;
    let (tenant, id): (TenantId, EndpointId) = both(&path)?;
    let filled = Filled::read(&fields);
    let endpoint = visitor.client.endpoint(&tenant, id).await?;
    let changed = match filled.patch(&Filled::of(&endpoint)) {
        Ok(patch) => {
            let client = visitor.client.clone().with_timeout(ANSWERED_WITHIN);
            client.patch_endpoint(&tenant, id, &patch).await.map_err(Fault::from)
        }
        Err(fault) => Err(fault),
    };
    match changed {
        Ok(endpoint) => after(&visitor, &endpoint, "changed", "The change was saved."),
        Err(fault) if fault.is_askers() => {
            form(&visitor, &tenant, Some(&endpoint), filled, Some(&fault)).await
        }
        Err(fault) => Err(fault),
    }
}

/// Where somebody goes from the form: to the endpoint, or to what its handshake lacks where one was run and not given.
fn after(
    visitor: &Visitor,
    endpoint: &Endpoint,
    word: &str,
    said: &'static str,
) -> Result<HttpResponse, Fault> {
    let Endpoint { tenant, id, handshake, .. } = endpoint;
    match handshake.as_ref().and_then(|handshake| handshake.failure.clone()) {
        Some(failure) => unverified(visitor, tenant, *id, Some(said), failure),
        None => Ok(visitor.go(&format!("/tenants/{tenant}/endpoints/{id}"), Some(word))),
    }
}

async fn form(
    visitor: &Visitor,
    tenant: &TenantId,
    of: Option<&Endpoint>,
    filled: Filled,
    refused: Option<&Fault>,
) -> Result<HttpResponse, Fault> {
    let topics = visitor.client.topics(&first(TOPICS)).await?.data;
    let at = visitor.door.prefix();
    let (title, action, back) = match of {
        None => {
            let back = format!("{at}/endpoints?tenant={tenant}");
            ("New endpoint", format!("{at}/tenants/{tenant}/endpoints/new"), back)
        }
        Some(Endpoint { id, .. }) => {
            let back = format!("{at}/tenants/{tenant}/endpoints/{id}");
            ("Edit endpoint", format!("{back}/edit"), back)
        }
    };
    let status = refused.map_or(StatusCode::OK, Fault::status_code);
    let refused = refused.map(Fault::told);
    let page = visitor.page("endpoints", title);
    let (is_new, has_secrets) = (of.is_none(), of.is_some_and(has_secrets));
    html_as(status, &Form { page, action, back, is_new, has_secrets, filled, topics, refused })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(form: &str) -> Filled {
        Filled::read(&Fields::read(form.as_bytes()))
    }

    #[test]
    fn topics_stand_in_lines_or_between_commas() {
        let patterns = filled("topics=order.*,%0D%0Auser.made+a.b").patterns().unwrap();
        let patterns: Vec<_> = patterns.iter().map(ToString::to_string).collect();
        assert_eq!(patterns, ["order.*", "user.made", "a.b"]);
        let fault = filled("topics=order.*.x%21").patterns().unwrap_err();
        assert!(fault.to_string().starts_with("topics: 'order.*.x!' is not"), "{fault}");
    }

    /// What is sent of a form over an endpoint that was shown so, as JSON.
    #[track_caller]
    fn check(was: &Filled, form: &str, expect: &str) {
        let patch = filled(form).patch(was).unwrap();
        assert_eq!(serde_json::to_string(&patch).unwrap(), expect, "{form}");
    }

    const FILTER: &str = "{\n  \"b\": 1e2,\n  \"a\": 12345678901234567890\n}";

    #[test]
    fn what_stays_is_not_sent() {
        let was = Filled { filter: FILTER.into(), description: "two\nlines ".into(), ..Filled::new() };
        let lines = FILTER.replace('\n', "\r\n");
        let lines: String = form_urlencoded::byte_serialize(lines.as_bytes()).collect();
        let form = format!("url=&topics=*&description=twolines&filter={lines}");
        check(&was, &form, "{}");
        check(&was, &format!("{form}&ordered=true"), r#"{"ordered":true}"#);
        check(&was, "url=&topics=*&description=twolines&filter=", r#"{"filter":null}"#);
        check(&was, &form.replace("topics=*", "topics=a.b"), r#"{"topics":["a.b"]}"#);
    }

    #[test]
    fn a_filter_is_sent_as_it_is_spelled() {
        let was = filled("url=a&topics=*");
        let form = |filter: &str| {
            let filter: String = form_urlencoded::byte_serialize(filter.as_bytes()).collect();
            format!("url=a&topics=*&filter={filter}")
        };
        check(&was, &form(r#"{"b": 1e2, "a": 1.0}"#), r#"{"filter":{"b": 1e2, "a": 1.0}}"#);
        assert!(filled(&form("{")).patch(&was).is_err());
    }
}
