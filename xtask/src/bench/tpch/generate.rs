//! The eight tables of TPC-H, made anew in each run and the same in every one: cardinalities and value distributions are
//! those that the benchmark's specification states, texts are words from short lists that have those which the queries
//! look for.

use std::{fmt::Write as _, io::Write};

use crate::error::{Context, Result};

/// Days in a table of dates that starts on 1992-01-01.
const DAYS: u32 = 2_600;
/// 1995-06-17, the day that the data is said to be of, counted from 1992-01-01.
const TODAY: u32 = 1_263;
/// The last order's day: 1998-08-02.
const LAST_ORDER: u32 = 2_405;

const COLOURS: &str = "almond antique aquamarine azure beige bisque black blanched blue blush brown burlywood burnished chartreuse \
    chiffon chocolate coral cornflower cornsilk cream cyan dark deep dim dodger drab firebrick floral forest frosted gainsboro \
    ghost goldenrod green grey honeydew hot indian ivory khaki lace lavender lawn lemon light lime linen magenta maroon medium \
    metallic midnight mint misty moccasin navajo navy olive orange orchid pale papaya peach peru pink plum powder puff purple \
    red rose rosy royal saddle salmon sandy seashell sienna sky slate smoke snow spring steel tan thistle tomato turquoise \
    violet wheat white yellow";
const WORDS: &str = "accounts above across after against along among asymptotes attainments bold braids busy careful courts daring \
    decoys deposits dolphins dugouts engage epitaphs escapades even excuses express final foxes furious gifts grouches haggle \
    hockey ideas instructions ironic multipliers nag notornis orbits packages patterns pearls pending pinto platelets players \
    quick realms regular requests ruthless sauternes sentiments sheaves silent sleep slow special theodolites unusual warhorses";
const SIZES: [&str; 6] = ["STANDARD", "SMALL", "MEDIUM", "LARGE", "ECONOMY", "PROMO"];
const FINISHES: [&str; 5] = ["ANODIZED", "BURNISHED", "PLATED", "POLISHED", "BRUSHED"];
const METALS: [&str; 5] = ["TIN", "NICKEL", "BRASS", "STEEL", "COPPER"];
const WRAPS: [&str; 5] = ["SM", "LG", "MED", "JUMBO", "WRAP"];
const VESSELS: [&str; 8] = ["CASE", "BOX", "BAG", "JAR", "PKG", "PACK", "CAN", "DRUM"];
const SEGMENTS: [&str; 5] = ["AUTOMOBILE", "BUILDING", "FURNITURE", "MACHINERY", "HOUSEHOLD"];
const PRIORITIES: [&str; 5] = ["1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW"];
const INSTRUCTIONS: [&str; 4] = ["DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN"];
const MODES: [&str; 7] = ["REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB"];
const REGIONS: [&str; 5] = ["AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"];
const NATIONS: [(&str, u8); 25] = [
    ("ALGERIA", 0),
    ("ARGENTINA", 1),
    ("BRAZIL", 1),
    ("CANADA", 1),
    ("EGYPT", 4),
    ("ETHIOPIA", 0),
    ("FRANCE", 3),
    ("GERMANY", 3),
    ("INDIA", 2),
    ("INDONESIA", 2),
    ("IRAN", 4),
    ("IRAQ", 4),
    ("JAPAN", 2),
    ("JORDAN", 4),
    ("KENYA", 0),
    ("MOROCCO", 0),
    ("MOZAMBIQUE", 0),
    ("PERU", 1),
    ("CHINA", 2),
    ("ROMANIA", 3),
    ("SAUDI ARABIA", 4),
    ("VIETNAM", 2),
    ("RUSSIA", 3),
    ("UNITED KINGDOM", 3),
    ("UNITED STATES", 1),
];

/// A table to load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    Region,
    Nation,
    Supplier,
    Customer,
    Part,
    PartSupp,
    Orders,
    LineItem,
}

