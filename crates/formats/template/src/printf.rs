//! Printing as Go's `fmt` does.

use std::fmt::{self, Write as _};

use crate::times;
use crate::value::Value;

/// The widest field and the most digits: `%1000000000d` must not fill the memory.
const WIDTH_MAX: usize = 10_000;

/// Returns what `{{ value }}` and `%v` print; nothing is `<nil>` inside of others.
pub(crate) fn text_of(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Null => out.push_str("<nil>"),
        other => print(&mut out, other, false).expect("a text takes all"),
    }
    out
}

/// Prints a value as `%v` (or as `%q` prints texts inside of lists).
pub(crate) fn print(out: &mut impl fmt::Write, value: &Value, quoted: bool) -> fmt::Result {
    match value {
        Value::Null => out.write_str("<nil>"),
        Value::Bool(value) => write!(out, "{value}"),
        Value::Integer(number) => write!(out, "{number}"),
        Value::Float(number) => out.write_str(&float_general(*number, None)),
        Value::Text(text) | Value::Html(text) if quoted => out.write_str(&quote(text)),
        Value::Text(text) | Value::Html(text) => out.write_str(text),
        Value::List(list) => {
            out.write_char('[')?;
            for (index, item) in list.iter().enumerate() {
                if index > 0 {
                    out.write_char(' ')?;
                }
                print(out, item, quoted)?;
            }
            out.write_char(']')
        }
        Value::Map(map) => {
            // A record prints its values only, as a Go struct does.
            let is_record = matches!(map.missing, crate::Missing::Error(_));
            out.write_str(if is_record { "{" } else { "map[" })?;
            for (index, (key, item)) in map.entries.iter().enumerate() {
                if index > 0 {
                    out.write_char(' ')?;
                }
                if !is_record {
                    let key = if quoted { quote(key) } else { key.clone() };
                    write!(out, "{key}:")?;
                }
                print(out, item, quoted)?;
            }
            out.write_char(if is_record { '}' } else { ']' })
        }
        Value::Time(at) => out.write_str(&times::format_time(at, "2006-01-02 15:04:05.999999999 -0700 MST")),
        Value::Duration(nanoseconds) => out.write_str(&times::duration_text(*nanoseconds)),
        Value::Object(object) => print(out, &object.plain(), quoted),
    }
}

/// How a verb is to be printed.
#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    plus: bool,
    minus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: Option<usize>,
    precision: Option<usize>,
}

/// Formats as Go's `Sprintf`, with its own texts for what does not fit: `%!d(string=hi)`.
///
/// # Errors
/// When the text would be longer than `bytes_max`.
pub fn printf(format: &str, arguments: &[Value], bytes_max: usize) -> Result<String, String> {
    let mut state = Formatter { arguments, next: 0, reordered: false, out: String::new() };
    let mut characters = format.chars().peekable();
    while let Some(character) = characters.next() {
        if state.out.len() > bytes_max {
            return Err(format!("the text is longer than {bytes_max} bytes"));
        }
        if character == '%' {
            state.verb(&mut characters);
        } else {
            state.out.push(character);
        }
    }
    if !state.reordered && state.next < arguments.len() {
        let extra: Vec<String> = arguments[state.next..]
            .iter()
            .map(|value| match value {
                Value::Null => "<nil>".to_owned(),
                other => format!("{}={}", other.type_name(), text_of(other)),
            })
            .collect();
        write!(state.out, "%!(EXTRA {})", extra.join(", ")).expect("a text takes all");
    }
    if state.out.len() > bytes_max {
        return Err(format!("the text is longer than {bytes_max} bytes"));
    }
    Ok(state.out)
}

struct Formatter<'a> {
    arguments: &'a [Value],
    next: usize,
    reordered: bool,
    out: String,
}

type Characters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

