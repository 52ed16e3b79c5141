//! What a diagram consists of once it is laid out: boxes, lines and texts in a few roles; and its writing as SVG.

use crate::layered::Point;

/// Colours by what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Page,
    Node,
    Strong,
    Group,
    Line,
    Text,
    Muted,
}

impl Role {
    const ALL: [Self; 7] = [Self::Page, Self::Node, Self::Strong, Self::Group, Self::Line, Self::Text, Self::Muted];

    fn name(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Node => "node",
            Self::Strong => "strong",
            Self::Group => "group",
            Self::Line => "line",
            Self::Text => "text",
            Self::Muted => "muted",
        }
    }

    pub(crate) fn light(self) -> &'static str {
        match self {
            Self::Page => "#ffffff",
            Self::Node => "#eef3fa",
            Self::Strong => "#d5e3f5",
            Self::Group => "#f7f8fa",
            Self::Line => "#44546a",
            Self::Text => "#1a1a1a",
            Self::Muted => "#56606c",
        }
    }

    fn dark(self) -> &'static str {
        match self {
            Self::Page => "#16191d",
            Self::Node => "#25303c",
            Self::Strong => "#33475e",
            Self::Group => "#1d2228",
            Self::Line => "#a9b8c8",
            Self::Text => "#eceff3",
            Self::Muted => "#b3bdc8",
        }
    }
}

/// How a line is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Stroke {
    #[default]
    Plain,
    Dashed,
    Thick,
}

/// Where a text stands at its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
}

/// One thing to draw. Later ones lie above.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    Rectangle { left: f64, top: f64, width: f64, height: f64, round: f64, fill: Role, line: Option<Role> },
    Ellipse { centre: Point, across: f64, down: f64, fill: Role, line: Option<Role> },
    Area { points: Vec<Point>, fill: Role, line: Role },
    Way { points: Vec<Point>, stroke: Stroke, line: Role, round: f64 },
    Text { at: Point, text: String, size: f64, anchor: Anchor, bold: bool, italic: bool, role: Role },
}

/// A drawing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scene {
    pub(crate) shapes: Vec<Shape>,
}

/// How colours are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// Fixed colours, for documents.
    Paper,
    /// CSS variables (`--maru-model-node` and others) with a light and a dark default.
    Screen,
}

const MARGIN: f64 = 12.0;

impl Scene {
    pub(crate) fn way(&mut self, points: Vec<Point>, stroke: Stroke) {
        self.shapes.push(Shape::Way { points, stroke, line: Role::Line, round: 6.0 });
    }

    /// The outermost points.
    fn bounds(&self) -> (Point, Point) {
        let mut low = (f64::INFINITY, f64::INFINITY);
        let mut high = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        let mut add = |point: Point| {
            low = (low.0.min(point.0), low.1.min(point.1));
            high = (high.0.max(point.0), high.1.max(point.1));
        };
        for shape in &self.shapes {
            match shape {
                Shape::Rectangle { left, top, width, height, .. } => {
                    add((*left, *top));
                    add((left + width, top + height));
                }
                Shape::Ellipse { centre, across, down, .. } => {
                    add((centre.0 - across, centre.1 - down));
                    add((centre.0 + across, centre.1 + down));
                }
                Shape::Area { points, .. } | Shape::Way { points, .. } => points.iter().copied().for_each(&mut add),
                Shape::Text { at, text, size, anchor, .. } => {
                    let width = crate::width::width(text, *size);
                    let left = match anchor {
                        Anchor::Start => at.0,
                        Anchor::Middle => at.0 - width / 2.0,
                    };
                    add((left, at.1 - size));
                    add((left + width, at.1 + size * 0.35));
                }
            }
        }
        if low.0.is_finite() { (low, high) } else { ((0.0, 0.0), (1.0, 1.0)) }
    }
}

