// Commands in containers over WebSockets, as `kubectl exec -it` runs them (v5.channel.k8s.io).
import { withQuery } from './http';
import type { LogSource } from './logs';

const PROTOCOLS = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];
enum Channel {
  Input = 0,
  Output = 1,
  ErrorOutput = 2,
  Status = 3,
  Size = 4,
}

/** How a command ended: `code` when it ran, `message` when it did not or the connection broke. */
export interface ExecEnd {
  code: number | undefined;
  message: string | undefined;
}

export interface ExecSession {
  write: (data: string) => void;
  resize: (columns: number, rows: number) => void;
  close: () => void;
}

interface StatusAnswer {
  status?: string;
  message?: string;
  reason?: string;
  details?: { causes?: { reason?: string; message?: string }[] };
}

/** What the status channel says of the end. */
export function readEnd(text: string): ExecEnd {
  try {
    const status = JSON.parse(text) as StatusAnswer;
    if (status.status === 'Success') return { code: 0, message: undefined };
    const cause = status.details?.causes?.find((one) => one.reason === 'ExitCode')?.message;
    const code = cause === undefined ? undefined : Number(cause);
    return { code, message: code === undefined ? (status.message ?? text) : undefined };
  } catch {
    return { code: undefined, message: text };
  }
}

export function openExec(
  target: LogSource,
  command: readonly string[],
  events: { open: () => void; data: (bytes: Uint8Array) => void; end: (end: ExecEnd) => void },
): ExecSession {
  const enc = encodeURIComponent;
  const path = `/api/v1/namespaces/${enc(target.namespace)}/pods/${enc(target.pod)}/exec`;
  const query = { container: target.container, command, stdin: true, stdout: true, tty: true };
  const url = new URL(withQuery(path, query), window.location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(url, PROTOCOLS);
  socket.binaryType = 'arraybuffer';
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  let end: ExecEnd | undefined;
  const send = (channel: Channel, data: Uint8Array) => {
    if (socket.readyState !== WebSocket.OPEN) return;
    const frame = new Uint8Array(data.length + 1);
    frame[0] = channel;
    frame.set(data, 1);
    socket.send(frame);
  };
  socket.onopen = () => events.open();
  socket.onmessage = (message: MessageEvent<unknown>) => {
    if (!(message.data instanceof ArrayBuffer)) return;
    const bytes = new Uint8Array(message.data);
    const data = bytes.subarray(1);
    switch (bytes[0]) {
      case Channel.Output:
      case Channel.ErrorOutput:
        events.data(data);
        break;
      case Channel.Status:
        end = readEnd(decoder.decode(data));
        break;
    }
  };
  socket.onclose = (close) => {
    const lost = close.code === 1000 ? undefined : close.reason || `connection closed (${close.code})`;
    events.end(end ?? { code: undefined, message: lost });
  };
  return {
    write: (data) => send(Channel.Input, encoder.encode(data)),
    resize: (columns, rows) => send(Channel.Size, encoder.encode(JSON.stringify({ Width: columns, Height: rows }))),
    close: () => {
      socket.onclose = null;
      socket.close(1000);
    },
  };
}