impl Formatter<'_> {
    fn verb(&mut self, characters: &mut Characters<'_>) {
        let mut flags = Flags::default();
        while let Some(flag) = characters.peek() {
            match flag {
                '+' => flags.plus = true,
                '-' => flags.minus = true,
                '#' => flags.sharp = true,
                ' ' => flags.space = true,
                '0' => flags.zero = true,
                _ => break,
            }
            characters.next();
        }
        self.index(characters);
        flags.width = self.size(characters, true, &mut flags.minus);
        if characters.next_if_eq(&'.').is_some() {
            self.index(characters);
            flags.precision = Some(self.size(characters, false, &mut false).unwrap_or(0));
        }
        self.index(characters);
        let Some(verb) = characters.next() else {
            self.out.push_str("%!(NOVERB)");
            return;
        };
        if verb == '%' {
            self.out.push('%');
            return;
        }
        let Some(value) = self.arguments.get(self.next) else {
            let why = if self.reordered { "BADINDEX" } else { "MISSING" };
            write!(self.out, "%!{verb}({why})").expect("a text takes all");
            return;
        };
        self.next += 1;
        self.out.push_str(&formatted(verb, flags, value));
    }

    /// Reads `[2]`: the argument to take next.
    fn index(&mut self, characters: &mut Characters<'_>) {
        if characters.next_if_eq(&'[').is_none() {
            return;
        }
        let text: String = characters.by_ref().take_while(|character| *character != ']').collect();
        self.reordered = true;
        self.next = text.parse::<usize>().ok().and_then(|one| one.checked_sub(1)).unwrap_or(usize::MAX);
    }

    /// Reads a width or a precision, also from an argument (`*`).
    fn size(&mut self, characters: &mut Characters<'_>, is_width: bool, minus: &mut bool) -> Option<usize> {
        if characters.next_if_eq(&'*').is_some() {
            let value = self.arguments.get(self.next);
            self.next = self.next.saturating_add(1);
            if let Some(Value::Integer(number)) = value {
                let size = usize::try_from(number.unsigned_abs()).ok().filter(|size| *size <= WIDTH_MAX);
                if size.is_some() && (*number >= 0 || is_width) {
                    *minus |= *number < 0;
                    return size;
                }
            }
            self.out.push_str(if is_width { "%!(BADWIDTH)" } else { "%!(BADPREC)" });
            return None;
        }
        let mut size: Option<usize> = None;
        while let Some(digit) = characters.peek().and_then(|character| character.to_digit(10)) {
            size = Some((size.unwrap_or(0) * 10 + digit as usize).min(WIDTH_MAX));
            characters.next();
        }
        size
    }
}

fn formatted(verb: char, flags: Flags, value: &Value) -> String {
    let text = match (verb, value) {
        ('v', _) if flags.sharp => go_syntax(value),
        ('v', Value::Float(number)) => return signed(flags, float_general(*number, flags.precision)),
        ('v', Value::Integer(number)) => return integer(*number, 10, false, flags),
        ('v', _) => cut(flags, text_of(value)),
        ('T', _) => value.type_name(),
        ('t', Value::Bool(value)) => value.to_string(),
        (
            's',
            Value::Text(_)
            | Value::Html(_)
            | Value::Time(_)
            | Value::Duration(_)
            | Value::List(_)
            | Value::Map(_)
            | Value::Object(_),
        ) => cut(flags, strings(value)),
        ('q', Value::Text(text) | Value::Html(text)) => quote(&cut(flags, text.clone())),
        ('q', Value::Integer(number)) => match u32::try_from(*number).ok().and_then(char::from_u32) {
            Some(character) => format!("'{}'", quote(&character.to_string()).trim_matches('"').replace("\\\"", "\"")),
            None => "'\u{fffd}'".to_owned(),
        },
        ('q', Value::List(_) | Value::Map(_) | Value::Object(_)) => {
            let mut out = String::new();
            print(&mut out, value, true).expect("a text takes all");
            out
        }
        ('x' | 'X', Value::Text(text) | Value::Html(text)) => hexadecimal(text.as_bytes(), verb == 'X', flags),
        ('d', Value::Integer(number) | Value::Duration(number)) => return integer(*number, 10, false, flags),
        ('b', Value::Integer(number)) => return integer(*number, 2, false, flags),
        ('o' | 'O', Value::Integer(number)) => {
            let text = integer(*number, 8, false, flags);
            return if verb == 'O' { format!("0o{text}") } else { text };
        }
        ('x' | 'X', Value::Integer(number)) => return integer(*number, 16, verb == 'X', flags),
        ('c', Value::Integer(number)) => {
            u32::try_from(*number).ok().and_then(char::from_u32).unwrap_or('\u{fffd}').to_string()
        }
        ('U', Value::Integer(number)) => format!("U+{number:04X}"),
        ('f' | 'F', Value::Float(number)) => return signed(flags, float_fixed(*number, flags.precision.unwrap_or(6))),
        ('e' | 'E', Value::Float(number)) => {
            let text = float_exponent(*number, Some(flags.precision.unwrap_or(6)));
            return signed(flags, if verb == 'E' { text.to_uppercase() } else { text });
        }
        ('g' | 'G', Value::Float(number)) => {
            let text = float_general(*number, flags.precision);
            return signed(flags, if verb == 'G' { text.to_uppercase() } else { text });
        }
        (_, Value::List(list)) => {
            let items: Vec<String> = list.iter().map(|item| formatted(verb, flags, item)).collect();
            return format!("[{}]", items.join(" "));
        }
        (_, Value::Null) => format!("%!{verb}(<nil>)"),
        _ => format!("%!{verb}({}={})", value.type_name(), text_of(value)),
    };
    pad(flags, text)
}

/// Prints for `%s`: what is no text inside of a list says so.
fn strings(value: &Value) -> String {
    match value {
        Value::Text(text) | Value::Html(text) => text.clone(),
        Value::Time(_) | Value::Duration(_) | Value::Map(_) | Value::Null => text_of(value),
        Value::Object(object) => strings(&object.plain()),
        Value::List(list) => {
            let items: Vec<String> = list.iter().map(strings).collect();
            format!("[{}]", items.join(" "))
        }
        other => format!("%!s({}={})", other.type_name(), text_of(other)),
    }
}

