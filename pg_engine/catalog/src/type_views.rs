//! Views of `information_schema` about columns, domains and types: their queries. What a type is made of is told in the same
//! words everywhere.

/// A text's greatest length in characters and bytes, of a type's number and modifier.
macro_rules! lengths {
    ($ty:literal, $mod:literal) => {
        concat!(
            "CASE WHEN ",
            $mod,
            " >= 0 THEN CASE WHEN ",
            $ty,
            " IN (1042, 1043) THEN ",
            $mod,
            " - 4 WHEN ",
            $ty,
            " IN (1560, 1562) THEN ",
            $mod,
            " END END::int4 AS character_maximum_length, CASE WHEN ",
            $ty,
            " IN (25, 1042, 1043) THEN CASE WHEN ",
            $mod,
            " >= 0 THEN (",
            $mod,
            " - 4) * 4 ELSE 1073741824 END END::int4 AS character_octet_length"
        )
    };
}

/// Precision of numbers, times and intervals.
macro_rules! precision {
    ($ty:literal, $mod:literal) => {
        concat!(
            "CASE ",
            $ty,
            " WHEN 21 THEN 16 WHEN 23 THEN 32 WHEN 20 THEN 64 WHEN 700 THEN 24 WHEN 701 THEN 53 WHEN 1700 THEN \
             CASE WHEN ",
            $mod,
            " >= 0 THEN ((",
            $mod,
            " - 4) >> 16) & 65535 END END::int4 AS numeric_precision, CASE WHEN ",
            $ty,
            " IN (20, 21, 23, 700, 701) THEN 2 WHEN ",
            $ty,
            " = 1700 THEN 10 END::int4 AS numeric_precision_radix, CASE WHEN ",
            $ty,
            " IN (20, 21, 23) THEN 0 WHEN ",
            $ty,
            " = 1700 AND ",
            $mod,
            " >= 0 THEN (",
            $mod,
            " - 4) & 65535 END::int4 AS numeric_scale, CASE WHEN ",
            $ty,
            " = 1082 THEN 0 WHEN ",
            $ty,
            " IN (1083, 1114, 1184, 1266) THEN CASE WHEN ",
            $mod,
            " < 0 THEN 6 ELSE ",
            $mod,
            " END WHEN ",
            $ty,
            " = 1186 THEN CASE WHEN ",
            $mod,
            " < 0 OR ",
            $mod,
            " & 65535 = 65535 THEN 6 ELSE ",
            $mod,
            " & 65535 END END::int4 AS datetime_precision, CASE WHEN ",
            $ty,
            " = 1186 THEN upper(substring(pg_catalog.format_type(1186, ",
            $mod,
            ") FROM '^interval[()0-9]* (.*)$')) END::varchar AS interval_type, NULL::int4 AS interval_precision"
        )
    };
}

/// Columns have no character sets of their own.
macro_rules! character_set {
    () => {
        "NULL::name AS character_set_catalog, NULL::name AS character_set_schema, NULL::name AS character_set_name"
    };
}

/// A collation that is not the default.
macro_rules! collation {
    () => {
        "CASE WHEN co.oid IS NOT NULL THEN current_database() END::name AS collation_catalog, \
         nco.nspname AS collation_schema, co.collname AS collation_name"
    };
}
macro_rules! with_collation {
    ($of:literal) => {
        concat!(
            " LEFT JOIN pg_catalog.pg_collation co ON co.oid = ",
            $of,
            " AND co.oid <> 100 LEFT JOIN pg_catalog.pg_namespace nco ON nco.oid = co.collnamespace "
        )
    };
}

/// The name of a type `t` in schema `nt`.
macro_rules! data_type {
    ($t:literal, $nt:literal) => {
        concat!(
            "CASE WHEN ",
            $t,
            ".typelem <> 0 AND ",
            $t,
            ".typlen = -1 THEN 'ARRAY' WHEN ",
            $nt,
            ".nspname = 'pg_catalog' THEN pg_catalog.format_type(",
            $t,
            ".oid, NULL) ELSE 'USER-DEFINED' END::varchar AS data_type"
        )
    };
}

