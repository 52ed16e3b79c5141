// A shell in a container: xterm.js on an exec stream.
import { FitAddon } from '@xterm/addon-fit';
import { Terminal as Xterm } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';
import { Alert, Button, Group } from '@mantine/core';
import { IconPlugConnectedX, IconTerminal2 } from '@tabler/icons-react';
import { useEffect, useRef, useState } from 'react';
import { type ExecEnd, openExec } from '../../api/exec';
import type { LogSource } from '../../api/logs';
import { defineTexts, useTexts } from '../../i18n/texts';
import { pageNonce } from '../nonce';

const texts = defineTexts(
  {
    label: (container: string) => `Terminal in ${container}`,
    exited: 'The command ended.',
    code: (code: number) => `The command ended with code ${code}.`,
    lost: 'The connection ended:',
    noShell: 'Not every image has a shell: choose another container, or a command that it has.',
    again: 'Start again',
    connecting: 'Connecting…',
  },
  {
    label: (container: string) => `${container} 터미널`,
    exited: '명령이 끝났습니다.',
    code: (code: number) => `명령이 종료 코드 ${code}(으)로 끝났습니다.`,
    lost: '연결이 끝났습니다:',
    noShell: '셸이 없는 이미지도 있습니다. 다른 컨테이너나 이미지에 있는 명령을 고르세요.',
    again: '다시 시작',
    connecting: '연결하는 중…',
  },
);

const THEME = {
  background: '#16191d',
  foreground: '#e9ecef',
  cursor: '#66d9e8',
  selectionBackground: '#3b5b66',
  black: '#495057',
  red: '#ff8787',
  green: '#69db7c',
  yellow: '#ffd43b',
  blue: '#74c0fc',
  magenta: '#f783ac',
  cyan: '#66d9e8',
  white: '#e9ecef',
};

export function Terminal(props: { target: LogSource; command: readonly string[]; height?: string }) {
  const t = useTexts(texts);
  const parent = useRef<HTMLDivElement>(null);
  const [attempt, setAttempt] = useState(0);
  const [state, setState] = useState<'connecting' | 'open' | ExecEnd>('connecting');
  const { namespace, pod, container } = props.target;
  const command = props.command.join('\u0000');
  useEffect(() => {
    void attempt;
    if (parent.current === null) return;
    const relax = createStrictly();
    const terminal = new Xterm({
      fontFamily: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "D2Coding", "Nanum Gothic Coding", monospace',
      fontSize: 13,
      theme: THEME,
      scrollback: 10_000,
      screenReaderMode: true,
      cursorBlink: true,
    });
    const fit = new FitAddon();
    terminal.loadAddon(fit);
    terminal.open(parent.current);
    fit.fit();
    setState('connecting');
    const session = openExec({ namespace, pod, container }, command.split('\u0000'), {
      open: () => {
        setState('open');
        session.resize(terminal.cols, terminal.rows);
        terminal.focus();
      },
      data: (bytes) => terminal.write(bytes),
      end: setState,
    });
    const typed = terminal.onData((data) => session.write(data));
    const resized = terminal.onResize(({ cols, rows }) => session.resize(cols, rows));
    const observer = new ResizeObserver(() => fit.fit());
    observer.observe(parent.current);
    return () => {
      observer.disconnect();
      typed.dispose();
      resized.dispose();
      session.close();
      terminal.dispose();
      relax();
    };
  }, [namespace, pod, container, command, attempt]);
  const end = typeof state === 'object' ? state : undefined;
  return (
    <div>
      {end !== undefined && (
        <Alert
          mb="xs"
          py={6}
          role="status"
          color={end.code === undefined && end.message !== undefined ? 'orange' : 'gray'}
          icon={end.code === undefined ? <IconPlugConnectedX size={16} /> : <IconTerminal2 size={16} />}
        >
          <Group justify="space-between" gap="xs">
            <span>
              {end.code === 0 || (end.code === undefined && end.message === undefined)
                ? t.exited
                : end.code !== undefined
                  ? `${t.code(end.code)}${end.code === 126 || end.code === 127 ? ` ${t.noShell}` : ''}`
                  : `${t.lost} ${end.message} ${/no such file|not found|executable/i.test(end.message ?? '') ? t.noShell : ''}`}
            </span>
            <Button size="compact-sm" variant="default" onClick={() => setAttempt(attempt + 1)}>
              {t.again}
            </Button>
          </Group>
        </Alert>
      )}
      <section
        aria-label={t.label(container)}
        aria-busy={state === 'connecting'}
        style={{
          background: THEME.background,
          padding: 8,
          borderRadius: 4,
          height: props.height ?? 'calc(100dvh - 17rem)',
        }}
      >
        <div ref={parent} style={{ height: '100%' }} />
      </section>
    </div>
  );
}

let terminals = 0;

/**
 * While a terminal is open, style elements that are made carry the nonce, and attributes of style are set as properties:
 * so they pass the content security policy. xterm 6 makes both by the page's document, whatever document it is given.
 */
function createStrictly(): () => void {
  terminals += 1;
  const own = document as { createElement: unknown };
  own.createElement = (name: string, options?: ElementCreationOptions): HTMLElement => {
    const element = Document.prototype.createElement.call(document, name, options);
    if (element instanceof HTMLStyleElement) element.nonce = pageNonce();
    if (element instanceof HTMLSpanElement) {
      element.setAttribute = (attribute: string, value: string) => {
        if (attribute === 'style') element.style.cssText = value;
        else Element.prototype.setAttribute.call(element, attribute, value);
      };
    }
    return element;
  };
  return () => {
    terminals -= 1;
    // What the document inherits is seen again.
    if (terminals === 0) Reflect.deleteProperty(document, 'createElement');
  };
}
