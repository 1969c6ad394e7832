import type { Duplex } from 'node:stream';
import type { ApiError } from './api-error.ts';

/** Answers a request that wanted to become a WebSocket with a plain error, and closes. */
export function refuseUpgrade(socket: Duplex, { status, body, headers }: ApiError): void {
  const lines = Object.entries({
    'content-type': 'application/json',
    'content-length': `${Buffer.byteLength(body)}`,
    'cache-control': 'no-store',
    connection: 'close',
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} Refused\r\n${lines.join('')}\r\n${body}`, () => socket.destroy());
}
