//! A terminal: one connection that runs the five kinds of transactions (clause 2), losing and trying again.

use fastrand::Rng;
use postgres::{Client, Statement, Transaction};

use crate::{
    DISTRICTS, Error, Result, Scale,
    load::{BEGINNING, last_name, skewed},
};

/// What terminals did, and committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// New orders.
    pub new_orders: u64,
    /// New orders given up because of an item that there is not.
    pub given_up: u64,
    /// Payments.
    pub payments: u64,
    /// Looks at an order.
    pub looks: u64,
    /// Districts for which an order was delivered.
    pub delivered: u64,
    /// Deliveries.
    pub deliveries: u64,
    /// Looks at the stock.
    pub counts: u64,
    /// Transactions tried again because they lost against others.
    pub retries: u64,
}

impl Tally {
    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.new_orders += other.new_orders;
        self.given_up += other.given_up;
        self.payments += other.payments;
        self.looks += other.looks;
        self.delivered += other.delivered;
        self.deliveries += other.deliveries;
        self.counts += other.counts;
        self.retries += other.retries;
    }
}

macro_rules! statements {
    ($($name:ident: $text:expr;)*) => {
        /// What the transactions consist of, prepared.
        struct Statements { $($name: Statement,)* }
        impl Statements {
            fn prepare(client: &mut Client) -> Result<Self> {
                Ok(Self { $($name: client.prepare($text)?,)* })
            }
        }
    };
}

statements! {
    buyer: "SELECT c.c_discount::text, c.c_last, c.c_credit, w.w_tax::text FROM customer c JOIN warehouse w ON w.w_id = c.c_w_id \
        WHERE c.c_w_id = $1 AND c.c_d_id = $2 AND c.c_id = $3";
    next_order: "UPDATE district SET d_next_o_id = d_next_o_id + 1 WHERE d_w_id = $1 AND d_id = $2 RETURNING d_next_o_id - 1";
    order: "INSERT INTO orders VALUES ($1, $2, $3, $4, $5::text::timestamp + $6 * interval '1 second', NULL, $7, $8)";
    waiting: "INSERT INTO new_order VALUES ($1, $2, $3)";
    price: "SELECT (i_price * 100)::int FROM item WHERE i_id = $1";
    stock: "SELECT s_quantity, s_dist[$3] FROM stock WHERE s_w_id = $1 AND s_i_id = $2 FOR UPDATE";
    take: "UPDATE stock SET s_quantity = $3, s_ytd = s_ytd + $4, s_order_cnt = s_order_cnt + 1, s_remote_cnt = s_remote_cnt + $5 \
        WHERE s_w_id = $1 AND s_i_id = $2";
    line: "INSERT INTO order_line VALUES ($1, $2, $3, $4, $5, $6, NULL, $7, $8::int * 0.01, $9)";
    warehouse_paid: "UPDATE warehouse SET w_ytd = w_ytd + $2::int * 0.01 WHERE w_id = $1 RETURNING w_name";
    district_paid: "UPDATE district SET d_ytd = d_ytd + $3::int * 0.01 WHERE d_w_id = $1 AND d_id = $2 RETURNING d_name";
    named: "SELECT c_id FROM customer WHERE c_w_id = $1 AND c_d_id = $2 AND c_last = $3 ORDER BY c_first, c_id";
    paid: "UPDATE customer SET c_balance = c_balance - $4::int * 0.01, c_ytd_payment = c_ytd_payment + $4::int * 0.01, \
        c_payment_cnt = c_payment_cnt + 1, c_data = CASE c_credit WHEN 'BC' THEN left(concat_ws(' ', c_id, c_d_id, c_w_id, $5::int, \
        $6::int, $4::int, c_data), 500) ELSE c_data END WHERE c_w_id = $1 AND c_d_id = $2 AND c_id = $3";
    history: "INSERT INTO history VALUES ($1, $2, $3, $4, $5, $6::text::timestamp + $7 * interval '1 second', $8::int * 0.01, $9)";
    balance: "SELECT c_balance::text, c_first FROM customer WHERE c_w_id = $1 AND c_d_id = $2 AND c_id = $3";
    last_order: "SELECT o_id, o_entry_d::text, o_carrier_id, o_ol_cnt FROM orders WHERE o_w_id = $1 AND o_d_id = $2 AND o_c_id = $3 \
        ORDER BY o_id DESC LIMIT 1";
    lines: "SELECT ol_i_id, ol_supply_w_id, ol_quantity, ol_amount::text, ol_delivery_d::text FROM order_line \
        WHERE ol_w_id = $1 AND ol_d_id = $2 AND ol_o_id = $3 ORDER BY ol_number";
    oldest: "DELETE FROM new_order WHERE no_w_id = $1 AND no_d_id = $2 AND no_o_id = (SELECT no_o_id FROM new_order \
        WHERE no_w_id = $1 AND no_d_id = $2 ORDER BY no_o_id LIMIT 1) RETURNING no_o_id";
    carry: "UPDATE orders SET o_carrier_id = $4 WHERE o_w_id = $1 AND o_d_id = $2 AND o_id = $3 RETURNING o_c_id";
    deliver: "WITH gone AS (UPDATE order_line SET ol_delivery_d = $4::text::timestamp + $5 * interval '1 second' \
        WHERE ol_w_id = $1 AND ol_d_id = $2 AND ol_o_id = $3 RETURNING ol_amount) \
        UPDATE customer SET c_balance = c_balance + (SELECT sum(ol_amount) FROM gone), c_delivery_cnt = c_delivery_cnt + 1 \
        WHERE c_w_id = $1 AND c_d_id = $2 AND c_id = $6";
    short: "SELECT count(DISTINCT s_i_id) FROM district, order_line, stock WHERE d_w_id = $1 AND d_id = $2 AND ol_w_id = d_w_id \
        AND ol_d_id = d_id AND ol_o_id < d_next_o_id AND ol_o_id >= d_next_o_id - 20 AND s_w_id = ol_w_id AND s_i_id = ol_i_id \
        AND s_quantity < $3";
}

