//! Refuses SVG that does more than draw.
//!
//! A list of what is allowed, not of what is forbidden: drawing elements, references inside the picture, no entities, no scripts,
//! no styles that load. Source: SVG 1.1 and 2; XML 1.0.

const SVG_BYTES_MAX: usize = 4 << 20;
const SVG_DEPTH_MAX: usize = 64;

const ELEMENTS: [&str; 30] = [
    "svg",
    "g",
    "defs",
    "title",
    "desc",
    "style",
    "path",
    "rect",
    "circle",
    "ellipse",
    "line",
    "polyline",
    "polygon",
    "text",
    "tspan",
    "textPath",
    "marker",
    "use",
    "symbol",
    "clipPath",
    "mask",
    "pattern",
    "linearGradient",
    "radialGradient",
    "stop",
    "filter",
    "feDropShadow",
    "feGaussianBlur",
    "feOffset",
    "metadata",
];

/// Checks that a text is SVG that only draws.
///
/// # Errors
/// Says what was found: another element, an event handler, a reference outside the picture, a document type, text that is not well formed.
pub fn check_svg(svg: &str) -> Result<(), String> {
    if svg.len() > SVG_BYTES_MAX {
        return Err(format!("it is larger than {SVG_BYTES_MAX} bytes"));
    }
    let mut rest = svg.trim();
    if let Some(after) = rest.strip_prefix("<?xml") {
        rest = after.split_once("?>").ok_or("its declaration does not end")?.1.trim_start();
    }
    if !rest.starts_with("<svg") {
        return Err("it does not begin with an svg element".to_owned());
    }
    let mut open: Vec<&str> = Vec::new();
    let mut roots = 0;
    while let Some((before, after)) = rest.split_once('<') {
        check_text(before, open.is_empty(), open.last() == Some(&"style"))?;
        if let Some(comment) = after.strip_prefix("!--") {
            rest = comment.split_once("-->").ok_or("a comment does not end")?.1;
            continue;
        }
        if after.starts_with(['!', '?']) {
            return Err("it holds a document type, a CDATA section or an instruction".to_owned());
        }
        if let Some(closing) = after.strip_prefix('/') {
            let (name, remaining) = closing.split_once('>').ok_or("a tag does not end")?;
            if open.pop() != Some(name.trim_end()) {
                return Err(format!("\"</{name}>\" closes nothing"));
            }
            rest = remaining;
            continue;
        }
        if open.is_empty() {
            roots += 1;
        }
        let (name, closed, remaining) = check_tag(after)?;
        if !closed {
            open.push(name);
        }
        if open.len() > SVG_DEPTH_MAX {
            return Err(format!("its elements stand deeper than {SVG_DEPTH_MAX}"));
        }
        rest = remaining;
    }
    check_text(rest, open.is_empty(), false)?;
    if open.is_empty() && roots == 1 {
        Ok(())
    } else {
        Err("its elements are not closed, or it has several roots".to_owned())
    }
}

/// Reads one opening tag after its `<`: the name, whether it closes itself, what follows.
fn check_tag(text: &str) -> Result<(&str, bool, &str), String> {
    let end = text.find(|character: char| !character.is_ascii_alphanumeric()).ok_or("a tag does not end")?;
    let (name, mut rest) = text.split_at(end);
    if !ELEMENTS.contains(&name) {
        return Err(format!("element \"{}\" is not one that draws", text.chars().take(24).collect::<String>()));
    }
    loop {
        let trimmed = rest.trim_start();
        if let Some(remaining) = trimmed.strip_prefix("/>") {
            return Ok((name, true, remaining));
        }
        if let Some(remaining) = trimmed.strip_prefix('>') {
            return Ok((name, false, remaining));
        }
        if trimmed.len() == rest.len() {
            return Err(format!("the tag \"{name}\" is not well formed"));
        }
        let (attribute, after) = trimmed.split_once('=').ok_or("an attribute has no value")?;
        let attribute = attribute.trim_end();
        let after = after.trim_start();
        let quote = after.chars().next().filter(|quote| matches!(quote, '"' | '\'')).ok_or("a value has no quotes")?;
        let (value, remaining) =
            after.strip_prefix(quote).and_then(|after| after.split_once(quote)).ok_or("a value does not end")?;
        check_attribute(attribute, value)?;
        rest = remaining;
    }
}

