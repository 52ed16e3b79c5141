// The pages: where they are, what loads them, and what must be there for them to be offered.
// A page's code is loaded when it is first opened; a room that is not there has no page and no entry.
import {
  IconBell,
  IconCertificate,
  IconChartLine,
  IconCube,
  IconFileText,
  IconHome,
  IconLayoutDashboard,
  IconListCheck,
  IconListDetails,
  IconScale,
  IconSettings,
  IconShieldCheck,
  IconTable,
  IconTargetArrow,
  IconTopologyStar3,
} from '@tabler/icons-react';
import type { ComponentType } from 'react';
import type { Kinds } from '../api/discovery';
import type { Session } from '../api/session';
import { defineTexts } from '../i18n/texts';
import { Component as Home } from '../pages/home/page';
import { paths } from '../paths';

export const navigationTexts = defineTexts(
  {
    home: 'Home',
    spine: 'Spine',
    requirements: 'Requirements',
    matrix: 'Traceability matrix',
    analysis: 'Conflicts',
    gates: 'Gates and approvals',
    evidence: 'Evidence',
    documents: 'Documents',
    system: 'System',
    topology: 'Topology',
    workloads: 'Workloads',
    logs: 'Logs',
    watch: 'Watch',
    objectives: 'Objectives',
    explore: 'Explore metrics',
    boards: 'Boards',
    alerts: 'Alerts',
    settings: 'Settings',
  },
  {
    home: '홈',
    spine: '추적 관리',
    requirements: '요구사항',
    matrix: '추적표',
    analysis: '충돌 분석',
    gates: '관문과 승인',
    evidence: '증거',
    documents: '문서',
    system: '시스템',
    topology: '구성도',
    workloads: '워크로드',
    logs: '로그',
    watch: '관측',
    objectives: '서비스 목표',
    explore: '메트릭 탐색',
    boards: '대시보드',
    alerts: '경보',
    settings: '설정',
  },
);

export type TextName = keyof typeof navigationTexts.en;

/** What is there: pages are offered by it. */
export interface World {
  kinds: Kinds;
  session: Session;
}

export interface PageEntry {
  /** Patterns of React Router. */
  routes: readonly { path: string; load: () => Promise<{ Component: ComponentType }> }[];
  /** Absent: reached from other pages only. */
  entry?: { section: TextName | undefined; label: TextName; href: string; icon: ComponentType<{ size?: number }> };
  needs: (world: World) => boolean;
}

const always = () => true;

