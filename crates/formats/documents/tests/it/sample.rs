//! Data for documents, as a project has it.

use maru_documents::{
    Approver, AuditItem, AuditMatrix, Case, CaseOutcome, Cover, Defect, Document, EvidenceRef, Figure, Kind, Language,
    Measurement, NamedValue, Orphan, Priority, RequirementEntry, RequirementsDefinition, Revision, Subject, Suite,
    Term, TestResult, TraceRow, TraceabilityMatrix, Verdict, audit_matrix, requirements_definition, test_result,
    traceability_matrix,
};

fn text(value: &str) -> String {
    value.to_owned()
}

fn cover(number: &str) -> Cover {
    Cover {
        project: text("온라인 상점 구축 사업"),
        number: text(number),
        version: text("1.0"),
        date: "2026-11-22".parse().unwrap(),
        organisation: text("마루 주식회사"),
        author: text("김하늘"),
        baseline: Some(text("sha256:5f2a")),
        approvers: vec![
            Approver {
                role: text("발주 기관"), name: text("이바다"), decision: text("승인"), at: text("2026-11-21")
            },
            Approver { role: text("감리"), name: String::new(), decision: String::new(), at: String::new() },
        ],
        revisions: vec![Revision {
            version: text("1.0"),
            at: text("2026-11-22"),
            change: text("요구사항 확정"),
            by: text("baseline-1"),
        }],
    }
}

fn evidence(index: usize) -> EvidenceRef {
    EvidenceRef {
        digest: format!("sha256:{index:064x}"),
        kind: text("test-result"),
        at: text("2026-11-22T09:00:00Z"),
        valid_until: text("2026-12-22"),
        summary: text("412 passed"),
    }
}

/// A drawing with Korean text.
pub(crate) const SVG: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 200 60\"><rect width=\"200\" height=\"60\" \
fill=\"#e8edf3\"/><text x=\"10\" y=\"35\" font-size=\"16\">주문 → 결제</text></svg>";

/// A definition of so many requirements.
pub(crate) fn definition(count: usize) -> RequirementsDefinition {
    let requirements = (1..=count).map(|index| RequirementEntry {
        id: format!("nfr-{index:03}"),
        title: format!("주문 응답 시간 {index}"),
        statement: text("사용자가 주문을 요청하면, 주문 서비스는 하루 요청의 99.9%에 100ms 이내로 응답해야 한다."),
        kind: [Kind::Functional, Kind::NonFunctional, Kind::Constraint][index % 3],
        category: text("performance"),
        priority: [Priority::Must, Priority::Should, Priority::Could, Priority::Wont][index % 4],
        source: text("RFP-2026-11 §3.2"),
        stakeholders: vec![text("고객 운영팀")],
        derived_from: if index > 1 { vec![text("nfr-001")] } else { Vec::new() },
        allocated_to: vec![text("orders"), text("payments")],
        criterion: text("latency p99.9 ≤ 100ms, 1d, 50/s"),
        verification: vec![text("slo orders-latency (prod)"), text("test orders/contract/* (test)")],
        fingerprint: format!("sha256:{index:064x}"),
        findings: vec![text("모호한 낱말 \"빠르게\"")],
        conflicts: Vec::new(),
    });
    RequirementsDefinition {
        cover: cover("SHOP-RD-001"),
        purpose: vec![text("고객이 언제나 주문할 수 있게 한다.")],
        scope: vec![text("주문, 결제, 상품 목록")],
        figures: vec![Figure {
            svg: text(SVG),
            metafile: None,
            caption: text("주문 흐름"),
            description: text("주문에서 결제로 가는 흐름"),
            width_mm: 100,
            height_mm: 30,
        }],
        requirements: requirements.collect(),
        glossary: vec![Term {
            word: text("주문"), english: text("order"), meaning: text("고객이 상품을 사겠다는 뜻")
        }],
    }
}

