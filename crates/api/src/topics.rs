use actix_web::{
    HttpResponse, delete, get, put,
    web::{Data, Json},
};
use garde::Validate;
use posthaste_model::{Timestamp, Topic, TopicName};
use posthaste_policy::Schema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    body::JsonBody,
    cursor::{List, ListQuery, Listed},
    own_topics,
    params::{InPath, InQuery},
    problem::{Kind, Place, Problem},
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
    /// What the data of such an event must be: a JSON Schema, of draft 2020-12 where it does not say. Events that are not
    /// are refused. The example must be.
    #[serde(default)]
    #[garde(skip)]
    #[schema(value_type = Option<Object>)]
    schema: Option<Value>,
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
    #[schema(value_type = Option<Object>)]
    schema: Option<Value>,
    archived: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<Topic> for TopicBody {
    fn from(topic: Topic) -> Self {
        let Topic { name, description, example, schema, archived, created_at, updated_at } = topic;
        Self { name, description, example, schema, archived, created_at, updated_at }
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
    let TopicFields { description, example, schema, archived } = validate(fields.0)?;
    if own_topics::is_reserved(&name.0) {
        let detail = format!("topic '{}' is Posthaste's own", name.0);
        return Err(Problem::new(Kind::Reserved, detail).at(Place::Parameter("topic".to_owned())));
    }
    if let Some(schema) = &schema {
        check_schema(schema, example.as_ref())?;
    }
    let now = service.clock.now();
    let topic =
        Topic { name: name.0, description, example, schema, archived, created_at: now, updated_at: now };
    let put = service.store.put_topic(topic).await?;
    let mut response = if put.created { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(response.json(TopicBody::from(put.now)))
}

/// Refuses a schema that is none, and one that does not fit the topic's own example.
fn check_schema(schema: &Value, example: Option<&Value>) -> Result<(), Problem> {
    let schema = Schema::new(schema)
        .map_err(|wrong| Problem::field(format!("/schema{}", wrong.pointer), wrong.problem))?;
    let Some(example) = example else { return Ok(()) };
    schema.check(example.to_string().as_bytes()).map_err(|wrong| {
        let detail = format!("does not fit the schema: {}", wrong.message);
        Problem::field(format!("/example{}", wrong.pointer), detail)
    })
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

#[cfg(test)]
mod tests;
