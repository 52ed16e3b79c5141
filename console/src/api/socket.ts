// WebSockets that come back: watches and logs. Browsers allow six HTTP/1.1 connections to a host; WebSockets do not count.
import { connection } from './connection';
import { ApiError, type RequestOptions, withQuery } from './http';

export interface SocketEvents {
  message: (text: string) => void;
  open?: () => void;
  /** The server refused or ended: `error` is absent when the stream simply ended. */
  closed: (error: ApiError | undefined) => void;
}

/** Opens a WebSocket on a path of this server. Returns what closes it. */
export function openSocket(
  path: string,
  query: RequestOptions['query'],
  events: SocketEvents,
  protocols: string[] = [],
): WebSocket {
  const url = new URL(withQuery(path, query), window.location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const socket = new WebSocket(url, protocols);
  let opened = false;
  socket.onopen = () => {
    opened = true;
    connection.seen();
    events.open?.();
  };
  socket.onmessage = (message: MessageEvent<unknown>) => {
    if (typeof message.data === 'string') events.message(message.data);
  };
  socket.onclose = (close) => events.closed(closeError(close, opened));
  return socket;
}

/** Codes from 4000 carry the HTTP status of the answer that would have been; 1000 and 1001 are ends. */
function closeError(close: CloseEvent, opened: boolean): ApiError | undefined {
  if (close.code >= 4100 && close.code < 4600) {
    const status = close.code - 4000;
    if (status === 401) connection.signedOut();
    return new ApiError(status, 'Refused', close.reason || `the server answered ${status}`);
  }
  if (close.code === 1000 || close.code === 1001) return undefined;
  if (!opened || close.code === 1006) connection.lost();
  return new ApiError(0, 'Unreachable', close.reason || 'the connection was lost');
}
