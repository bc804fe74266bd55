"""Connections to the servers that Starling needs: Kafka and Cassandra."""
