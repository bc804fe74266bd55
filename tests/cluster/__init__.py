"""What runs on Kubernetes. A package, as a fixture of that scope is else kept to the end of all tests."""
