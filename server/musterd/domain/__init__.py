"""What musterd talks about: tasks, events, steps, identity, errors, and the ports behind which the world lies.

Frozen values and Protocols only. Nothing here knows gRPC, SQL, protobuf or pydantic-ai.
"""
