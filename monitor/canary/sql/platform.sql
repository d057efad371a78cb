-- What tells a managed service: roles of its own, and Aurora's version function.
SELECT (SELECT coalesce(pg_catalog.array_agg(rolname::text ORDER BY rolname), '{}')
        FROM pg_catalog.pg_roles
        WHERE rolname IN ('rdsadmin', 'cloudsqladmin', 'azuresu',
                          'rds_superuser', 'cloudsqlsuperuser', 'azure_pg_admin')) AS roles,
       pg_catalog.to_regprocedure('aurora_version()') IS NOT NULL
       OR pg_catalog.to_regprocedure('pg_catalog.aurora_version()') IS NOT NULL AS aurora
