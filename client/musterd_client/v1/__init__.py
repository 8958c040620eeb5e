"""Generated from protos/musterd/v1 by scripts/generate.py. Do not edit."""
