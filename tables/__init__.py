"""What is kept: Faust tables with changelogs, and the Cassandra schema."""
