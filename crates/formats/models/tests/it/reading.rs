//! What is read, and what is refused by name, with its line and column.

use maru_models::{Kind, read_models};
use proptest::prelude::*;

fn refused(text: &str) -> String {
    match read_models("a.mmd", text) {
        Ok(_) => panic!("read: {text}"),
        Err(problems) => problems[0].to_string(),
    }
}

/// Diagrams that Mermaid 11 takes as well.
pub(crate) const GOOD: [&str; 26] = [
    "flowchart TD\n  A[Start] --> B{ok?}\n  B -->|yes| C([done])\n  B -->|no| A",
    "graph LR; A-->B; B-->C;",
    "flowchart LR\n  A & B --> C & D\n  C -- text --> E\n  D == thick ==> E\n  E -. dots .-> F",
    "flowchart\n  a((c)) --- b(((d))) -.- c[[s]] === d[(db)] --x e{{h}} --o f[/l/] <--> g[\\m\\]\n  h[/t\\] ~~~ i[\\u/]\n  j>flag]",
    "flowchart TB\n  subgraph one [하나]\n    direction LR\n    a --> b\n  end\n  subgraph two\n    c\n  end\n  one --> two",
    "flowchart TD\n  A[\"quoted (text) #quot;x#quot;\"] --> B[\"a<br/>b\"]",
    "flowchart TD\n%% comment\n  주문 --> 결제",
    "sequenceDiagram\n  Alice->>Bob: Hi\n  Bob-->>Alice: Hello",
    "sequenceDiagram\n  autonumber\n  participant A as 주문\n  actor B\n  A->>+B: x\n  B-->>-A: y\n  A-xB: lost\n  A-)B: async\n  A<<->>B: both",
    "sequenceDiagram\n  loop each\n    A->>B: x\n  end\n  alt a\n    A->>B: y\n  else b\n    B->>A: z\n  end\n  par one\n    A->>B: p\n  and two\n    A->>C: q\n  end",
    "sequenceDiagram\n  Note right of A: text\n  Note over A,B: both<br/>lines\n  A->B: x\n  activate B\n  deactivate B",
    "sequenceDiagram\n  critical c\n    A->>B: x\n  option d\n    A->>B: y\n  end\n  break e\n    A->>B: z\n  end\n  opt f\n    A->>B: w\n  end\n  rect rgb(1, 2, 3)\n    A->>B: v\n  end",
    "stateDiagram-v2\n  [*] --> Still\n  Still --> [*]\n  Still --> Moving : go\n  Moving --> Still\n  Moving --> Crash\n  Crash --> [*]",
    "stateDiagram-v2\n  state \"긴 이름\" as s2\n  [*] --> s2\n  s2 : 설명\n  s2 --> [*]",
    "stateDiagram-v2\n  direction LR\n  [*] --> First\n  state First {\n    [*] --> second\n    second --> [*]\n    --\n    [*] --> third\n    third --> [*]\n  }\n  First --> [*]",
    "stateDiagram-v2\n  state c <<choice>>\n  [*] --> c\n  c --> a : x\n  c --> b : y\n  state f <<fork>>\n  state j <<join>>\n  a --> f\n  note right of a : text\n  note left of b\n    lines\n  end note",
    "classDiagram\n  class Animal {\n    <<abstract>>\n    +String name\n    +eat(food) bool\n  }\n  Animal <|-- Duck\n  Duck : +swim()",
    "classDiagram\n  direction LR\n  A \"1\" --> \"0..*\" B : has\n  C *-- D\n  E o-- F\n  G ..> H\n  I ..|> J\n  K -- L\n  class M~T~\n  note for A \"text\"\n  note \"free\"",
    "classDiagram\n  namespace shop {\n    class Order\n    class Item {\n      int price\n    }\n  }\n  Order --> Item\n  class Paid[\"결제됨\"]\n  <<interface>> Paid",
    "erDiagram\n  CUSTOMER ||--o{ ORDER : places\n  ORDER ||--|{ LINE-ITEM : contains\n  CUSTOMER }|..|{ ADDRESS : uses",
    "erDiagram\n  CUSTOMER {\n    string name PK \"이름\"\n    string(99) sector FK,UK\n    int[] numbers\n  }\n  CUSTOMER |o--o| CARD : \"has a\"",
    "erDiagram\n  p[Person] {\n    string id PK\n  }\n  q[\"Second one\"]\n  p ||--|| q : is",
    "---\ntitle: 제목\n---\nflowchart TD\n  A --> B",
    "flowchart TD\n  A --> B\n  A@{ x: 1 }",
    "flowchart TD\n  A --text--> B\n  B ---|text| C",
    "stateDiagram-v2\n  s1\n  s1 --> s2",
];

