//! The geometric types: point, lseg, line, box, path, polygon, circle.

mod areas;
mod functions;
mod operators;
mod plane;

use alloc::vec::Vec;

use pg_types::{
    Result, SqlError, SqlState, Value,
    geometry::{Geometry, Point},
};

pub(crate) use functions::FUNCTIONS;
pub(crate) use operators::OPERATORS;
use plane::{Line, Rect, Segment, div, zero};

use crate::call::{Arg, Ret, mismatch};

/// A circle.
#[derive(Clone, Copy)]
struct Circle {
    center: Point,
    radius: f64,
}

/// A path.
struct Path<'a> {
    closed: bool,
    points: &'a [Point],
}

/// A polygon.
struct Polygon<'a>(&'a [Point]);

macro_rules! argument {
    ($($t:ty: $pattern:pat => $made:expr;)*) => {$(
        impl<'a> Arg<'a> for $t {
            fn arg(value: &'a Value) -> Result<Self> {
                let Value::Geometry(g) = value else { return Err(mismatch()) };
                match &**g {
                    $pattern => Ok($made),
                    _ => Err(mismatch()),
                }
            }
        }
    )*};
}

argument! {
    Point: Geometry::Point(p) => *p;
    Segment: Geometry::Segment(a, b) => Segment(*a, *b);
    Rect: Geometry::Box(high, low) => Rect { high: *high, low: *low };
    Line: Geometry::Line(a, b, c) => Line { a: *a, b: *b, c: *c };
    Circle: Geometry::Circle(center, radius) => Circle { center: *center, radius: *radius };
    Path<'a>: Geometry::Path(closed, points) => Path { closed: *closed, points };
    Polygon<'a>: Geometry::Polygon(points) => Polygon(points);
}

macro_rules! result {
    ($($t:ty: |$x:ident| $made:expr;)*) => {$(
        impl Ret for $t {
            fn ret(self) -> Result<Value> {
                let $x = self;
                Ok(Value::from($made))
            }
        }
    )*};
}

result! {
    Geometry: |g| g;
    Point: |p| Geometry::Point(p);
    Segment: |s| Geometry::Segment(s.0, s.1);
    Rect: |r| Geometry::Box(r.high, r.low);
    Line: |l| Geometry::Line(l.a, l.b, l.c);
    Circle: |c| Geometry::Circle(c.center, c.radius);
}

impl Rect {
    fn ends(self) -> [Point; 2] {
        [self.high, self.low]
    }
    /// The box between the corners moved so.
    fn map(self, f: impl Fn(Point) -> Point) -> Self {
        Self::of(f(self.high), f(self.low))
    }
    fn divided(self, by: Point) -> Result<Self> {
        let corner = |p| div(p, by).ok_or_else(by_zero);
        Ok(Self::of(corner(self.high)?, corner(self.low)?))
    }
    fn common(self, o: Self) -> Self {
        Self {
            high: Point::new(self.high.x.min(o.high.x), self.high.y.min(o.high.y)),
            low: Point::new(self.low.x.max(o.low.x), self.low.y.max(o.low.y)),
        }
    }
    fn polygon(self) -> Geometry {
        let (left, right) = (Point::new(self.low.x, self.high.y), Point::new(self.high.x, self.low.y));
        Geometry::Polygon(Vec::from([self.low, left, self.high, right]))
    }
}

impl Circle {
    fn of(points: &[Point]) -> Self {
        let (center, radius) = areas::circle_of(points);
        Self { center, radius }
    }
    fn area(self) -> f64 {
        self.radius * self.radius * core::f64::consts::PI
    }
    fn bounds(self) -> Rect {
        let d = self.radius / libm::sqrt(2.0);
        let Point { x, y } = self.center;
        Rect { high: Point::new(x + d, y + d), low: Point::new(x - d, y - d) }
    }
    fn divided(self, by: Point) -> Result<Self> {
        let center = div(self.center, by).ok_or_else(by_zero)?;
        Ok(Self { center, radius: self.radius / plane::hypot(by.x, by.y) })
    }
}

impl<'a> Path<'a> {
    fn parts(&self) -> (bool, &'a [Point]) {
        (self.closed, self.points)
    }
    fn map(&self, f: impl Fn(Point) -> Result<Point>) -> Result<Geometry> {
        let points = self.points.iter().map(|p| f(*p)).collect::<Result<_>>()?;
        Ok(Geometry::Path(self.closed, points))
    }
}

impl Polygon<'_> {
    fn bounds(&self) -> Rect {
        Rect::around(self.0)
    }
}

#[cold]
fn by_zero() -> SqlError {
    SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero")
}

#[cold]
fn open_path() -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, "open path cannot be converted to polygon")
}

/// 22003 for a result that is infinite though nothing given was.
fn sound(value: f64, given: &[Point]) -> Result<f64> {
    if value.is_infinite() && given.iter().all(|p| p.x.is_finite() && p.y.is_finite()) {
        return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow"));
    }
    Ok(value)
}

fn sound_point(p: Point, given: &[Point]) -> Result<Point> {
    Ok(Point::new(sound(p.x, given)?, sound(p.y, given)?))
}

fn positive(d: f64) -> f64 {
    if d < 0.0 { 0.0 } else { d }
}

/// The closest point, unless the distance is unknown.
fn known((at, distance): (Point, f64)) -> Option<Point> {
    (!distance.is_nan()).then_some(at)
}

fn line_through(a: Point, b: Point) -> Result<Geometry> {
    pg_types::geometry::through(a, b).ok_or_else(|| {
        SqlError::new(
            SqlState::INVALID_PARAMETER_VALUE,
            "invalid line specification: must be two distinct points",
        )
    })
}

/// Most points of a polygon that is made of a circle.
const MAX_POINTS: i32 = 1 << 20;

fn polygon_of(count: i32, c: Circle) -> Result<Geometry> {
    let invalid = |text: &'static str| Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, text));
    if zero(c.radius) {
        return Err(SqlError::new(
            SqlState::FEATURE_NOT_SUPPORTED,
            "cannot convert circle with radius zero to polygon",
        ));
    }
    if count < 2 {
        return invalid("must request at least 2 points");
    }
    if count > MAX_POINTS {
        return Err(SqlError::new(SqlState::PROGRAM_LIMIT_EXCEEDED, "too many points requested"));
    }
    let step = 2.0 * core::f64::consts::PI / f64::from(count);
    let point = |n: i32| {
        let angle = f64::from(n) * step;
        Point::new(c.center.x - c.radius * libm::cos(angle), c.center.y + c.radius * libm::sin(angle))
    };
    Ok(Geometry::Polygon((0..count).map(point).collect()))
}
