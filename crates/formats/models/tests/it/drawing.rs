//! What is drawn: SVG that only draws, the same each time, with every text in it.

use maru_models::{Theme, read_models};
use maru_requirements::Language;

use crate::reading::GOOD;

#[test]
fn every_diagram_is_drawn_the_same_twice_and_only_draws() {
    for text in GOOD.iter().filter(|text| !text.contains("@{")) {
        let model = &read_models("a.mmd", text).unwrap()[0];
        for theme in [Theme::Paper, Theme::Screen] {
            let drawing = model.render(theme, Language::Ko);
            assert_eq!(drawing, read_models("a.mmd", text).unwrap()[0].render(theme, Language::Ko));
            let svg = &drawing.svg;
            assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
            assert!(!svg.contains("<script") && !svg.contains("href") && !svg.contains("url("), "{svg}");
            assert_eq!(svg.contains("var(--maru-model-"), theme == Theme::Screen);
            maru_documents::check_svg(svg).unwrap();
        }
    }
}

#[test]
fn hostile_texts_are_escaped() {
    let hostile = "</text><script>alert(1)</script>&\u{202e}x' onload='1";
    let text = format!(
        "---\ntitle: \"{hostile}\"\nrequirements: [fr-1]\n---\nflowchart TD\n  A[\"{hostile}\"] -->|\"{hostile}\"| B"
    );
    let svg = read_models("a.mmd", &text).unwrap()[0].render(Theme::Paper, Language::Ko).svg;
    assert!(!svg.contains("<script") && !svg.contains('\u{202e}') && svg.contains("&lt;script&gt;"), "{svg}");
    maru_documents::check_svg(&svg).unwrap();
}

#[test]
fn large_diagrams_are_drawn_soon() {
    let mut text = "flowchart TD\n".to_owned();
    for index in 0..500_usize {
        text.push_str(&format!("  n{index}[\"단계 {index}\"]\n"));
    }
    for index in 0..1400_usize {
        text.push_str(&format!("  n{} -->|조건 {index}| n{}\n", index % 500, (index * 7919 + 13) % 500));
    }
    let begin = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let drawing = read_models("a.mmd", &text).unwrap()[0].render(Theme::Paper, Language::Ko);
    let seconds = (std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap() - begin).as_secs_f64();
    println!("500 boxes, 1,400 arrows: {seconds:.1} s, {} bytes", drawing.svg.len());
    assert!(seconds < 60.0);
}
