//! Geometry of paths, polygons and circles.

use pg_types::{Result, SqlError, SqlState, geometry::Point};

use super::plane::{Rect, Segment, distance, eq, ge, gt, le, lt, point_eq, zero};

/// Sides that a polygon's inside is followed along; deeper recursion is refused.
const MAX_FOLLOWED: u32 = 2000;

/// The segments between points one after the other; `closed`: and from the last to the first, which comes first.
pub(super) fn segments(points: &[Point], closed: bool) -> impl Iterator<Item = Segment> + '_ {
    let back = match (points.last(), points.first()) {
        (Some(last), Some(first)) if closed => Some(Segment(*last, *first)),
        _ => None,
    };
    back.into_iter().chain(points.windows(2).filter_map(|w| match w {
        [a, b] => Some(Segment(*a, *b)),
        _ => None,
    }))
}

/// Where a point is to a polygon.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Outside,
    Inside,
    Border,
}

/// How often, doubled, the way from `q` to `p` crosses the positive half of the abscissa; `None`: it goes through the origin.
fn crossing(p: Point, q: Point) -> Option<i32> {
    if zero(p.y) {
        if zero(p.x) {
            return None;
        }
        if gt(p.x, 0.0) {
            if zero(q.y) {
                return gt(q.x, 0.0).then_some(0);
            }
            return Some(if lt(q.y, 0.0) { 1 } else { -1 });
        }
        if zero(q.y) {
            return lt(q.x, 0.0).then_some(0);
        }
        return Some(0);
    }
    let sign = if gt(p.y, 0.0) { 1 } else { -1 };
    if zero(q.y) {
        return Some(if lt(q.x, 0.0) { 0 } else { sign });
    }
    if (sign < 0 && lt(q.y, 0.0)) || (sign > 0 && gt(q.y, 0.0)) {
        return Some(0);
    }
    if ge(p.x, 0.0) && gt(q.x, 0.0) {
        return Some(2 * sign);
    }
    if lt(p.x, 0.0) && le(q.x, 0.0) {
        return Some(0);
    }
    let turn = (p.x - q.x) * p.y - (p.y - q.y) * p.x;
    if zero(turn) {
        return None;
    }
    if (sign < 0 && lt(turn, 0.0)) || (sign > 0 && gt(turn, 0.0)) {
        return Some(0);
    }
    Some(2 * sign)
}

pub(super) fn place(p: Point, polygon: &[Point]) -> Place {
    let from = |q: &Point| Point::new(q.x - p.x, q.y - p.y);
    let Some(first) = polygon.first().map(from) else { return Place::Outside };
    let mut total = 0;
    let mut before = first;
    for next in polygon.iter().skip(1).map(from).chain([first]) {
        match crossing(next, before) {
            None => return Place::Border,
            Some(n) => total += n,
        }
        before = next;
    }
    if total == 0 { Place::Outside } else { Place::Inside }
}

pub(super) fn inside(p: Point, polygon: &[Point]) -> bool {
    place(p, polygon) != Place::Outside
}

/// Is a point on a path? In a closed one what it encloses counts.
pub(super) fn on_path(p: Point, closed: bool, points: &[Point]) -> bool {
    if closed {
        return inside(p, points);
    }
    segments(points, false).any(|s| eq(distance(p, s.0) + distance(p, s.1), s.length()))
}

pub(super) fn paths_meet(a: (bool, &[Point]), b: (bool, &[Point])) -> bool {
    Rect::around(a.1).overlaps(Rect::around(b.1))
        && segments(a.1, a.0).any(|s| segments(b.1, b.0).any(|t| s.meets(t).is_some()))
}

/// The least distance of the segments of two paths; `None`: one has none.
pub(super) fn path_distance(a: (bool, &[Point]), b: (bool, &[Point])) -> Option<f64> {
    let pairs = segments(a.1, a.0).flat_map(|s| segments(b.1, b.0).map(move |t| s.closest_to(t).1));
    pairs.reduce(|best, d| if d < best { d } else { best })
}

pub(super) fn point_to_path(p: Point, closed: bool, points: &[Point]) -> f64 {
    let each = segments(points, closed).map(|s| s.closest(p).1);
    each.reduce(|best, d| if d < best { d } else { best }).unwrap_or(0.0)
}

