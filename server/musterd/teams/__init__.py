"""Teams of agents with a shared todo list and messages: standalone, and durably under the server."""
