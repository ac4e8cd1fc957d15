//! The tables and what is in them at the beginning (clauses 1.3 and 4.3.3).

use std::io::Write;

use fastrand::Rng;
use postgres::Client;

use crate::{DISTRICTS, Result, Scale};

/// The nine tables, in an order in which they can be filled.
pub const TABLES: [&str; 9] =
    ["warehouse", "district", "customer", "history", "orders", "new_order", "item", "stock", "order_line"];

const SCHEMA: &str = "
DROP TABLE IF EXISTS order_line, stock, item, new_order, orders, history, customer, district, warehouse;
CREATE TABLE warehouse (
    w_id int PRIMARY KEY, w_name varchar(10) NOT NULL, w_street varchar(20) NOT NULL, w_city varchar(20) NOT NULL,
    w_state char(2) NOT NULL, w_zip char(9) NOT NULL, w_tax numeric(4,4) NOT NULL, w_ytd numeric(12,2) NOT NULL);
CREATE TABLE district (
    d_w_id int REFERENCES warehouse, d_id int, d_name varchar(10) NOT NULL, d_street varchar(20) NOT NULL,
    d_city varchar(20) NOT NULL, d_state char(2) NOT NULL, d_zip char(9) NOT NULL, d_tax numeric(4,4) NOT NULL,
    d_ytd numeric(12,2) NOT NULL, d_next_o_id int NOT NULL, PRIMARY KEY (d_w_id, d_id));
CREATE TABLE customer (
    c_w_id int, c_d_id int, c_id int, c_first varchar(16) NOT NULL, c_middle char(2) NOT NULL, c_last varchar(16) NOT NULL,
    c_street varchar(20) NOT NULL, c_city varchar(20) NOT NULL, c_phone char(16) NOT NULL, c_since timestamp NOT NULL,
    c_credit char(2) NOT NULL CHECK (c_credit IN ('GC', 'BC')), c_credit_lim numeric(12,2) NOT NULL,
    c_discount numeric(4,4) NOT NULL, c_balance numeric(12,2) NOT NULL, c_ytd_payment numeric(12,2) NOT NULL,
    c_payment_cnt int NOT NULL, c_delivery_cnt int NOT NULL, c_data varchar(500) NOT NULL,
    PRIMARY KEY (c_w_id, c_d_id, c_id), FOREIGN KEY (c_w_id, c_d_id) REFERENCES district);
CREATE INDEX customer_name ON customer (c_w_id, c_d_id, c_last, c_first);
CREATE TABLE history (
    h_c_id int, h_c_d_id int, h_c_w_id int, h_d_id int, h_w_id int, h_date timestamp NOT NULL, h_amount numeric(6,2) NOT NULL,
    h_data varchar(24) NOT NULL, FOREIGN KEY (h_c_w_id, h_c_d_id, h_c_id) REFERENCES customer,
    FOREIGN KEY (h_w_id, h_d_id) REFERENCES district);
CREATE TABLE orders (
    o_w_id int, o_d_id int, o_id int, o_c_id int NOT NULL, o_entry_d timestamp NOT NULL, o_carrier_id int, o_ol_cnt int NOT NULL,
    o_all_local bool NOT NULL, PRIMARY KEY (o_w_id, o_d_id, o_id), FOREIGN KEY (o_w_id, o_d_id, o_c_id) REFERENCES customer);
CREATE INDEX orders_of_customer ON orders (o_w_id, o_d_id, o_c_id, o_id);
CREATE TABLE new_order (
    no_w_id int, no_d_id int, no_o_id int, PRIMARY KEY (no_w_id, no_d_id, no_o_id),
    FOREIGN KEY (no_w_id, no_d_id, no_o_id) REFERENCES orders);
CREATE TABLE item (
    i_id int PRIMARY KEY, i_im_id int NOT NULL, i_name varchar(24) NOT NULL, i_price numeric(5,2) NOT NULL,
    i_data varchar(50) NOT NULL);
CREATE TABLE stock (
    s_w_id int REFERENCES warehouse, s_i_id int REFERENCES item, s_quantity int NOT NULL, s_dist char(24)[] NOT NULL,
    s_ytd int NOT NULL, s_order_cnt int NOT NULL, s_remote_cnt int NOT NULL, s_data varchar(50) NOT NULL,
    PRIMARY KEY (s_w_id, s_i_id));
