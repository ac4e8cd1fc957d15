//! Values of the geometric types: point, lseg, line, box, path, polygon, circle; their text, binary and stored forms.
//!
//! Coordinates are doubles, NaN and infinities included. A box has its upper right corner first; a line is `{A,B,C}` of
//! `Ax + By + C = 0`, with A and B not both zero.

mod text;

use alloc::{boxed::Box, vec::Vec};

use crate::{
    error::{Result, SqlError, SqlState},
    oid::{self, Oid},
    value::Value,
};

pub use text::{parse, through, with_slope, write};

/// A place in the plane.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// Abscissa.
    pub x: f64,
    /// Ordinate.
    pub y: f64,
}

/// A value of one of the types.
#[derive(Clone, Debug, PartialEq)]
pub enum Geometry {
    /// point
    Point(Point),
    /// lseg: both ends.
    Segment(Point, Point),
    /// box: upper right and lower left corner.
    Box(Point, Point),
    /// line: A, B, C.
    Line(f64, f64, f64),
    /// circle: centre and radius.
    Circle(Point, f64),
    /// path: closed or open.
    Path(bool, Vec<Point>),
    /// polygon
    Polygon(Vec<Point>),
}

/// Is it one of these types?
pub fn is_geometric(ty: Oid) -> bool {
    matches!(ty, oid::POINT | oid::LSEG | oid::PATH | oid::BOX | oid::POLYGON | oid::LINE | oid::CIRCLE)
}

impl From<Geometry> for Value {
    fn from(g: Geometry) -> Self {
        Self::Geometry(Box::new(g))
    }
}

impl Point {
    /// A point.
    pub const fn new(x: f64, y: f64) -> Self {
        Self { x, y }
    }
}

