import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import { isIP } from 'node:net';
import os from 'node:os';
import { afterAll, beforeAll, vi } from 'vitest';

/**
 * For files that run werift's RTCPeerConnection: it looks up stun.l.google.com even without ICE servers, and gathers on every
 * interface. It gets neither a name server nor the interfaces.
 */
export function keepWeriftOnLoopback(): void {
  beforeAll(() => {
    vi.spyOn(dns.promises, 'lookup').mockRejectedValue(new Error('no names in tests'));
    const { lookup } = dns;
    vi.spyOn(dns, 'lookup').mockImplementation(((name: string, ...rest: [never, never]) => {
      // Node's own sockets pass literal addresses through it.
      if (!isIP(name)) throw new Error('no names in tests');
      return lookup(name, ...rest);
    }) as never);
    const loopback = { address: '127.0.0.1', netmask: '255.0.0.0', family: 'IPv4' as const, mac: '', internal: false, cidr: '127.0.0.1/8' };
    vi.spyOn(os, 'networkInterfaces').mockReturnValue({ lo: [loopback] });
    syncBuiltinESMExports();
  });

  afterAll(() => {
    vi.restoreAllMocks();
    syncBuiltinESMExports();
  });
}
