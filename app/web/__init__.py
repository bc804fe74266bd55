"""What a process shows over HTTP."""
