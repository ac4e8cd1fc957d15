//! Arithmetic as netlists: for the tests of this crate and for those of clients.
#![allow(dead_code)] // not everybody needs all of it

/// An and-inverter graph under construction.
pub struct Aig {
    inputs: u32,
    ands: Vec<[u32; 2]>,
}

impl Aig {
    /// Without gates.
    pub fn new(inputs: u32) -> Self {
        Self { inputs, ands: Vec::new() }
    }

    pub fn and(&mut self, a: u32, b: u32) -> u32 {
        self.ands.push([a.max(b), a.min(b)]);
        2 * (self.inputs + self.ands.len() as u32)
    }

    fn xor(&mut self, a: u32, b: u32) -> u32 {
        let (both, neither) = (self.and(a, b), self.and(a ^ 1, b ^ 1));
        self.and(both ^ 1, neither ^ 1)
    }

    fn full_adder(&mut self, a: u32, b: u32, c: u32) -> (u32, u32) {
        let half = self.xor(a, b);
        let sum = self.xor(half, c);
        let (one, two) = (self.and(a, b), self.and(half, c));
        (sum, self.and(one ^ 1, two ^ 1) ^ 1)
    }

    /// The sum of two numbers, one bit longer than them.
    pub fn add(&mut self, a: &[u32], b: &[u32]) -> Vec<u32> {
        let mut carry = 0;
        let mut sum = Vec::new();
        for (&a, &b) in a.iter().zip(b) {
            let (s, c) = self.full_adder(a, b, carry);
            sum.push(s);
            carry = c;
        }
        sum.push(carry);
        sum
    }

    /// The product of two numbers.
    pub fn multiply(&mut self, a: &[u32], b: &[u32]) -> Vec<u32> {
        let mut product = vec![0; a.len() + b.len()];
        for (i, &b) in b.iter().enumerate() {
            let row: Vec<u32> = a.iter().map(|&a| self.and(a, b)).collect();
            let sum = self.add(&product[i..i + a.len()], &row);
            product[i..i + sum.len()].copy_from_slice(&sum);
        }
        product
    }

    /// As text; `symbols` follow the gates.
    pub fn ascii(&self, outputs: &[u32], symbols: &str) -> String {
        let most = self.inputs as usize + self.ands.len();
        let mut text = format!("aag {most} {} 0 {} {}\n", self.inputs, outputs.len(), self.ands.len());
        text.extend((1..=self.inputs).map(|i| format!("{}\n", 2 * i)));
        text.extend(outputs.iter().map(|o| format!("{o}\n")));
        let own = |i: usize| 2 * (self.inputs as usize + i + 1);
        text.extend(self.ands.iter().enumerate().map(|(i, [a, b])| format!("{} {a} {b}\n", own(i))));
        text.push_str(symbols);
        text
    }

    /// In the binary form.
    pub fn binary(&self, outputs: &[u32]) -> Vec<u8> {
        let most = self.inputs as usize + self.ands.len();
        let mut bytes =
            format!("aig {most} {} 0 {} {}\n", self.inputs, outputs.len(), self.ands.len()).into_bytes();
        outputs.iter().for_each(|o| bytes.extend(format!("{o}\n").bytes()));
        for (i, [a, b]) in self.ands.iter().enumerate() {
            let own = 2 * (self.inputs + i as u32 + 1);
            for mut delta in [own - a, a - b] {
                while delta >= 0x80 {
                    bytes.push(delta as u8 | 0x80);
                    delta >>= 7;
                }
                bytes.push(delta as u8);
            }
        }
        bytes
    }
}
