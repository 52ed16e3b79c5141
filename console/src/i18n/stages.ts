// What the stages and phases of Maru's own method are called. Stages of other methods are called as their Method says, or by their id.
import { defineTexts, useTexts } from './texts';

const titles = defineTexts(
  {
    requirements: 'Requirements analysis',
    'as-is': 'As-is analysis',
    'technology-scope': 'Technology scope',
    'scope-and-plan': 'Scope and plan',
    architecture: 'Architecture design',
    'development-environment': 'Development environment',
    'proof-of-concept': 'Proof of concept',
    'test-and-production-environment': 'Test and production environment',
    'development-scenario': 'Development scenario',
    tests: 'Tests',
    monitoring: 'Monitoring and analysis',
    done: 'Done',
  },
  {
    requirements: '요구사항 분석',
    'as-is': '현황 분석',
    'technology-scope': '기술 범위 정의',
    'scope-and-plan': '작업 범위와 계획',
    architecture: '아키텍처 설계',
    'development-environment': '개발 환경 구축',
    'proof-of-concept': '개념 검증',
    'test-and-production-environment': '시험·운영 환경 구축',
    'development-scenario': '개발 시나리오',
    tests: '시험',
    monitoring: '모니터링과 분석',
    done: '완료',
  },
);

/** Returns what gives a stage's title by its id. */
export function useStageTitle(): (stage: string) => string {
  const known: Readonly<Record<string, string>> = useTexts(titles);
  return (stage) => known[stage] ?? stage;
}