pub(super) fn point_to_polygon(p: Point, points: &[Point]) -> f64 {
    if inside(p, points) { 0.0 } else { point_to_path(p, true, points) }
}

/// Twice the enclosed area, with a sign.
pub(super) fn double_area(points: &[Point]) -> f64 {
    segments_in_order(points).map(|s| s.0.x * s.1.y - s.0.y * s.1.x).sum()
}

/// All sides, that from the last point to the first being the last one.
pub(super) fn segments_in_order(points: &[Point]) -> impl Iterator<Item = Segment> + '_ {
    points.iter().enumerate().filter_map(|(n, p)| {
        let next = points.get(n + 1).or(points.first())?;
        Some(Segment(*p, *next))
    })
}

/// The same points, from whichever one and in whichever direction.
pub(super) fn same_points(a: &[Point], b: &[Point]) -> bool {
    let count = a.len();
    let Some(first) = a.first() else { return b.is_empty() };
    if b.len() != count {
        return false;
    }
    let at = |n: usize| b.get(n % count).copied().unwrap_or_default();
    (0..count).filter(|n| point_eq(at(*n), *first)).any(|start| {
        let forward = a.iter().enumerate().all(|(k, p)| point_eq(*p, at(start + k)));
        forward || a.iter().enumerate().all(|(k, p)| point_eq(*p, at(start + count - k)))
    })
}

pub(super) fn polygons_overlap(a: &[Point], b: &[Point]) -> bool {
    if !Rect::around(a).overlaps(Rect::around(b)) {
        return false;
    }
    segments(a, true).any(|s| segments(b, true).any(|t| s.meets(t).is_some()))
        || a.first().is_some_and(|p| inside(*p, b))
        || b.first().is_some_and(|p| inside(*p, a))
}

pub(super) fn polygon_contains(a: &[Point], b: &[Point]) -> Result<bool> {
    if a.is_empty() || !Rect::around(a).contains(Rect::around(b)) {
        return Ok(false);
    }
    for side in segments(b, true) {
        if !within(side.0, side.1, a, 0, 0)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Is the way from `a` to `b` within the polygon, as far as its sides from `start` on tell?
fn within(a: Point, b: Point, polygon: &[Point], start: usize, depth: u32) -> Result<bool> {
    if depth > MAX_FOLLOWED {
        return Err(SqlError::new(SqlState::STATEMENT_TOO_COMPLEX, "stack depth limit exceeded"));
    }
    let way = Segment(a, b);
    let before = if start == 0 { polygon.last() } else { polygon.get(start - 1) };
    let mut from = before.copied().unwrap_or_default();
    let mut good = true;
    for (n, to) in polygon.iter().enumerate().skip(start) {
        if !good {
            break;
        }
        let side = Segment(from, *to);
        if side.has(a) {
            if side.has(b) {
                return Ok(true);
            }
            good = touching(a, b, side, polygon, n + 1, depth)?;
        } else if side.has(b) {
            good = touching(b, a, side, polygon, n + 1, depth)?;
        } else if let Some(at) = way.meets(side) {
            return Ok(within(a, at, polygon, n + 1, depth + 1)? && within(b, at, polygon, n + 1, depth + 1)?);
        }
        from = *to;
    }
    Ok(good && inside(way.center(), polygon))
}

/// The same for a way that begins on a side.
fn touching(a: Point, b: Point, side: Segment, polygon: &[Point], start: usize, depth: u32) -> Result<bool> {
    let way = Segment(a, b);
    let on = if point_eq(a, side.0) {
        way.has(side.1).then_some(side.1)
    } else if point_eq(a, side.1) {
        way.has(side.0).then_some(side.0)
    } else if way.has(side.0) {
        Some(side.0)
    } else if way.has(side.1) {
        Some(side.1)
    } else {
        None
    };
    on.map_or(Ok(true), |on| within(b, on, polygon, start, depth + 1))
}

/// The mean of the points, and their mean distance from it.
pub(super) fn circle_of(points: &[Point]) -> (Point, f64) {
    let count = points.len() as f64;
    let sum = points.iter().fold(Point::default(), |s, p| Point::new(s.x + p.x, s.y + p.y));
    let center = Point::new(sum.x / count, sum.y / count);
    (center, points.iter().map(|p| distance(*p, center)).sum::<f64>() / count)
}
