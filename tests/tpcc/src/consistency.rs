//! What holds between the tables whatever the terminals did (clause 3.3.2), and what the tables are after a run.

use postgres::Client;

use crate::{DISTRICTS, Error, Result, Scale, Tally, load::TABLES};

/// Conditions 1 to 10 and 12 of clause 3.3.2: what each says, and a query of what breaks it. (11 is of the beginning only.)
const CONDITIONS: [(&str, &str); 12] = [
    (
        "1: a warehouse's year is its districts'",
        "SELECT w_id FROM warehouse WHERE w_ytd <> (SELECT sum(d_ytd) FROM district WHERE d_w_id = w_id)",
    ),
    (
        "2: a district's next order follows its last one",
        "SELECT d_w_id, d_id FROM district LEFT JOIN (SELECT o_w_id, o_d_id, max(o_id) AS last FROM orders GROUP BY 1, 2) o \
         ON o_w_id = d_w_id AND o_d_id = d_id WHERE d_next_o_id - 1 IS DISTINCT FROM last",
    ),
    (
        "2: orders that wait are the last ones",
        "SELECT d_w_id, d_id FROM district JOIN (SELECT no_w_id, no_d_id, max(no_o_id) AS last FROM new_order GROUP BY 1, 2) n \
         ON no_w_id = d_w_id AND no_d_id = d_id WHERE d_next_o_id - 1 <> last",
    ),
    (
        "3: orders that wait have no gaps",
        "SELECT no_w_id, no_d_id FROM new_order GROUP BY 1, 2 HAVING max(no_o_id) - min(no_o_id) + 1 <> count(*)",
    ),
    (
        "4: a district's orders have as many lines as they say",
        "SELECT * FROM (SELECT o_w_id, o_d_id, sum(o_ol_cnt) AS said FROM orders GROUP BY 1, 2) o FULL JOIN \
         (SELECT ol_w_id, ol_d_id, count(*) AS found FROM order_line GROUP BY 1, 2) l ON o_w_id = ol_w_id AND o_d_id = ol_d_id \
         WHERE said IS DISTINCT FROM found",
    ),
    (
        "5: an order waits or has a carrier",
        "SELECT o_w_id, o_d_id, o_id FROM orders WHERE (o_carrier_id IS NULL) <> EXISTS (SELECT FROM new_order \
         WHERE no_w_id = o_w_id AND no_d_id = o_d_id AND no_o_id = o_id)",
    ),
    (
        "6: an order has as many lines as it says",
        "SELECT o_w_id, o_d_id, o_id FROM orders LEFT JOIN order_line ON ol_w_id = o_w_id AND ol_d_id = o_d_id AND ol_o_id = o_id \
         GROUP BY o_w_id, o_d_id, o_id, o_ol_cnt HAVING o_ol_cnt <> count(ol_number)",
    ),
    (
        "7: lines are delivered when their order has a carrier",
        "SELECT ol_w_id, ol_d_id, ol_o_id, ol_number FROM order_line JOIN orders ON ol_w_id = o_w_id AND ol_d_id = o_d_id \
         AND ol_o_id = o_id WHERE (ol_delivery_d IS NULL) <> (o_carrier_id IS NULL)",
    ),
    (
        "8: a warehouse's year is what was paid",
        "SELECT w_id FROM warehouse WHERE w_ytd <> (SELECT sum(h_amount) FROM history WHERE h_w_id = w_id)",
    ),
    (
        "9: a district's year is what was paid",
        "SELECT d_w_id, d_id FROM district WHERE d_ytd <> (SELECT sum(h_amount) FROM history WHERE h_w_id = d_w_id AND h_d_id = d_id)",
    ),
    (
        "10: a customer owes what was delivered and not paid",
        "SELECT c_w_id, c_d_id, c_id FROM customer WHERE c_balance <> coalesce((SELECT sum(ol_amount) FROM orders JOIN order_line \
         ON ol_w_id = o_w_id AND ol_d_id = o_d_id AND ol_o_id = o_id WHERE o_w_id = c_w_id AND o_d_id = c_d_id AND o_c_id = c_id \
         AND ol_delivery_d IS NOT NULL), 0) - (SELECT sum(h_amount) FROM history WHERE h_c_w_id = c_w_id AND h_c_d_id = c_d_id \
         AND h_c_id = c_id)",
    ),
    (
        "12: a customer owes and has paid what was delivered",
        "SELECT c_w_id, c_d_id, c_id FROM customer WHERE c_balance + c_ytd_payment <> coalesce((SELECT sum(ol_amount) FROM orders \
         JOIN order_line ON ol_w_id = o_w_id AND ol_d_id = o_d_id AND ol_o_id = o_id WHERE o_w_id = c_w_id AND o_d_id = c_d_id \
         AND o_c_id = c_id AND ol_delivery_d IS NOT NULL), 0)",
    ),
];

/// Fails unless all conditions hold.
///
/// # Errors
/// [`Error::Broken`] for the first that does not; the server's.
pub fn check(client: &mut Client) -> Result<()> {
    for (said, query) in CONDITIONS {
        let broken: i64 =
            client.query_one(&format!("SELECT count(*) FROM ({query}) broken"), &[])?.try_get(0)?;
        if broken > 0 {
            return Err(Error::Broken(format!("condition {said}: {broken} times not")));
        }
    }
    Ok(())
}

/// Fails unless what the terminals were told was committed is there, and nothing else.
///
/// # Errors
/// As [`check`].
pub fn check_committed(client: &mut Client, scale: Scale, tally: &Tally) -> Result<()> {
    let districts = i64::from(scale.warehouses) * i64::from(DISTRICTS);
    let rows = districts * i64::from(scale.customers);
    let waiting = districts * i64::from(scale.customers - scale.delivered());
    let (new, paid, gone) = (tally.new_orders as i64, tally.payments as i64, tally.delivered as i64);
    let expected = [
        ("orders", "count(*) FROM orders", rows + new),
        ("orders that wait", "count(*) FROM new_order", waiting + new - gone),
        ("payments", "count(*) FROM history", rows + paid),
        ("payments that customers count", "sum(c_payment_cnt) FROM customer", rows + paid),
        ("deliveries that customers count", "sum(c_delivery_cnt) FROM customer", gone),
    ];
    for (what, query, expected) in expected {
        let found: i64 = client.query_one(&format!("SELECT {query}"), &[])?.try_get(0)?;
        if found != expected {
            return Err(Error::Broken(format!("{what}: {found}, of which {expected} were committed")));
        }
    }
    Ok(())
}

/// A digest of everything in the tables: equal on two servers that hold the same.
///
/// # Errors
/// The server's.
pub fn digest(client: &mut Client) -> Result<String> {
    let mut texts = Vec::new();
    for table in TABLES {
        let query = format!(
            "SELECT md5(string_agg(r, E'\\n' ORDER BY r COLLATE \"C\")) FROM (SELECT t::text AS r FROM {table} t) rows"
        );
        texts.push(client.query_one(&query, &[])?.try_get::<_, Option<String>>(0)?.unwrap_or_default());
    }
    let all: String = texts.concat();
    Ok(client.query_one("SELECT md5($1)", &[&all])?.try_get(0)?)
}