export const pages: readonly PageEntry[] = [
  {
    // Comes with the first files: people wait for it.
    routes: [{ path: '/', load: async () => ({ Component: Home }) }],
    entry: { section: undefined, label: 'home', href: paths.home(), icon: IconHome },
    needs: always,
  },
  {
    routes: [
      { path: '/spine/requirements', load: () => import('../pages/requirements/page') },
      { path: '/spine/requirements/:namespace/:name', load: () => import('../pages/requirement/page') },
    ],
    entry: { section: 'spine', label: 'requirements', href: paths.requirements(), icon: IconListCheck },
    needs: ({ kinds }) => kinds.has('requirements.maru.dev'),
  },
  {
    routes: [{ path: '/spine/matrix', load: () => import('../pages/matrix/page') }],
    entry: { section: 'spine', label: 'matrix', href: paths.matrix(), icon: IconTable },
    needs: ({ kinds }) => kinds.has('requirements.maru.dev'),
  },
  {
    routes: [{ path: '/spine/analysis', load: () => import('../pages/analysis/page') }],
    entry: { section: 'spine', label: 'analysis', href: paths.analysis(), icon: IconScale },
    needs: ({ kinds, session }) => session.rooms.process !== undefined && kinds.has('architectures.maru.dev'),
  },
  {
    routes: [{ path: '/spine/gates', load: () => import('../pages/gates/page') }],
    entry: { section: 'spine', label: 'gates', href: paths.gates(), icon: IconShieldCheck },
    needs: ({ kinds }) => kinds.has('gates.maru.dev'),
  },
  {
    routes: [
      { path: '/spine/evidence', load: () => import('../pages/evidence/page') },
      { path: '/spine/evidence/:namespace/:name', load: () => import('../pages/evidence/viewer') },
    ],
    entry: { section: 'spine', label: 'evidence', href: paths.evidenceList(), icon: IconCertificate },
    needs: ({ kinds }) => kinds.has('evidence.maru.dev'),
  },
  {
    routes: [{ path: '/spine/documents', load: () => import('../pages/documents/page') }],
    entry: { section: 'spine', label: 'documents', href: paths.documents(), icon: IconFileText },
    needs: ({ kinds }) => kinds.has('documents.maru.dev'),
  },
  {
    routes: [{ path: '/topology', load: () => import('../pages/topology/page') }],
    entry: { section: 'system', label: 'topology', href: paths.topology(), icon: IconTopologyStar3 },
    needs: ({ kinds }) => kinds.has('services.'),
  },
  {
    routes: [
      { path: '/workloads', load: () => import('../pages/workloads/page') },
      { path: '/workloads/:resource', load: () => import('../pages/workloads/list') },
      { path: '/workloads/:resource/:namespace/:name', load: () => import('../pages/object/page') },
      { path: '/create', load: () => import('../pages/create/page') },
    ],
    entry: { section: 'system', label: 'workloads', href: paths.workloads(), icon: IconCube },
    needs: ({ kinds }) => kinds.has('pods.'),
  },
  {
    routes: [{ path: '/logs', load: () => import('../pages/logs/page') }],
    entry: { section: 'system', label: 'logs', href: paths.logs(), icon: IconListDetails },
    needs: ({ kinds }) => kinds.has('pods.'),
  },
  {
    routes: [
      { path: '/objectives', load: () => import('../pages/objectives/page') },
      { path: '/objectives/:namespace/:name', load: () => import('../pages/objectives/objective') },
    ],
    entry: { section: 'watch', label: 'objectives', href: paths.objectives(), icon: IconTargetArrow },
    needs: ({ kinds }) => kinds.has('servicelevelobjectives.maru.dev'),
  },
  {
    routes: [{ path: '/metrics/explore', load: () => import('../pages/explore/page') }],
    entry: { section: 'watch', label: 'explore', href: paths.explore(), icon: IconChartLine },
    needs: ({ session }) => session.rooms.prometheus !== undefined,
  },
  {
    routes: [
      { path: '/metrics/boards', load: () => import('../pages/boards/page') },
      { path: '/metrics/boards/:namespace/:name', load: () => import('../pages/boards/board') },
    ],
    entry: { section: 'watch', label: 'boards', href: paths.boards(), icon: IconLayoutDashboard },
    needs: ({ kinds, session }) => session.rooms.prometheus !== undefined && kinds.has('boards.maru.dev'),
  },
  {
    routes: [
      { path: '/alerts/silences', load: () => import('../pages/alerts/silences') },
      { path: '/alerts/routing', load: () => import('../pages/alerts/routing') },
      { path: '/alerts/why/:fingerprint', load: () => import('../pages/alerts/trace') },
      { path: '/alerts', load: () => import('../pages/alerts/page') },
    ],
    entry: { section: 'watch', label: 'alerts', href: paths.alerts(), icon: IconBell },
    needs: ({ session }) => session.rooms.alertmanager !== undefined,
  },
  {
    routes: [
      { path: '/alerts/rules', load: () => import('../pages/alerts/rules') },
      { path: '/alerts/rehearsal', load: () => import('../pages/alerts/rehearsal') },
    ],
    needs: ({ session }) => session.rooms.prometheus !== undefined,
  },
  {
    routes: [{ path: '/settings', load: () => import('../pages/settings/page') }],
    entry: { section: undefined, label: 'settings', href: paths.settings(), icon: IconSettings },
    needs: always,
  },
];
