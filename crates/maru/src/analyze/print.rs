//! An answer in words and tables.

use maru_api::{ArchitectureStatus, Feasibility, Language, SingleRelaxation};
use maru_cli::table;
use maru_process::{Analysis, what_word};

/// Writes an answer for people.
pub(super) fn answer(
    name: &str,
    status: &ArchitectureStatus,
    analysis: Option<&Analysis>,
    language: Language,
) -> String {
    let page = Page { language, lines: Vec::new() };
    page.write(name, status, analysis)
}

struct Page {
    language: Language,
    lines: Vec<String>,
}

impl Page {
    fn say<'a>(&self, ko: &'a str, en: &'a str) -> &'a str {
        match self.language {
            Language::Ko => ko,
            Language::En => en,
        }
    }

    fn line(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    fn table(&mut self, header: &[(&str, &str)], rows: &[Vec<String>]) {
        let header: Vec<&str> = header.iter().map(|(ko, en)| self.say(ko, en)).collect();
        for line in table(&header, rows).lines() {
            self.lines.push(format!("  {}", line.trim_end()));
        }
        self.line("");
    }

    fn write(mut self, name: &str, status: &ArchitectureStatus, analysis: Option<&Analysis>) -> String {
        let reason = status.reason_text.as_ref().map(|text| text.get(self.language).to_owned()).unwrap_or_default();
        self.line(format!("{name}: {reason}"));
        if let Some(certificate) = status.certificate {
            self.line(format!("{} {certificate}", self.say("증명(확인함)", "proof (checked)")));
        }
        self.line("");
        match status.outcome {
            Some(Feasibility::Infeasible) => self.conflicts(status, analysis),
            Some(Feasibility::Feasible | Feasibility::Unknown) | None => self.choice(status),
        }
        if let Some(analysis) = analysis {
            self.curve(analysis);
        }
        self.measured(status, analysis);
        for left in &status.not_analysed {
            let what = self.say("분석하지 않음", "not analysed");
            self.line(format!("{what}: {}: {}", left.requirement, left.why.get(self.language)));
        }
        for finding in &status.findings {
            let (message, fix) = (finding.message.get(self.language), finding.fix.get(self.language));
            self.line(format!("{}[{}] {message}\n    → {fix}", finding.severity, finding.rule));
        }
        self.lines.join("\n")
    }

    fn choice(&mut self, status: &ArchitectureStatus) {
        if status.choice.is_empty() {
            return;
        }
        let rows = status.choice.iter().map(|one| vec![one.service.clone(), one.option.clone(), one.cost.clone()]);
        self.table(&[("서비스", "SERVICE"), ("선택", "OPTION"), ("비용", "COST")], &rows.collect::<Vec<_>>());
        if status.numbers.is_empty() {
            return;
        }
        let language = self.language;
        let rows = status.numbers.iter().map(|one| {
            vec![
                one.requirement.clone(),
                what_word(&one.what, language).to_owned(),
                one.asked.clone(),
                one.reached.clone(),
                one.service.clone().unwrap_or_default(),
            ]
        });
        let header = [
            ("요구사항", "REQUIREMENT"),
            ("항목", "NUMBER"),
            ("요구", "ASKED"),
            ("선택의 값", "REACHED"),
            ("가장 빠듯한 서비스", "TIGHTEST SERVICE"),
        ];
        self.table(&header, &rows.collect::<Vec<_>>());
    }

    fn conflicts(&mut self, status: &ArchitectureStatus, analysis: Option<&Analysis>) {
        for (at, set) in status.conflicts.iter().enumerate() {
            let minimal = match set.minimal {
                true => self.say("하나라도 빼면 나머지는 지킬 수 있다", "without any one of them the rest can hold"),
                false => self.say("더 작은 묶음이 있을 수 있다", "a smaller set may do"),
            };
            self.line(format!("{} {} ({minimal}):", self.say("충돌", "conflict"), at + 1));
            for row in &set.rows {
                let row = row.get(self.language).to_owned();
                self.line(format!("  {row}"));
            }
            self.line("");
        }
        if status.complete == Some(false) {
            let more = self.say("다른 충돌이 더 있을 수 있다", "there may be other conflicts");
            self.line(format!("{more}\n"));
        }
        if !status.relaxations.is_empty() {
            self.line(self.say("하나만 완화한다면:", "what relaxing one alone would do:").to_owned());
            let rows: Vec<Vec<String>> = status
                .relaxations
                .iter()
                .enumerate()
                .map(|(at, one)| {
                    let none = self.say("이것만으로는 안 된다", "not enough, whatever it is");
                    let mut row = vec![(at + 1).to_string()];
                    row.extend(self.relaxation(one, none));
                    row
                })
                .collect();
            let header =
                [("번호", "NO"), ("요구사항", "REQUIREMENT"), ("항목", "NUMBER"), ("지금", "NOW"), ("완화", "RELAXED")];
            self.table(&header, &rows);
        }
        if !status.by_priority.is_empty() {
            let title = self.say("우선순위가 낮은 것이 양보한다면:", "when the less important gives way:").to_owned();
            self.line(title);
            let rows: Vec<Vec<String>> = status.by_priority.iter().map(|one| self.relaxation(one, "")).collect();
            self.table(&[("요구사항", "REQUIREMENT"), ("항목", "NUMBER"), ("지금", "NOW"), ("완화", "RELAXED")], &rows);
            let then = self.say("그때 가장 싼 선택", "the cheapest choice then").to_owned();
            let near = match (analysis.and_then(Analysis::agreement_within), self.language) {
                (None, _) => String::new(),
                (Some(within), Language::Ko) => format!(" (이보다 {within} 넘게 싼 선택은 없음)"),
                (Some(within), Language::En) => format!(" (none is cheaper by more than {within})"),
            };
            self.line(format!("  {then}: {}{near}\n", status.cost_by_priority));
        }
        let untold = analysis.map_or(0, Analysis::relaxations_untold);
        if untold > 0 {
            self.line(match self.language {
                Language::Ko => format!("완화 {untold}개는 찾지 못했다; 더 오래 찾으려면 --seconds를 쓴다\n"),
                Language::En => format!("{untold} relaxations were not worked out; --seconds looks longer\n"),
            });
        }
    }

    fn relaxation(&self, one: &SingleRelaxation, none: &str) -> Vec<String> {
        let service = one.service.as_ref().map(|service| format!(" ({service})")).unwrap_or_default();
        vec![
            one.requirement.clone(),
            format!("{}{service}", what_word(&one.what, self.language)),
            one.now.clone(),
            match (&one.to, &one.within) {
                (None, _) => none.to_owned(),
                (Some(to), None) => to.clone(),
                (Some(to), Some(within)) => match self.language {
                    Language::Ko => format!("{to} (많아야 {within} 더 완화됨)"),
                    Language::En => format!("{to} (at most {within} more than needed)"),
                },
            },
        ]
    }

    fn curve(&mut self, analysis: &Analysis) {
        let rows = analysis.tradeoff_rows();
        let Some(tradeoff) = &analysis.tradeoff else { return };
        if let Some(why) = &tradeoff.curve.unknown {
            let title =
                self.say("가용성의 값을 끝까지 찾지 못했다", "what availability costs was not worked out to the end");
            self.line(format!("{title}: {why}"));
        }
        if rows.len() < 2 {
            return;
        }
        let some = if tradeoff.curve.complete { "" } else { self.say(" (일부)", " (some of it)") };
        let title = self.say("가용성의 값", "what availability costs");
        self.line(format!("{title}: {}{some}", tradeoff.requirement));
        let rows: Vec<Vec<String>> = rows.into_iter().map(|row| row.to_vec()).collect();
        self.table(&[("가용성", "AVAILABILITY"), ("비용", "COST"), ("달라지는 선택", "WHAT CHANGES")], &rows);
    }

    fn measured(&mut self, status: &ArchitectureStatus, analysis: Option<&Analysis>) {
        if !status.measured.is_empty() {
            let rows = status.measured.iter().map(|one| {
                let evidence = one.evidence.map(|digest| digest.hex().chars().take(12).collect::<String>());
                vec![
                    one.service.clone(),
                    one.option.clone(),
                    one.number.clone(),
                    one.estimate.clone().unwrap_or_default(),
                    one.value.clone(),
                    one.requirement.clone(),
                    evidence.unwrap_or_default(),
                ]
            });
            let rows: Vec<Vec<String>> = rows.collect();
            self.line(self.say("측정값:", "measured:").to_owned());
            let header = [
                ("서비스", "SERVICE"),
                ("선택", "OPTION"),
                ("항목", "NUMBER"),
                ("추정", "ESTIMATE"),
                ("측정", "MEASURED"),
                ("요구사항", "REQUIREMENT"),
                ("증거", "EVIDENCE"),
            ];
            self.table(&header, &rows);
        }
        if let Some(analysis) = analysis {
            let (measured, all) = analysis.measured;
            self.line(match self.language {
                Language::Ko => format!("선택지 {all}개 가운데 {measured}개는 측정값, 나머지는 추정값이다"),
                Language::En => format!("numbers: {measured} of {all} options are measured, the others estimated"),
            });
        }
    }
}
