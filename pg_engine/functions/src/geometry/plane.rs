//! Geometry of points, segments, lines and boxes. Comparisons allow for [`EPSILON`], as PostgreSQL's do.

use libm::sqrt;
use pg_types::geometry::{EPSILON, Geometry, Point, with_slope};

pub(super) fn zero(a: f64) -> bool {
    a.abs() <= EPSILON
}
pub(super) fn eq(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= EPSILON
}
pub(super) fn lt(a: f64, b: f64) -> bool {
    a + EPSILON < b
}
pub(super) fn le(a: f64, b: f64) -> bool {
    a <= b + EPSILON
}
pub(super) fn gt(a: f64, b: f64) -> bool {
    a > b + EPSILON
}
pub(super) fn ge(a: f64, b: f64) -> bool {
    a + EPSILON >= b
}

/// Equality of doubles by which NaN is itself.
pub(super) fn same(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan()
}

/// The length of a hypotenuse.
pub(super) fn hypot(x: f64, y: f64) -> f64 {
    if x.is_infinite() || y.is_infinite() {
        return f64::INFINITY;
    }
    if x.is_nan() || y.is_nan() {
        return f64::NAN;
    }
    let (mut x, mut y) = (x.abs(), y.abs());
    if x < y {
        core::mem::swap(&mut x, &mut y);
    }
    if y == 0.0 {
        return x;
    }
    let ratio = y / x;
    x * sqrt(1.0 + ratio * ratio)
}

pub(super) fn distance(a: Point, b: Point) -> f64 {
    hypot(a.x - b.x, a.y - b.y)
}

pub(super) fn point_eq(a: Point, b: Point) -> bool {
    if [a.x, a.y, b.x, b.y].iter().any(|v| v.is_nan()) {
        return same(a.x, b.x) && same(a.y, b.y);
    }
    eq(a.x, b.x) && eq(a.y, b.y)
}

pub(super) fn add(a: Point, b: Point) -> Point {
    Point::new(a.x + b.x, a.y + b.y)
}
pub(super) fn sub(a: Point, b: Point) -> Point {
    Point::new(a.x - b.x, a.y - b.y)
}
/// Points multiply as complex numbers.
pub(super) fn mul(a: Point, b: Point) -> Point {
    Point::new(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x)
}
/// `None`: by zero.
pub(super) fn div(a: Point, b: Point) -> Option<Point> {
    let by = b.x * b.x + b.y * b.y;
    (by != 0.0).then(|| Point::new((a.x * b.x + a.y * b.y) / by, (a.y * b.x - a.x * b.y) / by))
}

pub(super) fn slope(a: Point, b: Point) -> f64 {
    if eq(a.x, b.x) {
        f64::INFINITY
    } else if eq(a.y, b.y) {
        0.0
    } else {
        (a.y - b.y) / (a.x - b.x)
    }
}

/// The slope of what stands upright on the way between two points.
pub(super) fn inverse_slope(a: Point, b: Point) -> f64 {
    if eq(a.x, b.x) {
        0.0
    } else if eq(a.y, b.y) {
        f64::INFINITY
    } else {
        (a.x - b.x) / (b.y - a.y)
    }
}

/// `Ax + By + C = 0`.
#[derive(Clone, Copy)]
pub(super) struct Line {
    pub(super) a: f64,
    pub(super) b: f64,
    pub(super) c: f64,
}

