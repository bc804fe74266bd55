"""Live sources: one module each, all alike (`source.Source`).

A source connects, hands over what it hears unchanged, and takes other keywords while it runs. It knows nothing of
Kafka. When to connect, how long to wait before the next try and what to write down is `app.tracking`'s business.
"""
