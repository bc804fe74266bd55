"""Pure logic: events, keywords, matching, normalizing, counting. Imports no Kafka, Faust or Cassandra."""
