//! Text of geometric values.

use alloc::{format, vec::Vec};

use super::{EPSILON, Geometry, Point};
use crate::{
    error::{Result, SqlError, SqlState},
    format::FormatSettings,
    io,
    oid::{self, Oid},
};

/// A value's text.
pub fn write(value: &Geometry, settings: &FormatSettings, out: &mut Vec<u8>) {
    let mut w = Writer { settings, out };
    match value {
        Geometry::Point(p) => w.point(*p),
        Geometry::Segment(a, b) => w.points("[", &[*a, *b], "]"),
        Geometry::Box(a, b) => w.points("", &[*a, *b], ""),
        Geometry::Line(a, b, c) => {
            w.text("{");
            for (n, v) in [a, b, c].into_iter().enumerate() {
                w.text(if n > 0 { "," } else { "" });
                w.number(*v);
            }
            w.text("}");
        }
        Geometry::Circle(c, r) => {
            w.text("<");
            w.point(*c);
            w.text(",");
            w.number(*r);
            w.text(">");
        }
        Geometry::Path(false, points) => w.points("[", points, "]"),
        Geometry::Path(true, points) | Geometry::Polygon(points) => w.points("(", points, ")"),
    }
}

struct Writer<'a> {
    settings: &'a FormatSettings,
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    fn text(&mut self, s: &str) {
        self.out.extend_from_slice(s.as_bytes());
    }
    fn number(&mut self, v: f64) {
        io::output(&crate::Value::Float8(v), crate::SqlType::new(oid::FLOAT8), self.settings, self.out);
    }
    fn point(&mut self, p: Point) {
        self.text("(");
        self.number(p.x);
        self.text(",");
        self.number(p.y);
        self.text(")");
    }
    fn points(&mut self, open: &str, points: &[Point], close: &str) {
        self.text(open);
        for (n, p) in points.iter().enumerate() {
            self.text(if n > 0 { "," } else { "" });
            self.point(*p);
        }
        self.text(close);
    }
}

/// Reads the text of a value.
pub fn parse(ty: Oid, text: &str) -> Result<Geometry> {
    let mut r = Reader { all: text, rest: text.as_bytes(), ty };
    let value = match ty {
        oid::POINT => Geometry::Point(r.pair()?),
        oid::LSEG => {
            let (points, _) = r.series(true, 2)?;
            let [a, b] = r.two(&points)?;
            Geometry::Segment(a, b)
        }
        oid::BOX => {
            let (points, _) = r.series(false, 2)?;
            let [a, b] = r.two(&points)?;
            Geometry::corners(a, b)
        }
        oid::LINE => r.line()?,
        oid::CIRCLE => r.circle()?,
        oid::PATH => r.path()?,
        oid::POLYGON => {
            let count = r.count()?;
            let (points, _) = r.series(false, count)?;
            Geometry::Polygon(points)
        }
        _ => return Err(SqlError::internal("not a geometric type")),
    };
    if r.rest.is_empty() { Ok(value) } else { Err(r.bad()) }
}

struct Reader<'a> {
    all: &'a str,
    rest: &'a [u8],
    ty: Oid,
}