CREATE TABLE order_line (
    ol_w_id int, ol_d_id int, ol_o_id int, ol_number int, ol_i_id int NOT NULL, ol_supply_w_id int NOT NULL,
    ol_delivery_d timestamp, ol_quantity int NOT NULL, ol_amount numeric(6,2) NOT NULL, ol_dist_info char(24) NOT NULL,
    PRIMARY KEY (ol_w_id, ol_d_id, ol_o_id, ol_number), FOREIGN KEY (ol_w_id, ol_d_id, ol_o_id) REFERENCES orders,
    FOREIGN KEY (ol_supply_w_id, ol_i_id) REFERENCES stock);
";

/// The moment at which the tables are filled.
pub const BEGINNING: &str = "2026-01-01 00:00:00";

/// The last name of a number below 1,000: three syllables (clause 4.3.2.3).
#[must_use]
pub fn last_name(number: i32) -> String {
    const SYLLABLES: [&str; 10] =
        ["BAR", "OUGHT", "ABLE", "PRI", "PRES", "ESE", "ANTI", "CALLY", "ATION", "EING"];
    let syllable = |n: i32| SYLLABLES.get((n % 10) as usize).copied().unwrap_or_default();
    [syllable(number / 100), syllable(number / 10), syllable(number)].concat()
}

/// The non-uniform distribution of clause 2.1.6, with its constant at zero.
pub fn skewed(rng: &mut Rng, spread: i32, from: i32, to: i32) -> i32 {
    ((rng.i32(0..=spread) | rng.i32(from..=to)) % (to - from + 1)) + from
}

fn word(rng: &mut Rng, from: usize, to: usize) -> String {
    let length = rng.usize(from..=to);
    (0..length).map(|_| rng.alphanumeric()).collect()
}

fn digits(rng: &mut Rng, length: usize) -> String {
    (0..length).map(|_| rng.digit(10)).collect()
}

/// Text of which one in ten says ORIGINAL somewhere.
fn data(rng: &mut Rng) -> String {
    let mut text = word(rng, 26, 50);
    if rng.i32(0..10) == 0 {
        let at = rng.usize(0..=text.len() - 8);
        text.replace_range(at..at + 8, "ORIGINAL");
    }
    text
}

/// An address's street, town, state and postal code, as columns of COPY.
fn address(rng: &mut Rng) -> String {
    let (street, city) = (word(rng, 10, 20), word(rng, 10, 20));
    let state: String = (0..2).map(|_| rng.uppercase()).collect();
    format!("{street}\t{city}\t{state}\t{}11111", digits(rng, 4))
}

fn tax(rng: &mut Rng) -> String {
    format!("0.{:04}", rng.i32(0..=2000))
}

/// Sends a table's rows.
fn copy(client: &mut Client, table: &str, rows: impl Iterator<Item = String>) -> Result<()> {
    let mut writer = client.copy_in(&format!("COPY {table} FROM STDIN"))?;
    for row in rows {
        writeln!(writer, "{row}")?;
    }
    writer.finish()?;
    Ok(())
}

/// Makes the tables anew and fills them.
///
/// # Errors
/// The server's.
pub fn load(client: &mut Client, scale: Scale, seed: u64) -> Result<()> {
    client.batch_execute("SET client_min_messages = warning")?;
    client.batch_execute(SCHEMA)?;
    let mut rng = Rng::with_seed(seed);
    let r = &mut rng;
    copy(
        client,
        "item",
        (1..=scale.items).map(|i| {
            let (image, name) = (r.i32(1..=10_000), word(r, 14, 24));
            format!("{i}\t{image}\t{name}\t{}.{:02}\t{}", r.i32(1..100), r.i32(0..100), data(r))
        }),
    )?;
    for w in 1..=scale.warehouses {
        warehouse(client, scale, w, r)?;
    }
    client.batch_execute(
        "ANALYZE warehouse, district, customer, history, orders, new_order, item, stock, order_line",
    )?;
    Ok(())
}

