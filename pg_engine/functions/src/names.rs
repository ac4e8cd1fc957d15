//! Names of parameters of built-in functions (`pg_proc.proargnames`): what `name => value` may say.

use pg_types::Oid;

/// The names of a function's parameters; none if they have no names.
pub fn parameter_names(function: Oid) -> &'static [&'static str] {
    let found = NAMES.binary_search_by_key(&function, |entry| entry.0).ok();
    found.and_then(|i| NAMES.get(i)).map_or(&[], |entry| entry.1)
}

/// By `pg_proc.oid`, ascending.
#[rustfmt::skip]
static NAMES: &[(Oid, &[&str])] = &[
    (1177, &["target", "path", "vars", "silent"]), // jsonb_path_exists_tz
    (1179, &["target", "path", "vars", "silent"]), // jsonb_path_query_tz
    (1180, &["target", "path", "vars", "silent"]), // jsonb_path_query_array_tz
    (1268, &["str", "strict"]), // parse_ident
    (1689, &["acl"]), // aclexplode
    (2023, &["target", "path", "vars", "silent"]), // jsonb_path_query_first_tz
    (2030, &["target", "path", "vars", "silent"]), // jsonb_path_match_tz
    (2096, &["pid", "timeout"]), // pg_terminate_backend
    (2289, &["options_array"]), // pg_options_to_table
    (3078, &["sequence_oid"]), // pg_sequence_parameters
    (3208, &["from_json"]), // jsonb_each
    (3214, &["from_json", "field_name"]), // jsonb_object_field_text
    (3215, &["from_json", "element_index"]), // jsonb_array_element
    (3216, &["from_json", "element_index"]), // jsonb_array_element_text
    (3217, &["from_json", "path_elems"]), // jsonb_extract_path
    (3219, &["from_json"]), // jsonb_array_elements
    (3305, &["jsonb_in", "path", "replacement", "create_if_missing"]), // jsonb_set
    (3343, &["from_json", "path_elems"]), // jsonb_delete
    (3425, &["partitionid"]), // pg_partition_ancestors
    (3461, &["year", "month", "mday", "hour", "min", "sec"]), // make_timestamp
    (3462, &["year", "month", "mday", "hour", "min", "sec"]), // make_timestamptz
    (3463, &["year", "month", "mday", "hour", "min", "sec", "timezone"]), // make_timestamptz
    (3464, &["years", "months", "weeks", "days", "hours", "mins", "secs"]), // make_interval
    (3465, &["from_json"]), // jsonb_array_elements_text
    (3478, &["from_json", "field_name"]), // jsonb_object_field
    (3579, &["jsonb_in", "path", "replacement", "insert_after"]), // jsonb_insert
    (3839, &["classid", "objid", "objsubid"]), // pg_identify_object
    (3846, &["year", "month", "day"]), // make_date
    (3847, &["hour", "min", "sec"]), // make_time
    (3932, &["from_json"]), // jsonb_each_text
    (3940, &["from_json", "path_elems"]), // jsonb_extract_path_text
    (3947, &["from_json", "field_name"]), // json_object_field
    (3948, &["from_json", "field_name"]), // json_object_field_text
    (3949, &["from_json", "element_index"]), // json_array_element
    (3950, &["from_json", "element_index"]), // json_array_element_text
    (3951, &["from_json", "path_elems"]), // json_extract_path
    (3953, &["from_json", "path_elems"]), // json_extract_path_text
    (3955, &["from_json"]), // json_array_elements
    (3958, &["from_json"]), // json_each
    (3959, &["from_json"]), // json_each_text
    (3960, &["base", "from_json", "use_json_as_text"]), // json_populate_record
    (3961, &["base", "from_json", "use_json_as_text"]), // json_populate_recordset
    (3969, &["from_json"]), // json_array_elements_text
    (4005, &["target", "path", "vars", "silent"]), // jsonb_path_exists
    (4006, &["target", "path", "vars", "silent"]), // jsonb_path_query
    (4007, &["target", "path", "vars", "silent"]), // jsonb_path_query_array
    (4008, &["target", "path", "vars", "silent"]), // jsonb_path_query_first
    (4009, &["target", "path", "vars", "silent"]), // jsonb_path_match
    (5054, &["jsonb_in", "path", "replacement", "create_if_missing", "null_value_treatment"]), // jsonb_set_lax
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_parameters() {
        assert!(NAMES.is_sorted_by_key(|e| e.0));
        for (oid, names) in NAMES {
            let function = crate::registry().function(*oid);
            assert_eq!(function.map(|f| f.args.len()), Some(names.len()), "function {oid}");
        }
    }
}