/// Attributes `a` of relations `c`; `t`: their types, `b`: these or what they are domains over.
macro_rules! attributes {
    () => {
        concat!(
            "FROM (SELECT a.*, CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS mod, \
             t.typtype = 'd' AS of_domain, t.typnotnull AS never_null, t.typname AS type_name, t.typnamespace AS type_schema, \
             CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE a.atttypid END AS ty \
             FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
             WHERE a.attnum > 0 AND NOT a.attisdropped) a \
             JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_catalog.pg_type b ON b.oid = a.ty JOIN pg_catalog.pg_namespace nb ON nb.oid = b.typnamespace \
             LEFT JOIN pg_catalog.pg_namespace nd ON a.of_domain AND nd.oid = a.type_schema \
             LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum",
            with_collation!("a.attcollation")
        )
    };
}

/// Types `t` that the user owns or may use.
macro_rules! usable {
    () => {
        "(pg_catalog.pg_has_role(t.typowner, 'USAGE') OR pg_catalog.has_type_privilege(t.oid, 'USAGE'))"
    };
}

/// Names and queries.
pub(crate) const VIEWS: &[(&str, &str)] = &[
    (
        "columns",
        concat!(
            "SELECT current_database()::name AS table_catalog, n.nspname AS table_schema, c.relname AS table_name, \
             a.attname AS column_name, a.attnum::int4 AS ordinal_position, \
             CASE WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END::varchar AS column_default, \
             CASE WHEN a.attnotnull OR a.of_domain AND a.never_null THEN 'NO' ELSE 'YES' END::varchar AS is_nullable, ",
            data_type!("b", "nb"),
            ", ",
            lengths!("a.ty", "a.mod"),
            ", ",
            precision!("a.ty", "a.mod"),
            ", ",
            character_set!(),
            ", ",
            collation!(),
            ", CASE WHEN a.of_domain THEN current_database() END::name AS domain_catalog, nd.nspname AS domain_schema, \
             CASE WHEN a.of_domain THEN a.type_name END::name AS domain_name, current_database()::name AS udt_catalog, \
             nb.nspname AS udt_schema, b.typname AS udt_name, \
             NULL::name AS scope_catalog, NULL::name AS scope_schema, NULL::name AS scope_name, \
             NULL::int4 AS maximum_cardinality, a.attnum::text::name AS dtd_identifier, \
             'NO'::varchar AS is_self_referencing, \
             CASE WHEN a.attidentity IN ('a', 'd') THEN 'YES' ELSE 'NO' END::varchar AS is_identity, \
             CASE a.attidentity WHEN 'a' THEN 'ALWAYS' WHEN 'd' THEN 'BY DEFAULT' END::varchar AS identity_generation, \
             s.seqstart::varchar AS identity_start, s.seqincrement::varchar AS identity_increment, \
             s.seqmax::varchar AS identity_maximum, s.seqmin::varchar AS identity_minimum, \
             CASE WHEN s.seqcycle THEN 'YES' ELSE 'NO' END::varchar AS identity_cycle, \
             CASE WHEN a.attgenerated <> '' THEN 'ALWAYS' ELSE 'NEVER' END::varchar AS is_generated, \
             CASE WHEN a.attgenerated <> '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END::varchar \
             AS generation_expression, \
             CASE WHEN c.relkind = 'r' OR c.relkind = 'v' AND pg_column_is_updatable(c.oid, a.attnum, false) \
             THEN 'YES' ELSE 'NO' END::varchar AS is_updatable ",
            attributes!(),
            "LEFT JOIN (pg_catalog.pg_depend p JOIN pg_catalog.pg_sequence s ON p.classid = 1259 AND p.objid = s.seqrelid \
             AND p.deptype = 'i') ON a.attidentity <> '' AND p.refclassid = 1259 AND p.refobjid = a.attrelid \
             AND p.refobjsubid = a.attnum WHERE c.relkind IN ('r', 'v') \
             AND (pg_catalog.pg_has_role(c.relowner, 'USAGE') \
             OR pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT, INSERT, UPDATE, REFERENCES'))"
        ),
    ),
    (
        "attributes",
        concat!(
            "SELECT current_database()::name AS udt_catalog, n.nspname AS udt_schema, c.relname AS udt_name, \
             a.attname AS attribute_name, a.attnum::int4 AS ordinal_position, \
             pg_catalog.pg_get_expr(d.adbin, d.adrelid)::varchar AS attribute_default, \
             CASE WHEN a.attnotnull OR a.of_domain AND a.never_null THEN 'NO' ELSE 'YES' END::varchar AS is_nullable, ",
            data_type!("b", "nb"),
            ", ",
            lengths!("a.ty", "a.mod"),
            ", ",
            character_set!(),
            ", ",
            collation!(),
            ", ",
            precision!("a.ty", "a.mod"),
            ", current_database()::name AS attribute_udt_catalog, nb.nspname AS attribute_udt_schema, \
             b.typname AS attribute_udt_name, NULL::name AS scope_catalog, NULL::name AS scope_schema, \
             NULL::name AS scope_name, NULL::int4 AS maximum_cardinality, a.attnum::text::name AS dtd_identifier, \
             'NO'::varchar AS is_derived_reference_attribute ",
            attributes!(),
            "JOIN pg_catalog.pg_type t ON t.oid = c.reltype WHERE c.relkind = 'c' AND ",
            usable!()
        ),
    ),
    (
        "domains",
        concat!(
            "SELECT current_database()::name AS domain_catalog, n.nspname AS domain_schema, t.typname AS domain_name, ",
            data_type!("b", "nb"),
            ", ",
            lengths!("b.oid", "t.typtypmod"),
            ", ",
            character_set!(),
            ", ",
            collation!(),
            ", ",
            precision!("b.oid", "t.typtypmod"),
            ", t.typdefault::varchar AS domain_default, current_database()::name AS udt_catalog, nb.nspname AS udt_schema, \
             b.typname AS udt_name, NULL::name AS scope_catalog, NULL::name AS scope_schema, NULL::name AS scope_name, \
             NULL::int4 AS maximum_cardinality, '1'::name AS dtd_identifier \
             FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
             JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype \
             JOIN pg_catalog.pg_namespace nb ON nb.oid = b.typnamespace",
            with_collation!("t.typcollation"),
            "WHERE t.typtype = 'd' AND ",
            usable!()
        ),
    ),
    (
        "domain_constraints",
        concat!(
            "SELECT current_database()::name AS constraint_catalog, nk.nspname AS constraint_schema, \
             k.conname AS constraint_name, current_database()::name AS domain_catalog, n.nspname AS domain_schema, \
             t.typname AS domain_name, CASE WHEN k.condeferrable THEN 'YES' ELSE 'NO' END::varchar AS is_deferrable, \
             CASE WHEN k.condeferred THEN 'YES' ELSE 'NO' END::varchar AS initially_deferred \
             FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
             JOIN pg_catalog.pg_constraint k ON k.contypid = t.oid \
             JOIN pg_catalog.pg_namespace nk ON nk.oid = k.connamespace WHERE ",
            usable!()
        ),
    ),
    (
        "domain_udt_usage",
        "SELECT current_database()::name AS udt_catalog, nb.nspname AS udt_schema, b.typname AS udt_name, \
         current_database()::name AS domain_catalog, n.nspname AS domain_schema, t.typname AS domain_name \
         FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace \
         JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype \
         JOIN pg_catalog.pg_namespace nb ON nb.oid = b.typnamespace \
         WHERE t.typtype = 'd' AND pg_catalog.pg_has_role(b.typowner, 'USAGE')",
    ),
    (
        "column_domain_usage",
        "SELECT current_database()::name AS domain_catalog, nt.nspname AS domain_schema, t.typname AS domain_name, \
         current_database()::name AS table_catalog, n.nspname AS table_schema, c.relname AS table_name, \
         a.attname AS column_name FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
         JOIN pg_catalog.pg_namespace nt ON nt.oid = t.typnamespace \
         WHERE t.typtype = 'd' AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v') \
         AND pg_catalog.pg_has_role(t.typowner, 'USAGE')",
    ),
    (
        "column_udt_usage",
        concat!(
            "SELECT current_database()::name AS udt_catalog, nb.nspname AS udt_schema, b.typname AS udt_name, \
             current_database()::name AS table_catalog, n.nspname AS table_schema, c.relname AS table_name, \
             a.attname AS column_name ",
            attributes!(),
            "WHERE c.relkind IN ('r', 'v') AND pg_catalog.pg_has_role(b.typowner, 'USAGE')"
        ),
    ),
    (
        "user_defined_types",
        concat!(
            "SELECT current_database()::name AS user_defined_type_catalog, n.nspname AS user_defined_type_schema, \
             c.relname AS user_defined_type_name, 'STRUCTURED'::varchar AS user_defined_type_category, \
             'YES'::varchar AS is_instantiable, NULL::varchar AS is_final, NULL::varchar AS ordering_form, \
             NULL::varchar AS ordering_category, NULL::name AS ordering_routine_catalog, \
             NULL::name AS ordering_routine_schema, NULL::name AS ordering_routine_name, NULL::varchar AS reference_type, \
             NULL::varchar AS data_type, NULL::int4 AS character_maximum_length, NULL::int4 AS character_octet_length, ",
            character_set!(),
            ", NULL::name AS collation_catalog, NULL::name AS collation_schema, NULL::name AS collation_name, \
             NULL::int4 AS numeric_precision, NULL::int4 AS numeric_precision_radix, NULL::int4 AS numeric_scale, \
             NULL::int4 AS datetime_precision, NULL::varchar AS interval_type, NULL::int4 AS interval_precision, \
             NULL::name AS source_dtd_identifier, NULL::name AS ref_dtd_identifier \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             JOIN pg_catalog.pg_type t ON t.oid = c.reltype WHERE c.relkind = 'c' AND ",
            usable!()
        ),
    ),
    (
        "element_types",
        concat!(
            "SELECT current_database()::name AS object_catalog, n.nspname AS object_schema, x.name AS object_name, \
             x.kind::varchar AS object_type, x.place::name AS collection_type_identifier, ",
            data_type!("e", "ne"),
            ", NULL::int4 AS character_maximum_length, NULL::int4 AS character_octet_length, ",
            character_set!(),
            ", ",
            collation!(),
            ", NULL::int4 AS numeric_precision, NULL::int4 AS numeric_precision_radix, NULL::int4 AS numeric_scale, \
             NULL::int4 AS datetime_precision, NULL::varchar AS interval_type, NULL::int4 AS interval_precision, \
             NULL::varchar AS domain_default, current_database()::name AS udt_catalog, ne.nspname AS udt_schema, \
             e.typname AS udt_name, NULL::name AS scope_catalog, NULL::name AS scope_schema, NULL::name AS scope_name, \
             NULL::int4 AS maximum_cardinality, ('a' || x.place)::name AS dtd_identifier FROM \
             (SELECT c.relnamespace AS schema, c.relname AS name, c.relowner AS owner, a.attcollation AS collation, \
             CASE c.relkind WHEN 'c' THEN 'USER-DEFINED TYPE' ELSE 'TABLE' END AS kind, a.attnum::text AS place, \
             a.atttypid AS ty FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
             WHERE c.relkind IN ('r', 'v', 'c') AND a.attnum > 0 AND NOT a.attisdropped UNION ALL \
             SELECT t.typnamespace, t.typname, t.typowner, t.typcollation, 'DOMAIN', '1', t.typbasetype \
             FROM pg_catalog.pg_type t WHERE t.typtype = 'd' UNION ALL \
             SELECT p.pronamespace, (p.proname::text || '_' || p.oid::text)::name, p.proowner, 0::oid, 'ROUTINE', \
             u.n::text, u.ty FROM pg_catalog.pg_proc p CROSS JOIN LATERAL \
             unnest(coalesce(p.proallargtypes, p.proargtypes::oid[])) WITH ORDINALITY AS u(ty, n) UNION ALL \
             SELECT p.pronamespace, (p.proname::text || '_' || p.oid::text)::name, p.proowner, 0::oid, 'ROUTINE', '0', \
             p.prorettype FROM pg_catalog.pg_proc p) x JOIN pg_catalog.pg_namespace n ON n.oid = x.schema \
             JOIN pg_catalog.pg_type t ON t.oid = x.ty AND t.typelem <> 0 AND t.typlen = -1 \
             JOIN pg_catalog.pg_type e ON e.oid = t.typelem \
             JOIN pg_catalog.pg_namespace ne ON ne.oid = e.typnamespace",
            with_collation!("x.collation"),
            "WHERE pg_catalog.pg_has_role(x.owner, 'USAGE')"
        ),
    ),
    (
        "collations",
        "SELECT current_database()::name AS collation_catalog, n.nspname AS collation_schema, \
         c.collname AS collation_name, 'NO PAD'::varchar AS pad_attribute \
         FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace",
    ),
    (
        "collation_character_set_applicability",
        "SELECT current_database()::name AS collation_catalog, n.nspname AS collation_schema, \
         c.collname AS collation_name, NULL::name AS character_set_catalog, NULL::name AS character_set_schema, \
         getdatabaseencoding() AS character_set_name \
         FROM pg_catalog.pg_collation c JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace",
    ),
    (
        "character_sets",
        "SELECT NULL::name AS character_set_catalog, NULL::name AS character_set_schema, \
         getdatabaseencoding() AS character_set_name, 'UCS'::name AS character_repertoire, \
         getdatabaseencoding() AS form_of_use, current_database()::name AS default_collate_catalog, \
         n.nspname AS default_collate_schema, c.collname AS default_collate_name FROM pg_catalog.pg_database d \
         LEFT JOIN pg_catalog.pg_collation c ON c.collcollate = d.datcollate AND c.collctype = d.datctype \
         LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.collnamespace WHERE d.datname = current_database()",
    ),
    (
        "constraint_table_usage",
        "SELECT current_database()::name AS table_catalog, n.nspname AS table_schema, c.relname AS table_name, \
         current_database()::name AS constraint_catalog, nk.nspname AS constraint_schema, \
         k.conname AS constraint_name FROM pg_catalog.pg_constraint k \
         JOIN pg_catalog.pg_class c ON c.oid = CASE k.contype WHEN 'f' THEN k.confrelid ELSE k.conrelid END \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_namespace nk ON nk.oid = k.connamespace \
         WHERE k.contype IN ('f', 'p', 'u') AND c.relkind = 'r' AND pg_catalog.pg_has_role(c.relowner, 'USAGE')",
    ),
    (
        "view_table_usage",
        "SELECT DISTINCT view_catalog, view_schema, view_name, table_catalog, table_schema, table_name \
         FROM information_schema.view_column_usage",
    ),
    (
        "view_column_usage",
        "SELECT DISTINCT current_database()::name AS view_catalog, nv.nspname AS view_schema, v.relname AS view_name, \
         current_database()::name AS table_catalog, n.nspname AS table_schema, c.relname AS table_name, \
         a.attname AS column_name FROM pg_catalog.pg_class v \
         JOIN pg_catalog.pg_namespace nv ON nv.oid = v.relnamespace \
         JOIN pg_catalog.pg_rewrite r ON r.ev_class = v.oid \
         JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid \
         AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid <> v.oid \
         JOIN pg_catalog.pg_class c ON c.oid = d.refobjid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid \
         WHERE v.relkind = 'v' AND c.relkind IN ('r', 'v') AND pg_catalog.pg_has_role(c.relowner, 'USAGE')",
    ),
];
