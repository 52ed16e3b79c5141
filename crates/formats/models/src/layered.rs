//! Places boxes in layers, so that links lead down, cross seldom and stay straight.
//!
//! Own code rather than a crate: those there are either place points without sizes and routes, or draw by themselves; what is needed
//! here is small, and the same input must give the same output for ever.
//! Source: Sugiyama, Tagawa, Toda 1981; order by barycentres; coordinates by pooling adjacent violators (isotonic regression).

/// So many places on the way of long links are kept; beyond, links are drawn straight.
const BENDS_MAX: usize = 20_000;
const ORDER_SWEEPS: usize = 12;
const PLACE_SWEEPS: usize = 12;
/// Between boxes of one layer, and between a box and a passing link.
const GAP_BESIDE: f64 = 36.0;
const GAP_BEND: f64 = 18.0;
/// Between layers.
const GAP_BELOW: f64 = 34.0;

/// A point: x to the right, y down.
pub(crate) type Point = (f64, f64);

/// A box to place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item {
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// A link to draw; a label needs its room.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) label: Option<Item>,
}

/// The way of a link between its two boxes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Route {
    /// The bends, without the ends.
    pub(crate) bends: Vec<Point>,
    /// The middle of the label.
    pub(crate) label: Option<Point>,
}

/// Where everything stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct Placed {
    pub(crate) centres: Vec<Point>,
    pub(crate) routes: Vec<Route>,
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// A place in a layer: a box, or a link that passes.
#[derive(Debug, Clone, Copy)]
struct Vertex {
    size: Item,
    rank: usize,
    is_bend: bool,
}

#[derive(Debug, Default)]
struct Layers {
    vertices: Vec<Vertex>,
    /// Vertices from left to right.
    rows: Vec<Vec<usize>>,
    above: Vec<Vec<usize>>,
    below: Vec<Vec<usize>>,
    /// Per link: the bends in the direction from upper to lower, and which holds the label.
    chains: Vec<(Vec<usize>, Option<usize>)>,
}

/// Places boxes and links from top to bottom.
pub(crate) fn place(items: &[Item], links: &[Link]) -> Placed {
    if items.is_empty() {
        return Placed { routes: vec![Route::default(); links.len()], ..Placed::default() };
    }
    if links.iter().all(|link| link.from == link.to) {
        return grid(items, links.len());
    }
    let turned = turned(items.len(), links);
    let ranks = ranks(items.len(), links, &turned);
    let mut layers = layers(items, links, &turned, &ranks);
    order(&mut layers);
    finish(items, links, &turned, &layers)
}

/// Boxes without links stand in rows.
fn grid(items: &[Item], links: usize) -> Placed {
    let mut columns = 1;
    while columns * columns < items.len() {
        columns += 1;
    }
    let wide = items.iter().map(|item| item.width).fold(0.0, f64::max) + GAP_BESIDE;
    let mut placed = Placed { routes: vec![Route::default(); links], ..Placed::default() };
    let mut top = 0.0;
    for row in items.chunks(columns) {
        let high = row.iter().map(|item| item.height).fold(0.0, f64::max);
        let mut left = 0.0;
        for item in row {
            placed.centres.push((left + wide / 2.0 - GAP_BESIDE / 2.0, top + high / 2.0));
            left += wide;
            placed.width = placed.width.max(left - GAP_BESIDE).max(item.width);
        }
        top += high + GAP_BELOW;
    }
    placed.height = (top - GAP_BELOW).max(0.0);
    placed
}

/// Tells which links are read backwards, so that no circle is left: those that a walk finds leading back.
fn turned(count: usize, links: &[Link]) -> Vec<bool> {
    let mut turned = vec![false; links.len()];
    let mut out: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut is_entered = vec![false; count];
    for (index, link) in links.iter().enumerate().filter(|(_, link)| link.from != link.to) {
        out[link.from].push(index);
        is_entered[link.to] = true;
    }
    // 0: not seen, 1: on the way, 2: done.
    let mut state = vec![0_u8; count];
    let starts = (0..count).filter(|node| !is_entered[*node]).chain(0..count);
    for start in starts.collect::<Vec<_>>() {
        if state[start] != 0 {
            continue;
        }
        state[start] = 1;
        let mut walk = vec![(start, 0_usize)];
        while let Some((node, next)) = walk.pop() {
            let Some(link) = out[node].get(next).copied() else {
                state[node] = 2;
                continue;
            };
            walk.push((node, next + 1));
            let to = links[link].to;
            match state[to] {
                0 => {
                    state[to] = 1;
                    walk.push((to, 0));
                }
                1 => turned[link] = true,
                _ => {}
            }
        }
    }
    turned
}

