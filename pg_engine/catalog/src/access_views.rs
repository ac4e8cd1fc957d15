//! Built-in views about roles, privileges and policies.

/// Names and queries.
pub(crate) const VIEWS: &[(&str, &str)] = &[
    (
        "pg_roles",
        "SELECT a.rolname, a.rolsuper, a.rolinherit, a.rolcreaterole, a.rolcreatedb, a.rolcanlogin, \
         a.rolreplication, a.rolconnlimit, '********'::text AS rolpassword, a.rolvaliduntil, a.rolbypassrls, \
         s.setconfig AS rolconfig, a.oid FROM pg_catalog.pg_authid a \
         LEFT JOIN pg_catalog.pg_db_role_setting s ON a.oid = s.setrole AND s.setdatabase = 0",
    ),
    (
        "pg_shadow",
        "SELECT a.rolname AS usename, a.oid AS usesysid, a.rolcreatedb AS usecreatedb, a.rolsuper AS usesuper, \
         a.rolreplication AS userepl, a.rolbypassrls AS usebypassrls, a.rolpassword AS passwd, \
         a.rolvaliduntil AS valuntil, s.setconfig AS useconfig FROM pg_catalog.pg_authid a \
         LEFT JOIN pg_catalog.pg_db_role_setting s ON a.oid = s.setrole AND s.setdatabase = 0 WHERE a.rolcanlogin",
    ),
    (
        "pg_user",
        "SELECT usename, usesysid, usecreatedb, usesuper, userepl, usebypassrls, '********'::text AS passwd, \
         valuntil, useconfig FROM pg_catalog.pg_shadow",
    ),
    (
        "pg_group",
        "SELECT rolname AS groname, oid AS grosysid, \
         ARRAY(SELECT m.member FROM pg_catalog.pg_auth_members m WHERE m.roleid = a.oid) AS grolist \
         FROM pg_catalog.pg_authid a WHERE NOT rolcanlogin",
    ),
    (
        "pg_policies",
        "SELECT n.nspname AS schemaname, c.relname AS tablename, p.polname AS policyname, \
         CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END AS permissive, \
         CASE WHEN 0 = ANY (p.polroles) THEN ARRAY['public'::name] \
         ELSE ARRAY(SELECT a.rolname FROM pg_catalog.pg_authid a WHERE a.oid = ANY (p.polroles) ORDER BY a.rolname) \
         END AS roles, \
         CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' \
         WHEN '*' THEN 'ALL' END AS cmd, pg_catalog.pg_get_expr(p.polqual, p.polrelid) AS qual, \
         pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) AS with_check FROM pg_catalog.pg_policy p \
         JOIN pg_catalog.pg_class c ON c.oid = p.polrelid \
         LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace",
    ),
    (
        "enabled_roles",
        "SELECT a.rolname AS role_name FROM pg_catalog.pg_authid a WHERE pg_catalog.pg_has_role(a.oid, 'USAGE')",
    ),
    (
        "applicable_roles",
        "SELECT a.rolname AS grantee, b.rolname AS role_name, \
         CASE WHEN m.admin_option THEN 'YES' ELSE 'NO' END::varchar AS is_grantable \
         FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_authid a ON m.member = a.oid \
         JOIN pg_catalog.pg_authid b ON m.roleid = b.oid WHERE pg_catalog.pg_has_role(a.oid, 'USAGE')",
    ),
    (
        "administrable_role_authorizations",
        "SELECT grantee, role_name, is_grantable FROM information_schema.applicable_roles WHERE is_grantable = 'YES'",
    ),
    (
        "table_privileges",
        "SELECT g.rolname AS grantor, e.rolname AS grantee, current_database()::name AS table_catalog, \
         n.nspname AS table_schema, c.relname AS table_name, x.privilege_type::varchar AS privilege_type, \
         CASE WHEN e.oid <> 0 AND pg_catalog.pg_has_role(e.oid, c.relowner, 'USAGE') OR x.is_grantable THEN 'YES' \
         ELSE 'NO' END::varchar AS is_grantable, \
         CASE WHEN x.privilege_type = 'SELECT' THEN 'YES' ELSE 'NO' END::varchar AS with_hierarchy \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, \
         LATERAL pg_catalog.aclexplode(coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner))) x, \
         pg_catalog.pg_authid g, \
         (SELECT oid, rolname FROM pg_catalog.pg_authid UNION ALL SELECT 0::oid, 'PUBLIC'::name) e \
         WHERE c.relkind IN ('r', 'v', 'f', 'p') AND g.oid = x.grantor AND e.oid = x.grantee \
         AND (pg_catalog.pg_has_role(g.oid, 'USAGE') OR e.oid = 0 OR pg_catalog.pg_has_role(e.oid, 'USAGE'))",
    ),
    (
        "role_table_grants",
        "SELECT * FROM information_schema.table_privileges \
         WHERE grantor IN (SELECT role_name FROM information_schema.enabled_roles) \
         OR grantee IN (SELECT role_name FROM information_schema.enabled_roles)",
    ),
    (
        "column_privileges",
        "SELECT g.rolname AS grantor, e.rolname AS grantee, current_database()::name AS table_catalog, \
         n.nspname AS table_schema, c.relname AS table_name, y.attname AS column_name, \
         y.privilege_type::varchar AS privilege_type, \
         CASE WHEN e.oid <> 0 AND pg_catalog.pg_has_role(e.oid, c.relowner, 'USAGE') OR y.is_grantable THEN 'YES' \
         ELSE 'NO' END::varchar AS is_grantable FROM \
         (SELECT a.attrelid, a.attname, x.grantor, x.grantee, x.privilege_type, x.is_grantable \
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid, \
         LATERAL pg_catalog.aclexplode(coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner))) x \
         WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v', 'f', 'p') \
         UNION SELECT a.attrelid, a.attname, x.grantor, x.grantee, x.privilege_type, x.is_grantable \
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid, \
         LATERAL pg_catalog.aclexplode(a.attacl) x \
         WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v', 'f', 'p')) y \
         JOIN pg_catalog.pg_class c ON c.oid = y.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_authid g ON g.oid = y.grantor \
         JOIN (SELECT oid, rolname FROM pg_catalog.pg_authid UNION ALL SELECT 0::oid, 'PUBLIC'::name) e \
         ON e.oid = y.grantee WHERE y.privilege_type IN ('INSERT', 'SELECT', 'UPDATE', 'REFERENCES') \
         AND (pg_catalog.pg_has_role(g.oid, 'USAGE') OR e.oid = 0 OR pg_catalog.pg_has_role(e.oid, 'USAGE'))",
    ),
    (
        "role_column_grants",
        "SELECT * FROM information_schema.column_privileges \
         WHERE grantor IN (SELECT role_name FROM information_schema.enabled_roles) \
         OR grantee IN (SELECT role_name FROM information_schema.enabled_roles)",
    ),
    (
        "routine_privileges",
        "SELECT g.rolname AS grantor, e.rolname AS grantee, current_database()::name AS specific_catalog, \
         n.nspname AS specific_schema, (p.proname::text || '_' || p.oid::text)::name AS specific_name, \
         current_database()::name AS routine_catalog, n.nspname AS routine_schema, p.proname AS routine_name, \
         'EXECUTE'::varchar AS privilege_type, \
         CASE WHEN e.oid <> 0 AND pg_catalog.pg_has_role(e.oid, p.proowner, 'USAGE') OR x.is_grantable THEN 'YES' \
         ELSE 'NO' END::varchar AS is_grantable \
         FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace, \
         LATERAL pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) x, \
         pg_catalog.pg_authid g, \
         (SELECT oid, rolname FROM pg_catalog.pg_authid UNION ALL SELECT 0::oid, 'PUBLIC'::name) e \
         WHERE x.privilege_type = 'EXECUTE' AND g.oid = x.grantor AND e.oid = x.grantee \
         AND (pg_catalog.pg_has_role(g.oid, 'USAGE') OR e.oid = 0 OR pg_catalog.pg_has_role(e.oid, 'USAGE'))",
    ),
    (
        "role_routine_grants",
        "SELECT * FROM information_schema.routine_privileges \
         WHERE grantor IN (SELECT role_name FROM information_schema.enabled_roles) \
         OR grantee IN (SELECT role_name FROM information_schema.enabled_roles)",
    ),
    (
        "udt_privileges",
        "SELECT g.rolname AS grantor, e.rolname AS grantee, current_database()::name AS udt_catalog, \
         n.nspname AS udt_schema, t.typname AS udt_name, 'TYPE USAGE'::varchar AS privilege_type, \
         CASE WHEN e.oid <> 0 AND pg_catalog.pg_has_role(e.oid, t.typowner, 'USAGE') OR x.is_grantable THEN 'YES' \
         ELSE 'NO' END::varchar AS is_grantable \
         FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace, \
         LATERAL pg_catalog.aclexplode(coalesce(t.typacl, pg_catalog.acldefault('T', t.typowner))) x, \
         pg_catalog.pg_authid g, \
         (SELECT oid, rolname FROM pg_catalog.pg_authid UNION ALL SELECT 0::oid, 'PUBLIC'::name) e \
         WHERE t.typtype = 'c' AND x.privilege_type = 'USAGE' AND g.oid = x.grantor AND e.oid = x.grantee \
         AND (pg_catalog.pg_has_role(g.oid, 'USAGE') OR e.oid = 0 OR pg_catalog.pg_has_role(e.oid, 'USAGE'))",
    ),
    (
        "role_udt_grants",
        "SELECT * FROM information_schema.udt_privileges \
         WHERE grantor IN (SELECT role_name FROM information_schema.enabled_roles) \
         OR grantee IN (SELECT role_name FROM information_schema.enabled_roles)",
    ),
    (
        "usage_privileges",
        "SELECT u.rolname AS grantor, 'PUBLIC'::name AS grantee, current_database()::name AS object_catalog, \
         n.nspname AS object_schema, c.collname AS object_name, 'COLLATION'::varchar AS object_type, \
         'USAGE'::varchar AS privilege_type, 'NO'::varchar AS is_grantable \
         FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace \
         JOIN pg_catalog.pg_authid u ON u.oid = c.collowner UNION ALL \
         SELECT g.rolname, e.rolname, current_database()::name, n.nspname, o.name, o.kind::varchar, 'USAGE'::varchar, \
         CASE WHEN e.oid <> 0 AND pg_catalog.pg_has_role(e.oid, o.owner, 'USAGE') OR x.is_grantable THEN 'YES' \
         ELSE 'NO' END::varchar FROM (SELECT t.typnamespace AS schema, t.typname AS name, t.typowner AS owner, \
         'DOMAIN' AS kind, coalesce(t.typacl, pg_catalog.acldefault('T', t.typowner)) AS acl \
         FROM pg_catalog.pg_type t WHERE t.typtype = 'd' UNION ALL \
         SELECT c.relnamespace, c.relname, c.relowner, 'SEQUENCE', \
         coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner)) FROM pg_catalog.pg_class c \
         WHERE c.relkind = 'S') o JOIN pg_catalog.pg_namespace n ON n.oid = o.schema, \
         LATERAL pg_catalog.aclexplode(o.acl) x, pg_catalog.pg_authid g, \
         (SELECT oid, rolname FROM pg_catalog.pg_authid UNION ALL SELECT 0::oid, 'PUBLIC'::name) e \
         WHERE x.privilege_type = 'USAGE' AND g.oid = x.grantor AND e.oid = x.grantee \
         AND (pg_catalog.pg_has_role(g.oid, 'USAGE') OR e.oid = 0 OR pg_catalog.pg_has_role(e.oid, 'USAGE'))",
    ),
    (
        "role_usage_grants",
        "SELECT * FROM information_schema.usage_privileges \
         WHERE grantor IN (SELECT role_name FROM information_schema.enabled_roles) \
         OR grantee IN (SELECT role_name FROM information_schema.enabled_roles)",
    ),
];
