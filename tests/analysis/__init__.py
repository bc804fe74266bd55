"""What Spark finds. A package, as fixtures of that scope are else kept to the end of all tests, a Java with them."""