/// The upper and the lower end of a link.
fn ends(link: &Link, turned: bool) -> (usize, usize) {
    if turned { (link.to, link.from) } else { (link.from, link.to) }
}

/// How many layers a link spans at least: one more where it has a label, or another link beside it.
fn spans(links: &[Link]) -> Vec<usize> {
    let pair = |link: &Link| (link.from.min(link.to), link.from.max(link.to));
    let mut counts = std::collections::BTreeMap::new();
    for link in links {
        *counts.entry(pair(link)).or_insert(0_usize) += 1;
    }
    links.iter().map(|link| if link.label.is_some() || counts[&pair(link)] > 1 { 2 } else { 1 }).collect()
}

/// Layers by the longest way from the top; then each box goes as near to its links as it can.
fn ranks(count: usize, links: &[Link], turned: &[bool]) -> Vec<usize> {
    let spans = spans(links);
    let edges: Vec<(usize, usize, usize)> = links
        .iter()
        .enumerate()
        .filter(|(_, link)| link.from != link.to)
        .map(|(index, link)| {
            let (upper, lower) = ends(link, turned[index]);
            (upper, lower, spans[index])
        })
        .collect();
    let (mut into, mut out) = (vec![Vec::new(); count], vec![Vec::new(); count]);
    let mut waiting = vec![0_usize; count];
    for (upper, lower, span) in &edges {
        out[*upper].push((*lower, *span));
        into[*lower].push((*upper, *span));
        waiting[*lower] += 1;
    }
    let mut ranks = vec![0_usize; count];
    let mut sorted: Vec<usize> = (0..count).filter(|node| waiting[*node] == 0).collect();
    let mut next = 0;
    while let Some(node) = sorted.get(next).copied() {
        next += 1;
        for (lower, span) in &out[node] {
            ranks[*lower] = ranks[*lower].max(ranks[node] + span);
            waiting[*lower] -= 1;
            if waiting[*lower] == 0 {
                sorted.push(*lower);
            }
        }
    }
    for node in sorted.into_iter().rev() {
        let lowest = out[node].iter().map(|(lower, span)| ranks[*lower].saturating_sub(*span)).min();
        if let Some(lowest) = lowest.filter(|_| into[node].len() < out[node].len()) {
            ranks[node] = ranks[node].max(lowest);
        }
    }
    ranks
}

fn layers(items: &[Item], links: &[Link], turned: &[bool], ranks: &[usize]) -> Layers {
    let mut layers = Layers::default();
    for (item, rank) in items.iter().zip(ranks) {
        layers.vertices.push(Vertex { size: *item, rank: *rank, is_bend: false });
    }
    let depth = ranks.iter().max().map_or(0, |deepest| deepest + 1);
    let mut edges = Vec::new();
    for (index, link) in links.iter().enumerate() {
        let mut chain = (Vec::new(), None);
        if link.from != link.to {
            let (upper, lower) = ends(link, turned[index]);
            let (top, bottom) = (ranks[upper], ranks[lower]);
            let middle = top.midpoint(bottom).max(top + 1);
            let mut before = upper;
            if layers.vertices.len() < items.len() + BENDS_MAX {
                for rank in top + 1..bottom {
                    let is_label = rank == middle && link.label.is_some();
                    let size = link.label.filter(|_| is_label).unwrap_or(Item { width: 0.0, height: 0.0 });
                    let vertex = layers.vertices.len();
                    layers.vertices.push(Vertex { size, rank, is_bend: true });
                    chain.0.push(vertex);
                    chain.1 = if is_label { Some(vertex) } else { chain.1 };
                    edges.push((before, vertex));
                    before = vertex;
                }
                edges.push((before, lower));
            }
        }
        layers.chains.push(chain);
    }
    let count = layers.vertices.len();
    layers.rows = vec![Vec::new(); depth];
    for (vertex, one) in layers.vertices.iter().enumerate() {
        layers.rows[one.rank].push(vertex);
    }
    (layers.above, layers.below) = (vec![Vec::new(); count], vec![Vec::new(); count]);
    for (upper, lower) in edges {
        layers.below[upper].push(lower);
        layers.above[lower].push(upper);
    }
    layers
}

