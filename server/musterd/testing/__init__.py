"""For tests of your own: a real server in this process, and a model that says what your test tells it to.

async with serve(app) as client:
    run = await client.run_agent("support", "hello")
"""

from musterd.testing.serving import serve, serve_settings

__all__ = ["serve", "serve_settings"]
