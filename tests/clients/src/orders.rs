//! The order-entry workload of `tests/tpcc` at a small scale: the same tables behind one terminal as PostgreSQL 15 has, and what
//! must hold when terminals work side by side.

use postgres::{Client, NoTls};
use tpcc::{Error, Scale, Until, consistency, load};

use crate::{Failure, Outcome, Test, Url, equal};

pub const TESTS: &[Test] = &[
    ("orders: one terminal leaves what it leaves in PostgreSQL", alone),
    ("orders: terminals at READ COMMITTED", |u| together(u, "READ COMMITTED")),
    ("orders: terminals at REPEATABLE READ", |u| together(u, "REPEATABLE READ")),
    ("orders: terminals at SERIALIZABLE", |u| together(u, "SERIALIZABLE")),
];

/// What PostgreSQL 15 has behind it, of the tables at the beginning and after 400 transactions.
const DIGESTS: [&str; 2] = ["b27e3eb424d9751127b871167e8656f3", "74fe5638fdb3258e28d4c9ec49bbdee5"];

fn alone(url: &Url) -> Outcome {
    let mut client = Client::connect(&url.text, NoTls)?;
    load::load(&mut client, Scale::small(), 1)?;
    equal("the tables at the beginning", &*consistency::digest(&mut client)?, DIGESTS[0])?;
    tpcc::run(&url.text, Scale::small(), 1, "READ COMMITTED", Until::Transactions(400), 1)?;
    consistency::check(&mut client)?;
    equal("the tables behind it", &*consistency::digest(&mut client)?, DIGESTS[1])
}

fn together(url: &Url, isolation: &str) -> Outcome {
    let mut client = Client::connect(&url.text, NoTls)?;
    load::load(&mut client, Scale::small(), 2)?;
    let tally = tpcc::run(&url.text, Scale::small(), 6, isolation, Until::Transactions(60), 3)?;
    consistency::check(&mut client)?;
    consistency::check_committed(&mut client, Scale::small(), &tally)?;
    let kinds = [tally.new_orders, tally.payments, tally.looks, tally.deliveries, tally.counts];
    if kinds.contains(&0) {
        return Err(Failure::from(Error::Broken(format!(
            "not every kind of transaction was run: {tally:?}"
        ))));
    }
    equal("all transactions", kinds.iter().sum::<u64>() + tally.given_up, 360)
}