impl Geometry {
    /// A box between two opposite corners.
    pub fn corners(a: Point, b: Point) -> Self {
        let high = Point::new(larger(a.x, b.x), larger(a.y, b.y));
        let low = Point::new(smaller(a.x, b.x), smaller(a.y, b.y));
        Self::Box(high, low)
    }
    /// Its type.
    pub fn ty(&self) -> Oid {
        match self {
            Self::Point(_) => oid::POINT,
            Self::Segment(..) => oid::LSEG,
            Self::Box(..) => oid::BOX,
            Self::Line(..) => oid::LINE,
            Self::Circle(..) => oid::CIRCLE,
            Self::Path(..) => oid::PATH,
            Self::Polygon(_) => oid::POLYGON,
        }
    }
    /// What `value[at]` is.
    pub fn part(&self, at: usize) -> Option<Value> {
        match (self, at) {
            (Self::Point(p), 0) => Some(Value::Float8(p.x)),
            (Self::Point(p), 1) => Some(Value::Float8(p.y)),
            (Self::Segment(a, _) | Self::Box(a, _), 0) => Some(Self::Point(*a).into()),
            (Self::Segment(_, b) | Self::Box(_, b), 1) => Some(Self::Point(*b).into()),
            (Self::Line(a, ..), 0) => Some(Value::Float8(*a)),
            (Self::Line(_, b, _), 1) => Some(Value::Float8(*b)),
            (Self::Line(.., c), 2) => Some(Value::Float8(*c)),
            _ => None,
        }
    }
    /// The value with a part replaced.
    pub fn with_part(&self, at: usize, new: &Value) -> Option<Self> {
        let mut changed = self.clone();
        match (&mut changed, at, new) {
            (Self::Point(p), 0, Value::Float8(v)) => p.x = *v,
            (Self::Point(p), 1, Value::Float8(v)) => p.y = *v,
            (Self::Line(a, ..), 0, Value::Float8(v)) => *a = *v,
            (Self::Line(_, b, _), 1, Value::Float8(v)) => *b = *v,
            (Self::Line(.., c), 2, Value::Float8(v)) => *c = *v,
            (Self::Segment(a, b) | Self::Box(a, b), 0 | 1, Value::Geometry(g)) => {
                let Self::Point(p) = **g else { return None };
                *(if at == 0 { a } else { b }) = p;
            }
            _ => return None,
        }
        Some(changed)
    }
    /// Bytes beyond the enum itself.
    pub fn memory(&self) -> usize {
        match self {
            Self::Path(_, points) | Self::Polygon(points) => {
                points.len() * size_of::<Point>() + size_of::<Self>()
            }
            _ => size_of::<Self>(),
        }
    }
    /// The protocol's form, also the stored one: doubles in network order, with a count (and a path's closedness) before those
    /// of types without a fixed number.
    pub fn send(&self, out: &mut Vec<u8>) {
        let mut put = |points: &[Point]| {
            for p in points {
                out.extend_from_slice(&p.x.to_be_bytes());
                out.extend_from_slice(&p.y.to_be_bytes());
            }
        };
        match self {
            Self::Point(p) => put(&[*p]),
            Self::Segment(a, b) | Self::Box(a, b) => put(&[*a, *b]),
            Self::Line(a, b, c) => [a, b, c].iter().for_each(|v| out.extend_from_slice(&v.to_be_bytes())),
            Self::Circle(c, r) => {
                put(&[*c]);
                out.extend_from_slice(&r.to_be_bytes());
            }
            Self::Path(closed, points) => {
                out.push(u8::from(*closed));
                out.extend_from_slice(&(points.len() as i32).to_be_bytes());
                points.iter().for_each(|p| Self::Point(*p).send(out));
            }
            Self::Polygon(points) => {
                out.extend_from_slice(&(points.len() as i32).to_be_bytes());
                points.iter().for_each(|p| Self::Point(*p).send(out));
            }
        }
    }
    /// Reads [`Geometry::send`]'s form from the front of the bytes; what is left stays in `data`.
    pub fn receive(ty: Oid, data: &mut &[u8]) -> Result<Self> {
        Ok(match ty {
            oid::POINT => Self::Point(point(data)?),
            oid::LSEG => Self::Segment(point(data)?, point(data)?),
            oid::BOX => Self::corners(point(data)?, point(data)?),
            oid::LINE => {
                let (a, b, c) = (double(data)?, double(data)?, double(data)?);
                if a.abs() <= EPSILON && b.abs() <= EPSILON {
                    return Err(bad("invalid line specification: A and B cannot both be zero"));
                }
                Self::Line(a, b, c)
            }
            oid::CIRCLE => {
                let (center, radius) = (point(data)?, double(data)?);
                if radius < 0.0 {
                    return Err(bad("invalid radius in external \"circle\" value"));
                }
                Self::Circle(center, radius)
            }
            oid::PATH => {
                let closed = take(data, 1)?.first().is_some_and(|b| *b != 0);
                Self::Path(closed, points(data, "path")?)
            }
            oid::POLYGON => Self::Polygon(points(data, "polygon")?),
            _ => return Err(SqlError::internal("not a geometric type")),
        })
    }
}

/// What lies closer together counts as the same.
pub const EPSILON: f64 = 1.0e-6;

fn larger(a: f64, b: f64) -> f64 {
    if a > b || a.is_nan() { a } else { b }
}

fn smaller(a: f64, b: f64) -> f64 {
    if a > b || a.is_nan() { b } else { a }
}

#[cold]
fn bad(message: &'static str) -> SqlError {
    SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, message)
}

fn take<'a>(data: &mut &'a [u8], n: usize) -> Result<&'a [u8]> {
    let (head, tail) = data
        .split_at_checked(n)
        .ok_or_else(|| SqlError::new(SqlState::PROTOCOL_VIOLATION, "insufficient data left in message"))?;
    *data = tail;
    Ok(head)
}

fn double(data: &mut &[u8]) -> Result<f64> {
    let bytes = take(data, 8)?;
    Ok(f64::from_be_bytes(bytes.try_into().unwrap_or_default()))
}

fn point(data: &mut &[u8]) -> Result<Point> {
    Ok(Point::new(double(data)?, double(data)?))
}

fn points(data: &mut &[u8], what: &str) -> Result<Vec<Point>> {
    let count = i32::from_be_bytes(take(data, 4)?.try_into().unwrap_or_default());
    let count = usize::try_from(count).ok().filter(|n| (1..=data.len() / 16).contains(n));
    let count = count.ok_or_else(|| {
        let text = alloc::format!("invalid number of points in external \"{what}\" value");
        SqlError::new(SqlState::INVALID_BINARY_REPRESENTATION, text)
    })?;
    (0..count).map(|_| point(data)).collect()
}
