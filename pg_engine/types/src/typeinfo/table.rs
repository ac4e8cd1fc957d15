//! The facts of every type of PostgreSQL 15's system catalog that is not a relation's row type.

use super::{Procedure, TypeInfo};

/// Rows: oid, name, length, by value or reference, kind, category, preferred, delimiter, element, array, alignment,
/// storage, collation, then oid and name of: input, output, receive, send, typmod in, typmod out, analyze, subscript.
macro_rules! types {
    ($($oid:literal $name:literal $len:literal $pass:ident $kind:literal $category:literal $preferred:literal
        $delimiter:literal $elem:literal $array:literal $align:literal $storage:literal $collation:literal
        $in:literal $in_name:literal $out:literal $out_name:literal $recv:literal $recv_name:literal
        $send:literal $send_name:literal $modin:literal $modin_name:literal $modout:literal $modout_name:literal
        $analyze:literal $analyze_name:literal $subscript:literal $subscript_name:literal;)*) => {
        &[$(TypeInfo {
            oid: $oid,
            name: $name,
            len: $len,
            by_value: types!(@ $pass),
            kind: $kind,
            category: $category,
            preferred: $preferred,
            delimiter: $delimiter,
            element: $elem,
            array: $array,
            align: $align,
            storage: $storage,
            collation: $collation,
            input: Procedure { oid: $in, name: $in_name },
            output: Procedure { oid: $out, name: $out_name },
            receive: Procedure { oid: $recv, name: $recv_name },
            send: Procedure { oid: $send, name: $send_name },
            typmod_in: Procedure { oid: $modin, name: $modin_name },
            typmod_out: Procedure { oid: $modout, name: $modout_name },
            analyze: Procedure { oid: $analyze, name: $analyze_name },
            subscript: Procedure { oid: $subscript, name: $subscript_name },
        }),*]
    };
    (@ val) => { true };
    (@ ref) => { false };
}

