import { expect, test } from 'vitest';
import { joinRelayLinks } from '../../../src/ownership/join-relay-links.ts';
import type { RelayedPath, RelayLink } from '../../../src/ownership/relay-link.ts';

function fakeLink(port: number, log: string[]): RelayLink {
  return {
    onDatagram: undefined,
    candidates: [{ address: '192.0.2.1', port }],
    gone: ({ key }) => void log.push(`${port}: ${key} gone`),
    close: () => void log.push(`${port}: closed`),
  };
}

test('two wires to relays are one: both deliver, the first is named, and whose path it is they know', () => {
  const log: string[] = [];
  const named = fakeLink(1, log);
  const unnamed = fakeLink(2, log);
  const joined = joinRelayLinks(named, unnamed);
  const path: RelayedPath = { key: 'a path', address: '192.0.2.7', port: 4000, send: () => undefined };
  named.onDatagram?.(Buffer.from('nobody listens yet'), path);
  joined.onDatagram = (datagram) => void log.push(datagram.toString());
  named.onDatagram?.(Buffer.from('one'), path);
  unnamed.onDatagram?.(Buffer.from('two'), path);
  joined.gone(path);
  joined.close();
  expect(joined.candidates).toBe(named.candidates);
  expect(log).toEqual(['one', 'two', '1: a path gone', '2: a path gone', '1: closed', '2: closed']);
});