/// Orders each layer by the middle of what it is linked to, down and up again; the order with the fewest crossings stays.
fn order(layers: &mut Layers) {
    let mut best = (crossings(layers), layers.rows.clone());
    for sweep in 0..ORDER_SWEEPS {
        if best.0 == 0 {
            break;
        }
        let depth = layers.rows.len();
        let rows: Vec<usize> = if sweep % 2 == 0 { (1..depth).collect() } else { (0..depth - 1).rev().collect() };
        for row in rows {
            let (beside, linked) = if sweep % 2 == 0 { (row - 1, &layers.above) } else { (row + 1, &layers.below) };
            let places = places(&layers.rows[beside], layers.vertices.len());
            let mut keyed: Vec<(f64, usize)> = Vec::new();
            for (place, vertex) in layers.rows[row].iter().enumerate() {
                let near = &linked[*vertex];
                let sum: f64 = near.iter().map(|one| count(places[*one])).sum();
                keyed.push((if near.is_empty() { count(place) } else { sum / count(near.len()) }, *vertex));
            }
            keyed.sort_by(|left, right| left.0.total_cmp(&right.0));
            layers.rows[row] = keyed.into_iter().map(|(_, vertex)| vertex).collect();
        }
        let crossings = crossings(layers);
        if crossings < best.0 {
            best = (crossings, layers.rows.clone());
        }
    }
    layers.rows = best.1;
}

fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::MAX, f64::from)
}

fn places(row: &[usize], count: usize) -> Vec<usize> {
    let mut places = vec![0; count];
    for (place, vertex) in row.iter().enumerate() {
        places[*vertex] = place;
    }
    places
}

/// Counts pairs of links that cross, layer by layer, with a tree of sums.
fn crossings(layers: &Layers) -> usize {
    let mut total = 0;
    for pair in layers.rows.windows(2) {
        let [upper, lower] = pair else { continue };
        let places = places(lower, layers.vertices.len());
        let mut sums = vec![0_usize; lower.len() + 1];
        let mut added = 0;
        for vertex in upper {
            let mut ends: Vec<usize> = layers.below[*vertex].iter().map(|end| places[*end]).collect();
            ends.sort_unstable();
            for end in &ends {
                let mut index = end + 1;
                let mut to_the_left = 0;
                while index > 0 {
                    to_the_left += sums[index];
                    index &= index - 1;
                }
                total += added - to_the_left;
            }
            for end in ends {
                added += 1;
                let mut index = end + 1;
                while index < sums.len() {
                    sums[index] += 1;
                    index += index & index.wrapping_neg();
                }
            }
        }
    }
    total
}

fn finish(items: &[Item], links: &[Link], turned: &[bool], layers: &Layers) -> Placed {
    let (x, width) = across(layers);
    let mut tops = Vec::new();
    let mut top = 0.0;
    for row in &layers.rows {
        let high = row.iter().map(|vertex| layers.vertices[*vertex].size.height).fold(0.0, f64::max);
        tops.push((top, high));
        top += high + GAP_BELOW;
    }
    let at = |vertex: usize| {
        let (top, high) = tops[layers.vertices[vertex].rank];
        (x[vertex], top + high / 2.0)
    };
    let mut placed = Placed { width, height: (top - GAP_BELOW).max(0.0), ..Placed::default() };
    placed.centres = (0..items.len()).map(at).collect();
    for (index, link) in links.iter().enumerate() {
        let (chain, label) = &layers.chains[index];
        let mut bends = Vec::new();
        for vertex in chain {
            let (top, high) = tops[layers.vertices[*vertex].rank];
            // A link passes a layer upright.
            if high > 0.0 {
                bends.extend([(x[*vertex], top), (x[*vertex], top + high)]);
            } else {
                bends.push((x[*vertex], top));
            }
        }
        if turned[index] {
            bends.reverse();
        }
        let direct = (chain.is_empty() && link.from != link.to).then(|| middle(at(link.from), at(link.to)));
        let label = link.label.and(label.map(at).or(direct));
        placed.routes.push(Route { bends, label });
    }
    placed
}

fn middle(one: Point, other: Point) -> Point {
    (one.0.midpoint(other.0), one.1.midpoint(other.1))
}

