// Words with little form: headings, lists, paragraphs, bold, code, links. What is not understood stays as it was written;
// markup is never taken from data.
import { Anchor, Code, List, Text, Title } from '@mantine/core';
import type { ReactNode } from 'react';

export function Markdown(props: { text: string }) {
  return <>{blocks(props.text)}</>;
}

function blocks(text: string): ReactNode[] {
  const found: ReactNode[] = [];
  const lines = text.replaceAll('\r', '').split('\n');
  let at = 0;
  while (at < lines.length) {
    const start = at;
    const line = lines[at] ?? '';
    const heading = /^(#{1,4})\s+(.*)$/.exec(line);
    if (line.trim() === '') {
      at += 1;
    } else if (line.startsWith('```')) {
      at += 1;
      while (at < lines.length && !lines[at]?.startsWith('```')) at += 1;
      found.push(
        <Code block key={start} my={4}>
          {lines.slice(start + 1, at).join('\n')}
        </Code>,
      );
      at += 1;
    } else if (heading) {
      found.push(
        <Title key={start} order={heading[1]?.length === 1 ? 3 : 4} mt={at === 0 ? 0 : 'xs'}>
          {inline(heading[2] ?? '')}
        </Title>,
      );
      at += 1;
    } else if (/^\s*([-*]|\d+\.)\s+/.test(line)) {
      const items: string[] = [];
      while (/^\s*([-*]|\d+\.)\s+/.test(lines[at] ?? '')) {
        items.push((lines[at] ?? '').replace(/^\s*([-*]|\d+\.)\s+/, ''));
        at += 1;
      }
      found.push(
        <List key={start} size="sm" type={/^\s*\d/.test(line) ? 'ordered' : 'unordered'}>
          {items.map((item, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: lines of a text have no other name
            <List.Item key={index}>{inline(item)}</List.Item>
          ))}
        </List>,
      );
    } else {
      while (
        at < lines.length &&
        (lines[at] ?? '').trim() !== '' &&
        !/^(#{1,4}\s|```|\s*[-*]\s)/.test(lines[at] ?? '')
      ) {
        at += 1;
      }
      at = Math.max(at, start + 1);
      found.push(
        <Text key={start} size="sm" my={4}>
          {inline(lines.slice(start, at).join(' '))}
        </Text>,
      );
    }
  }
  return found;
}

const INLINE = /(`[^`]+`|\*\*[^*]+\*\*|\*[^*\s][^*]*\*|\[[^\]]+\]\([^)\s]+\))/;

function inline(text: string): ReactNode[] {
  return text.split(INLINE).map((part, index) => {
    const key = `${index} ${part}`;
    if (part.startsWith('`') && part.length > 1) return <Code key={key}>{part.slice(1, -1)}</Code>;
    if (part.startsWith('**') && part.length > 4) return <b key={key}>{part.slice(2, -2)}</b>;
    const link = /^\[([^\]]+)\]\(([^)\s]+)\)$/.exec(part);
    if (link) {
      const url = link[2] ?? '';
      const isSafe = /^(https?:\/\/|\/(?!\/)|#)/.test(url);
      return isSafe ? (
        <Anchor key={key} href={url} inherit rel="noreferrer">
          {link[1]}
        </Anchor>
      ) : (
        <span key={key}>{link[1]}</span>
      );
    }
    if (part.startsWith('*') && part.length > 2 && part.endsWith('*')) return <i key={key}>{part.slice(1, -1)}</i>;
    return <span key={key}>{part}</span>;
  });
}