/// A matrix of so many requirements.
pub(crate) fn matrix(count: usize) -> TraceabilityMatrix {
    let verdicts = [Verdict::Conforming, Verdict::Nonconforming, Verdict::NotMeasured];
    let rows = (1..=count).map(|index| TraceRow {
        requirement: format!("nfr-{index:03}"),
        title: format!("주문 응답 시간 {index}"),
        priority: [Priority::Must, Priority::Should][index % 2],
        source: text("RFP-2026-11 §3.2"),
        derived_from: vec![text("goal-002")],
        components: vec![format!("orders-{}", index % 7)],
        models: vec![text("sequence/order.md")],
        work: vec![text("shop-3 (done)")],
        code: vec![text("0a1b2c3d4e5f")],
        tests: vec![format!("contract/place-{index}")],
        objectives: vec![text("orders-latency")],
        evidence: vec![evidence(index)],
        verdict: Some(verdicts[index % 3]),
        reason: text("99.95 %가 100 ms 이내, 95 % 신뢰 수준에서 99.91 % 이상, 요청 48,210건"),
        suspect: if index % 5 == 0 { vec![text("goal-002")] } else { Vec::new() },
    });
    TraceabilityMatrix {
        cover: cover("SHOP-TM-001"),
        rows: rows.collect(),
        orphans: vec![Orphan {
            kind: text("시험"), name: text("contract/unused"), reason: text("요구사항 없음")
        }],
    }
}

/// A test result of so many cases.
pub(crate) fn tests(count: usize) -> TestResult {
    let cases = (1..=count).map(|index| Case {
        name: format!("contract/place-{index}"),
        outcome: [CaseOutcome::Passed, CaseOutcome::Failed, CaseOutcome::Skipped][index % 3],
        requirements: vec![format!("nfr-{index:03}")],
        duration_ms: Some(12),
        message: text(if index % 3 == 1 { "expected 200, got 500" } else { "" }),
    });
    TestResult {
        cover: cover("SHOP-TR-001"),
        environment: vec![NamedValue { name: text("kernel"), value: text("6.12") }],
        subjects: vec![Subject { kind: text("image"), name: text("orders"), digest: format!("sha256:{:064x}", 7) }],
        suites: vec![Suite {
            name: text("orders"),
            tool: text("junit 5.11"),
            started_at: text("2026-11-22T09:00:00Z"),
            cases: cases.collect(),
        }],
        measurements: vec![
            Measurement {
                requirement: text("nfr-007"),
                indicator: text("latency p99.9"),
                criterion: text("≤ 100 ms"),
                value: Some(text("87 ms")),
                interval: Some((text("84 ms"), text("91 ms"))),
                confidence: Some(0.95),
                samples: Some(48_210),
                verdict: Verdict::Conforming,
                reason: String::new(),
            },
            Measurement {
                requirement: text("nfr-008"),
                indicator: text("recovery time"),
                criterion: text("≤ 5 min"),
                value: None,
                interval: None,
                confidence: None,
                samples: None,
                verdict: Verdict::NotMeasured,
                reason: text("훈련 기록 없음"),
            },
        ],
        defects: vec![Defect {
            id: text("D-1"),
            title: text("결제 지연"),
            severity: text("높음"),
            state: text("조치 완료"),
            requirements: vec![text("nfr-001")],
        }],
        evidence: vec![evidence(1)],
        conclusion: vec![text("부적합 1건을 조치한 뒤 다시 시험한다.")],
    }
}

/// An audit matrix of so many items.
pub(crate) fn audit(count: usize) -> AuditMatrix {
    let verdicts = [Verdict::Conforming, Verdict::Nonconforming, Verdict::NotMeasured];
    let items = (1..=count).map(|index| AuditItem {
        id: format!("SA-{index:02}"),
        area: text(if index % 2 == 0 { "응용 시스템" } else { "시스템 구조" }),
        item: text("성능 요구사항이 시험으로 확인되었는가"),
        basis: text("정보시스템 감리 점검 해설서"),
        requirements: vec![format!("nfr-{index:03}")],
        verdict: verdicts[index % 3],
        reason: text("99.95 %가 100 ms 이내"),
        evidence: vec![evidence(index)],
        finding: text("부하가 낮음"),
        action: text("50/s로 다시 시험"),
        owner: text("김하늘"),
        due: text("2026-12-01"),
    });
    AuditMatrix { cover: cover("SHOP-AM-001"), items: items.collect() }
}

/// The four documents with names for their files.
pub(crate) fn all(count: usize, language: Language) -> [(&'static str, Document); 4] {
    [
        ("definition", requirements_definition(&definition(count), language)),
        ("matrix", traceability_matrix(&matrix(count), language)),
        ("test-result", test_result(&tests(count), language)),
        ("audit", audit_matrix(&audit(count), language)),
    ]
}