impl Line {
    pub(super) fn new(p: Point, slope: f64) -> Self {
        match with_slope(p, slope) {
            Geometry::Line(a, b, c) => Self { a, b, c },
            _ => Self { a: 0.0, b: -1.0, c: p.y },
        }
    }
    pub(super) fn slope(self) -> f64 {
        if zero(self.a) {
            0.0
        } else if zero(self.b) {
            f64::INFINITY
        } else {
            self.a / -self.b
        }
    }
    fn inverse_slope(self) -> f64 {
        if zero(self.a) {
            f64::INFINITY
        } else if zero(self.b) {
            0.0
        } else {
            self.b / self.a
        }
    }
    pub(super) fn has(self, p: Point) -> bool {
        zero(self.a * p.x + self.b * p.y + self.c)
    }
    /// Where two lines meet; `None`: they are parallel.
    pub(super) fn meets(self, o: Self) -> Option<Point> {
        let plain = |v: f64| if v == 0.0 { 0.0 } else { v };
        let (x, y);
        if !zero(self.b) {
            if eq(o.a, self.a * (o.b / self.b)) {
                return None;
            }
            x = (self.b * o.c - o.b * self.c) / (self.a * o.b - o.a * self.b);
            y = -(self.a * x + self.c) / self.b;
        } else if !zero(o.b) {
            if eq(self.a, o.a * (self.b / o.b)) {
                return None;
            }
            x = (o.b * self.c - self.b * o.c) / (o.a * self.b - self.a * o.b);
            y = -(o.a * x + o.c) / o.b;
        } else {
            return None;
        }
        Some(Point::new(plain(x), plain(y)))
    }
    /// The closest point of the line, and how far it is.
    pub(super) fn closest(self, p: Point) -> (Point, f64) {
        match Self::new(p, self.inverse_slope()).meets(self) {
            Some(at) => (at, distance(at, p)),
            None => (p, f64::NAN),
        }
    }
    pub(super) fn same(self, o: Self) -> bool {
        let all = [self.a, self.b, self.c, o.a, o.b, o.c];
        if all.iter().any(|v| v.is_nan()) {
            return same(self.a, o.a) && same(self.b, o.b) && same(self.c, o.c);
        }
        let ratio = if !zero(o.a) {
            self.a / o.a
        } else if !zero(o.b) {
            self.b / o.b
        } else if !zero(o.c) {
            self.c / o.c
        } else {
            1.0
        };
        eq(self.a, ratio * o.a) && eq(self.b, ratio * o.b) && eq(self.c, ratio * o.c)
    }
    pub(super) fn upright(self, o: Self) -> bool {
        if zero(self.a) {
            zero(o.b)
        } else if zero(o.a) {
            zero(self.b)
        } else if zero(self.b) {
            zero(o.a)
        } else if zero(o.b) {
            zero(self.a)
        } else {
            eq((self.a * o.a) / (self.b * o.b), -1.0)
        }
    }
    pub(super) fn distance(self, o: Self) -> f64 {
        if self.meets(o).is_some() {
            return 0.0;
        }
        let usable = |a: f64, b: f64| !zero(a) && !a.is_nan() && !zero(b) && !b.is_nan();
        let ratio = if usable(self.a, o.a) {
            self.a / o.a
        } else if usable(self.b, o.b) {
            self.b / o.b
        } else {
            1.0
        };
        (self.c - ratio * o.c).abs() / hypot(self.a, self.b)
    }
}

/// A segment by its ends.
#[derive(Clone, Copy)]
pub(super) struct Segment(pub(super) Point, pub(super) Point);

impl Segment {
    pub(super) fn slope(self) -> f64 {
        slope(self.0, self.1)
    }
    pub(super) fn length(self) -> f64 {
        distance(self.0, self.1)
    }
    pub(super) fn line(self) -> Line {
        Line::new(self.0, self.slope())
    }
    pub(super) fn center(self) -> Point {
        Point::new((self.0.x + self.1.x) / 2.0, (self.0.y + self.1.y) / 2.0)
    }
    pub(super) fn has(self, p: Point) -> bool {
        eq(distance(p, self.0) + distance(p, self.1), self.length())
    }
    pub(super) fn meets_line(self, line: Line) -> Option<Point> {
        let at = self.line().meets(line)?;
        if !self.has(at) {
            return None;
        }
        // Rounding does not move an end.
        Some(if point_eq(self.0, at) {
            self.0
        } else if point_eq(self.1, at) {
            self.1
        } else {
            at
        })
    }
    pub(super) fn meets(self, o: Self) -> Option<Point> {
        self.meets_line(o.line()).filter(|at| o.has(*at))
    }
    pub(super) fn closest_to_line(self, line: Line) -> (Point, f64) {
        if let Some(at) = self.meets_line(line) {
            return (at, 0.0);
        }
        let (first, second) = (line.closest(self.0).1, line.closest(self.1).1);
        if first < second { (self.0, first) } else { (self.1, second) }
    }
    /// The closest point of the segment, and how far it is.
    pub(super) fn closest(self, p: Point) -> (Point, f64) {
        let upright = Line::new(p, inverse_slope(self.0, self.1));
        let at = self.closest_to_line(upright).0;
        (at, distance(at, p))
    }
    /// The point of this segment that is closest to another one.
    pub(super) fn closest_to(self, o: Self) -> (Point, f64) {
        if let Some(at) = self.meets(o) {
            return (at, 0.0);
        }
        let mut best = self.closest(o.0);
        for other in [self.closest(o.1), (self.0, o.closest(self.0).1), (self.1, o.closest(self.1).1)] {
            if other.1 < best.1 {
                best = other;
            }
        }
        best
    }
}

