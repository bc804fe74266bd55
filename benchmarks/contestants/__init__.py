"""Other ways of doing what Starling's worker does, each run as a process of its own."""
