//! How wide texts are, without the fonts: as the widest of the fonts that people have would set them.

/// The size of letters in diagrams, in pixels.
pub(crate) const FONT_SIZE: f64 = 14.0;
/// From one line of text to the next.
pub(crate) const LINE_HEIGHT: f64 = 20.0;

/// Advances of ASCII from space to tilde, in thousandths of the size: NanumGothic's, which is wider than Malgun Gothic and Noto Sans.
const ASCII: [u16; 95] = [
    280, 424, 430, 606, 606, 1090, 727, 303, 363, 363, 606, 654, 303, 363, 303, 375, 606, 606, 606, 606, 606, 606, 606,
    606, 606, 606, 303, 303, 547, 654, 547, 545, 872, 727, 606, 672, 727, 576, 503, 797, 727, 242, 363, 641, 484, 969,
    727, 787, 577, 787, 622, 545, 545, 727, 666, 1029, 666, 666, 545, 363, 966, 363, 654, 545, 242, 545, 606, 484, 606,
    545, 363, 606, 606, 242, 269, 520, 242, 908, 606, 606, 606, 606, 363, 424, 363, 606, 484, 848, 510, 464, 484, 303,
    242, 303, 654,
];

/// Returns a character's advance in thousandths of the size.
fn advance(character: char) -> u16 {
    let code = u32::from(character);
    if let Some(known) = usize::try_from(code).ok().and_then(|code| ASCII.get(code.checked_sub(32)?)) {
        return *known;
    }
    match code {
        // Marks that stand above or below another letter, joiners, selectors.
        0x300..=0x36f | 0x200b..=0x200f | 0x1ab0..=0x1aff | 0x20d0..=0x20ff | 0xfe00..=0xfe0f | 0x1160..=0x11ff => 0,
        0xac00..=0xd7a3 | 0x3131..=0x318e | 0x1100..=0x115f => 940,
        0x2e80..=0x9fff | 0xf900..=0xfaff | 0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x20000..=0x3fffd => 1000,
        0x1f000..=0x1faff | 0x2600..=0x27bf | 0x2190..=0x21ff => 1300,
        _ => 700,
    }
}

/// Returns the width of one line of text at a size.
pub(crate) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(|character| f64::from(advance(character))).sum::<f64>() * size / 1000.0
}

/// Returns the width of the widest line at the common size.
pub(crate) fn widest(text: &str) -> f64 {
    text.split('\n').map(|line| width(line, FONT_SIZE)).fold(0.0, f64::max)
}

/// Breaks a text into lines that are at most so wide: at spaces, and inside words that are wider.
pub(crate) fn wrap(text: &str, most: f64) -> Vec<String> {
    let mut lines = Vec::new();
    for given in text.split('\n') {
        let mut line = String::new();
        for word in given.split_whitespace() {
            let joined = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
            if width(&joined, FONT_SIZE) <= most {
                line = joined;
                continue;
            }
            if !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            for character in word.chars() {
                if !line.is_empty()
                    && width(&line, FONT_SIZE) + f64::from(advance(character)) * FONT_SIZE / 1000.0 > most
                {
                    lines.push(std::mem::take(&mut line));
                }
                line.push(character);
            }
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hangul_is_wider_than_latin_and_marks_have_no_width() {
        assert!((width("가나", 100.0) - 188.0).abs() < 0.01);
        assert!((width("e\u{301}", 100.0) - 54.5).abs() < 0.01);
        assert!(width("주문", 14.0) > width("ab", 14.0));
    }

    #[test]
    fn lines_are_no_wider_than_told() {
        for text in
            ["주문을 접수하고 재고를 확인한 뒤에 결제를 요청한다", "sha256:0123456789012345678901234567890123456789"]
        {
            let lines = wrap(text, 120.0);
            assert!(lines.len() > 1 && lines.iter().all(|line| width(line, FONT_SIZE) <= 120.0), "{lines:?}");
            let dense = |text: &str| text.split_whitespace().collect::<String>();
            assert_eq!(dense(&lines.concat()), dense(text));
        }
    }
}
