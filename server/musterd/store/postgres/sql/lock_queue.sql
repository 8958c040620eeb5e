-- Let one transaction at a time count the queue and add to it. The queue is that of all tenants.
SELECT
    pg_advisory_xact_lock(hashtext('musterd queue'), hashtext(current_schema())),
    set_config('musterd.all_tenants', 'on', true)
