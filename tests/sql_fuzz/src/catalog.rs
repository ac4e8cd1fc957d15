//! The operators, functions, casts and aggregates of a server by their types: what expressions are made of.

use std::{collections::HashMap, io};

use crate::{
    client::Client,
    values::{TYPES, Type, array_of, known},
};

/// A function or an operator.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its name.
    pub name: String,
    /// The types of what it takes.
    pub arguments: Vec<Type>,
}

/// What there is, by the type that it gives.
#[derive(Default)]
pub struct Catalog {
    /// Operators; one argument means that they stand before it.
    pub operators: HashMap<Type, Vec<Call>>,
    /// Functions.
    pub functions: HashMap<Type, Vec<Call>>,
    /// Aggregates of one argument or two.
    pub aggregates: HashMap<Type, Vec<Call>>,
    /// From which types there are casts.
    pub casts: HashMap<Type, Vec<Type>>,
}

const OPERATORS: &str = "SELECT oprname, coalesce(nullif(oprleft, 0)::regtype::text, ''), oprright::regtype::text, oprresult::regtype::text \
     FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode WHERE oprright <> 0 AND p.provolatile <> 'v' ORDER BY o.oid";

/// Functions whose value does not follow from their arguments, or that are the insides of others.
const FUNCTIONS: &str = "SELECT proname, array_to_string(ARRAY(SELECT a::regtype::text FROM unnest(proargtypes::oid[]) a), '|'), \
     prorettype::regtype::text, prokind FROM pg_proc p WHERE prokind IN ('f', 'a') AND NOT proretset AND provariadic = 0 \
     AND pronamespace = 'pg_catalog'::regnamespace AND pronargs BETWEEN 1 AND 4 \
     AND (provolatile = 'i' OR proname IN ('date_part', 'extract', 'date_trunc', 'to_char', 'to_date', 'to_timestamp', 'timezone', \
          'concat', 'concat_ws', 'format', 'to_json', 'to_jsonb', 'array_to_string', 'array_to_json', 'json_build_array', 'quote_literal')) \
     AND proname !~ '^(.*range_subdiff|interval$|age$|int[248]_sum|int2int4_sum|.*accum_inv|gin_|gist_|spg_|normalize$|is_normalized$|to_ascii$|unique_key|.*_larger$|.*_smaller$|pg_|dagdb|intralith|has_|_|hash|uuid_hash|jsonb_hash|bttext|byteacmp$|bt|in_range|like_escape|interval_support|range|ts_|tsq|lo_|bpchar_|int8_avg|booland|boolor|numeric_inc|json_to|jsonb_to|percentile|mode|rank|dense_rank|cume|int[248]inc|bitcat|string_agg|array_agg|json.*_agg|xml|regr_|corr|covar|stddev|var|row_security|float8_|network_sub|network_sup|makeaclitem|time.*_support|numeric_support|varchar_support|shobj|obj_|col_desc|nameicl|texticl|.*(_in|in|_out|out|_recv|recv|_send|send|_cmp|sortsupport|_support|typmod|_hash|hash_extended|_accum|_combine|_trans.*|_final.*|sel)$)' \
     ORDER BY p.oid";

const CASTS: &str = "SELECT castsource::regtype::text, casttarget::regtype::text FROM pg_cast ORDER BY oid";

/// Every way in which polymorphic arguments and a result become types that are known.
fn instances(arguments: &[&str], result: &str) -> Vec<(Vec<Type>, Type)> {
    let polymorphic = |t: &&str| t.starts_with("any");
    let all = || arguments.iter().copied().chain([result]);
    let concrete = |element: Type| -> Option<Vec<Type>> {
        all()
            .map(|t| match t {
                "anyarray" | "anycompatiblearray" => array_of(element),
                "anyelement" | "anycompatible" | "anynonarray" | "anycompatiblenonarray" | "any" => {
                    Some(element)
                }
                "anyenum" => Some("mood"),
                "\"char\"" => None,
                other => known(other),
            })
            .collect()
    };
    let elements: &[Type] = if all().any(|t| polymorphic(&t)) {
        &["integer", "text", "numeric", "date", "boolean"]
    } else {
        &["integer"]
    };
    elements
        .iter()
        .filter_map(|e| {
            let mut types = concrete(e)?;
            let result = types.pop()?;
            Some((types, result))
        })
        .collect()
}

impl Catalog {
    /// Reads a server's catalogs.
    pub fn read(client: &mut Client) -> io::Result<Self> {
        let mut catalog = Self::default();
        for row in client.rows(OPERATORS)? {
            let arguments: Vec<&str> =
                row[1..3].iter().map(String::as_str).filter(|t| !t.is_empty()).collect();
            for (arguments, result) in instances(&arguments, &row[3]) {
                catalog.operators.entry(result).or_default().push(Call { name: row[0].clone(), arguments });
            }
        }
        for row in client.rows(FUNCTIONS)? {
            let arguments: Vec<&str> = row[1].split('|').collect();
            for (arguments, result) in instances(&arguments, &row[2]) {
                let kind = if row[3] == "a" { &mut catalog.aggregates } else { &mut catalog.functions };
                kind.entry(result).or_default().push(Call { name: row[0].clone(), arguments });
            }
        }
        for row in client.rows(CASTS)? {
            if let (Some(from), Some(to)) = (known(&row[0]), known(&row[1])) {
                catalog.casts.entry(to).or_default().push(from);
            }
        }
        for to in TYPES {
            // Every type has its text.
            catalog.casts.entry(to).or_default().push("text");
            if to != "text" {
                catalog.casts.entry("text").or_default().push(to);
            }
        }
        Ok(catalog)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polymorphic_signatures_become_types() {
        let all = instances(&["anyarray", "anyelement"], "boolean");
        assert!(all.contains(&(vec!["text[]", "text"], "boolean")));
        assert_eq!(instances(&["integer", "bigint"], "text"), [(vec!["integer", "bigint"], "text")]);
        assert!(instances(&["internal"], "text").is_empty());
    }
}
