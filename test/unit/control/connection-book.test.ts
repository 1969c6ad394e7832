import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { ConnectionBook } from '../../../src/control/connection-book.ts';

class FakeSocket extends EventEmitter {
  destroyed = false;
  readonly remoteAddress: string;

  constructor(remoteAddress: string) {
    super();
    this.remoteAddress = remoteAddress;
  }

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.emit('close');
  }
}

const from = (address: string): Socket => new FakeSocket(address) as unknown as Socket;

test('one address gets 64 connections as a stranger, and all of IPv6 behind one line counts as one', () => {
  const book = new ConnectionBook();
  const admitted = Array.from({ length: 100 }, () => book.admit(from('192.0.2.1')));
  expect(admitted.filter(Boolean)).toHaveLength(64);
  expect(Array.from({ length: 100 }, (_, n) => book.admit(from(`2001:db8::${n + 1}`))).filter(Boolean)).toHaveLength(64);
  expect(book.admit(from('192.0.2.2'))).toBe(true);
  expect(book.size).toBe(129);
});

test('strangers get 256 together, and what closes makes room', () => {
  const book = new ConnectionBook();
  const sockets = Array.from({ length: 300 }, (_, n) => from(`192.0.2.${n % 200}`));
  expect(sockets.filter((socket) => book.admit(socket))).toHaveLength(256);
  sockets[0]?.destroy();
  expect([book.admit(from('192.0.2.250')), book.admit(from('192.0.2.251'))]).toEqual([true, false]);
});

test('who has shown a key takes nothing from strangers, under TLS too', () => {
  const book = new ConnectionBook();
  for (let n = 0; n < 500; n++) {
    const socket = from('192.0.2.1');
    const secured = from('192.0.2.1');
    expect(book.admit(socket)).toBe(true);
    book.wrap(socket, secured);
    book.know(secured);
    book.know(secured);
  }
  expect(Array.from({ length: 100 }, () => book.admit(from('192.0.2.1'))).filter(Boolean)).toHaveLength(64);
  book.destroyAll();
  expect(book.size).toBe(0);
  expect(book.admit(from('192.0.2.1'))).toBe(true);
});

test('nobody gets everything: 2048 of one address, 4096 of all', () => {
  const book = new ConnectionBook();
  const known = (address: string): boolean => {
    const socket = from(address);
    const admitted = book.admit(socket);
    book.know(socket);
    return admitted;
  };
  // Beyond 2048 they stay strangers, of whom 64 are let in.
  expect(Array.from({ length: 3000 }, () => known('192.0.2.1')).filter(Boolean)).toHaveLength(2048 + 64);
  expect(Array.from({ length: 3000 }, (_, n) => known(`198.51.100.${n % 250}`)).filter(Boolean)).toHaveLength(4096 - 2048 - 64);
});
