"""Kafka and Cassandra on this machine, from their published jars: no Docker, no root, loopback only.

`artifacts` fetches the jars once, `java` finds a Java to run them, `kafka` and `cassandra` know how to start each,
`stack` runs both from one directory and remembers them there, `supervise` keeps a worker running beside them.
"""
