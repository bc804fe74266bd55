"""What people ask of the stream itself: what keywords would find in the past, and what comes now."""
