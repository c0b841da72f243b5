use posthaste_model::{TopicName, TopicPattern};

/// Whether one of the patterns stands for the topic. Upper and lower case differ.
pub fn wants(patterns: &[TopicPattern], topic: &TopicName) -> bool {
    patterns.iter().any(|pattern| match pattern {
        TopicPattern::All => true,
        TopicPattern::Exactly(wanted) => wanted == topic,
        TopicPattern::Below(prefix) => {
            topic.as_str().strip_prefix(prefix.as_str()).is_some_and(|rest| rest.starts_with('.'))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(patterns: &[&str], topic: &str, expect: bool) {
        let patterns: Vec<TopicPattern> = patterns.iter().map(|pattern| pattern.parse().unwrap()).collect();
        assert_eq!(wants(&patterns, &topic.parse().unwrap()), expect, "{patterns:?} and {topic}");
    }

    #[test]
    fn one_topic() {
        check(&["order.paid"], "order.paid", true);
        check(&["order.paid"], "order", false);
        check(&["order.paid"], "order.paid.late", false);
        check(&["order.paid"], "Order.paid", false);
    }

    #[test]
    fn all_below_a_prefix() {
        check(&["order.*"], "order.paid", true);
        check(&["order.*"], "order.item.added", true);
        check(&["order.*"], "order", false);
        check(&["order.*"], "orders.x", false);
        check(&["order.*"], "re.order.paid", false);
        check(&["order.item.*"], "order.item.added", true);
        check(&["order.item.*"], "order.paid", false);
    }

    #[test]
    fn any_of_several() {
        check(&["*"], "order", true);
        check(&["*"], "a.b.c", true);
        check(&["user.*", "order.paid"], "order.paid", true);
        check(&["user.*", "order.paid"], "order.sent", false);
        check(&[], "order.paid", false);
    }
}
