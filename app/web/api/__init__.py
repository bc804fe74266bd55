"""The API, a module each part of it."""