#[test]
fn what_mermaid_takes_is_taken() {
    for (index, text) in GOOD.iter().enumerate().filter(|(_, text)| !text.contains("@{")) {
        if let Err(problems) = read_models("a.mmd", text) {
            panic!("{index}: {problems:?}\n{text}");
        }
    }
}

#[test]
fn what_is_not_supported_is_named_with_its_place() {
    for (text, wanted) in [
        ("gantt\n title x", "line 1, column 1: \"gantt\" is not supported: plans are no models"),
        (
            "flowchart TD\n  A --> B\n  click A \"http://a\"",
            "line 3, column 3: \"click\" is not supported: a diagram opens and runs nothing",
        ),
        (
            "flowchart TD\n  classDef x fill:#f00",
            "line 2, column 3: \"classDef\" is not supported: colours come from the theme",
        ),
        ("flowchart TD\n  A:::red --> B", "line 2, column 4: \":::\" is not supported: colours come from the theme"),
        ("flowchart TD\n  A@{ shape: x }", "line 2, column 4: shapes as \"@{…}\" are not supported; use brackets"),
        ("%%{init: {}}%%\nflowchart TD\n A-->B", "line 1, column 1: \"%%{init: {}}%%\" stands where the kind"),
        ("flowchart TD\n%%{init: {}}%%\n A-->B", "line 2, column 1: directives (%%{…}%%) are not supported"),
        (
            "@startuml\n!include http://a",
            "line 1, column 1: \"@startuml\" is not supported: PlantUML is not read, as its includes run programs",
        ),
        ("flowchart TD\n  A -> B", "line 2, column 5: \"-> B\" stands where a link such as --> is wanted"),
        ("flowchart TD\n  A[open --> B", "line 2, column 4: '[' is not closed on this line"),
        ("flowchart TD\n  A[a (b)] --> B", "line 2, column 4: '(' in a text needs quotes: [\"…\"]"),
        ("flowchart TD\n  subgraph x\n  A", "line 2, column 3: this subgraph has no \"end\""),
        ("flowchart TD\n  A --> end", "line 2, column 9: \"end\" is a word of the language; write End"),
        ("flowchart XX\n A", "line 1, column 13: \"XX\" is no direction"),
        ("sequenceDiagram\n  A->>B", "line 2, column 8: the line ends where \":\" and the message is wanted"),
        ("sequenceDiagram\n  A=>B: x", "line 2, column 4: \"=>B: x\" stands where an arrow"),
        ("sequenceDiagram\n  loop x\n  A->>B: y", "line 2, column 3: this \"loop\" has no \"end\""),
        ("sequenceDiagram\n  else x", "line 2, column 3: \"else\" belongs into \"alt\""),
        ("stateDiagram-v2\n  a -> b", "line 2, column 5: \"-> b\" stands where \"-->\" or \":\" is wanted"),
        ("stateDiagram-v2\n  state a {\n  b", "line 2, column 9: this state's '{' is not closed"),
        ("stateDiagram-v2\n  state a <<history>>", "line 2, column 9: \"<<history>>\" is not supported"),
        ("erDiagram\n  A ||--o B : x", "line 2, column 9: \"o B : x\" stands where how many"),
        ("erDiagram\n  A ||--|| B[b] : x", "line 2, column 12: the entity's name for people belongs"),
        ("classDiagram\n  A ()-- B", "line 2, column 5: \"()\" (lollipop) is not supported"),
        ("usecaseDiagram\n  a ..> b", "line 2, column 3: say what \"..>\" means"),
        ("goalTree\n  a --> b", "line 2, column 3: \"a\" is not declared above"),
        ("", "line 1, column 1: there is no diagram"),
        (
            "---\ntitle: x\nconfig: {theme: dark}\n---\nflowchart TD\n A",
            "line 3, column 1: config: is not supported: looks come from the theme",
        ),
        (
            "---\ntitel: x\n---\nflowchart TD\n A",
            "line 2, column 1: there is no field \"titel\"; did you mean \"title\"?",
        ),
        ("---\ntitle: x\nflowchart TD", "line 1, column 1: the front matter does not end with a line \"---\""),
        ("flowchart TD\n  A[\u{1}]", "line 2, column 5: a control character stands in the text"),
    ] {
        let found = refused(text);
        assert!(found.starts_with(wanted), "{text}\n  found {found}\n  wanted {wanted}");
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let text = "flowchart TD\n  A -> B\n  C --> D\n  click C x\n  E[";
    let problems = read_models("a.mmd", text).unwrap_err();
    assert_eq!(problems.iter().map(|one| one.line).collect::<Vec<_>>(), [2, 4, 5]);
}

#[test]
fn markdown_has_models_in_its_fences() {
    let text = "# a\n```mermaid\n---\nrequirements: [fr-1]\n---\nflowchart TD\n A-->B\n```\n```rust\nx\n```\n~~~~mermaid\nerDiagram\n A {\n  int id PK\n }\n~~~~\n";
    let models = read_models("docs/design.md", text).unwrap();
    let seen: Vec<_> = models.iter().map(|one| (one.name.as_str(), one.kind, one.line)).collect();
    assert_eq!(seen, [("design", Kind::Flowchart, 6), ("design-2", Kind::EntityRelationship, 13)]);
    assert_eq!((models[0].requirements[0].line, models[0].requirements[0].column), (4, 16));
    let wrong = read_models("a.md", "x\n\n```mermaid\nflowchart TD\n  A -> B\n```\n").unwrap_err();
    assert_eq!((wrong[0].line, wrong[0].column), (5, 5));
}

#[test]
fn there_are_limits() {
    let many: String = (0..501).map(|index| format!("  n{index}\n")).collect();
    assert!(refused(&format!("flowchart TD\n{many}")).contains("501 boxes, more than 500"));
    assert!(refused(&format!("flowchart TD\n  A[\"{}\"]", "가".repeat(1001))).contains("more than 1000 characters"));
    assert!(refused(&format!("flowchart TD\n%% {}", "x".repeat(300_000))).contains("more than 262144 bytes"));
    let deep: String = (0..20).map(|index| format!("subgraph s{index}\n")).collect();
    assert!(refused(&format!("flowchart TD\n{deep}")).contains("deeper than 8"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Pieces of all languages, thrown together: nothing panics, and what is read is checked and drawn.
    #[test]
    fn any_text_is_read_or_refused(
        head in "(flowchart TD|sequenceDiagram|stateDiagram-v2|classDiagram|erDiagram|usecaseDiagram|goalTree)",
        body in "(\n|  |A|B|가|-->|--|->>|-->>|-\\.|==|\\||:|;|\\[|\\]|\\(|\\)|\\{|\\}|\"|<|>|x|o|\\*|\\[\\*\\]|end|state |class |note |alt |loop |actor |usecase |goal |subgraph |direction |#quot;|&|\u{301}|😀|\\||~|\\.\\.|PK|,|%%|---){0,60}"
    ) {
        if let Ok(models) = read_models("a.mmd", &format!("{head}\n{body}")) {
            for model in models {
                drop(maru_models::check(&model, None));
                let drawing = model.render(maru_models::Theme::Screen, maru_requirements::Language::Ko);
                prop_assert!(drawing.width.is_finite() && !drawing.svg.contains("NaN"));
            }
        }
    }

    #[test]
    fn arbitrary_text_never_panics(text in ".{0,200}") {
        drop(read_models("a.mmd", &text));
        drop(read_models("a.md", &format!("```mermaid\n{text}\n```")));
    }
}
