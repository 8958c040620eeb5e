"""Speaks gRPC: decodes requests, calls the runtime, encodes what comes back. The only part that sees protobuf."""