/// A diagram as a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawing {
    /// The SVG: no scripts, nothing from outside, the same for the same model.
    pub svg: String,
    /// The same as an enhanced metafile, for programs that know no SVG.
    pub metafile: Vec<u8>,
    /// Its width in CSS pixels.
    pub width: f64,
    /// Its height in CSS pixels.
    pub height: f64,
}

/// Writes a scene; title and description are for those who cannot see it.
pub(crate) fn draw(scene: &Scene, theme: Theme, title: &str, description: &str) -> Drawing {
    let (low, high) = scene.bounds();
    let (left, top) = (low.0 - MARGIN, low.1 - MARGIN);
    let (width, height) = ((high.0 + MARGIN - left).ceil(), (high.1 + MARGIN - top).ceil());
    let mut out = Pen { svg: String::new(), theme };
    let size = format!("{} {} {} {}", number(left), number(top), number(width), number(height));
    out.open("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"maru-model\" role=\"img\"");
    out.attribute("viewBox", &size);
    out.attribute("width", &number(width));
    out.attribute("height", &number(height));
    out.attribute(
        "font-family",
        "Maru Gothic, Malgun Gothic, Apple SD Gothic Neo, Noto Sans KR, NanumGothic, sans-serif",
    );
    out.svg.push('>');
    out.leaf("title", title);
    out.leaf("desc", description);
    if theme == Theme::Screen {
        out.style();
    }
    out.open("<rect");
    for (name, value) in [("x", left), ("y", top), ("width", width), ("height", height)] {
        out.attribute(name, &number(value));
    }
    out.paint(Some(Role::Page), None);
    out.svg.push_str("/>");
    for shape in &scene.shapes {
        out.shape(shape);
    }
    out.svg.push_str("</svg>\n");
    let metafile = crate::metafile::write(scene, (left, top), (width, height));
    Drawing { svg: out.svg, metafile, width, height }
}

/// Writes SVG; every text and value is escaped.
struct Pen {
    svg: String,
    theme: Theme,
}

/// A number with at most one digit after the point.
fn number(value: f64) -> String {
    let text = format!("{:.1}", value);
    let text = text.strip_suffix(".0").map(str::to_owned).unwrap_or(text);
    if text == "-0" { "0".to_owned() } else { text }
}

fn points(all: &[Point]) -> String {
    all.iter().map(|point| format!("{},{}", number(point.0), number(point.1))).collect::<Vec<_>>().join(" ")
}

/// Colours: what is given to both SVG and CSS.
impl Pen {
    fn open(&mut self, tag: &'static str) {
        self.svg.push_str(tag);
    }

    fn attribute(&mut self, name: &'static str, value: &str) {
        self.svg.push_str(&format!(" {name}=\""));
        self.escape(value);
        self.svg.push('"');
    }

    fn leaf(&mut self, name: &'static str, text: &str) {
        if !text.is_empty() {
            self.svg.push_str(&format!("<{name}>"));
            self.escape(text);
            self.svg.push_str(&format!("</{name}>"));
        }
    }