/// Ascending by oid.
pub(super) static TYPES: &[TypeInfo] = types! {
    16 "bool" 1 val b'b' b'B' true b',' 0 1000 b'c' b'p' 0 1242 "boolin" 1243 "boolout" 2436 "boolrecv" 2437 "boolsend" 0 "-" 0 "-" 0 "-" 0 "-";
    17 "bytea" -1 ref b'b' b'U' false b',' 0 1001 b'i' b'x' 0 1244 "byteain" 31 "byteaout" 2412 "bytearecv" 2413 "byteasend" 0 "-" 0 "-" 0 "-" 0 "-";
    18 "char" 1 val b'b' b'Z' false b',' 0 1002 b'c' b'p' 0 1245 "charin" 33 "charout" 2434 "charrecv" 2435 "charsend" 0 "-" 0 "-" 0 "-" 0 "-";
    19 "name" 64 ref b'b' b'S' false b',' 18 1003 b'c' b'p' 950 34 "namein" 35 "nameout" 2422 "namerecv" 2423 "namesend" 0 "-" 0 "-" 0 "-" 6180 "raw_array_subscript_handler";
    20 "int8" 8 val b'b' b'N' false b',' 0 1016 b'd' b'p' 0 460 "int8in" 461 "int8out" 2408 "int8recv" 2409 "int8send" 0 "-" 0 "-" 0 "-" 0 "-";
    21 "int2" 2 val b'b' b'N' false b',' 0 1005 b's' b'p' 0 38 "int2in" 39 "int2out" 2404 "int2recv" 2405 "int2send" 0 "-" 0 "-" 0 "-" 0 "-";
    22 "int2vector" -1 ref b'b' b'A' false b',' 21 1006 b'i' b'p' 0 40 "int2vectorin" 41 "int2vectorout" 2410 "int2vectorrecv" 2411 "int2vectorsend" 0 "-" 0 "-" 0 "-" 6179 "array_subscript_handler";
    23 "int4" 4 val b'b' b'N' false b',' 0 1007 b'i' b'p' 0 42 "int4in" 43 "int4out" 2406 "int4recv" 2407 "int4send" 0 "-" 0 "-" 0 "-" 0 "-";
    24 "regproc" 4 val b'b' b'N' false b',' 0 1008 b'i' b'p' 0 44 "regprocin" 45 "regprocout" 2444 "regprocrecv" 2445 "regprocsend" 0 "-" 0 "-" 0 "-" 0 "-";
    25 "text" -1 ref b'b' b'S' true b',' 0 1009 b'i' b'x' 100 46 "textin" 47 "textout" 2414 "textrecv" 2415 "textsend" 0 "-" 0 "-" 0 "-" 0 "-";
    26 "oid" 4 val b'b' b'N' true b',' 0 1028 b'i' b'p' 0 1798 "oidin" 1799 "oidout" 2418 "oidrecv" 2419 "oidsend" 0 "-" 0 "-" 0 "-" 0 "-";
    27 "tid" 6 ref b'b' b'U' false b',' 0 1010 b's' b'p' 0 48 "tidin" 49 "tidout" 2438 "tidrecv" 2439 "tidsend" 0 "-" 0 "-" 0 "-" 0 "-";
    28 "xid" 4 val b'b' b'U' false b',' 0 1011 b'i' b'p' 0 50 "xidin" 51 "xidout" 2440 "xidrecv" 2441 "xidsend" 0 "-" 0 "-" 0 "-" 0 "-";
    29 "cid" 4 val b'b' b'U' false b',' 0 1012 b'i' b'p' 0 52 "cidin" 53 "cidout" 2442 "cidrecv" 2443 "cidsend" 0 "-" 0 "-" 0 "-" 0 "-";
    30 "oidvector" -1 ref b'b' b'A' false b',' 26 1013 b'i' b'p' 0 54 "oidvectorin" 55 "oidvectorout" 2420 "oidvectorrecv" 2421 "oidvectorsend" 0 "-" 0 "-" 0 "-" 6179 "array_subscript_handler";
    32 "pg_ddl_command" 8 val b'p' b'P' false b',' 0 0 b'd' b'p' 0 86 "pg_ddl_command_in" 87 "pg_ddl_command_out" 88 "pg_ddl_command_recv" 90 "pg_ddl_command_send" 0 "-" 0 "-" 0 "-" 0 "-";
    114 "json" -1 ref b'b' b'U' false b',' 0 199 b'i' b'x' 0 321 "json_in" 322 "json_out" 323 "json_recv" 324 "json_send" 0 "-" 0 "-" 0 "-" 0 "-";
    142 "xml" -1 ref b'b' b'U' false b',' 0 143 b'i' b'x' 0 2893 "xml_in" 2894 "xml_out" 2898 "xml_recv" 2899 "xml_send" 0 "-" 0 "-" 0 "-" 0 "-";
    143 "_xml" -1 ref b'b' b'A' false b',' 142 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    194 "pg_node_tree" -1 ref b'b' b'Z' false b',' 0 0 b'i' b'x' 100 195 "pg_node_tree_in" 196 "pg_node_tree_out" 197 "pg_node_tree_recv" 198 "pg_node_tree_send" 0 "-" 0 "-" 0 "-" 0 "-";
    199 "_json" -1 ref b'b' b'A' false b',' 114 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    269 "table_am_handler" 4 val b'p' b'P' false b',' 0 0 b'i' b'p' 0 267 "table_am_handler_in" 268 "table_am_handler_out" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-";
    271 "_xid8" -1 ref b'b' b'A' false b',' 5069 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    325 "index_am_handler" 4 val b'p' b'P' false b',' 0 0 b'i' b'p' 0 326 "index_am_handler_in" 327 "index_am_handler_out" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-";
    600 "point" 16 ref b'b' b'G' false b',' 701 1017 b'd' b'p' 0 117 "point_in" 118 "point_out" 2428 "point_recv" 2429 "point_send" 0 "-" 0 "-" 0 "-" 6180 "raw_array_subscript_handler";
    601 "lseg" 32 ref b'b' b'G' false b',' 600 1018 b'd' b'p' 0 119 "lseg_in" 120 "lseg_out" 2480 "lseg_recv" 2481 "lseg_send" 0 "-" 0 "-" 0 "-" 6180 "raw_array_subscript_handler";
    602 "path" -1 ref b'b' b'G' false b',' 0 1019 b'd' b'x' 0 121 "path_in" 122 "path_out" 2482 "path_recv" 2483 "path_send" 0 "-" 0 "-" 0 "-" 0 "-";
    603 "box" 32 ref b'b' b'G' false b';' 600 1020 b'd' b'p' 0 123 "box_in" 124 "box_out" 2484 "box_recv" 2485 "box_send" 0 "-" 0 "-" 0 "-" 6180 "raw_array_subscript_handler";
    604 "polygon" -1 ref b'b' b'G' false b',' 0 1027 b'd' b'x' 0 347 "poly_in" 348 "poly_out" 2486 "poly_recv" 2487 "poly_send" 0 "-" 0 "-" 0 "-" 0 "-";
    628 "line" 24 ref b'b' b'G' false b',' 701 629 b'd' b'p' 0 1490 "line_in" 1491 "line_out" 2488 "line_recv" 2489 "line_send" 0 "-" 0 "-" 0 "-" 6180 "raw_array_subscript_handler";
    629 "_line" -1 ref b'b' b'A' false b',' 628 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    650 "cidr" -1 ref b'b' b'I' false b',' 0 651 b'i' b'm' 0 1267 "cidr_in" 1427 "cidr_out" 2498 "cidr_recv" 2499 "cidr_send" 0 "-" 0 "-" 0 "-" 0 "-";
    651 "_cidr" -1 ref b'b' b'A' false b',' 650 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    700 "float4" 4 val b'b' b'N' false b',' 0 1021 b'i' b'p' 0 200 "float4in" 201 "float4out" 2424 "float4recv" 2425 "float4send" 0 "-" 0 "-" 0 "-" 0 "-";
    701 "float8" 8 val b'b' b'N' true b',' 0 1022 b'd' b'p' 0 214 "float8in" 215 "float8out" 2426 "float8recv" 2427 "float8send" 0 "-" 0 "-" 0 "-" 0 "-";
    705 "unknown" -2 ref b'p' b'X' false b',' 0 0 b'c' b'p' 0 109 "unknownin" 110 "unknownout" 2416 "unknownrecv" 2417 "unknownsend" 0 "-" 0 "-" 0 "-" 0 "-";
    718 "circle" 24 ref b'b' b'G' false b',' 0 719 b'd' b'p' 0 1450 "circle_in" 1451 "circle_out" 2490 "circle_recv" 2491 "circle_send" 0 "-" 0 "-" 0 "-" 0 "-";
    719 "_circle" -1 ref b'b' b'A' false b',' 718 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    774 "macaddr8" 8 ref b'b' b'U' false b',' 0 775 b'i' b'p' 0 4110 "macaddr8_in" 4111 "macaddr8_out" 3446 "macaddr8_recv" 3447 "macaddr8_send" 0 "-" 0 "-" 0 "-" 0 "-";
    775 "_macaddr8" -1 ref b'b' b'A' false b',' 774 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    790 "money" 8 val b'b' b'N' false b',' 0 791 b'd' b'p' 0 886 "cash_in" 887 "cash_out" 2492 "cash_recv" 2493 "cash_send" 0 "-" 0 "-" 0 "-" 0 "-";
    791 "_money" -1 ref b'b' b'A' false b',' 790 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    829 "macaddr" 6 ref b'b' b'U' false b',' 0 1040 b'i' b'p' 0 436 "macaddr_in" 437 "macaddr_out" 2494 "macaddr_recv" 2495 "macaddr_send" 0 "-" 0 "-" 0 "-" 0 "-";
    869 "inet" -1 ref b'b' b'I' true b',' 0 1041 b'i' b'm' 0 910 "inet_in" 911 "inet_out" 2496 "inet_recv" 2497 "inet_send" 0 "-" 0 "-" 0 "-" 0 "-";
    1000 "_bool" -1 ref b'b' b'A' false b',' 16 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1001 "_bytea" -1 ref b'b' b'A' false b',' 17 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1002 "_char" -1 ref b'b' b'A' false b',' 18 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1003 "_name" -1 ref b'b' b'A' false b',' 19 0 b'i' b'x' 950 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1005 "_int2" -1 ref b'b' b'A' false b',' 21 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1006 "_int2vector" -1 ref b'b' b'A' false b',' 22 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1007 "_int4" -1 ref b'b' b'A' false b',' 23 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1008 "_regproc" -1 ref b'b' b'A' false b',' 24 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1009 "_text" -1 ref b'b' b'A' false b',' 25 0 b'i' b'x' 100 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1010 "_tid" -1 ref b'b' b'A' false b',' 27 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1011 "_xid" -1 ref b'b' b'A' false b',' 28 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1012 "_cid" -1 ref b'b' b'A' false b',' 29 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1013 "_oidvector" -1 ref b'b' b'A' false b',' 30 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1014 "_bpchar" -1 ref b'b' b'A' false b',' 1042 0 b'i' b'x' 100 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 2913 "bpchartypmodin" 2914 "bpchartypmodout" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1015 "_varchar" -1 ref b'b' b'A' false b',' 1043 0 b'i' b'x' 100 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 2915 "varchartypmodin" 2916 "varchartypmodout" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1016 "_int8" -1 ref b'b' b'A' false b',' 20 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1017 "_point" -1 ref b'b' b'A' false b',' 600 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1018 "_lseg" -1 ref b'b' b'A' false b',' 601 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1019 "_path" -1 ref b'b' b'A' false b',' 602 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1020 "_box" -1 ref b'b' b'A' false b';' 603 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1021 "_float4" -1 ref b'b' b'A' false b',' 700 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1022 "_float8" -1 ref b'b' b'A' false b',' 701 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1027 "_polygon" -1 ref b'b' b'A' false b',' 604 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1028 "_oid" -1 ref b'b' b'A' false b',' 26 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1033 "aclitem" 12 ref b'b' b'U' false b',' 0 1034 b'i' b'p' 0 1031 "aclitemin" 1032 "aclitemout" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-";
    1034 "_aclitem" -1 ref b'b' b'A' false b',' 1033 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1040 "_macaddr" -1 ref b'b' b'A' false b',' 829 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1041 "_inet" -1 ref b'b' b'A' false b',' 869 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1042 "bpchar" -1 ref b'b' b'S' false b',' 0 1014 b'i' b'x' 100 1044 "bpcharin" 1045 "bpcharout" 2430 "bpcharrecv" 2431 "bpcharsend" 2913 "bpchartypmodin" 2914 "bpchartypmodout" 0 "-" 0 "-";
    1043 "varchar" -1 ref b'b' b'S' false b',' 0 1015 b'i' b'x' 100 1046 "varcharin" 1047 "varcharout" 2432 "varcharrecv" 2433 "varcharsend" 2915 "varchartypmodin" 2916 "varchartypmodout" 0 "-" 0 "-";
    1082 "date" 4 val b'b' b'D' false b',' 0 1182 b'i' b'p' 0 1084 "date_in" 1085 "date_out" 2468 "date_recv" 2469 "date_send" 0 "-" 0 "-" 0 "-" 0 "-";
    1083 "time" 8 val b'b' b'D' false b',' 0 1183 b'd' b'p' 0 1143 "time_in" 1144 "time_out" 2470 "time_recv" 2471 "time_send" 2909 "timetypmodin" 2910 "timetypmodout" 0 "-" 0 "-";
    1114 "timestamp" 8 val b'b' b'D' false b',' 0 1115 b'd' b'p' 0 1312 "timestamp_in" 1313 "timestamp_out" 2474 "timestamp_recv" 2475 "timestamp_send" 2905 "timestamptypmodin" 2906 "timestamptypmodout" 0 "-" 0 "-";
    1115 "_timestamp" -1 ref b'b' b'A' false b',' 1114 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 2905 "timestamptypmodin" 2906 "timestamptypmodout" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1182 "_date" -1 ref b'b' b'A' false b',' 1082 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1183 "_time" -1 ref b'b' b'A' false b',' 1083 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 2909 "timetypmodin" 2910 "timetypmodout" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1184 "timestamptz" 8 val b'b' b'D' true b',' 0 1185 b'd' b'p' 0 1150 "timestamptz_in" 1151 "timestamptz_out" 2476 "timestamptz_recv" 2477 "timestamptz_send" 2907 "timestamptztypmodin" 2908 "timestamptztypmodout" 0 "-" 0 "-";
    1185 "_timestamptz" -1 ref b'b' b'A' false b',' 1184 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 2907 "timestamptztypmodin" 2908 "timestamptztypmodout" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1186 "interval" 16 ref b'b' b'T' true b',' 0 1187 b'd' b'p' 0 1160 "interval_in" 1161 "interval_out" 2478 "interval_recv" 2479 "interval_send" 2903 "intervaltypmodin" 2904 "intervaltypmodout" 0 "-" 0 "-";
    1187 "_interval" -1 ref b'b' b'A' false b',' 1186 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 2903 "intervaltypmodin" 2904 "intervaltypmodout" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1231 "_numeric" -1 ref b'b' b'A' false b',' 1700 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 2917 "numerictypmodin" 2918 "numerictypmodout" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1263 "_cstring" -1 ref b'b' b'A' false b',' 2275 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1266 "timetz" 12 ref b'b' b'D' false b',' 0 1270 b'd' b'p' 0 1350 "timetz_in" 1351 "timetz_out" 2472 "timetz_recv" 2473 "timetz_send" 2911 "timetztypmodin" 2912 "timetztypmodout" 0 "-" 0 "-";
    1270 "_timetz" -1 ref b'b' b'A' false b',' 1266 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 2911 "timetztypmodin" 2912 "timetztypmodout" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1560 "bit" -1 ref b'b' b'V' false b',' 0 1561 b'i' b'x' 0 1564 "bit_in" 1565 "bit_out" 2456 "bit_recv" 2457 "bit_send" 2919 "bittypmodin" 2920 "bittypmodout" 0 "-" 0 "-";
    1561 "_bit" -1 ref b'b' b'A' false b',' 1560 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 2919 "bittypmodin" 2920 "bittypmodout" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1562 "varbit" -1 ref b'b' b'V' true b',' 0 1563 b'i' b'x' 0 1579 "varbit_in" 1580 "varbit_out" 2458 "varbit_recv" 2459 "varbit_send" 2902 "varbittypmodin" 2921 "varbittypmodout" 0 "-" 0 "-";
    1563 "_varbit" -1 ref b'b' b'A' false b',' 1562 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 2902 "varbittypmodin" 2921 "varbittypmodout" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    1700 "numeric" -1 ref b'b' b'N' false b',' 0 1231 b'i' b'm' 0 1701 "numeric_in" 1702 "numeric_out" 2460 "numeric_recv" 2461 "numeric_send" 2917 "numerictypmodin" 2918 "numerictypmodout" 0 "-" 0 "-";
    1790 "refcursor" -1 ref b'b' b'U' false b',' 0 2201 b'i' b'x' 0 46 "textin" 47 "textout" 2414 "textrecv" 2415 "textsend" 0 "-" 0 "-" 0 "-" 0 "-";
    2201 "_refcursor" -1 ref b'b' b'A' false b',' 1790 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    2202 "regprocedure" 4 val b'b' b'N' false b',' 0 2207 b'i' b'p' 0 2212 "regprocedurein" 2213 "regprocedureout" 2446 "regprocedurerecv" 2447 "regproceduresend" 0 "-" 0 "-" 0 "-" 0 "-";
    2203 "regoper" 4 val b'b' b'N' false b',' 0 2208 b'i' b'p' 0 2214 "regoperin" 2215 "regoperout" 2448 "regoperrecv" 2449 "regopersend" 0 "-" 0 "-" 0 "-" 0 "-";
    2204 "regoperator" 4 val b'b' b'N' false b',' 0 2209 b'i' b'p' 0 2216 "regoperatorin" 2217 "regoperatorout" 2450 "regoperatorrecv" 2451 "regoperatorsend" 0 "-" 0 "-" 0 "-" 0 "-";
    2205 "regclass" 4 val b'b' b'N' false b',' 0 2210 b'i' b'p' 0 2218 "regclassin" 2219 "regclassout" 2452 "regclassrecv" 2453 "regclasssend" 0 "-" 0 "-" 0 "-" 0 "-";
    2206 "regtype" 4 val b'b' b'N' false b',' 0 2211 b'i' b'p' 0 2220 "regtypein" 2221 "regtypeout" 2454 "regtyperecv" 2455 "regtypesend" 0 "-" 0 "-" 0 "-" 0 "-";
    2207 "_regprocedure" -1 ref b'b' b'A' false b',' 2202 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    2208 "_regoper" -1 ref b'b' b'A' false b',' 2203 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    2209 "_regoperator" -1 ref b'b' b'A' false b',' 2204 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    2210 "_regclass" -1 ref b'b' b'A' false b',' 2205 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    2211 "_regtype" -1 ref b'b' b'A' false b',' 2206 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    2249 "record" -1 ref b'p' b'P' false b',' 0 2287 b'd' b'x' 0 2290 "record_in" 2291 "record_out" 2402 "record_recv" 2403 "record_send" 0 "-" 0 "-" 0 "-" 0 "-";
    2275 "cstring" -2 ref b'p' b'P' false b',' 0 1263 b'c' b'p' 0 2292 "cstring_in" 2293 "cstring_out" 2500 "cstring_recv" 2501 "cstring_send" 0 "-" 0 "-" 0 "-" 0 "-";
    2276 "any" 4 val b'p' b'P' false b',' 0 0 b'i' b'p' 0 2294 "any_in" 2295 "any_out" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-";
    2277 "anyarray" -1 ref b'p' b'P' false b',' 0 0 b'd' b'x' 0 2296 "anyarray_in" 2297 "anyarray_out" 2502 "anyarray_recv" 2503 "anyarray_send" 0 "-" 0 "-" 0 "-" 0 "-";
    2278 "void" 4 val b'p' b'P' false b',' 0 0 b'i' b'p' 0 2298 "void_in" 2299 "void_out" 3120 "void_recv" 3121 "void_send" 0 "-" 0 "-" 0 "-" 0 "-";
    2279 "trigger" 4 val b'p' b'P' false b',' 0 0 b'i' b'p' 0 2300 "trigger_in" 2301 "trigger_out" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-";
    2280 "language_handler" 4 val b'p' b'P' false b',' 0 0 b'i' b'p' 0 2302 "language_handler_in" 2303 "language_handler_out" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-";
    2281 "internal" 8 val b'p' b'P' false b',' 0 0 b'd' b'p' 0 2304 "internal_in" 2305 "internal_out" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-";
    2283 "anyelement" 4 val b'p' b'P' false b',' 0 0 b'i' b'p' 0 2312 "anyelement_in" 2313 "anyelement_out" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-";
    2287 "_record" -1 ref b'p' b'P' false b',' 2249 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    2776 "anynonarray" 4 val b'p' b'P' false b',' 0 0 b'i' b'p' 0 2777 "anynonarray_in" 2778 "anynonarray_out" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-";
    2949 "_txid_snapshot" -1 ref b'b' b'A' false b',' 2970 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    2950 "uuid" 16 ref b'b' b'U' false b',' 0 2951 b'c' b'p' 0 2952 "uuid_in" 2953 "uuid_out" 2961 "uuid_recv" 2962 "uuid_send" 0 "-" 0 "-" 0 "-" 0 "-";
    2951 "_uuid" -1 ref b'b' b'A' false b',' 2950 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    2970 "txid_snapshot" -1 ref b'b' b'U' false b',' 0 2949 b'd' b'x' 0 2939 "txid_snapshot_in" 2940 "txid_snapshot_out" 2941 "txid_snapshot_recv" 2942 "txid_snapshot_send" 0 "-" 0 "-" 0 "-" 0 "-";
    3115 "fdw_handler" 4 val b'p' b'P' false b',' 0 0 b'i' b'p' 0 3116 "fdw_handler_in" 3117 "fdw_handler_out" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-";
    3220 "pg_lsn" 8 val b'b' b'U' false b',' 0 3221 b'd' b'p' 0 3229 "pg_lsn_in" 3230 "pg_lsn_out" 3238 "pg_lsn_recv" 3239 "pg_lsn_send" 0 "-" 0 "-" 0 "-" 0 "-";
    3221 "_pg_lsn" -1 ref b'b' b'A' false b',' 3220 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    3310 "tsm_handler" 4 val b'p' b'P' false b',' 0 0 b'i' b'p' 0 3311 "tsm_handler_in" 3312 "tsm_handler_out" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-";
    3361 "pg_ndistinct" -1 ref b'b' b'Z' false b',' 0 0 b'i' b'x' 100 3355 "pg_ndistinct_in" 3356 "pg_ndistinct_out" 3357 "pg_ndistinct_recv" 3358 "pg_ndistinct_send" 0 "-" 0 "-" 0 "-" 0 "-";
    3402 "pg_dependencies" -1 ref b'b' b'Z' false b',' 0 0 b'i' b'x' 100 3404 "pg_dependencies_in" 3405 "pg_dependencies_out" 3406 "pg_dependencies_recv" 3407 "pg_dependencies_send" 0 "-" 0 "-" 0 "-" 0 "-";
    3500 "anyenum" 4 val b'p' b'P' false b',' 0 0 b'i' b'p' 0 3504 "anyenum_in" 3505 "anyenum_out" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-";
    3614 "tsvector" -1 ref b'b' b'U' false b',' 0 3643 b'i' b'x' 0 3610 "tsvectorin" 3611 "tsvectorout" 3639 "tsvectorrecv" 3638 "tsvectorsend" 0 "-" 0 "-" 3688 "ts_typanalyze" 0 "-";
    3615 "tsquery" -1 ref b'b' b'U' false b',' 0 3645 b'i' b'p' 0 3612 "tsqueryin" 3613 "tsqueryout" 3641 "tsqueryrecv" 3640 "tsquerysend" 0 "-" 0 "-" 0 "-" 0 "-";
    3642 "gtsvector" -1 ref b'b' b'U' false b',' 0 3644 b'i' b'p' 0 3646 "gtsvectorin" 3647 "gtsvectorout" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-";
    3643 "_tsvector" -1 ref b'b' b'A' false b',' 3614 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    3644 "_gtsvector" -1 ref b'b' b'A' false b',' 3642 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    3645 "_tsquery" -1 ref b'b' b'A' false b',' 3615 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    3734 "regconfig" 4 val b'b' b'N' false b',' 0 3735 b'i' b'p' 0 3736 "regconfigin" 3737 "regconfigout" 3738 "regconfigrecv" 3739 "regconfigsend" 0 "-" 0 "-" 0 "-" 0 "-";
    3735 "_regconfig" -1 ref b'b' b'A' false b',' 3734 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    3769 "regdictionary" 4 val b'b' b'N' false b',' 0 3770 b'i' b'p' 0 3771 "regdictionaryin" 3772 "regdictionaryout" 3773 "regdictionaryrecv" 3774 "regdictionarysend" 0 "-" 0 "-" 0 "-" 0 "-";
    3770 "_regdictionary" -1 ref b'b' b'A' false b',' 3769 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    3802 "jsonb" -1 ref b'b' b'U' false b',' 0 3807 b'i' b'x' 0 3806 "jsonb_in" 3804 "jsonb_out" 3805 "jsonb_recv" 3803 "jsonb_send" 0 "-" 0 "-" 0 "-" 6098 "jsonb_subscript_handler";
    3807 "_jsonb" -1 ref b'b' b'A' false b',' 3802 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    3831 "anyrange" -1 ref b'p' b'P' false b',' 0 0 b'd' b'x' 0 3832 "anyrange_in" 3833 "anyrange_out" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-";
    3838 "event_trigger" 4 val b'p' b'P' false b',' 0 0 b'i' b'p' 0 3594 "event_trigger_in" 3595 "event_trigger_out" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-";
    3904 "int4range" -1 ref b'r' b'R' false b',' 0 3905 b'i' b'x' 0 3834 "range_in" 3835 "range_out" 3836 "range_recv" 3837 "range_send" 0 "-" 0 "-" 3916 "range_typanalyze" 0 "-";
    3905 "_int4range" -1 ref b'b' b'A' false b',' 3904 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    3906 "numrange" -1 ref b'r' b'R' false b',' 0 3907 b'i' b'x' 0 3834 "range_in" 3835 "range_out" 3836 "range_recv" 3837 "range_send" 0 "-" 0 "-" 3916 "range_typanalyze" 0 "-";
    3907 "_numrange" -1 ref b'b' b'A' false b',' 3906 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    3908 "tsrange" -1 ref b'r' b'R' false b',' 0 3909 b'd' b'x' 0 3834 "range_in" 3835 "range_out" 3836 "range_recv" 3837 "range_send" 0 "-" 0 "-" 3916 "range_typanalyze" 0 "-";
    3909 "_tsrange" -1 ref b'b' b'A' false b',' 3908 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    3910 "tstzrange" -1 ref b'r' b'R' false b',' 0 3911 b'd' b'x' 0 3834 "range_in" 3835 "range_out" 3836 "range_recv" 3837 "range_send" 0 "-" 0 "-" 3916 "range_typanalyze" 0 "-";
    3911 "_tstzrange" -1 ref b'b' b'A' false b',' 3910 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    3912 "daterange" -1 ref b'r' b'R' false b',' 0 3913 b'i' b'x' 0 3834 "range_in" 3835 "range_out" 3836 "range_recv" 3837 "range_send" 0 "-" 0 "-" 3916 "range_typanalyze" 0 "-";
    3913 "_daterange" -1 ref b'b' b'A' false b',' 3912 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    3926 "int8range" -1 ref b'r' b'R' false b',' 0 3927 b'd' b'x' 0 3834 "range_in" 3835 "range_out" 3836 "range_recv" 3837 "range_send" 0 "-" 0 "-" 3916 "range_typanalyze" 0 "-";
    3927 "_int8range" -1 ref b'b' b'A' false b',' 3926 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    4072 "jsonpath" -1 ref b'b' b'U' false b',' 0 4073 b'i' b'x' 0 4001 "jsonpath_in" 4003 "jsonpath_out" 4002 "jsonpath_recv" 4004 "jsonpath_send" 0 "-" 0 "-" 0 "-" 0 "-";
    4073 "_jsonpath" -1 ref b'b' b'A' false b',' 4072 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    4089 "regnamespace" 4 val b'b' b'N' false b',' 0 4090 b'i' b'p' 0 4084 "regnamespacein" 4085 "regnamespaceout" 4087 "regnamespacerecv" 4088 "regnamespacesend" 0 "-" 0 "-" 0 "-" 0 "-";
    4090 "_regnamespace" -1 ref b'b' b'A' false b',' 4089 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    4096 "regrole" 4 val b'b' b'N' false b',' 0 4097 b'i' b'p' 0 4098 "regrolein" 4092 "regroleout" 4094 "regrolerecv" 4095 "regrolesend" 0 "-" 0 "-" 0 "-" 0 "-";
    4097 "_regrole" -1 ref b'b' b'A' false b',' 4096 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    4191 "regcollation" 4 val b'b' b'N' false b',' 0 4192 b'i' b'p' 0 4193 "regcollationin" 4194 "regcollationout" 4196 "regcollationrecv" 4197 "regcollationsend" 0 "-" 0 "-" 0 "-" 0 "-";
    4192 "_regcollation" -1 ref b'b' b'A' false b',' 4191 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    4451 "int4multirange" -1 ref b'm' b'R' false b',' 0 6150 b'i' b'x' 0 4231 "multirange_in" 4232 "multirange_out" 4233 "multirange_recv" 4234 "multirange_send" 0 "-" 0 "-" 4242 "multirange_typanalyze" 0 "-";
    4532 "nummultirange" -1 ref b'm' b'R' false b',' 0 6151 b'i' b'x' 0 4231 "multirange_in" 4232 "multirange_out" 4233 "multirange_recv" 4234 "multirange_send" 0 "-" 0 "-" 4242 "multirange_typanalyze" 0 "-";
    4533 "tsmultirange" -1 ref b'm' b'R' false b',' 0 6152 b'd' b'x' 0 4231 "multirange_in" 4232 "multirange_out" 4233 "multirange_recv" 4234 "multirange_send" 0 "-" 0 "-" 4242 "multirange_typanalyze" 0 "-";
    4534 "tstzmultirange" -1 ref b'm' b'R' false b',' 0 6153 b'd' b'x' 0 4231 "multirange_in" 4232 "multirange_out" 4233 "multirange_recv" 4234 "multirange_send" 0 "-" 0 "-" 4242 "multirange_typanalyze" 0 "-";
    4535 "datemultirange" -1 ref b'm' b'R' false b',' 0 6155 b'i' b'x' 0 4231 "multirange_in" 4232 "multirange_out" 4233 "multirange_recv" 4234 "multirange_send" 0 "-" 0 "-" 4242 "multirange_typanalyze" 0 "-";
    4536 "int8multirange" -1 ref b'm' b'R' false b',' 0 6157 b'd' b'x' 0 4231 "multirange_in" 4232 "multirange_out" 4233 "multirange_recv" 4234 "multirange_send" 0 "-" 0 "-" 4242 "multirange_typanalyze" 0 "-";
    4537 "anymultirange" -1 ref b'p' b'P' false b',' 0 0 b'd' b'x' 0 4229 "anymultirange_in" 4230 "anymultirange_out" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-";
    4538 "anycompatiblemultirange" -1 ref b'p' b'P' false b',' 0 0 b'd' b'x' 0 4226 "anycompatiblemultirange_in" 4227 "anycompatiblemultirange_out" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-";
    4600 "pg_brin_bloom_summary" -1 ref b'b' b'Z' false b',' 0 0 b'i' b'x' 100 4596 "brin_bloom_summary_in" 4597 "brin_bloom_summary_out" 4598 "brin_bloom_summary_recv" 4599 "brin_bloom_summary_send" 0 "-" 0 "-" 0 "-" 0 "-";
    4601 "pg_brin_minmax_multi_summary" -1 ref b'b' b'Z' false b',' 0 0 b'i' b'x' 100 4638 "brin_minmax_multi_summary_in" 4639 "brin_minmax_multi_summary_out" 4640 "brin_minmax_multi_summary_recv" 4641 "brin_minmax_multi_summary_send" 0 "-" 0 "-" 0 "-" 0 "-";
    5017 "pg_mcv_list" -1 ref b'b' b'Z' false b',' 0 0 b'i' b'x' 100 5018 "pg_mcv_list_in" 5019 "pg_mcv_list_out" 5020 "pg_mcv_list_recv" 5021 "pg_mcv_list_send" 0 "-" 0 "-" 0 "-" 0 "-";
    5038 "pg_snapshot" -1 ref b'b' b'U' false b',' 0 5039 b'd' b'x' 0 5055 "pg_snapshot_in" 5056 "pg_snapshot_out" 5057 "pg_snapshot_recv" 5058 "pg_snapshot_send" 0 "-" 0 "-" 0 "-" 0 "-";
    5039 "_pg_snapshot" -1 ref b'b' b'A' false b',' 5038 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    5069 "xid8" 8 val b'b' b'U' false b',' 0 271 b'd' b'p' 0 5070 "xid8in" 5081 "xid8out" 5082 "xid8recv" 5083 "xid8send" 0 "-" 0 "-" 0 "-" 0 "-";
    5077 "anycompatible" 4 val b'p' b'P' false b',' 0 0 b'i' b'p' 0 5086 "anycompatible_in" 5087 "anycompatible_out" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-";
    5078 "anycompatiblearray" -1 ref b'p' b'P' false b',' 0 0 b'd' b'x' 0 5088 "anycompatiblearray_in" 5089 "anycompatiblearray_out" 5090 "anycompatiblearray_recv" 5091 "anycompatiblearray_send" 0 "-" 0 "-" 0 "-" 0 "-";
    5079 "anycompatiblenonarray" 4 val b'p' b'P' false b',' 0 0 b'i' b'p' 0 5092 "anycompatiblenonarray_in" 5093 "anycompatiblenonarray_out" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-";
    5080 "anycompatiblerange" -1 ref b'p' b'P' false b',' 0 0 b'd' b'x' 0 5094 "anycompatiblerange_in" 5095 "anycompatiblerange_out" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-" 0 "-";
    6150 "_int4multirange" -1 ref b'b' b'A' false b',' 4451 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    6151 "_nummultirange" -1 ref b'b' b'A' false b',' 4532 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    6152 "_tsmultirange" -1 ref b'b' b'A' false b',' 4533 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    6153 "_tstzmultirange" -1 ref b'b' b'A' false b',' 4534 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    6155 "_datemultirange" -1 ref b'b' b'A' false b',' 4535 0 b'i' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
    6157 "_int8multirange" -1 ref b'b' b'A' false b',' 4536 0 b'd' b'x' 0 750 "array_in" 751 "array_out" 2400 "array_recv" 2401 "array_send" 0 "-" 0 "-" 3816 "array_typanalyze" 6179 "array_subscript_handler";
};
