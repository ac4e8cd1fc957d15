//! Functions of geometric types (`pg_proc`).

use pg_types::{
    geometry::{Geometry, Point},
    oid::*,
};

use super::{
    Circle, Path, Polygon,
    areas::{
        circle_of, double_area, inside, on_path, path_distance, paths_meet, point_to_path, point_to_polygon,
        polygon_contains, polygons_overlap, same_points, segments,
    },
    by_zero, known, line_through, open_path,
    plane::{
        Line, Rect, Segment, add, distance, div, eq, ge, gt, hypot, inverse_slope, le, lt, mul, point_eq,
        slope, sub, zero,
    },
    polygon_of, positive, sound, sound_point,
};
use crate::{call::row, def::Function, table::def};

/// Rows.
pub(crate) static FUNCTIONS: &[Function] = &[
    def(115, "box_above_eq", &[BOX, BOX], BOOL).imp(row!(|a: Rect, b: Rect| ge(a.low.y, b.high.y))),
    def(116, "box_below_eq", &[BOX, BOX], BOOL).imp(row!(|a: Rect, b: Rect| le(a.high.y, b.low.y))),
    def(125, "box_overlap", &[BOX, BOX], BOOL).imp(row!(|a: Rect, b: Rect| a.overlaps(b))),
    def(126, "box_ge", &[BOX, BOX], BOOL).imp(row!(|a: Rect, b: Rect| ge(a.area(), b.area()))),
    def(127, "box_gt", &[BOX, BOX], BOOL).imp(row!(|a: Rect, b: Rect| gt(a.area(), b.area()))),
    def(128, "box_eq", &[BOX, BOX], BOOL).imp(row!(|a: Rect, b: Rect| eq(a.area(), b.area()))),
    def(129, "box_lt", &[BOX, BOX], BOOL).imp(row!(|a: Rect, b: Rect| lt(a.area(), b.area()))),
    def(130, "box_le", &[BOX, BOX], BOOL).imp(row!(|a: Rect, b: Rect| le(a.area(), b.area()))),
    def(131, "point_above", &[POINT, POINT], BOOL).imp(row!(|a: Point, b: Point| gt(a.y, b.y))),
    def(132, "point_left", &[POINT, POINT], BOOL).imp(row!(|a: Point, b: Point| lt(a.x, b.x))),
    def(133, "point_right", &[POINT, POINT], BOOL).imp(row!(|a: Point, b: Point| gt(a.x, b.x))),
    def(134, "point_below", &[POINT, POINT], BOOL).imp(row!(|a: Point, b: Point| lt(a.y, b.y))),
    def(135, "point_eq", &[POINT, POINT], BOOL).imp(row!(|a: Point, b: Point| point_eq(a, b))),
    def(136, "on_pb", &[POINT, BOX], BOOL).imp(row!(|a: Point, b: Rect| b.has(a))),
    def(137, "on_ppath", &[POINT, PATH], BOOL)
        .imp(row!(|a: Point, b: Path<'_>| on_path(a, b.closed, b.points))),
    def(138, "box_center", &[BOX], POINT).imp(row!(|a: Rect| a.center())),
    def(186, "box_same", &[BOX, BOX], BOOL)
        .imp(row!(|a: Rect, b: Rect| point_eq(a.high, b.high) && point_eq(a.low, b.low))),
    def(187, "box_contain", &[BOX, BOX], BOOL).imp(row!(|a: Rect, b: Rect| a.contains(b))),
    def(188, "box_left", &[BOX, BOX], BOOL).imp(row!(|a: Rect, b: Rect| lt(a.high.x, b.low.x))),
    def(189, "box_overleft", &[BOX, BOX], BOOL).imp(row!(|a: Rect, b: Rect| le(a.high.x, b.high.x))),
    def(190, "box_overright", &[BOX, BOX], BOOL).imp(row!(|a: Rect, b: Rect| ge(a.low.x, b.low.x))),
    def(191, "box_right", &[BOX, BOX], BOOL).imp(row!(|a: Rect, b: Rect| gt(a.low.x, b.high.x))),
    def(192, "box_contained", &[BOX, BOX], BOOL).imp(row!(|a: Rect, b: Rect| b.contains(a))),
    def(193, "box_contain_pt", &[BOX, POINT], BOOL).imp(row!(|a: Rect, b: Point| a.has(b))),
    def(225, "lseg_center", &[LSEG], POINT).imp(row!(|a: Segment| a.center())),
    def(227, "poly_center", &[POLYGON], POINT).imp(row!(|a: Polygon<'_>| circle_of(a.0).0)),
    def(239, "line_distance", &[LINE, LINE], FLOAT8).imp(row!(|a: Line, b: Line| a.distance(b))),
    def(277, "inter_sl", &[LSEG, LINE], BOOL).imp(row!(|a: Segment, b: Line| a.meets_line(b).is_some())),
    def(278, "inter_lb", &[LINE, BOX], BOOL)
        .imp(row!(|a: Line, b: Rect| b.sides().iter().any(|s| s.meets_line(a).is_some()))),
    def(339, "poly_same", &[POLYGON, POLYGON], BOOL)
        .imp(row!(|a: Polygon<'_>, b: Polygon<'_>| same_points(a.0, b.0))),
    def(340, "poly_contain", &[POLYGON, POLYGON], BOOL)
        .imp(row!(|a: Polygon<'_>, b: Polygon<'_>| polygon_contains(a.0, b.0))),
    def(341, "poly_left", &[POLYGON, POLYGON], BOOL).imp(row!(|a: Polygon<'_>, b: Polygon<'_>| a
        .bounds()
        .high
        .x
        < b.bounds().low.x)),
    def(342, "poly_overleft", &[POLYGON, POLYGON], BOOL).imp(row!(|a: Polygon<'_>, b: Polygon<'_>| a
        .bounds()
        .high
        .x
        <= b.bounds().high.x)),
    def(343, "poly_overright", &[POLYGON, POLYGON], BOOL).imp(row!(|a: Polygon<'_>, b: Polygon<'_>| a
        .bounds()
        .low
        .x
        >= b.bounds().low.x)),
    def(344, "poly_right", &[POLYGON, POLYGON], BOOL).imp(row!(|a: Polygon<'_>, b: Polygon<'_>| a
        .bounds()
        .low
        .x
        > b.bounds().high.x)),
    def(345, "poly_contained", &[POLYGON, POLYGON], BOOL)
        .imp(row!(|a: Polygon<'_>, b: Polygon<'_>| polygon_contains(b.0, a.0))),
    def(346, "poly_overlap", &[POLYGON, POLYGON], BOOL)
        .imp(row!(|a: Polygon<'_>, b: Polygon<'_>| polygons_overlap(a.0, b.0))),
    def(357, "dist_bp", &[BOX, POINT], FLOAT8).imp(row!(|a: Rect, b: Point| a.closest(b).1)),
    def(361, "lseg_distance", &[LSEG, LSEG], FLOAT8).imp(row!(|a: Segment, b: Segment| a.closest_to(b).1)),
    def(362, "lseg_interpt", &[LSEG, LSEG], POINT).imp(row!(|a: Segment, b: Segment| a.meets(b))),
    def(363, "dist_ps", &[POINT, LSEG], FLOAT8).imp(row!(|a: Point, b: Segment| b.closest(a).1)),
    def(364, "dist_pb", &[POINT, BOX], FLOAT8).imp(row!(|a: Point, b: Rect| b.closest(a).1)),
    def(365, "dist_sb", &[LSEG, BOX], FLOAT8).imp(row!(|a: Segment, b: Rect| b.closest_to(a).1)),
    def(366, "close_ps", &[POINT, LSEG], POINT).imp(row!(|a: Point, b: Segment| known(b.closest(a)))),
    def(367, "close_pb", &[POINT, BOX], POINT).imp(row!(|a: Point, b: Rect| known(b.closest(a)))),
    def(368, "close_sb", &[LSEG, BOX], POINT).imp(row!(|a: Segment, b: Rect| known(b.closest_to(a)))),
    def(369, "on_ps", &[POINT, LSEG], BOOL).imp(row!(|a: Point, b: Segment| b.has(a))),
    def(370, "path_distance", &[PATH, PATH], FLOAT8)
        .imp(row!(|a: Path<'_>, b: Path<'_>| path_distance(a.parts(), b.parts()))),
    def(371, "dist_ppath", &[POINT, PATH], FLOAT8)
        .imp(row!(|a: Point, b: Path<'_>| point_to_path(a, b.closed, b.points))),
    def(372, "on_sb", &[LSEG, BOX], BOOL).imp(row!(|a: Segment, b: Rect| b.has(a.0) && b.has(a.1))),
    def(373, "inter_sb", &[LSEG, BOX], BOOL).imp(row!(|a: Segment, b: Rect| b.meets(a))),
    def(380, "dist_sp", &[LSEG, POINT], FLOAT8).imp(row!(|a: Segment, b: Point| a.closest(b).1)),
    def(381, "dist_bs", &[BOX, LSEG], FLOAT8).imp(row!(|a: Rect, b: Segment| a.closest_to(b).1)),
    def(421, "dist_pathp", &[PATH, POINT], FLOAT8)
        .imp(row!(|a: Path<'_>, b: Point| point_to_path(b, a.closed, a.points))),
    def(702, "dist_lp", &[LINE, POINT], FLOAT8).imp(row!(|a: Line, b: Point| a.closest(b).1)),
    def(704, "dist_ls", &[LINE, LSEG], FLOAT8).imp(row!(|a: Line, b: Segment| b.closest_to_line(a).1)),
    def(725, "dist_pl", &[POINT, LINE], FLOAT8).imp(row!(|a: Point, b: Line| b.closest(a).1)),
    def(727, "dist_sl", &[LSEG, LINE], FLOAT8).imp(row!(|a: Segment, b: Line| a.closest_to_line(b).1)),
    def(728, "dist_cpoly", &[CIRCLE, POLYGON], FLOAT8)
        .imp(row!(|a: Circle, b: Polygon<'_>| positive(point_to_polygon(a.center, b.0) - a.radius))),
    def(729, "poly_distance", &[POLYGON, POLYGON], FLOAT8).imp(row!(|a: Polygon<'_>, b: Polygon<'_>| {
        if polygons_overlap(a.0, b.0) { Some(0.0) } else { path_distance((true, a.0), (true, b.0)) }
    })),
    def(785, "dist_polyc", &[POLYGON, CIRCLE], FLOAT8)
        .imp(row!(|a: Polygon<'_>, b: Circle| positive(point_to_polygon(b.center, a.0) - b.radius))),
    def(959, "on_pl", &[POINT, LINE], BOOL).imp(row!(|a: Point, b: Line| b.has(a))),
    def(960, "on_sl", &[LSEG, LINE], BOOL).imp(row!(|a: Segment, b: Line| b.has(a.0) && b.has(a.1))),
    def(961, "close_pl", &[POINT, LINE], POINT).imp(row!(|a: Point, b: Line| known(b.closest(a)))),
    def(973, "path_inter", &[PATH, PATH], BOOL)
        .imp(row!(|a: Path<'_>, b: Path<'_>| paths_meet(a.parts(), b.parts()))),
    def(975, "area", &[BOX], FLOAT8).imp(row!(|a: Rect| sound(a.area(), &a.ends()))),
    def(976, "width", &[BOX], FLOAT8).imp(row!(|a: Rect| a.high.x - a.low.x)),
    def(977, "height", &[BOX], FLOAT8).imp(row!(|a: Rect| a.high.y - a.low.y)),
    def(978, "box_distance", &[BOX, BOX], FLOAT8).imp(row!(|a: Rect, b: Rect| sound(
        distance(a.center(), b.center()),
        &[a.high, a.low, b.high, b.low]
    ))),
    def(979, "area", &[PATH], FLOAT8)
        .imp(row!(|a: Path<'_>| a.closed.then(|| double_area(a.points).abs() / 2.0))),
    def(980, "box_intersect", &[BOX, BOX], BOX)
        .imp(row!(|a: Rect, b: Rect| a.overlaps(b).then(|| a.common(b)))),
    def(981, "diagonal", &[BOX], LSEG).imp(row!(|a: Rect| Segment(a.high, a.low))),
    def(982, "path_n_lt", &[PATH, PATH], BOOL)
        .imp(row!(|a: Path<'_>, b: Path<'_>| a.points.len() < b.points.len())),
    def(983, "path_n_gt", &[PATH, PATH], BOOL)
        .imp(row!(|a: Path<'_>, b: Path<'_>| a.points.len() > b.points.len())),
    def(984, "path_n_eq", &[PATH, PATH], BOOL)
        .imp(row!(|a: Path<'_>, b: Path<'_>| a.points.len() == b.points.len())),
    def(985, "path_n_le", &[PATH, PATH], BOOL)
        .imp(row!(|a: Path<'_>, b: Path<'_>| a.points.len() <= b.points.len())),
    def(986, "path_n_ge", &[PATH, PATH], BOOL)
        .imp(row!(|a: Path<'_>, b: Path<'_>| a.points.len() >= b.points.len())),
    def(987, "path_length", &[PATH], FLOAT8)
        .imp(row!(|a: Path<'_>| segments(a.points, a.closed).map(Segment::length).sum::<f64>())),
    def(988, "point_ne", &[POINT, POINT], BOOL).imp(row!(|a: Point, b: Point| !point_eq(a, b))),
    def(989, "point_vert", &[POINT, POINT], BOOL).imp(row!(|a: Point, b: Point| eq(a.x, b.x))),
    def(990, "point_horiz", &[POINT, POINT], BOOL).imp(row!(|a: Point, b: Point| eq(a.y, b.y))),
    def(991, "point_distance", &[POINT, POINT], FLOAT8)
        .imp(row!(|a: Point, b: Point| sound(distance(a, b), &[a, b]))),
    def(992, "slope", &[POINT, POINT], FLOAT8).imp(row!(|a: Point, b: Point| slope(a, b))),
    def(993, "lseg", &[POINT, POINT], LSEG).imp(row!(|a: Point, b: Point| Segment(a, b))),
    def(994, "lseg_intersect", &[LSEG, LSEG], BOOL).imp(row!(|a: Segment, b: Segment| a.meets(b).is_some())),
    def(995, "lseg_parallel", &[LSEG, LSEG], BOOL)
        .imp(row!(|a: Segment, b: Segment| eq(a.slope(), b.slope()))),
    def(996, "lseg_perp", &[LSEG, LSEG], BOOL)
        .imp(row!(|a: Segment, b: Segment| eq(a.slope(), inverse_slope(b.0, b.1)))),
    def(997, "lseg_vertical", &[LSEG], BOOL).imp(row!(|a: Segment| eq(a.0.x, a.1.x))),
    def(998, "lseg_horizontal", &[LSEG], BOOL).imp(row!(|a: Segment| eq(a.0.y, a.1.y))),
    def(999, "lseg_eq", &[LSEG, LSEG], BOOL)
        .imp(row!(|a: Segment, b: Segment| point_eq(a.0, b.0) && point_eq(a.1, b.1))),
    def(1146, "circle_add_pt", &[CIRCLE, POINT], CIRCLE)
        .imp(row!(|a: Circle, b: Point| Circle { center: add(a.center, b), radius: a.radius })),
    def(1147, "circle_sub_pt", &[CIRCLE, POINT], CIRCLE)
        .imp(row!(|a: Circle, b: Point| Circle { center: sub(a.center, b), radius: a.radius })),
    def(1148, "circle_mul_pt", &[CIRCLE, POINT], CIRCLE).imp(row!(|a: Circle, b: Point| Circle {
        center: mul(a.center, b),
        radius: a.radius * hypot(b.x, b.y)
    })),
    def(1149, "circle_div_pt", &[CIRCLE, POINT], CIRCLE).imp(row!(|a: Circle, b: Point| a.divided(b))),
    def(1406, "isvertical", &[POINT, POINT], BOOL).imp(row!(|a: Point, b: Point| eq(a.x, b.x))),
    def(1407, "ishorizontal", &[POINT, POINT], BOOL).imp(row!(|a: Point, b: Point| eq(a.y, b.y))),
    def(1408, "isparallel", &[LSEG, LSEG], BOOL).imp(row!(|a: Segment, b: Segment| eq(a.slope(), b.slope()))),
    def(1409, "isperp", &[LSEG, LSEG], BOOL)
        .imp(row!(|a: Segment, b: Segment| eq(a.slope(), inverse_slope(b.0, b.1)))),
    def(1410, "isvertical", &[LSEG], BOOL).imp(row!(|a: Segment| eq(a.0.x, a.1.x))),
    def(1411, "ishorizontal", &[LSEG], BOOL).imp(row!(|a: Segment| eq(a.0.y, a.1.y))),
    def(1412, "isparallel", &[LINE, LINE], BOOL).imp(row!(|a: Line, b: Line| a.meets(b).is_none())),
    def(1413, "isperp", &[LINE, LINE], BOOL).imp(row!(|a: Line, b: Line| a.upright(b))),
    def(1414, "isvertical", &[LINE], BOOL).imp(row!(|a: Line| zero(a.b))),
    def(1415, "ishorizontal", &[LINE], BOOL).imp(row!(|a: Line| zero(a.a))),
    def(1416, "point", &[CIRCLE], POINT).imp(row!(|a: Circle| a.center)),
    def(1421, "box", &[POINT, POINT], BOX).imp(row!(|a: Point, b: Point| Rect::of(a, b))),
    def(1422, "box_add", &[BOX, POINT], BOX).imp(row!(|a: Rect, b: Point| a.map(|p| add(p, b)))),
    def(1423, "box_sub", &[BOX, POINT], BOX).imp(row!(|a: Rect, b: Point| a.map(|p| sub(p, b)))),
    def(1424, "box_mul", &[BOX, POINT], BOX).imp(row!(|a: Rect, b: Point| a.map(|p| mul(p, b)))),
    def(1425, "box_div", &[BOX, POINT], BOX).imp(row!(|a: Rect, b: Point| a.divided(b))),
    def(1426, "path_contain_pt", &[PATH, POINT], BOOL)
        .imp(row!(|a: Path<'_>, b: Point| on_path(b, a.closed, a.points))),
    def(1428, "poly_contain_pt", &[POLYGON, POINT], BOOL)
        .imp(row!(|a: Polygon<'_>, b: Point| inside(b, a.0))),
    def(1429, "pt_contained_poly", &[POINT, POLYGON], BOOL)
        .imp(row!(|a: Point, b: Polygon<'_>| inside(a, b.0))),
    def(1430, "isclosed", &[PATH], BOOL).imp(row!(|a: Path<'_>| a.closed)),
    def(1431, "isopen", &[PATH], BOOL).imp(row!(|a: Path<'_>| !a.closed)),
    def(1432, "path_npoints", &[PATH], INT4).imp(row!(|a: Path<'_>| a.points.len() as i32)),
    def(1433, "pclose", &[PATH], PATH).imp(row!(|a: Path<'_>| Geometry::Path(true, a.points.to_vec()))),
    def(1434, "popen", &[PATH], PATH).imp(row!(|a: Path<'_>| Geometry::Path(false, a.points.to_vec()))),
    def(1435, "path_add", &[PATH, PATH], PATH).imp(row!(|a: Path<'_>, b: Path<'_>| (!a.closed && !b.closed)
        .then(|| Geometry::Path(false, [a.points, b.points].concat())))),
    def(1436, "path_add_pt", &[PATH, POINT], PATH)
        .imp(row!(|a: Path<'_>, b: Point| a.map(|p| Ok(add(p, b))))),
    def(1437, "path_sub_pt", &[PATH, POINT], PATH)
        .imp(row!(|a: Path<'_>, b: Point| a.map(|p| Ok(sub(p, b))))),
    def(1438, "path_mul_pt", &[PATH, POINT], PATH)
        .imp(row!(|a: Path<'_>, b: Point| a.map(|p| Ok(mul(p, b))))),
    def(1439, "path_div_pt", &[PATH, POINT], PATH)
        .imp(row!(|a: Path<'_>, b: Point| a.map(|p| div(p, b).ok_or_else(by_zero)))),
    def(1440, "point", &[FLOAT8, FLOAT8], POINT).imp(row!(|a: f64, b: f64| Point::new(a, b))),
    def(1441, "point_add", &[POINT, POINT], POINT)
        .imp(row!(|a: Point, b: Point| sound_point(add(a, b), &[a, b]))),
    def(1442, "point_sub", &[POINT, POINT], POINT)
        .imp(row!(|a: Point, b: Point| sound_point(sub(a, b), &[a, b]))),
    def(1443, "point_mul", &[POINT, POINT], POINT)
        .imp(row!(|a: Point, b: Point| sound_point(mul(a, b), &[a, b]))),
    def(1444, "point_div", &[POINT, POINT], POINT)
        .imp(row!(|a: Point, b: Point| div(a, b).ok_or_else(by_zero).and_then(|p| sound_point(p, &[a, b])))),
    def(1445, "poly_npoints", &[POLYGON], INT4).imp(row!(|a: Polygon<'_>| a.0.len() as i32)),
    def(1446, "box", &[POLYGON], BOX).imp(row!(|a: Polygon<'_>| Rect::around(a.0))),
    def(1447, "path", &[POLYGON], PATH).imp(row!(|a: Polygon<'_>| Geometry::Path(true, a.0.to_vec()))),
    def(1448, "polygon", &[BOX], POLYGON).imp(row!(|a: Rect| a.polygon())),
    def(1449, "polygon", &[PATH], POLYGON).imp(row!(|a: Path<'_>| a
        .closed
        .then(|| Geometry::Polygon(a.points.to_vec()))
        .ok_or_else(open_path))),
    def(1452, "circle_same", &[CIRCLE, CIRCLE], BOOL).imp(row!(|a: Circle, b: Circle| point_eq(
        a.center, b.center
    ) && (eq(
        a.radius, b.radius
    ) || a
        .radius
        .is_nan()
        && b.radius.is_nan()))),
    def(1453, "circle_contain", &[CIRCLE, CIRCLE], BOOL)
        .imp(row!(|a: Circle, b: Circle| le(distance(a.center, b.center), a.radius - b.radius))),
    def(1454, "circle_left", &[CIRCLE, CIRCLE], BOOL)
        .imp(row!(|a: Circle, b: Circle| lt(a.center.x + a.radius, b.center.x - b.radius))),
    def(1455, "circle_overleft", &[CIRCLE, CIRCLE], BOOL)
        .imp(row!(|a: Circle, b: Circle| le(a.center.x + a.radius, b.center.x + b.radius))),
    def(1456, "circle_overright", &[CIRCLE, CIRCLE], BOOL)
        .imp(row!(|a: Circle, b: Circle| ge(a.center.x - a.radius, b.center.x - b.radius))),
    def(1457, "circle_right", &[CIRCLE, CIRCLE], BOOL)
        .imp(row!(|a: Circle, b: Circle| gt(a.center.x - a.radius, b.center.x + b.radius))),
    def(1458, "circle_contained", &[CIRCLE, CIRCLE], BOOL)
        .imp(row!(|a: Circle, b: Circle| le(distance(a.center, b.center), b.radius - a.radius))),
    def(1459, "circle_overlap", &[CIRCLE, CIRCLE], BOOL)
        .imp(row!(|a: Circle, b: Circle| le(distance(a.center, b.center), a.radius + b.radius))),
    def(1460, "circle_below", &[CIRCLE, CIRCLE], BOOL)
        .imp(row!(|a: Circle, b: Circle| lt(a.center.y + a.radius, b.center.y - b.radius))),
    def(1461, "circle_above", &[CIRCLE, CIRCLE], BOOL)
        .imp(row!(|a: Circle, b: Circle| gt(a.center.y - a.radius, b.center.y + b.radius))),
    def(1462, "circle_eq", &[CIRCLE, CIRCLE], BOOL).imp(row!(|a: Circle, b: Circle| eq(a.area(), b.area()))),
    def(1463, "circle_ne", &[CIRCLE, CIRCLE], BOOL).imp(row!(|a: Circle, b: Circle| !eq(a.area(), b.area()))),
    def(1464, "circle_lt", &[CIRCLE, CIRCLE], BOOL).imp(row!(|a: Circle, b: Circle| lt(a.area(), b.area()))),
    def(1465, "circle_gt", &[CIRCLE, CIRCLE], BOOL).imp(row!(|a: Circle, b: Circle| gt(a.area(), b.area()))),
    def(1466, "circle_le", &[CIRCLE, CIRCLE], BOOL).imp(row!(|a: Circle, b: Circle| le(a.area(), b.area()))),
    def(1467, "circle_ge", &[CIRCLE, CIRCLE], BOOL).imp(row!(|a: Circle, b: Circle| ge(a.area(), b.area()))),
    def(1468, "area", &[CIRCLE], FLOAT8).imp(row!(|a: Circle| sound(a.area(), &[a.center]))),
    def(1469, "diameter", &[CIRCLE], FLOAT8).imp(row!(|a: Circle| a.radius * 2.0)),
    def(1470, "radius", &[CIRCLE], FLOAT8).imp(row!(|a: Circle| a.radius)),
    def(1471, "circle_distance", &[CIRCLE, CIRCLE], FLOAT8)
        .imp(row!(|a: Circle, b: Circle| positive(distance(a.center, b.center) - (a.radius + b.radius)))),
    def(1472, "circle_center", &[CIRCLE], POINT).imp(row!(|a: Circle| a.center)),
    def(1473, "circle", &[POINT, FLOAT8], CIRCLE)
        .imp(row!(|a: Point, b: f64| Circle { center: a, radius: b })),
    def(1474, "circle", &[POLYGON], CIRCLE).imp(row!(|a: Polygon<'_>| Circle::of(a.0))),
    def(1475, "polygon", &[INT4, CIRCLE], POLYGON).imp(row!(|a: i32, b: Circle| polygon_of(a, b))),
    def(1476, "dist_pc", &[POINT, CIRCLE], FLOAT8)
        .imp(row!(|a: Point, b: Circle| positive(distance(a, b.center) - b.radius))),
    def(1477, "circle_contain_pt", &[CIRCLE, POINT], BOOL)
        .imp(row!(|a: Circle, b: Point| distance(a.center, b) <= a.radius)),
    def(1478, "pt_contained_circle", &[POINT, CIRCLE], BOOL)
        .imp(row!(|a: Point, b: Circle| distance(a, b.center) <= b.radius)),
    def(1479, "circle", &[BOX], CIRCLE)
        .imp(row!(|a: Rect| Circle { center: a.center(), radius: distance(a.center(), a.high) })),
    def(1480, "box", &[CIRCLE], BOX).imp(row!(|a: Circle| a.bounds())),
    def(1482, "lseg_ne", &[LSEG, LSEG], BOOL)
        .imp(row!(|a: Segment, b: Segment| !(point_eq(a.0, b.0) && point_eq(a.1, b.1)))),
    def(1483, "lseg_lt", &[LSEG, LSEG], BOOL).imp(row!(|a: Segment, b: Segment| lt(a.length(), b.length()))),
    def(1484, "lseg_le", &[LSEG, LSEG], BOOL).imp(row!(|a: Segment, b: Segment| le(a.length(), b.length()))),
    def(1485, "lseg_gt", &[LSEG, LSEG], BOOL).imp(row!(|a: Segment, b: Segment| gt(a.length(), b.length()))),
    def(1486, "lseg_ge", &[LSEG, LSEG], BOOL).imp(row!(|a: Segment, b: Segment| ge(a.length(), b.length()))),
    def(1487, "lseg_length", &[LSEG], FLOAT8).imp(row!(|a: Segment| sound(a.length(), &[a.0, a.1]))),
    def(1488, "close_ls", &[LINE, LSEG], POINT).imp(row!(|a: Line, b: Segment| (b.slope() != a.slope())
        .then(|| known(b.closest_to_line(a)))
        .flatten())),
    def(1489, "close_lseg", &[LSEG, LSEG], POINT)
        .imp(row!(|a: Segment, b: Segment| (a.slope() != b.slope())
            .then(|| known(b.closest_to(a)))
            .flatten())),
    def(1492, "line_eq", &[LINE, LINE], BOOL).imp(row!(|a: Line, b: Line| a.same(b))),
    def(1493, "line", &[POINT, POINT], LINE).imp(row!(|a: Point, b: Point| line_through(a, b))),
    def(1494, "line_interpt", &[LINE, LINE], POINT).imp(row!(|a: Line, b: Line| a.meets(b))),
    def(1495, "line_intersect", &[LINE, LINE], BOOL).imp(row!(|a: Line, b: Line| a.meets(b).is_some())),
    def(1496, "line_parallel", &[LINE, LINE], BOOL).imp(row!(|a: Line, b: Line| a.meets(b).is_none())),
    def(1497, "line_perp", &[LINE, LINE], BOOL).imp(row!(|a: Line, b: Line| a.upright(b))),
    def(1498, "line_vertical", &[LINE], BOOL).imp(row!(|a: Line| zero(a.b))),
    def(1499, "line_horizontal", &[LINE], BOOL).imp(row!(|a: Line| zero(a.a))),
    def(1530, "length", &[LSEG], FLOAT8).imp(row!(|a: Segment| sound(a.length(), &[a.0, a.1]))),
    def(1531, "length", &[PATH], FLOAT8)
        .imp(row!(|a: Path<'_>| segments(a.points, a.closed).map(Segment::length).sum::<f64>())),
    def(1532, "point", &[LSEG], POINT).imp(row!(|a: Segment| a.center())),
    def(1534, "point", &[BOX], POINT).imp(row!(|a: Rect| a.center())),
    def(1540, "point", &[POLYGON], POINT).imp(row!(|a: Polygon<'_>| circle_of(a.0).0)),
    def(1541, "lseg", &[BOX], LSEG).imp(row!(|a: Rect| Segment(a.high, a.low))),
    def(1542, "center", &[BOX], POINT).imp(row!(|a: Rect| a.center())),
    def(1543, "center", &[CIRCLE], POINT).imp(row!(|a: Circle| a.center)),
    def(1544, "polygon", &[CIRCLE], POLYGON).imp(row!(|a: Circle| polygon_of(12, a))),
    def(1545, "npoints", &[PATH], INT4).imp(row!(|a: Path<'_>| a.points.len() as i32)),
    def(1556, "npoints", &[POLYGON], INT4).imp(row!(|a: Polygon<'_>| a.0.len() as i32)),
    def(2562, "box_below", &[BOX, BOX], BOOL).imp(row!(|a: Rect, b: Rect| lt(a.high.y, b.low.y))),
    def(2563, "box_overbelow", &[BOX, BOX], BOOL).imp(row!(|a: Rect, b: Rect| le(a.high.y, b.high.y))),
    def(2564, "box_overabove", &[BOX, BOX], BOOL).imp(row!(|a: Rect, b: Rect| ge(a.low.y, b.low.y))),
    def(2565, "box_above", &[BOX, BOX], BOOL).imp(row!(|a: Rect, b: Rect| gt(a.low.y, b.high.y))),
    def(2566, "poly_below", &[POLYGON, POLYGON], BOOL).imp(row!(|a: Polygon<'_>, b: Polygon<'_>| a
        .bounds()
        .high
        .y
        < b.bounds().low.y)),
    def(2567, "poly_overbelow", &[POLYGON, POLYGON], BOOL).imp(row!(|a: Polygon<'_>, b: Polygon<'_>| a
        .bounds()
        .high
        .y
        <= b.bounds().high.y)),
    def(2568, "poly_overabove", &[POLYGON, POLYGON], BOOL).imp(row!(|a: Polygon<'_>, b: Polygon<'_>| a
        .bounds()
        .low
        .y
        >= b.bounds().low.y)),
    def(2569, "poly_above", &[POLYGON, POLYGON], BOOL).imp(row!(|a: Polygon<'_>, b: Polygon<'_>| a
        .bounds()
        .low
        .y
        > b.bounds().high.y)),
    def(2587, "circle_overbelow", &[CIRCLE, CIRCLE], BOOL)
        .imp(row!(|a: Circle, b: Circle| le(a.center.y + a.radius, b.center.y + b.radius))),
    def(2588, "circle_overabove", &[CIRCLE, CIRCLE], BOOL)
        .imp(row!(|a: Circle, b: Circle| ge(a.center.y - a.radius, b.center.y - b.radius))),
    def(3275, "dist_ppoly", &[POINT, POLYGON], FLOAT8)
        .imp(row!(|a: Point, b: Polygon<'_>| point_to_polygon(a, b.0))),
    def(3290, "dist_cpoint", &[CIRCLE, POINT], FLOAT8)
        .imp(row!(|a: Circle, b: Point| positive(distance(a.center, b) - a.radius))),
    def(3292, "dist_polyp", &[POLYGON, POINT], FLOAT8)
        .imp(row!(|a: Polygon<'_>, b: Point| point_to_polygon(b, a.0))),
    def(4067, "bound_box", &[BOX, BOX], BOX).imp(row!(|a: Rect, b: Rect| a.with(b))),
    def(4091, "box", &[POINT], BOX).imp(row!(|a: Point| Rect::of(a, a))),
];
