"""The agents: each receives, calls pure logic, sends, and lets `batches` acknowledge."""