impl Table {
    /// All, referenced ones first.
    pub const ALL: [Self; 8] = [
        Self::Region,
        Self::Nation,
        Self::Supplier,
        Self::Customer,
        Self::Part,
        Self::PartSupp,
        Self::Orders,
        Self::LineItem,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Region => "region",
            Self::Nation => "nation",
            Self::Supplier => "supplier",
            Self::Customer => "customer",
            Self::Part => "part",
            Self::PartSupp => "partsupp",
            Self::Orders => "orders",
            Self::LineItem => "lineitem",
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
struct Random(u64);

impl Random {
    /// Of one row: orders and their lines are made in different passes.
    fn of(table: Table, row: u64) -> Self {
        let mut random = Self((table as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ row.rotate_left(32));
        random.next();
        random
    }
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
    /// Both ends included.
    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }
    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[(self.next() % list.len() as u64) as usize]
    }
}

/// Makes rows in COPY's text format.
pub struct Generator {
    scale: f64,
    dates: Vec<String>,
    colours: Vec<&'static str>,
    words: Vec<&'static str>,
}

struct Line {
    part: u64,
    supplier: u64,
    quantity: u64,
    /// In hundredths.
    price: u64,
    discount: u64,
    tax: u64,
    shipped: u32,
    committed: u32,
    received: u32,
}

impl Generator {
    pub fn new(scale: f64) -> Self {
        let (mut year, mut month, mut day) = (1992, 1, 1);
        let dates = (0..DAYS).map(|_| {
            let text = format!("{year}-{month:02}-{day:02}");
            let length = match month {
                2 if year % 4 == 0 => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > length {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
            text
        });
        Self {
            scale,
            dates: dates.collect(),
            colours: COLOURS.split_whitespace().collect(),
            words: WORDS.split_whitespace().collect(),
        }
    }

    fn count(&self, at_scale_one: u64) -> u64 {
        ((at_scale_one as f64 * self.scale).round() as u64).max(4)
    }

    /// Writes a table's rows.
    pub fn write(&self, table: Table, out: &mut impl Write) -> Result<()> {
        let mut text = String::new();
        for row in 0..self.rows(table) {
            self.row(table, row, &mut text);
            if text.len() > 1 << 16 {
                out.write_all(text.as_bytes()).context(|| format!("load {}", table.name()))?;
                text.clear();
            }
        }
        out.write_all(text.as_bytes()).context(|| format!("load {}", table.name()))
    }

    /// Rows, for lines and suppliers of parts: those of the table that they belong to.
    fn rows(&self, table: Table) -> u64 {
        match table {
            Table::Region => 5,
            Table::Nation => 25,
            Table::Supplier => self.count(10_000),
            Table::Customer => self.count(150_000),
            Table::Part | Table::PartSupp => self.count(200_000),
            Table::Orders | Table::LineItem => self.count(1_500_000),
        }
    }

    fn row(&self, table: Table, row: u64, out: &mut String) {
        let random = &mut Random::of(table, row);
        // Writing to a string does not fail.
        let _ = match table {
            Table::Region => {
                writeln!(out, "{row}\t{}\t{}", REGIONS[row as usize], self.comment(random, 31, 115))
            }
            Table::Nation => {
                let (name, region) = NATIONS[row as usize];
                writeln!(out, "{row}\t{name}\t{region}\t{}", self.comment(random, 31, 114))
            }
            Table::Supplier => self.supplier(row, random, out),
            Table::Customer => self.customer(row, random, out),
            Table::Part => self.part(row, random, out),
            Table::PartSupp => (0..4).try_for_each(|i| {
                let supplier = self.supplier_of(row + 1, i);
                let (quantity, cost) = (random.between(1, 9_999), money(random.between(100, 100_000) as i64));
                writeln!(
                    out,
                    "{}\t{supplier}\t{quantity}\t{cost}\t{}",
                    row + 1,
                    self.comment(random, 49, 198)
                )
            }),
            Table::Orders => self.order(row, out),
            Table::LineItem => self.lines(row, out),
        };
    }

    fn supplier(&self, row: u64, random: &mut Random, out: &mut String) -> std::fmt::Result {
        let nation = random.between(0, 24);
        let (address, phone, balance) = (address(random), phone(nation, random), balance(random));
        let mut comment = self.comment(random, 25, 100);
        // Five of ten thousand complain, five recommend.
        let words = match row % 2_000 {
            700 => Some("Customer sly Complaints "),
            1_300 => Some("Customer sly Recommends "),
            _ => None,
        };
        if let Some(words) = words {
            comment.insert_str(0, words);
        }
        let key = row + 1;
        writeln!(out, "{key}\tSupplier#{key:09}\t{address}\t{nation}\t{phone}\t{balance}\t{comment}")
    }

    fn customer(&self, row: u64, random: &mut Random, out: &mut String) -> std::fmt::Result {
        let nation = random.between(0, 24);
        let (address, phone, balance) = (address(random), phone(nation, random), balance(random));
        let (segment, comment) = (random.pick(&SEGMENTS), self.comment(random, 29, 116));
        let key = row + 1;
        writeln!(
            out,
            "{key}\tCustomer#{key:09}\t{address}\t{nation}\t{phone}\t{balance}\t{segment}\t{comment}"
        )
    }

    fn part(&self, row: u64, random: &mut Random, out: &mut String) -> std::fmt::Result {
        let mut name: Vec<&str> = Vec::with_capacity(5);
        while name.len() < 5 {
            let word = random.pick(&self.colours);
            if !name.contains(&word) {
                name.push(word);
            }
        }
        let (maker, brand) = (random.between(1, 5), random.between(1, 5));
        let (size, finish, metal) = (random.pick(&SIZES), random.pick(&FINISHES), random.pick(&METALS));
        let (number, wrap, vessel) = (random.between(1, 50), random.pick(&WRAPS), random.pick(&VESSELS));
        let (price, comment) = (money(retail_price(row + 1) as i64), self.comment(random, 5, 22));
        writeln!(
            out,
            "{}\t{}\tManufacturer#{maker}\tBrand#{maker}{brand}\t{size} {finish} {metal}\t{number}\t{wrap} {vessel}\t{price}\t{comment}",
            row + 1,
            name.join(" ")
        )
    }

    fn order(&self, row: u64, out: &mut String) -> std::fmt::Result {
        let (date, lines, mut random) = self.order_lines(row);
        let customers = self.rows(Table::Customer);
        // A third of the customers never order.
        let customer = loop {
            let customer = random.between(1, customers);
            if customer % 3 != 0 {
                break customer;
            }
        };
        let open = lines.iter().filter(|l| l.shipped > TODAY).count();
        let status = match open {
            0 => 'F',
            n if n == lines.len() => 'O',
            _ => 'P',
        };
        let total: u64 = lines.iter().map(|l| l.price * (100 - l.discount) / 100 * (100 + l.tax) / 100).sum();
        let (priority, clerk) = (random.pick(&PRIORITIES), random.between(1, self.count(1_000)));
        let (total, date, comment) =
            (money(total as i64), &self.dates[date as usize], self.comment(&mut random, 19, 78));
        let key = order_key(row);
        writeln!(
            out,
            "{key}\t{customer}\t{status}\t{total}\t{date}\t{priority}\tClerk#{clerk:09}\t0\t{comment}"
        )
    }

    fn lines(&self, row: u64, out: &mut String) -> std::fmt::Result {
        let (_, lines, _) = self.order_lines(row);
        let mut random = Random::of(Table::LineItem, row | 1 << 40);
        let key = order_key(row);
        for (n, line) in lines.iter().enumerate() {
            let flag = if line.received > TODAY { "N" } else { random.pick(&["R", "A"]) };
            let status = if line.shipped > TODAY { 'O' } else { 'F' };
            let (instruction, mode) = (random.pick(&INSTRUCTIONS), random.pick(&MODES));
            let date = |day: u32| self.dates[day as usize].as_str();
            write!(out, "{key}\t{}\t{}\t{}\t{}", line.part, line.supplier, n + 1, line.quantity)?;
            write!(out, "\t{}\t0.{:02}\t0.{:02}", money(line.price as i64), line.discount, line.tax)?;
            write!(out, "\t{flag}\t{status}\t{}\t{}", date(line.shipped), date(line.committed))?;
            let comment = self.comment(&mut random, 10, 43);
            writeln!(out, "\t{}\t{instruction}\t{mode}\t{comment}", date(line.received))?;
        }
        Ok(())
    }

    /// An order's day and lines, which decide about its status and total, and what its other values come from.
    fn order_lines(&self, row: u64) -> (u32, Vec<Line>, Random) {
        let mut random = Random::of(Table::LineItem, row);
        let date = random.between(0, u64::from(LAST_ORDER)) as u32;
        let parts = self.rows(Table::Part);
        let lines = (0..random.between(1, 7)).map(|_| {
            let part = random.between(1, parts);
            let supplier = self.supplier_of(part, random.between(0, 3));
            let quantity = random.between(1, 50);
            let shipped = date + random.between(1, 121) as u32;
            Line {
                part,
                supplier,
                quantity,
                price: quantity * retail_price(part),
                discount: random.between(0, 10),
                tax: random.between(0, 8),
                shipped,
                committed: date + random.between(30, 90) as u32,
                received: shipped + random.between(1, 30) as u32,
            }
        });
        let lines = lines.collect();
        (date, lines, random)
    }

    /// One of the four suppliers of a part.
    fn supplier_of(&self, part: u64, i: u64) -> u64 {
        let suppliers = self.rows(Table::Supplier);
        (part + i * (suppliers / 4 + (part - 1) / suppliers)) % suppliers + 1
    }

    /// Words of at least and at most so many characters together.
    fn comment(&self, random: &mut Random, low: u64, high: u64) -> String {
        let length = random.between(low, high) as usize;
        let mut text = String::with_capacity(length + 16);
        while text.len() < length {
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(random.pick(&self.words));
        }
        text.truncate(length);
        // Text that ends in blanks compares differently as char and as varchar.
        text.truncate(text.trim_end().len());
        text
    }
}

/// Eight of every 32 numbers are used.
fn order_key(row: u64) -> u64 {
    row / 8 * 32 + row % 8 + 1
}

/// In hundredths.
fn retail_price(part: u64) -> u64 {
    90_000 + part / 10 % 20_001 + 100 * (part % 1_000)
}

fn money(hundredths: i64) -> String {
    let sign = if hundredths < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", hundredths.abs() / 100, hundredths.abs() % 100)
}

fn balance(random: &mut Random) -> String {
    money(random.between(0, 1_099_998) as i64 - 99_999)
}

fn address(random: &mut Random) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789,";
    let length = random.between(10, 40);
    (0..length).map(|_| char::from(LETTERS[(random.next() % LETTERS.len() as u64) as usize])).collect()
}

fn phone(nation: u64, random: &mut Random) -> String {
    let (a, b, c) = (random.between(100, 999), random.between(100, 999), random.between(1_000, 9_999));
    format!("{}-{a}-{b}-{c}", nation + 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(table: Table) -> Vec<Vec<String>> {
        let mut out = Vec::new();
        Generator::new(0.001).write(table, &mut out).expect("memory");
        let text = String::from_utf8(out).expect("text");
        text.lines().map(|l| l.split('\t').map(Into::into).collect()).collect()
    }

    #[test]
    fn dates_count_leap_years() {
        let dates = Generator::new(0.001).dates;
        assert_eq!(dates[TODAY as usize], "1995-06-17");
        assert_eq!(dates[LAST_ORDER as usize], "1998-08-02");
    }

    #[test]
    fn lines_belong_to_orders_and_suppliers_of_parts() {
        use std::collections::HashSet;
        let orders: HashSet<String> = rows(Table::Orders).into_iter().map(|r| r[0].clone()).collect();
        let offers: HashSet<(String, String)> =
            rows(Table::PartSupp).into_iter().map(|r| (r[0].clone(), r[1].clone())).collect();
        let lines = rows(Table::LineItem);
        assert_eq!(orders.len(), 1_500);
        assert!(lines.len() > 5_500 && lines.len() < 6_500, "{}", lines.len());
        for line in &lines {
            assert!(orders.contains(&line[0]) && offers.contains(&(line[1].clone(), line[2].clone())));
            assert!(line[10] < line[12] && line.len() == 16);
        }
    }

    #[test]
    fn every_run_makes_the_same_rows() {
        for table in Table::ALL {
            assert_eq!(rows(table), rows(table));
        }
    }
}