/// What a transaction came to.
enum Done {
    Ordered,
    GivenUp,
    Paid,
    Looked,
    Delivered(u64),
    Counted,
}

/// See the module.
pub struct Terminal {
    client: Client,
    statements: Statements,
    scale: Scale,
    home: i32,
    begin: String,
    rng: Rng,
    /// Seconds since the beginning, one a transaction.
    clock: f64,
    /// What it did so far.
    pub tally: Tally,
}

/// A line of a new order.
struct Line {
    item: i32,
    supplier: i32,
    quantity: i32,
}

impl Terminal {
    /// Terminal number `n`. `isolation`: as BEGIN has it.
    ///
    /// # Errors
    /// The server's.
    pub fn new(mut client: Client, scale: Scale, n: u32, seed: u64, isolation: &str) -> Result<Self> {
        let statements = Statements::prepare(&mut client)?;
        Ok(Self {
            client,
            statements,
            scale,
            home: n as i32 % scale.warehouses + 1,
            begin: format!("ISOLATION LEVEL {isolation}"),
            rng: Rng::with_seed(seed),
            clock: 0.0,
            tally: Tally::default(),
        })
    }

    /// Runs one transaction, tried until it no longer loses against others.
    ///
    /// # Errors
    /// Every other error of the server.
    pub fn step(&mut self) -> Result<()> {
        self.clock += 1.0;
        let kind = self.rng.i32(0..100);
        // A transaction that is tried again is the same one.
        let rng = self.rng.clone();
        loop {
            self.rng = rng.clone();
            match self.attempt(kind) {
                Ok(done) => {
                    self.count(&done);
                    return Ok(());
                }
                Err(e) if e.may_retry() => self.tally.retries += 1,
                Err(e) => return Err(e),
            }
        }
    }

    fn count(&mut self, done: &Done) {
        let tally = &mut self.tally;
        match done {
            Done::Ordered => tally.new_orders += 1,
            Done::GivenUp => tally.given_up += 1,
            Done::Paid => tally.payments += 1,
            Done::Looked => tally.looks += 1,
            Done::Counted => tally.counts += 1,
            Done::Delivered(districts) => {
                tally.deliveries += 1;
                tally.delivered += districts;
            }
        }
    }

