//! Topics.

use actix_web::{HttpRequest, HttpResponse};
use askama::Template;
use posthaste_client::{ClientError, ProblemKind, Topic, TopicFields, TopicName};

use crate::{
    fault::Fault,
    fields::Fields,
    page::Page,
    paging::{page_of, query},
    posted::Posted,
    visitor::{Visitor, html},
};

/// Rows of a page.
const ROWS: u32 = 100;

#[derive(Template)]
#[template(path = "topics.html")]
struct Topics {
    page: Page,
    rows: Vec<Topic>,
    next: Option<String>,
}

pub(super) async fn list(visitor: Visitor, request: HttpRequest) -> Result<HttpResponse, Fault> {
    let fields = Fields::read(request.query_string().as_bytes());
    let found = visitor.client.topics(&page_of(&fields, ROWS)).await?;
    let next = found.next.map(|cursor| query(&cursor, &[]));
    html(&Topics { page: visitor.page("topics", "Topics"), rows: found.data, next })
}

/// Registers a topic, or changes what is said of one. Its example and its schema stay as they are.
pub(super) async fn put(posted: Posted) -> Result<HttpResponse, Fault> {
    let Posted { visitor, fields } = posted;
    let expected = "the name of a topic, such as order.paid";
    let name: TopicName =
        fields.parse("name", expected)?.ok_or_else(|| Fault::field("name", "", expected))?;
    let there = match visitor.client.topic(&name).await {
        Ok(topic) => TopicFields {
            description: topic.description,
            example: topic.example,
            schema: topic.schema,
            archived: topic.archived,
        },
        Err(ClientError::Problem(problem)) if problem.kind == ProblemKind::NotFound => TopicFields::default(),
        Err(error) => return Err(error.into()),
    };
    let description = match fields.get("description") {
        "" => there.description,
        text => text.to_owned(),
    };
    let archived = match fields.get("archived") {
        "" => there.archived,
        text => text == "true",
    };
    visitor.client.put_topic(&name, &TopicFields { description, archived, ..there }).await?;
    Ok(visitor.go("/topics", Some("topic")))
}