fn go_syntax(value: &Value) -> String {
    match value {
        Value::Text(text) | Value::Html(text) => quote(text),
        other => text_of(other),
    }
}

fn cut(flags: Flags, text: String) -> String {
    match flags.precision {
        Some(count) => text.chars().take(count).collect(),
        None => text,
    }
}

fn pad(flags: Flags, text: String) -> String {
    let missing = flags.width.unwrap_or(0).saturating_sub(text.chars().count());
    if missing == 0 {
        return text;
    }
    if flags.minus {
        return text + &" ".repeat(missing);
    }
    (if flags.zero { "0" } else { " " }).repeat(missing) + &text
}

/// Adds the sign and the width of a number.
fn signed(flags: Flags, text: String) -> String {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits.to_owned()),
        None if flags.plus || text.starts_with('+') => ("+", text.trim_start_matches('+').to_owned()),
        None if flags.space => (" ", text),
        None => ("", text),
    };
    // Infinity is printed with its sign only when asked.
    let sign = if digits == "Inf" && sign.is_empty() { "+" } else { sign };
    let is_number = digits.starts_with(|first: char| first.is_ascii_digit());
    if flags.zero && !flags.minus && is_number {
        let missing = flags.width.unwrap_or(0).saturating_sub(sign.len() + digits.len());
        return format!("{sign}{}{digits}", "0".repeat(missing));
    }
    pad(Flags { zero: false, ..flags }, format!("{sign}{digits}"))
}

fn integer(number: i64, radix: u32, upper: bool, flags: Flags) -> String {
    let magnitude = number.unsigned_abs();
    let mut digits = match (radix, upper) {
        (2, _) => format!("{magnitude:b}"),
        (8, _) => format!("{magnitude:o}"),
        (16, false) => format!("{magnitude:x}"),
        (16, true) => format!("{magnitude:X}"),
        _ => magnitude.to_string(),
    };
    if let Some(precision) = flags.precision {
        digits = "0".repeat(precision.saturating_sub(digits.len())) + &digits;
    }
    if flags.sharp {
        let prefix = match (radix, upper) {
            (16, false) => "0x",
            (16, true) => "0X",
            (8, _) => "0",
            (2, _) => "0b",
            _ => "",
        };
        digits = format!("{prefix}{digits}");
    }
    let flags = if flags.precision.is_some() { Flags { zero: false, ..flags } } else { flags };
    signed(flags, if number < 0 { format!("-{digits}") } else { digits })
}

fn hexadecimal(bytes: &[u8], upper: bool, flags: Flags) -> String {
    let mut out = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        if flags.space && index > 0 {
            out.push(' ');
        }
        let written = if upper { write!(out, "{byte:02X}") } else { write!(out, "{byte:02x}") };
        written.expect("a text takes all");
    }
    out
}

fn special(number: f64) -> Option<String> {
    if number.is_nan() {
        return Some("NaN".to_owned());
    }
    number.is_infinite().then(|| if number > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() })
}

fn float_fixed(number: f64, precision: usize) -> String {
    special(number).unwrap_or_else(|| format!("{number:.precision$}"))
}

/// `%e`; without a precision as many digits as are needed.
fn float_exponent(number: f64, precision: Option<usize>) -> String {
    if let Some(text) = special(number) {
        return text;
    }
    let text = match precision {
        Some(precision) => format!("{number:.precision$e}"),
        None => format!("{number:e}"),
    };
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// `%g`: the shorter of fixed and exponent.
fn float_general(number: f64, precision: Option<usize>) -> String {
    if let Some(text) = special(number) {
        return text;
    }
    let significant = precision.map(|precision| precision.max(1));
    let scientific = float_exponent(number, significant.map(|digits| digits - 1));
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let digits = i64::try_from(mantissa.chars().filter(char::is_ascii_digit).count()).unwrap_or(i64::MAX);
    let bound = significant.map_or(6, |digits| i64::try_from(digits).unwrap_or(i64::MAX));
    // Without a precision six digits decide, whatever is printed.
    if exponent < -4 || exponent >= bound {
        if significant.is_none() {
            return scientific;
        }
        let mantissa =
            if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
        let (_, tail) = scientific.split_once('e').unwrap_or_default();
        return format!("{mantissa}e{tail}");
    }
    if significant.is_none() {
        return format!("{number}");
    }
    let decimals = usize::try_from((digits - 1 - exponent).max(0)).unwrap_or(0);
    let fixed = format!("{number:.decimals$}");
    if fixed.contains('.') { fixed.trim_end_matches('0').trim_end_matches('.').to_owned() } else { fixed }
}

/// Quotes as Go's `%q`.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            other if other < ' ' || other == '\u{7f}' => {
                write!(out, "\\x{:02x}", u32::from(other)).expect("a text takes all");
            }
            other
                if other.is_control()
                    || matches!(other, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{200b}'..='\u{200f}') =>
            {
                write!(out, "\\u{:04x}", u32::from(other)).expect("a text takes all");
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
