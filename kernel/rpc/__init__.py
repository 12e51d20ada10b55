"""gRPC for both services: the server, what surrounds every call, errors with details, health, the client channel."""
