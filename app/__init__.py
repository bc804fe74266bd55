"""Starling: posts about an event, from live streams into Cassandra.

The way of a post, and the module of each step:

    people ── cli ──> event_commands ── agents.commands ──> events (compacted)          app.domain.decisions
                                                              │
    a file ── cli.replay ──> raw_tweets ── agents.classification ──> classified_tweets  app.domain.classify, matcher
                                               └──> dead_letters          │
                                        agents.normalization <────────────┘             app.domain.normalize
                                               ├──> Cassandra                           app.clients.cassandra
                                               └──> activity, trends                    app.domain.activity, trends

Where Kubernetes runs it, `agents.provisioning` in the manager has as much of this run as the events ask for
(`app.domain.provisioning` says how much, `app.domain.cluster_objects` how that is written there).

`app.main` puts a role together; `agents.batches` is the only place that acknowledges; `app.clients.view` keeps the
events of the compacted topic at hand in every process.
"""
