"""What a transaction sees: the rows of the tenant that it serves, or those of all tenants."""

from musterd.store.postgres.connection import Connection
from musterd.store.postgres.statements import load_statement

_SERVE = load_statement("serve_tenant")


async def serve(connection: Connection, tenant_id: str | None) -> None:
    """Let there be no rows but a tenant's for the rest of the transaction. None leaves it as it is."""
    if tenant_id is not None:
        await connection.execute(_SERVE, tenant_id)
