use actix_web::{
    HttpResponse, delete, get, put,
    web::{Data, Json},
};
use garde::Validate;
use posthaste_model::{Timestamp, Topic, TopicName};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    body::JsonBody,
    cursor::{List, ListQuery, Listed},
    params::{InPath, InQuery},
    problem::Problem,
    service::Service,
    validation::validate,
};

/// What a topic is given. What is not named takes its default.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct TopicFields {
    /// What an event of this type means.
    #[serde(default)]
    #[garde(length(max = 2_000))]
    description: String,
    /// A sample of the data of such an event.
    #[serde(default)]
    #[garde(skip)]
    example: Option<Value>,
    /// Whether it takes no more events.
    #[serde(default)]
    #[garde(skip)]
    archived: bool,
}

/// An event type.
#[derive(Serialize, ToSchema)]
#[schema(as = Topic)]
struct TopicBody {
    #[schema(value_type = String, example = "order.paid")]
    name: TopicName,
    description: String,
    example: Option<Value>,
    archived: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<Topic> for TopicBody {
    fn from(topic: Topic) -> Self {
        let Topic { name, description, example, archived, created_at, updated_at } = topic;
        Self { name, description, example, archived, created_at, updated_at }
    }
}

/// Register or change a topic.
#[utoipa::path(tag = "topics", params(("topic" = String, Path)), request_body = TopicFields,
    responses((status = 200, body = TopicBody), (status = 201, body = TopicBody)))]
#[put("/topics/{topic}")]
pub(crate) async fn put_topic(
    service: Data<Service>,
    name: InPath<TopicName>,
    fields: JsonBody<TopicFields>,
) -> Result<HttpResponse, Problem> {
    let TopicFields { description, example, archived } = validate(fields.0)?;
    let now = service.clock.now();
    let topic = Topic { name: name.0, description, example, archived, created_at: now, updated_at: now };
    let put = service.store.put_topic(topic).await?;
    let mut response = if put.created { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(response.json(TopicBody::from(put.now)))
}

/// Read a topic.
#[utoipa::path(tag = "topics", params(("topic" = String, Path)), responses((status = 200, body = TopicBody)))]
#[get("/topics/{topic}")]
pub(crate) async fn get_topic(
    service: Data<Service>,
    name: InPath<TopicName>,
) -> Result<Json<TopicBody>, Problem> {
    Ok(Json(service.store.topic(&name.0).await?.into()))
}

/// Delete a topic. Events of it that were accepted before are still delivered.
#[utoipa::path(tag = "topics", params(("topic" = String, Path)), responses((status = 204)))]
#[delete("/topics/{topic}")]
pub(crate) async fn delete_topic(
    service: Data<Service>,
    name: InPath<TopicName>,
) -> Result<HttpResponse, Problem> {
    service.store.delete_topic(&name.0).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// List topics by name.
#[utoipa::path(tag = "topics", params(ListQuery), responses((status = 200, body = Listed<TopicBody>)))]
#[get("/topics")]
pub(crate) async fn list_topics(
    service: Data<Service>,
    query: InQuery<ListQuery>,
) -> Result<Json<Listed<TopicBody>>, Problem> {
    let list = List::new("topics", &());
    let page = service.store.topics(list.query(&query)?).await?;
    Ok(Json(list.answer(page, TopicBody::from)))
}
