//! How much of a raster cell a disc covers: exact areas, so that apertures and detectors move smoothly over a coarse raster.

/// Fraction, 0 to 1, of the parallelogram of edges `edges` centred at `centre` that lies within `radius` of the origin.
#[must_use]
pub fn covered_fraction(centre: [f64; 2], edges: [[f64; 2]; 2], radius: f64) -> f64 {
    if radius <= 0.0 {
        return 0.0;
    }
    let [e, f] = edges;
    let reach = 0.5 * ((e[0] + f[0]).hypot(e[1] + f[1])).max((e[0] - f[0]).hypot(e[1] - f[1]));
    let distance = centre[0].hypot(centre[1]);
    if distance + reach <= radius {
        return 1.0;
    }
    if distance - reach >= radius {
        return 0.0;
    }
    let corner = |s: f64, t: f64| [centre[0] + 0.5 * (s * e[0] + t * f[0]), centre[1] + 0.5 * (s * e[1] + t * f[1])];
    let corners = [corner(-1.0, -1.0), corner(1.0, -1.0), corner(1.0, 1.0), corner(-1.0, 1.0)];
    let area: f64 = (0..4).map(|i| sector_area(corners[i], corners[(i + 1) % 4], radius)).sum();
    (area.abs() / (e[0] * f[1] - e[1] * f[0]).abs()).clamp(0.0, 1.0)
}

/// Signed area of the triangle (origin, p, q) within the disc: straight where the edge is inside, a sector where it is outside.
fn sector_area(p: [f64; 2], q: [f64; 2], radius: f64) -> f64 {
    let d = [q[0] - p[0], q[1] - p[1]];
    let (a, b, c) = (d[0] * d[0] + d[1] * d[1], p[0] * d[0] + p[1] * d[1], p[0] * p[0] + p[1] * p[1] - radius * radius);
    let at = |t: f64| [p[0] + t * d[0], p[1] + t * d[1]];
    let triangle = |u: [f64; 2], v: [f64; 2]| 0.5 * (u[0] * v[1] - u[1] * v[0]);
    let sector = |u: [f64; 2], v: [f64; 2]| {
        let angle = (u[0] * v[1] - u[1] * v[0]).atan2(u[0] * v[0] + u[1] * v[1]);
        0.5 * radius * radius * angle
    };
    let discriminant = b * b - a * c;
    if discriminant <= 0.0 || a == 0.0 {
        return sector(p, q);
    }
    // The edge p + t d is inside the disc for t between its two crossings, cut to the edge itself.
    let root = discriminant.sqrt();
    let (enter, leave) = ((-(b + root) / a).clamp(0.0, 1.0), ((root - b) / a).clamp(0.0, 1.0));
    if enter >= leave {
        return sector(p, q);
    }
    sector(p, at(enter)) + triangle(at(enter), at(leave)) + sector(at(leave), q)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raster_cells_add_up_to_the_area_of_the_disc() {
        for (edges, radius) in [([[1.0, 0.0], [0.0, 1.0]], 5.03), ([[1.0, 0.2], [-0.1, 0.8]], 3.3), ([[1.0, 0.0], [0.0, 1.0]], 0.3)] {
            let cells = (-12..=12).flat_map(|i| (-12..=12).map(move |j| (f64::from(i), f64::from(j))));
            let shift = [0.31, -0.12];
            let sum: f64 = cells
                .map(|(i, j)| {
                    let centre = [0, 1].map(|c| i * edges[0][c] + j * edges[1][c] - shift[c]);
                    covered_fraction(centre, edges, radius)
                })
                .sum();
            let cell = edges[0][0] * edges[1][1] - edges[0][1] * edges[1][0];
            assert!((sum * cell / (std::f64::consts::PI * radius * radius) - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn a_straight_edge_through_the_middle_covers_half() {
        // A disc so large that its edge is straight on the scale of one cell.
        let fraction = covered_fraction([1e6, 0.0], [[1.0, 0.0], [0.0, 1.0]], 1e6);
        assert!((fraction - 0.5).abs() < 1e-4);
    }
}
