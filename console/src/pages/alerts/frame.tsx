// What all pages about alerts share: title, tabs of what is there, labels and severities.
import { Badge, Group, Tabs } from '@mantine/core';
import type { ReactNode } from 'react';
import { useSession } from '../../api/session';
import { useTexts } from '../../i18n/texts';
import type { Labels } from '../../lib/series';
import { paths } from '../../paths';
import { Page } from '../../ui/page';
import type { Tone } from '../../ui/status';
import { texts } from './texts';

export type AlertsTab = 'groups' | 'rules' | 'rehearsal' | 'silences' | 'routing';

export function AlertsPage(props: { tab: AlertsTab; actions?: ReactNode; children: ReactNode }) {
  const t = useTexts(texts);
  const { rooms } = useSession();
  const tabs: readonly { tab: AlertsTab; href: string; isThere: boolean }[] = [
    { tab: 'groups', href: paths.alerts(), isThere: rooms.alertmanager !== undefined },
    { tab: 'rules', href: paths.alertRules(), isThere: rooms.prometheus !== undefined },
    { tab: 'rehearsal', href: paths.rehearsal(), isThere: rooms.prometheus !== undefined },
    { tab: 'silences', href: paths.silences(), isThere: rooms.alertmanager !== undefined },
    { tab: 'routing', href: paths.alertRouting(), isThere: rooms.alertmanager !== undefined },
  ];
  return (
    <Page title={props.tab === 'groups' ? t.title : `${t.title}: ${t[props.tab]}`} actions={props.actions}>
      <Tabs value={props.tab} mb="sm" component="nav">
        <Tabs.List>
          {tabs
            .filter((one) => one.isThere)
            .map((one) => (
              <Tabs.Tab
                key={one.tab}
                value={one.tab}
                py={6}
                renderRoot={({ onClick: _own, role: _role, ...root }) => <a {...root} href={one.href} role="tab" />}
              >
                {t[one.tab]}
              </Tabs.Tab>
            ))}
        </Tabs.List>
      </Tabs>
      {props.children}
    </Page>
  );
}

/** How bad an alert is, by the words that people use. */
export function severityTone(severity: string | undefined): Tone {
  if (severity === undefined || severity === '') return 'warn';
  if (/^(page|critical|emergency|error|high)/i.test(severity)) return 'bad';
  if (/^(ticket|warn|medium)/i.test(severity)) return 'warn';
  return 'unknown';
}

/** Labels, without those that stand elsewhere. */
export function LabelList(props: {
  labels: Labels;
  without?: readonly string[];
  onPick?: (name: string, value: string) => void;
}) {
  const { without = [], onPick } = props;
  return (
    <Group gap={4}>
      {Object.entries(props.labels)
        .filter(([name]) => !without.includes(name))
        .map(([name, value]) => (
          <Badge
            key={name}
            variant="default"
            tt="none"
            radius="sm"
            fw={400}
            title={`${name}="${value}"`}
            maw={320}
            {...(onPick === undefined
              ? {}
              : {
                  component: 'button',
                  type: 'button',
                  onClick: () => onPick(name, value),
                  style: { cursor: 'pointer' },
                })}
          >
            {name}={value}
          </Badge>
        ))}
    </Group>
  );
}

/** The query of an alert's rule, from the link that its sender gave. */
export function expressionOf(generatorUrl: string): string | undefined {
  try {
    return new URL(generatorUrl, 'http://localhost').searchParams.get('g0.expr') ?? undefined;
  } catch {
    return undefined;
  }
}