fn check_attribute(name: &str, value: &str) -> Result<(), String> {
    let plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | ':' | '_' | '.');
    if name.is_empty() || !name.chars().all(plain) {
        return Err(format!("attribute \"{name}\" is not well formed"));
    }
    let lower = name.to_ascii_lowercase();
    if lower.starts_with("on") || matches!(lower.as_str(), "xml:base" | "src") {
        return Err(format!("attribute \"{name}\" can run or load something"));
    }
    if matches!(lower.as_str(), "href" | "xlink:href") && !value.trim().starts_with('#') {
        return Err(format!("{name} leads outside the picture"));
    }
    if value.contains('<') {
        return Err(format!("the value of \"{name}\" is not well formed"));
    }
    check_entities(value)?;
    if lower.starts_with("xmlns") { Ok(()) } else { check_style(value) }
}

fn check_text(text: &str, outside: bool, style: bool) -> Result<(), String> {
    if outside && !text.trim().is_empty() {
        return Err("text stands outside its root".to_owned());
    }
    check_entities(text)?;
    if style { check_style(text) } else { Ok(()) }
}

/// Only the five entities of XML and character references, and no forbidden characters.
fn check_entities(text: &str) -> Result<(), String> {
    if text.chars().any(|character| character.is_control() && !matches!(character, '\t' | '\n' | '\r')) {
        return Err("it holds a control character".to_owned());
    }
    for part in text.split('&').skip(1) {
        let name = part.split_once(';').map_or("", |(name, _)| name);
        let number = name.strip_prefix("#x").map(|digits| u32::from_str_radix(digits, 16));
        let number = number.or_else(|| name.strip_prefix('#').map(str::parse));
        let known = matches!(name, "amp" | "lt" | "gt" | "quot" | "apos")
            || matches!(number, Some(Ok(code)) if code >= 32 && char::from_u32(code).is_some());
        if !known {
            return Err(format!("\"&{}\" is no entity of XML", name.chars().take(24).collect::<String>()));
        }
    }
    Ok(())
}

/// Styles neither import nor load; escapes that could hide a word are refused.
fn check_style(text: &str) -> Result<(), String> {
    let lower = text.to_ascii_lowercase();
    let dense: String = lower.chars().filter(|character| !character.is_whitespace()).collect();
    let loads = dense.split("url(").skip(1).any(|rest| !rest.trim_start_matches(['"', '\'']).starts_with('#'));
    // An encoded reference could hide any of the words.
    let encoded = dense.contains('\\') || (dense.contains("&#") && (dense.contains('(') || dense.contains(':')));
    if loads || encoded || dense.contains("@import") || dense.contains("javascript:") || dense.contains("expression(") {
        return Err("a style or value loads or runs something".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn drawings_pass() {
        for good in [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1 1\"/>",
            "<?xml version='1.0'?>\n<svg><!-- a --><g fill=\"url(#a)\"><text x='1'>가 &amp; &#8594;</text><use href=\"#b\"/></g></svg>",
            "<svg><style>.a { fill: red; stroke: url('#g') }</style></svg>",
        ] {
            assert_eq!(check_svg(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn whatever_runs_loads_or_expands_is_refused() {
        for bad in [
            "",
            "<svg>",
            "<svg/><svg/>",
            "<svg></g></svg>",
            "<svg><script>alert(1)</script></svg>",
            "<svg><SCRIPT/></svg>",
            "<svg onload=\"alert(1)\"/>",
            "<svg\u{a0}onload=\"alert(1)\"/>",
            "<svg/onload=\"alert(1)\"/>",
            "<svg><foreignObject/></svg>",
            "<svg><image href=\"http://a/\"/></svg>",
            "<svg><use href=\"http://a/#b\"/></svg>",
            "<svg><use xlink:href=\"data:image/svg+xml,x\"/></svg>",
            "<svg><style>@import 'a'</style></svg>",
            "<svg><style>a{background:url(http://a/)}</style></svg>",
            "<svg><style>a{background:u\\72l(http://a/)}</style></svg>",
            "<svg><g style=\"fill:url( 'http://a/' )\"/></svg>",
            "<svg><g style=\"fill:ur&#108;(http://a/)\"/></svg>",
            "<!DOCTYPE svg [<!ENTITY a \"b\">]><svg>&a;</svg>",
            "<svg>&a;</svg>",
            "<svg>&#0;</svg>",
            "<svg><![CDATA[<script>]]></svg>",
            "<svg><?xml-stylesheet href='a'?></svg>",
            "<svg><a href=\"#x\"/></svg>",
            "<svg><animate attributeName=\"href\"/></svg>",
            "<svg a=<b>/>",
        ] {
            assert!(check_svg(bad).is_err(), "{bad}");
        }
        let deep = format!("<svg>{}{}</svg>", "<g>".repeat(100), "</g>".repeat(100));
        assert!(check_svg(&deep).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in "(<|/|>|svg|g|=|\"|'| |&|;|a|!--|-->){0,40}") {
            drop(check_svg(&text));
            drop(check_svg(&format!("<svg>{text}</svg>")));
        }
    }
}
