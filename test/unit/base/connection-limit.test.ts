import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { ConnectionLimit } from '../../../src/base/connection-limit.ts';

class Connection extends EventEmitter {
  readonly remoteAddress: string;
  cut = false;

  constructor(remoteAddress: string) {
    super();
    this.remoteAddress = remoteAddress;
  }

  destroy(): void {
    this.cut = true;
  }
}

describe('a limit of connections', () => {
  it('is for each address by itself, and counts those that are open', () => {
    const limit = new ConnectionLimit(2);
    const admit = (address: string) => {
      const made = new Connection(address);
      limit.admit(made as unknown as Socket);
      return made;
    };
    const first = admit('192.0.2.1');
    expect([first, admit('192.0.2.1'), admit('192.0.2.1'), admit('192.0.2.2')].map(({ cut }) => cut)).toEqual([false, false, true, false]);
    first.emit('close');
    expect(admit('192.0.2.1').cut).toBe(false);
    expect(admit('192.0.2.1').cut).toBe(true);
  });

  it('is one for all addresses of an IPv6 network, and one for an IPv4 address however it is written', () => {
    const limit = new ConnectionLimit(1);
    const cut = (address: string) => {
      const made = new Connection(address);
      limit.admit(made as unknown as Socket);
      return made.cut;
    };
    expect(['2001:db8::1', '2001:db8::2', '2001:db8:0:1::1'].map(cut)).toEqual([false, true, false]);
    expect(['::ffff:192.0.2.1', '192.0.2.1', '::ffff:192.0.2.2'].map(cut)).toEqual([false, true, false]);
  });
});
