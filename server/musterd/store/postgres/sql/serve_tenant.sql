-- Let there be the rows of one tenant alone for the rest of this transaction.
SELECT set_config('musterd.all_tenants', 'off', true), set_config('musterd.tenant', $1, true)