/// Places each layer's vertices across, as near to what they are linked to as their order and sizes allow; returns the width too.
fn across(layers: &Layers) -> (Vec<f64>, f64) {
    let mut x = vec![0.0; layers.vertices.len()];
    for row in &layers.rows {
        let offsets = offsets(layers, row);
        let half = offsets.last().copied().unwrap_or_default() / 2.0;
        for (vertex, offset) in row.iter().zip(offsets) {
            x[*vertex] = offset - half;
        }
    }
    let depth = layers.rows.len();
    for sweep in 0..PLACE_SWEEPS {
        let is_last = sweep + 2 >= PLACE_SWEEPS;
        let rows: Vec<usize> = if sweep % 2 == 0 { (0..depth).collect() } else { (0..depth).rev().collect() };
        for row in rows {
            let wishes: Vec<(f64, f64)> = layers.rows[row]
                .iter()
                .map(|vertex| {
                    let near: Vec<usize> = match (is_last, sweep % 2) {
                        (true, _) => layers.above[*vertex].iter().chain(&layers.below[*vertex]).copied().collect(),
                        (false, 0) => layers.above[*vertex].clone(),
                        (false, _) => layers.below[*vertex].clone(),
                    };
                    let mut sum = (0.0, 0.0);
                    for other in near {
                        let both = layers.vertices[*vertex].is_bend && layers.vertices[other].is_bend;
                        let weight = if both { 8.0 } else { 1.0 };
                        sum = (sum.0 + weight * x[other], sum.1 + weight);
                    }
                    if sum.1 > 0.0 { (sum.0 / sum.1, sum.1) } else { (x[*vertex], 0.1) }
                })
                .collect();
            let offsets = offsets(layers, &layers.rows[row]);
            for (vertex, place) in layers.rows[row].iter().zip(pooled(&wishes, &offsets)) {
                x[*vertex] = place;
            }
        }
    }
    let edge = |vertex: usize, side: f64| x[vertex] + side * layers.vertices[vertex].size.width / 2.0;
    let left = (0..x.len()).map(|vertex| edge(vertex, -1.0)).fold(f64::INFINITY, f64::min);
    let right = (0..x.len()).map(|vertex| edge(vertex, 1.0)).fold(f64::NEG_INFINITY, f64::max);
    (x.into_iter().map(|x| x - left).collect(), right - left)
}

/// How far each vertex of a row stands from the first one at least.
fn offsets(layers: &Layers, row: &[usize]) -> Vec<f64> {
    let mut offsets = Vec::new();
    let mut at = 0.0;
    let mut before: Option<Vertex> = None;
    for vertex in row {
        let one = layers.vertices[*vertex];
        if let Some(before) = before {
            let gap = if before.is_bend || one.is_bend { GAP_BEND } else { GAP_BESIDE };
            at += before.size.width / 2.0 + gap + one.size.width / 2.0;
        }
        offsets.push(at);
        before = Some(one);
    }
    offsets
}

/// Returns the places nearest to the wishes (with weights) that keep the offsets: neighbours that want past each other share a place.
fn pooled(wishes: &[(f64, f64)], offsets: &[f64]) -> Vec<f64> {
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for ((wish, weight), offset) in wishes.iter().zip(offsets) {
        pools.push((wish - offset, *weight, 1));
        while let [.., one, other] = pools.as_slice() {
            if one.0 <= other.0 {
                break;
            }
            let weight = one.1 + other.1;
            let joined = ((one.0 * one.1 + other.0 * other.1) / weight, weight, one.2 + other.2);
            pools.truncate(pools.len() - 2);
            pools.push(joined);
        }
    }
    let places = pools.into_iter().flat_map(|(place, _, count)| std::iter::repeat_n(place, count));
    places.zip(offsets).map(|(place, offset)| place + offset).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BOX: Item = Item { width: 80.0, height: 40.0 };

    fn link(from: usize, to: usize) -> Link {
        Link { from, to, label: None }
    }

    #[test]
    fn links_lead_down_and_a_chain_is_straight() {
        let placed = place(&[BOX; 3], &[link(0, 1), link(1, 2)]);
        assert!(placed.centres.windows(2).all(|pair| pair[0].1 < pair[1].1 && (pair[0].0 - pair[1].0).abs() < 0.01));
    }

    #[test]
    fn a_circle_ends_and_both_ways_have_room_for_labels() {
        let label = Some(Item { width: 60.0, height: 20.0 });
        let placed = place(&[BOX; 2], &[Link { from: 0, to: 1, label }, Link { from: 1, to: 0, label }]);
        let (one, other) = (placed.routes[0].label.unwrap(), placed.routes[1].label.unwrap());
        assert!((one.0 - other.0).abs() >= 60.0, "{placed:?}");
    }

    proptest! {
        #[test]
        fn boxes_never_overlap(links in proptest::collection::vec((0_usize..12, 0_usize..12), 0..40)) {
            let links: Vec<Link> = links.into_iter().map(|(from, to)| link(from, to)).collect();
            let placed = place(&[BOX; 12], &links);
            for (index, one) in placed.centres.iter().enumerate() {
                prop_assert!(one.0.is_finite() && one.0 >= BOX.width / 2.0 - 0.01 && one.0 <= placed.width);
                for other in &placed.centres[index + 1..] {
                    prop_assert!((one.0 - other.0).abs() >= BOX.width || (one.1 - other.1).abs() >= BOX.height);
                }
            }
        }
    }
}
