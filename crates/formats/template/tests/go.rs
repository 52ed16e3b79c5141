//! Templates and what Go's own text/template prints for them, over the same data.

use std::sync::Arc;

use maru_template::{Escape, Functions, Library, Limits, Object, Template, Value};

fn data() -> Value {
    Value::record(
        "main.Rec",
        [
            ("Labels", Value::labels([("a", "x"), ("b", "<y>")])),
            ("Value", Value::Float(1.5)),
            ("N", Value::Integer(7)),
            ("List", Value::list(["p", "q", "r"].map(Value::from))),
            ("At", Value::time("2026-03-04T05:06:07.089Z".parse().expect("a time"))),
            ("For", Value::Duration(3_723_500_000_000)),
            ("Any", Value::map([("k", Value::Integer(1)), ("s", Value::from("t"))])),
        ],
    )
}

fn render(text: &str) -> Result<String, String> {
    let template = Template::parse("t", text).map_err(|error| error.to_string())?;
    template.check(&Functions::default()).map_err(|error| error.to_string())?;
    template.render(&data(), &Functions::default(), Limits::default()).map_err(|error| error.to_string())
}

#[test]
fn templates_print_what_go_prints() {
    let mut wrong = Vec::new();
    for (text, expected) in PRINTED {
        let printed = render(text);
        if printed.as_deref() != Ok(*expected) {
            wrong.push(format!("{text}\n  expected {expected:?}\n  printed  {printed:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ\n{}", wrong.len(), PRINTED.len(), wrong.join("\n"));
}

#[test]
fn what_go_refuses_is_refused() {
    for text in REFUSED {
        let printed = render(text);
        assert!(printed.is_err(), "{text} printed {printed:?}");
    }
}

#[test]
fn errors_have_a_place_and_a_reason() {
    let table = [
        ("a\n {{ .Nope }}", "template \"t\", line 2, column 5: can't evaluate field Nope in type main.Rec"),
        ("{{ if .N }}", "template \"t\", line 1, column 1: the \"if\" is not closed with {{end}}"),
        ("한글 {{ nope 1 }}", "template \"t\", line 1, column 7: there is no function \"nope\""),
        ("{{ $x }}", "template \"t\", line 1, column 4: undefined variable \"$x\""),
        ("{{ eq 1 1.0 }}", "template \"t\", line 1, column 4: error calling eq: incompatible types for comparison"),
    ];
    for (text, expected) in table {
        assert_eq!(render(text).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn templates_that_loop_or_explode_end() {
    let limits = Limits { output_bytes_max: 10_000, steps_max: 10_000, depth_max: 20 };
    let table = [
        ("{{define \"x\"}}{{template \"x\" .}}{{end}}{{template \"x\" .}}", "deeper than 20 levels"),
        ("{{range 1000000000}}{{end}}", "more than 10000 steps"),
        ("{{range 100}}{{range 100}}{{range 100}}{{end}}{{end}}{{end}}", "more than 10000 steps"),
        ("{{range 1000}}aaaaaaaaaaaaaaaaaaaa{{end}}", "more than 10000 bytes"),
        ("{{$x := \"aaaaaaaa\"}}{{range 60}}{{$x = print $x $x}}{{end}}{{$x}}", "10000 bytes"),
        ("{{printf \"%9999d%9999d\" 1 1}}", "longer than 10000 bytes"),
    ];
    for (text, expected) in table {
        let template = Template::parse("t", text).unwrap();
        let error = template.render(&Value::Null, &Functions::default(), limits).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    assert!(Template::parse("t", &"{{if .}}".repeat(5000)).is_err());
    assert!(Template::parse("t", &format!("{{{{ {} 1 }}}}", "(".repeat(5000))).is_err());
}

#[derive(Debug)]
struct Pairs;

impl Object for Pairs {
    fn get(&self, name: &str, arguments: &[Value]) -> Result<Option<Value>, String> {
        match name {
            "SortedPairs" => {
                Ok(Some(Value::list([Value::map([("Name", Value::from("a")), ("Value", Value::from("1"))])])))
            }
            "Remove" => arguments.first().cloned().map(Some).ok_or_else(|| "which?".to_owned()),
            _ => Ok(None),
        }
    }

    fn plain(&self) -> Value {
        Value::labels([("a", "1")])
    }
}

#[test]
fn objects_have_methods_and_are_ranged_over() {
    let data = Value::map([("Labels", Value::Object(Arc::new(Pairs)))]);
    let text = "{{range .Labels.SortedPairs}}{{.Name}}={{.Value}}{{end}} {{.Labels.a}} {{range $k, $v := .Labels}}{{$k}}{{$v}}{{end}} {{.Labels.Remove \"x\"}} {{len .Labels}} {{.Labels.none}}";
    let template = Template::parse("t", text).unwrap();
    assert_eq!(template.render(&data, &Functions::default(), Limits::default()).unwrap(), "a=1 1 a1 x 1 ");
}

#[test]
fn functions_and_variables_are_the_callers() {
    let mut functions = Functions::default();
    functions.add("twice", |arguments| {
        arguments
            .first()
            .and_then(Value::as_text)
            .map(|text| Value::from(text.repeat(2)))
            .ok_or_else(|| "a text is needed".to_owned())
    });
    let template =
        Template::parse_with("t", "{{ $labels.a | twice }}{{ $value }}", &[("labels", "Labels"), ("value", "Value")])
            .unwrap();
    template.check(&functions).unwrap();
    assert_eq!(template.render(&data(), &functions, Limits::default()).unwrap(), "xx1.5");
    assert!(template.check(&Functions::default()).is_err());
}

#[test]
fn a_library_gives_templates_and_html_is_escaped() {
    let mut library = Library::default();
    library.add(&Template::parse("file", "{{define \"title\"}}[{{.}}]{{end}}").unwrap());
    library.add(&Template::parse("other", "{{define \"title\"}}<b>{{.}}</b>{{end}}").unwrap());
    let template = Template::parse("t", "{{template \"title\" \"a<b\"}}").unwrap();
    let functions = Functions::default();
    let html = template.render_in(&library, &Value::Null, &functions, Limits::default(), Escape::Html);
    assert_eq!(html.unwrap(), "<b>a&lt;b</b>");
    let text = template.render_in(&library, &Value::Null, &functions, Limits::default(), Escape::None);
    assert_eq!(text.unwrap(), "<b>a<b</b>");
}

const PRINTED: &[(&str, &str)] = &[
    ("a {{ .N }} b", "a 7 b"),
    ("{{- 3 -}} x", "3x"),
    ("a  {{- 3 }}  b", "a3  b"),
    ("a {{ 3 -}}  b", "a 3b"),
    ("{{/* c */}}x{{- /* d */ -}} y", "xy"),
    ("{{ 23 -}} < {{- 45 }}", "23<45"),
    (r#"{{"output"}}"#, "output"),
    (r#"{{`"output"`}}"#, r#""output""#),
    (r#"{{printf "%q" "output"}}"#, r#""output""#),
    (r#"{{"output" | printf "%q"}}"#, r#""output""#),
    (r#"{{printf "%q" (print "out" "put")}}"#, r#""output""#),
    (r#"{{"put" | printf "%s%s" "out" | printf "%q"}}"#, r#""output""#),
    (r#"{{with "output"}}{{printf "%q" .}}{{end}}"#, r#""output""#),
    (r#"{{with $x := "output" | printf "%q"}}{{$x}}{{end}}"#, r#""output""#),
    (r#"{{with $x := "output"}}{{printf "%q" $x}}{{end}}"#, r#""output""#),
    (r#"{{with $x := "output"}}{{$x | printf "%q"}}{{end}}"#, r#""output""#),
    ("{{range .List}}<{{.}}>{{end}}", "<p><q><r>"),
    ("{{range $i, $e := .List}}{{$i}}={{$e}};{{end}}", "0=p;1=q;2=r;"),
    ("{{range $e := .List}}{{$e}};{{end}}", "p;q;r;"),
    ("{{range $k, $v := .Labels}}{{$k}}={{$v}};{{end}}", "a=x;b=<y>;"),
    (r#"{{range .List}}{{if eq . "q"}}{{continue}}{{end}}{{.}}{{end}}"#, "pr"),
    (r#"{{range .List}}{{if eq . "q"}}{{break}}{{end}}{{.}}{{end}}"#, "p"),
    ("{{range .Any.none}}x{{else}}empty{{end}}", "empty"),
    ("{{range 3}}{{.}}{{end}}", "012"),
    ("{{range $i := 3}}{{$i}}{{end}}", "012"),
    ("{{if gt .Value 1.0}}big{{else}}small{{end}}", "big"),
    ("{{if eq .N 1 2 7}}yes{{end}}", "yes"),
    ("{{if and (eq .N 7) (lt .Value 2.0) .List}}both{{end}}", "both"),
    ("{{if eq .N 1}}1{{else if eq .N 7}}7{{else}}x{{end}}", "7"),
    ("{{with .Labels.none}}some{{else with .N}}n{{.}}{{end}}", "n7"),
    (
        r#"{{.Labels.a}} {{.Labels.none}}|{{.Any.none}}|{{index .Labels "b"}}|{{index .Labels "none"}}"#,
        "x |<no value>|<y>|",
    ),
    (
        r#"{{index .List 1}} {{len .List}} {{len .Labels}} {{len "héé"}} {{slice "abcdef" 1 3}} {{slice .List 1}}"#,
        "q 3 2 5 bc [q r]",
    ),
    ("{{.Labels}} {{.List}} {{.Any}}", "map[a:x b:<y>] [p q r] map[k:1 s:t]"),
    (r#"{{define "T"}}<{{.}}>{{end}}{{template "T" .N}}{{template "T"}}"#, "<7><<no value>>"),
    (r#"{{block "B" .List}}{{range .}}{{.}}{{end}}{{end}}"#, "pqr"),
    ("{{$x := 1}}{{range .List}}{{$x = 2}}{{end}}{{$x}}", "2"),
    ("{{$x := 1}}{{if true}}{{$x := 3}}{{$x}}{{end}}{{$x}}", "31"),
    ("{{and 1 2}} {{or 0 0}}", "2 0"),
    (
        r#"{{html .Labels.b}} {{js "it's <b> \"q\" = &"}} {{urlquery "a b&c/한"}}"#,
        r#"&lt;y&gt; it\'s \u003Cb\u003E \"q\" \u003D \u0026 a+b%26c%2F%ED%95%9C"#,
    ),
    (r#"{{print 1 2 "a" 3 4}} {{println "x" 1}}"#, "1 2a3 4 x 1\n"),
    (
        r#"{{printf "%d %5d|%-5d|%05d|%+d|%x|%X|%o|%b|%c|%U" .N .N .N .N .N 255 255 8 5 65 65}}"#,
        "7     7|7    |00007|+7|ff|FF|10|101|A|U+0041",
    ),
    (
        r#"{{printf "%s|%10s|%-10s|%.2s|%q|%x|%X" "abc" "abc" "abc" "abc" "a\"b" "hi" "hi"}}"#,
        r#"abc|       abc|abc       |ab|"a\"b"|6869|6869"#,
    ),
    (
        r#"{{printf "%f|%.2f|%8.3f|%-8.1f|%08.2f|%e|%.3e|%g|%.3g|%G" .Value .Value .Value .Value .Value .Value 12345.678 1e21 1234.5678 1e-7}}"#,
        "1.500000|1.50|   1.500|1.5     |00001.50|1.500000e+00|1.235e+04|1e+21|1.23e+03|1E-07",
    ),
    (r#"{{printf "%v %v %v %v" 1e20 1e21 0.0001 0.00001}}"#, "1e+20 1e+21 0.0001 1e-05"),
    (r#"{{printf "%v %+v %t %T %T %T" true .List true 1 1.5 "s"}}"#, "true [p q r] true int float64 string"),
    (
        r#"{{printf "%d" "hi"}} {{printf "%s" 5}} {{printf "%d"}} {{printf "%d" 1 2}} {{printf "%z" 1}} {{printf "%"}} {{printf "100%%"}}"#,
        "%!d(string=hi) %!s(int=5) %!d(MISSING) 1%!(EXTRA int=2) %!z(int=1) %!(NOVERB) 100%",
    ),
    (
        r#"{{printf "%[2]d %[1]d" 1 2}} {{printf "%*d|%-*d|" 5 1 5 1}} {{printf "%.*f" 2 3.14159}}"#,
        "2 1     1|1    | 3.14",
    ),
    (r#"{{printf "%v" nil}}"#, "<nil>"),
    (
        r#"{{printf "%s %v" .For .For}} {{.For}} {{.For.Seconds}} {{.For.Hours}}"#,
        "1h2m3.5s 1h2m3.5s 1h2m3.5s 3723.5 1.0343055555555556",
    ),
    (
        r#"{{.At}} | {{.At.Format "Mon, 02 Jan 2006 15:04:05 -0700"}} | {{.At.Format "2006-01-02T15:04:05.000Z07:00"}} | {{.At.Format "3:04PM Jan _2 06 MST"}} | {{.At.Unix}} {{.At.Year}} {{.At.Month}} {{.At.Weekday}}"#,
        "2026-03-04 05:06:07.089 +0000 UTC | Wed, 04 Mar 2026 05:06:07 +0000 | 2026-03-04T05:06:07.089Z | 5:06AM Mar  4 26 UTC | 1772600767 2026 March Wednesday",
    ),
    (r#"{{.At.Format "02.01.2006 15.04.05.999 .000"}}"#, "04.03.2026 05.06.07.089 .089"),
    (
        r#"{{eq "a" "a"}} {{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt "b" "a"}} {{ge 1.5 1.5}}"#,
        "true true true true true true",
    ),
    ("{{range .N}}{{.}},{{end}}", "0,1,2,3,4,5,6,"),
    ("{{'a'}} {{0x1F}} {{1_000}} {{1.0}} {{1e3}} {{-5}} {{+5}} {{.5}}", "97 31 1000 1 1000 -5 5 0.5"),
    (r#"{{"\u00e9\t\x41\101"}}"#, "é	AA"),
    ("{{(index .List 0)}}{{(.Labels).a}}", "px"),
    ("{{range $i, $c := .List}}{{if $i}}, {{end}}{{$c}}{{end}}", "p, q, r"),
    (r#"{{ .Value | printf "%.1f%%" }}"#, "1.5%"),
    ("{{ with $v := .Value }}{{ $v }}{{ $.N }}{{ end }}", "1.57"),
    (r#"{{ printf "%6.2f|%+.1f|% d|%x" 3.14159 2.0 5 "한" }}"#, "  3.14|+2.0| 5|ed959c"),
    (r#"{{ printf "%q" 'x' }} {{ printf "%#x %#o %#b" 255 8 5 }} {{printf "%#v" "a"}}"#, r#"'x' 0xff 010 0b101 "a""#),
    (r#"{{ printf "%5t|%-7v|%07.3f" true "ab" -1.5 }}"#, " true|ab     |-01.500"),
    (
        r#"{{ printf "%v" .Labels }} {{ printf "%q" .List }} {{ printf "%d" .List }} {{printf "%s" .Labels}}"#,
        r#"map[a:x b:<y>] ["p" "q" "r"] [%!d(string=p) %!d(string=q) %!d(string=r)] map[a:x b:<y>]"#,
    ),
    (
        r#"{{ printf "%.3v %.10v %v" 3.14159 3.0 100000000.0 }} {{ printf "%.3g %.10g %g" 1234567.0 1234567.0 1234567.0 }}"#,
        "3.14 3 1e+08 1.23e+06 1234567 1.234567e+06",
    ),
    (r#"{{ printf "%6d|%6s|%06d" -42 "é" -42 }}"#, "   -42|     é|-00042"),
    ("{{if true}}a{{else}}b{{end}}{{ if false }}c{{ end }}d", "ad"),
    ("{{range $k,$v:=.Labels}}{{$k}}{{$v}}{{end}}", "axb<y>"),
    ("{{ .At.Add .For }} {{ (.At.Add .For).Sub .At }}", "2026-03-04 06:08:10.589 +0000 UTC 1h2m3.5s"),
    ("{{ $.Labels.a }}{{ .List | len }}", "x3"),
    (r#"{{ .Any.s | printf "%s-%s" .Labels.a }}"#, "x-t"),
    ("{{true}} {{false}} {{ and true false }}", "true false false"),
    (r#"{{ printf "%08.3e|%+e|%E" 1234.5 1.0 0.00012 }}"#, "1.234e+03|+1.000000e+00|1.200000E-04"),
    (r#"{{ printf "%v %v" 123456789.0 1234567890123456789012.0 }}"#, "1.23456789e+08 1.2345678901234568e+21"),
    ("{{ print }}|{{ print nil }}|{{print 1.0 true}}", "|<nil>|1 true"),
];

/// Templates that are refused, or cannot be evaluated.
const REFUSED: &[&str] = &[
    r#"{{not true}} {{not 0}} {{and 1 0 2}} {{or 0 "" "z"}} {{and}}"#,
    "{{eq 1 1.0}}",
    "{{lt .Value 1}}",
    "{{.Nope}}",
    "{{.N.Nope}}",
    "{{nope}}",
    "{{if}}x{{end}}",
    "{{.N}",
    "{{if .N}}x",
    "{{end}}",
    "{{$x}}",
    "{{1 2}}",
    "{{.N 3}}",
    r#"{{"a" | 3}}"#,
    r#"{{template "none" .}}"#,
    "{{break}}",
    "{{index .List 5}}",
    r#"{{range "abc"}}{{.}},{{end}}"#,
    "{{ nil }}",
    "{{ len nil }}",
    "{{ len 3 }}",
    r#"{{ slice "abc" 2 1 }}"#,
    r#"{{ slice "abc" 5 }}"#,
    "{{ eq .Labels .Labels }}",
    r#"{{ eq "a" 1 }}"#,
    "{{ lt true false }}",
    r#"{{ "a" }}{{ "unterminated }}"#,
    "{{/* unclosed }}",
    "{{ else }}",
    "{{ (1 }}",
    "{{ 1) }}",
    "{{ | .N }}",
    r#"{{define "x"}}a{{define "y"}}b{{end}}{{end}}"#,
    "{{ range .List }}{{ else }}{{ else }}{{ end }}",
    "{{ .Labels.a.b }}",
    "{{ .Any.none.deeper }}",
    "{{ 9223372036854775807 }} {{ 1e400 }}",
];