/// A box by its corners.
#[derive(Clone, Copy)]
pub(super) struct Rect {
    pub(super) high: Point,
    pub(super) low: Point,
}

impl Rect {
    pub(super) fn of(a: Point, b: Point) -> Self {
        match Geometry::corners(a, b) {
            Geometry::Box(high, low) => Self { high, low },
            _ => Self { high: a, low: b },
        }
    }
    pub(super) fn around(points: &[Point]) -> Self {
        let first = points.first().copied().unwrap_or_default();
        points.iter().fold(Self { high: first, low: first }, |r, p| r.with(Self { high: *p, low: *p }))
    }
    pub(super) fn with(self, o: Self) -> Self {
        let max = |a: f64, b: f64| if a.is_nan() || a > b { a } else { b };
        let min = |a: f64, b: f64| if b.is_nan() || a < b { a } else { b };
        Self {
            high: Point::new(max(self.high.x, o.high.x), max(self.high.y, o.high.y)),
            low: Point::new(min(self.low.x, o.low.x), min(self.low.y, o.low.y)),
        }
    }
    pub(super) fn area(self) -> f64 {
        (self.high.x - self.low.x) * (self.high.y - self.low.y)
    }
    pub(super) fn center(self) -> Point {
        Segment(self.high, self.low).center()
    }
    pub(super) fn overlaps(self, o: Self) -> bool {
        le(self.low.x, o.high.x)
            && le(o.low.x, self.high.x)
            && le(self.low.y, o.high.y)
            && le(o.low.y, self.high.y)
    }
    pub(super) fn contains(self, o: Self) -> bool {
        ge(self.high.x, o.high.x)
            && le(self.low.x, o.low.x)
            && ge(self.high.y, o.high.y)
            && le(self.low.y, o.low.y)
    }
    pub(super) fn has(self, p: Point) -> bool {
        self.high.x >= p.x && self.low.x <= p.x && self.high.y >= p.y && self.low.y <= p.y
    }
    pub(super) fn sides(self) -> [Segment; 4] {
        let (left, right) = (Point::new(self.low.x, self.high.y), Point::new(self.high.x, self.low.y));
        [
            Segment(self.low, left),
            Segment(self.high, left),
            Segment(self.low, right),
            Segment(self.high, right),
        ]
    }
    pub(super) fn meets(self, s: Segment) -> bool {
        if !self.overlaps(Self::of(s.0, s.1)) {
            return false;
        }
        self.has(s.0) || self.has(s.1) || self.sides().iter().any(|side| side.meets(s).is_some())
    }
    /// The closest point of the box to another one.
    pub(super) fn closest(self, p: Point) -> (Point, f64) {
        if self.has(p) {
            return (p, 0.0);
        }
        least(self.sides().map(|s| s.closest(p)))
    }
    pub(super) fn closest_to(self, s: Segment) -> (Point, f64) {
        if self.meets(s) {
            // Any common point will do: the one closest to the box's middle.
            return (s.closest(self.center()).0, 0.0);
        }
        least(self.sides().map(|side| side.closest_to(s)))
    }
}

fn least(found: [(Point, f64); 4]) -> (Point, f64) {
    let [first, rest @ ..] = found;
    rest.into_iter().fold(first, |best, next| if next.1 < best.1 { next } else { best })
}