    /// Characters that XML forbids and marks that turn text are replaced.
    fn escape(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '&' => self.svg.push_str("&amp;"),
                '<' => self.svg.push_str("&lt;"),
                '>' => self.svg.push_str("&gt;"),
                '"' => self.svg.push_str("&quot;"),
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => {
                    self.svg.push('\u{fffd}')
                }
                other if other.is_control() => self.svg.push(' '),
                other => self.svg.push(other),
            }
        }
    }

    fn style(&mut self) {
        let rules = |colour: fn(Role) -> &'static str| {
            Role::ALL.iter().map(|role| format!("--maru-model-{}:{};", role.name(), colour(*role))).collect::<String>()
        };
        self.svg.push_str(&format!("<style>.maru-model{{{}}}", rules(Role::light)));
        self.svg.push_str(&format!("@media (prefers-color-scheme:dark){{.maru-model{{{}}}}}", rules(Role::dark)));
        for role in Role::ALL {
            let name = role.name();
            self.svg.push_str(&format!(".maru-f-{name}{{fill:var(--maru-model-{name})}}"));
            self.svg.push_str(&format!(".maru-s-{name}{{stroke:var(--maru-model-{name})}}"));
        }
        self.svg.push_str("</style>");
    }

    fn paint(&mut self, fill: Option<Role>, line: Option<Role>) {
        match self.theme {
            Theme::Paper => {
                self.attribute("fill", fill.map_or("none", Role::light));
                if let Some(line) = line {
                    self.attribute("stroke", line.light());
                }
            }
            Theme::Screen => {
                let fill_class = fill.map(|role| format!("maru-f-{}", role.name()));
                let line_class = line.map(|role| format!("maru-s-{}", role.name()));
                let class = [fill_class, line_class].into_iter().flatten().collect::<Vec<_>>().join(" ");
                self.attribute("class", &class);
                if fill.is_none() {
                    self.attribute("fill", "none");
                }
            }
        }
    }

    fn shape(&mut self, shape: &Shape) {
        match shape {
            Shape::Rectangle { left, top, width, height, round, fill, line } => {
                self.open("<rect");
                for (name, value) in [("x", *left), ("y", *top), ("width", *width), ("height", *height)] {
                    self.attribute(name, &number(value));
                }
                if *round > 0.0 {
                    self.attribute("rx", &number(*round));
                }
                self.paint(Some(*fill), *line);
                self.svg.push_str("/>");
            }
            Shape::Ellipse { centre, across, down, fill, line } => {
                self.open("<ellipse");
                for (name, value) in [("cx", centre.0), ("cy", centre.1), ("rx", *across), ("ry", *down)] {
                    self.attribute(name, &number(value));
                }
                self.paint(Some(*fill), *line);
                self.svg.push_str("/>");
            }
            Shape::Area { points: all, fill, line } => {
                self.open("<polygon");
                self.attribute("points", &points(all));
                self.paint(Some(*fill), Some(*line));
                self.svg.push_str("/>");
            }
            Shape::Way { points, stroke, line, round } => {
                self.open("<path");
                self.attribute("d", &way(points, *round));
                self.paint(None, Some(*line));
                match stroke {
                    Stroke::Plain => {}
                    Stroke::Dashed => self.attribute("stroke-dasharray", "5 4"),
                    Stroke::Thick => self.attribute("stroke-width", "2.5"),
                }
                self.svg.push_str("/>");
            }
            Shape::Text { at, text, size, anchor, bold, italic, role } => {
                self.open("<text");
                self.attribute("x", &number(at.0));
                self.attribute("y", &number(at.1));
                self.attribute("font-size", &number(*size));
                match anchor {
                    Anchor::Start => {}
                    Anchor::Middle => self.attribute("text-anchor", "middle"),
                }
                if *bold {
                    self.attribute("font-weight", "bold");
                }
                if *italic {
                    self.attribute("font-style", "italic");
                }
                self.paint(Some(*role), None);
                self.svg.push('>');
                self.escape(text);
                self.svg.push_str("</text>");
            }
        }
    }
}

/// A line through points with round corners.
fn way(points: &[Point], round: f64) -> String {
    let mut out = String::new();
    for (index, point) in points.iter().enumerate() {
        let beside = (index.checked_sub(1).and_then(|before| points.get(before)), points.get(index + 1));
        let (Some(before), Some(after)) = beside else {
            out.push_str(&format!("{}{} {}", if index == 0 { "M" } else { "L" }, number(point.0), number(point.1)));
            continue;
        };
        let toward = |other: &Point| {
            let length = (other.0 - point.0).hypot(other.1 - point.1);
            let part = if length > 0.0 { (round / length).min(0.5) } else { 0.0 };
            (point.0 + (other.0 - point.0) * part, point.1 + (other.1 - point.1) * part)
        };
        let (begin, end) = (toward(before), toward(after));
        out.push_str(&format!(
            "L{} {}Q{} {} {} {}",
            number(begin.0),
            number(begin.1),
            number(point.0),
            number(point.1),
            number(end.0),
            number(end.1)
        ));
    }
    out
}