impl Reader<'_> {
    #[cold]
    fn bad(&self) -> SqlError {
        let name = crate::typeinfo::get(self.ty).map_or("", |t| t.name);
        SqlError::new(
            SqlState::INVALID_TEXT_REPRESENTATION,
            format!("invalid input syntax for type {name}: \"{}\"", self.all),
        )
    }
    fn peek(&self) -> u8 {
        self.rest.first().copied().unwrap_or(0)
    }
    fn step(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or(&[]);
    }
    fn blank(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c) {
            self.step();
        }
    }
    fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == byte && !self.rest.is_empty();
        if found {
            self.step();
        }
        found
    }
    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.accept(byte) { Ok(()) } else { Err(self.bad()) }
    }

    /// A number, with the blanks around it.
    fn number(&mut self) -> Result<f64> {
        self.blank();
        let ends = |b: &u8| matches!(b, b',' | b'(' | b')' | b'[' | b']' | b'<' | b'>' | b'{' | b'}');
        let length = self.rest.iter().position(ends).unwrap_or(self.rest.len());
        let (number, rest) = self.rest.split_at_checked(length).ok_or_else(|| self.bad())?;
        let number = core::str::from_utf8(number).map_err(|_| self.bad())?;
        let read = crate::io::parse_double(number);
        self.rest = rest;
        match read {
            Ok(v) => Ok(v),
            Err(e) if e.state() == SqlState::NUMERIC_VALUE_OUT_OF_RANGE => Err(e),
            Err(_) => Err(self.bad()),
        }
    }

    /// `(x,y)` or `x,y`.
    fn pair(&mut self) -> Result<Point> {
        self.blank();
        let delimited = self.accept(b'(');
        let x = self.number()?;
        self.expect(b',')?;
        let y = self.number()?;
        if delimited {
            self.expect(b')')?;
            self.blank();
        }
        Ok(Point::new(x, y))
    }

    /// Pairs, perhaps within parentheses or, if that may say that they are open, brackets.
    fn series(&mut self, opens: bool, count: usize) -> Result<(Vec<Point>, bool)> {
        self.blank();
        let mut depth = 0;
        let open = self.peek() == b'[';
        if open {
            if !opens {
                return Err(self.bad());
            }
            depth += 1;
            self.step();
        } else if self.peek() == b'(' {
            let inner = self.rest.get(1..).unwrap_or(&[]);
            let inner = inner.iter().find(|b| !b.is_ascii_whitespace());
            // Either there are parentheses within, or these are the only ones, of all numbers or of one pair.
            let last = self.rest.iter().rposition(|b| *b == b'(');
            if inner == Some(&b'(') || last == Some(0) {
                depth += 1;
                self.step();
            }
        }
        let mut points = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            points.push(self.pair()?);
            self.accept(b',');
        }
        while depth > 0 {
            if self.peek() == b')' || self.peek() == b']' && open && depth == 1 {
                depth -= 1;
                self.step();
                self.blank();
            } else {
                return Err(self.bad());
            }
        }
        Ok((points, open))
    }

    fn two(&self, points: &[Point]) -> Result<[Point; 2]> {
        points.try_into().map_err(|_| self.bad())
    }

    /// How many pairs there are by the commas.
    fn count(&self) -> Result<usize> {
        let commas = self.rest.iter().filter(|b| **b == b',').count();
        if commas % 2 == 1 { Ok(commas.div_ceil(2)) } else { Err(self.bad()) }
    }

    fn path(&mut self) -> Result<Geometry> {
        let count = self.count()?;
        self.blank();
        // Parentheses around all of it.
        let last = self.rest.iter().rposition(|b| *b == b'(');
        let around = self.peek() == b'(' && last == Some(0);
        if around {
            self.step();
        }
        let (points, open) = self.series(true, count)?;
        if around {
            self.expect(b')')?;
            self.blank();
        }
        Ok(Geometry::Path(!open, points))
    }

    fn circle(&mut self) -> Result<Geometry> {
        self.blank();
        let mut depth = 0;
        if self.accept(b'<') {
            depth += 1;
        } else if self.peek() == b'(' {
            let inner = self.rest.get(1..).unwrap_or(&[]);
            let skipped = inner.iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(0);
            if inner.get(skipped) == Some(&b'(') {
                depth += 1;
                self.rest = inner.get(skipped..).unwrap_or(&[]);
            }
        }
        let center = self.pair()?;
        self.accept(b',');
        let radius = self.number()?;
        if radius < 0.0 {
            return Err(self.bad());
        }
        while depth > 0 {
            if self.peek() == b')' || self.peek() == b'>' && depth == 1 {
                depth -= 1;
                self.step();
                self.blank();
            } else {
                return Err(self.bad());
            }
        }
        Ok(Geometry::Circle(center, radius))
    }

    fn line(&mut self) -> Result<Geometry> {
        self.blank();
        let fault = |text: &'static str| SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, text);
        if self.accept(b'{') {
            let a = self.number()?;
            self.expect(b',')?;
            let b = self.number()?;
            self.expect(b',')?;
            let c = self.number()?;
            self.expect(b'}')?;
            self.blank();
            if !self.rest.is_empty() {
                return Err(self.bad());
            }
            if a.abs() <= EPSILON && b.abs() <= EPSILON {
                return Err(fault("invalid line specification: A and B cannot both be zero"));
            }
            return Ok(Geometry::Line(a, b, c));
        }
        let (points, _) = self.series(true, 2)?;
        let [p, q] = self.two(&points)?;
        if !self.rest.is_empty() {
            return Err(self.bad());
        }
        through(p, q).ok_or_else(|| fault("invalid line specification: must be two distinct points"))
    }
}

/// The line through two points; `None` if they are one.
pub fn through(p: Point, q: Point) -> Option<Geometry> {
    let near = |a: f64, b: f64| a == b || (a - b).abs() <= EPSILON;
    if near(p.x, q.x) && near(p.y, q.y) {
        return None;
    }
    let slope = match (near(p.x, q.x), near(p.y, q.y)) {
        (true, _) => f64::INFINITY,
        (_, true) => 0.0,
        _ => (p.y - q.y) / (p.x - q.x),
    };
    Some(with_slope(p, slope))
}

/// The line through a point with a slope.
pub fn with_slope(p: Point, slope: f64) -> Geometry {
    if slope.is_infinite() {
        return Geometry::Line(-1.0, 0.0, p.x);
    }
    if slope == 0.0 {
        return Geometry::Line(0.0, -1.0, p.y);
    }
    let c = p.y - slope * p.x;
    Geometry::Line(slope, -1.0, if c == 0.0 { 0.0 } else { c })
}