fn warehouse(client: &mut Client, scale: Scale, w: i32, r: &mut Rng) -> Result<()> {
    let row = format!("{w}\t{}\t{}\t{}\t300000.00", word(r, 6, 10), address(r), tax(r));
    copy(client, "warehouse", std::iter::once(row))?;
    copy(
        client,
        "stock",
        (1..=scale.items).map(|i| {
            let places: Vec<String> = (0..DISTRICTS).map(|_| word(r, 24, 24)).collect();
            format!("{w}\t{i}\t{}\t{{{}}}\t0\t0\t0\t{}", r.i32(10..=100), places.join(","), data(r))
        }),
    )?;
    // What the customers' first payments, of 10 each, come to.
    let paid = scale.customers * 10;
    copy(
        client,
        "district",
        (1..=DISTRICTS).map(|d| {
            let next = scale.customers + 1;
            format!("{w}\t{d}\t{}\t{}\t{}\t{paid}.00\t{next}", word(r, 6, 10), address(r), tax(r))
        }),
    )?;
    client.execute("UPDATE warehouse SET w_ytd = $2::int WHERE w_id = $1", &[&w, &(paid * DISTRICTS)])?;
    for d in 1..=DISTRICTS {
        customers(client, scale, w, d, r)?;
        orders(client, scale, w, d, r)?;
    }
    Ok(())
}

fn customers(client: &mut Client, scale: Scale, w: i32, d: i32, r: &mut Rng) -> Result<()> {
    copy(
        client,
        "customer",
        (1..=scale.customers).map(|c| {
            let last = if c <= 1000 { c - 1 } else { skewed(r, 255, 0, 999) };
            let (first, last) = (word(r, 8, 16), last_name(last));
            let (street, city, phone) = (word(r, 10, 20), word(r, 10, 20), digits(r, 16));
            let credit = if r.i32(0..10) == 0 { "BC" } else { "GC" };
            let discount = format!("0.{:04}", r.i32(0..=5000));
            let data = word(r, 300, 500);
            format!(
                "{w}\t{d}\t{c}\t{first}\tOE\t{last}\t{street}\t{city}\t{phone}\t{BEGINNING}\t{credit}\t50000.00\t{discount}\t-10.00\t\
                 10.00\t1\t0\t{data}"
            )
        }),
    )?;
    copy(
        client,
        "history",
        (1..=scale.customers)
            .map(|c| format!("{c}\t{d}\t{w}\t{d}\t{w}\t{BEGINNING}\t10.00\t{}", word(r, 12, 24))),
    )
}

fn orders(client: &mut Client, scale: Scale, w: i32, d: i32, r: &mut Rng) -> Result<()> {
    let mut buyers: Vec<i32> = (1..=scale.customers).collect();
    r.shuffle(&mut buyers);
    let (mut orders, mut lines, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    for (o, buyer) in (1..).zip(buyers) {
        let delivered = o <= scale.delivered();
        let carrier = if delivered { r.i32(1..=10).to_string() } else { "\\N".into() };
        let count = r.i32(5..=15);
        orders.push(format!("{w}\t{d}\t{o}\t{buyer}\t{BEGINNING}\t{carrier}\t{count}\tt"));
        if !delivered {
            waiting.push(format!("{w}\t{d}\t{o}"));
        }
        for n in 1..=count {
            let (item, place) = (r.i32(1..=scale.items), word(r, 24, 24));
            let (when, amount) = if delivered {
                (BEGINNING, "0.00".into())
            } else {
                ("\\N", format!("{}.{:02}", r.i32(0..9999), r.i32(1..100)))
            };
            lines.push(format!("{w}\t{d}\t{o}\t{n}\t{item}\t{w}\t{when}\t5\t{amount}\t{place}"));
        }
    }
    copy(client, "orders", orders.into_iter())?;
    copy(client, "order_line", lines.into_iter())?;
    copy(client, "new_order", waiting.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_three_syllables() {
        assert_eq!(last_name(371), "PRICALLYOUGHT");
        assert_eq!(last_name(0), "BARBARBAR");
    }

    #[test]
    fn skewed_numbers_stay_inside() {
        let mut rng = Rng::with_seed(1);
        assert!((0..1000).all(|_| (3..=17).contains(&skewed(&mut rng, 255, 3, 17))));
    }
}
