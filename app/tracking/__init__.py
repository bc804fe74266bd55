"""Listening to live sources, one process at a time: what is heard reaches Kafka, what is missed is written down."""