    fn attempt(&mut self, kind: i32) -> Result<Done> {
        let mut work = Work {
            tx: self.client.build_transaction().start()?,
            s: &self.statements,
            scale: self.scale,
            home: self.home,
            rng: &mut self.rng,
            clock: self.clock,
        };
        work.tx.batch_execute(&format!("SET TRANSACTION {}", self.begin))?;
        let done = match kind {
            0..45 => work.new_order()?,
            45..88 => work.payment()?,
            88..92 => work.order_status()?,
            92..96 => work.delivery()?,
            _ => work.stock_level()?,
        };
        match done {
            Done::GivenUp => work.tx.rollback()?,
            _ => work.tx.commit()?,
        }
        Ok(done)
    }
}

/// One transaction at work.
struct Work<'a> {
    tx: Transaction<'a>,
    s: &'a Statements,
    scale: Scale,
    home: i32,
    rng: &'a mut Rng,
    clock: f64,
}

impl Work<'_> {
    /// Another warehouse than `home`, where there is one.
    fn elsewhere(&mut self) -> i32 {
        let there = self.rng.i32(1..=self.scale.warehouses);
        if there == self.home { there % self.scale.warehouses + 1 } else { there }
    }

    fn new_order(&mut self) -> Result<Done> {
        let (home, district) = (self.home, self.rng.i32(1..=DISTRICTS));
        let customer = skewed(self.rng, 1023, 1, self.scale.customers);
        let count = self.rng.i32(5..=15);
        let unknown = self.rng.i32(0..100) == 0;
        let mut wanted: Vec<Line> = (0..count)
            .map(|_| {
                let item = skewed(self.rng, 8191, 1, self.scale.items);
                let supplier = if self.rng.i32(0..100) == 0 { self.elsewhere() } else { home };
                Line { item, supplier, quantity: self.rng.i32(1..=10) }
            })
            .collect();
        // Everybody takes from the stock in one order, so nobody waits in a circle.
        wanted.sort_by_key(|l| (l.supplier, l.item));
        self.tx.query_one(&self.s.buyer, &[&home, &district, &customer])?;
        let order: i32 = self.tx.query_one(&self.s.next_order, &[&home, &district])?.try_get(0)?;
        let local = wanted.iter().all(|l| l.supplier == home);
        let entry: [&(dyn postgres::types::ToSql + Sync); 8] =
            [&home, &district, &order, &customer, &BEGINNING, &self.clock, &count, &local];
        self.tx.execute(&self.s.order, &entry)?;
        self.tx.execute(&self.s.waiting, &[&home, &district, &order])?;
        for (number, line) in (1i32..).zip(&wanted) {
            if unknown && number == count {
                return match self.tx.query_opt(&self.s.price, &[&(self.scale.items + 1)])? {
                    None => Ok(Done::GivenUp),
                    Some(_) => Err(Error::Broken("an item beyond the last one is found".into())),
                };
            }
            self.order_line(district, order, number, line)?;
        }
        Ok(Done::Ordered)
    }

    fn order_line(&mut self, district: i32, order: i32, number: i32, line: &Line) -> Result<()> {
        let Line { item, supplier, quantity } = line;
        let price: i32 = self.tx.query_one(&self.s.price, &[item])?.try_get(0)?;
        let row = self.tx.query_one(&self.s.stock, &[supplier, item, &district])?;
        let (left, place): (i32, String) = (row.try_get(0)?, row.try_get(1)?);
        let left = if left >= quantity + 10 { left - quantity } else { left - quantity + 91 };
        let remote = i32::from(*supplier != self.home);
        self.tx.execute(&self.s.take, &[supplier, item, &left, quantity, &remote])?;
        let amount = price * quantity;
        let row: [&(dyn postgres::types::ToSql + Sync); 9] =
            [&self.home, &district, &order, &number, item, supplier, quantity, &amount, &place];
        self.tx.execute(&self.s.line, &row)?;
        Ok(())
    }

    /// A customer of a district: six of ten by name, the one in the middle of those so called.
    fn customer(&mut self, warehouse: i32, district: i32) -> Result<i32> {
        if self.rng.i32(0..10) < 4 {
            return Ok(skewed(self.rng, 1023, 1, self.scale.customers));
        }
        let last = last_name(skewed(self.rng, 255, 0, self.scale.customers.min(1000) - 1));
        let found = self.tx.query(&self.s.named, &[&warehouse, &district, &last])?;
        let middle =
            found.get(found.len().saturating_sub(1) / 2).ok_or(Error::Missing("customer so called"))?;
        Ok(middle.try_get(0)?)
    }

    fn payment(&mut self) -> Result<Done> {
        let (home, district) = (self.home, self.rng.i32(1..=DISTRICTS));
        let (cents, near) = (self.rng.i32(100..=500_000), self.rng.i32(0..100) < 85);
        let (w, d) = if near { (home, district) } else { (self.elsewhere(), self.rng.i32(1..=DISTRICTS)) };
        let warehouse: String = self.tx.query_one(&self.s.warehouse_paid, &[&home, &cents])?.try_get(0)?;
        let place: String =
            self.tx.query_one(&self.s.district_paid, &[&home, &district, &cents])?.try_get(0)?;
        let customer = self.customer(w, d)?;
        if self.tx.execute(&self.s.paid, &[&w, &d, &customer, &cents, &district, &home])? != 1 {
            return Err(Error::Missing("customer who pays"));
        }
        let text = format!("{warehouse}    {place}");
        let row: [&(dyn postgres::types::ToSql + Sync); 9] =
            [&customer, &d, &w, &district, &home, &BEGINNING, &self.clock, &cents, &text];
        self.tx.execute(&self.s.history, &row)?;
        Ok(Done::Paid)
    }

    fn order_status(&mut self) -> Result<Done> {
        let (home, district) = (self.home, self.rng.i32(1..=DISTRICTS));
        let customer = self.customer(home, district)?;
        self.tx.query_one(&self.s.balance, &[&home, &district, &customer])?;
        let row = self.tx.query_one(&self.s.last_order, &[&home, &district, &customer])?;
        let (order, count): (i32, i32) = (row.try_get(0)?, row.try_get(3)?);
        let carrier: Option<i32> = row.try_get(2)?;
        let lines = self.tx.query(&self.s.lines, &[&home, &district, &order])?;
        if lines.len() != count as usize {
            return Err(Error::Broken(format!("an order of {count} lines shows {}", lines.len())));
        }
        // At READ COMMITTED a delivery may come in between.
        for line in lines.iter().filter(|_| carrier.is_some()) {
            if line.try_get::<_, Option<String>>(4)?.is_none() {
                return Err(Error::Broken("a delivered order shows a line that is not".into()));
            }
        }
        Ok(Done::Looked)
    }

    fn delivery(&mut self) -> Result<Done> {
        let (home, carrier) = (self.home, self.rng.i32(1..=10));
        let mut delivered = 0;
        for district in 1..=DISTRICTS {
            let Some(row) = self.tx.query_opt(&self.s.oldest, &[&home, &district])? else { continue };
            let order: i32 = row.try_get(0)?;
            let customer: i32 =
                self.tx.query_one(&self.s.carry, &[&home, &district, &order, &carrier])?.try_get(0)?;
            let row: [&(dyn postgres::types::ToSql + Sync); 6] =
                [&home, &district, &order, &BEGINNING, &self.clock, &customer];
            self.tx.execute(&self.s.deliver, &row)?;
            delivered += 1;
        }
        Ok(Done::Delivered(delivered))
    }

    fn stock_level(&mut self) -> Result<Done> {
        let (home, district) = (self.home, self.rng.i32(1..=DISTRICTS));
        self.tx.query_one(&self.s.short, &[&home, &district, &self.rng.i32(10..=20)])?;
        Ok(Done::Counted)
    }
}
