import { createSocket } from 'node:dgram';
import { afterEach, describe, expect, it } from 'vitest';
import { bindUdp, type DatagramSocket } from '../../../src/base/udp.ts';
import { RtpPortPool, type RtpPorts } from '../../../src/rtp/ports.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const address = '127.0.0.1';
const opened: (RtpPorts | DatagramSocket)[] = [];
async function open(pool: RtpPortPool): Promise<RtpPorts> {
  const ports = await pool.open();
  opened.push(ports);
  return ports;
}

/** A range of this many pairs that is free at the moment. */
async function freeRange(pairs: number): Promise<{ first: number; last: number }> {
  for (;;) {
    const probe = await bindUdp({ address, port: 0 });
    const first = probe.local.port + (probe.local.port & 1);
    probe.close();
    const sockets: DatagramSocket[] = [];
    try {
      for (let port = first; port < first + 2 * pairs; port += 1) sockets.push(await bindUdp({ address, port }));
      return { first, last: first + 2 * pairs - 1 };
    } catch {
      // Somebody has one of them: look elsewhere.
    } finally {
      for (const socket of sockets) socket.close();
    }
  }
}

afterEach(() => {
  for (const each of opened.splice(0)) 'release' in each ? each.release() : each.close();
});

describe('RTP ports', () => {
  it('are an even one and its neighbour', async () => {
    const range = await freeRange(3);
    const pool = new RtpPortPool(new FakeClock(), { address, range: { first: range.first - 1, last: range.last + 1 } });
    for (let i = 0; i < 3; i += 1) {
      const { rtp, rtcp } = await open(pool);
      expect(rtp.local.port % 2).toBe(0);
      expect(rtcp.local.port).toBe(rtp.local.port + 1);
      expect(rtp.local.port).toBeGreaterThanOrEqual(range.first);
      expect(rtcp.local.port).toBeLessThanOrEqual(range.last);
    }
    expect(pool.inUse).toBe(3);
    await expect(pool.open()).rejects.toMatchObject({ code: 'ERR_NO_PORT' });
  });

  it('rest for five seconds after use', async () => {
    const clock = new FakeClock();
    const pool = new RtpPortPool(clock, { address, range: await freeRange(1) });
    const ports = await open(pool);
    ports.release();
    ports.release();
    expect(pool.inUse).toBe(0);
    clock.advance(4999);
    await expect(pool.open()).rejects.toMatchObject({ code: 'ERR_NO_PORT' });
    clock.advance(1);
    expect((await open(pool)).rtp.local).toEqual(ports.rtp.local);
  });

  it('that rested longest come first', async () => {
    const clock = new FakeClock();
    const pool = new RtpPortPool(clock, { address, range: await freeRange(3) });
    const order: number[] = [];
    for (let i = 0; i < 6; i += 1) {
      const ports = await open(pool);
      order.push(ports.rtp.local.port);
      ports.release();
      clock.advance(2000);
    }
    expect(new Set(order.slice(0, 3)).size).toBe(3);
    expect(order.slice(3)).toEqual(order.slice(0, 3));
  });

  it('that another program has are passed over, and nothing of their pair stays open', async () => {
    const range = await freeRange(3);
    const pool = new RtpPortPool(new FakeClock(), { address, range });
    const taken = [await bindUdp({ address, port: range.first }), await bindUdp({ address, port: range.first + 3 })];
    opened.push(...taken);
    expect((await open(pool)).rtp.local.port).toBe(range.first + 4);
    await expect(pool.open()).rejects.toMatchObject({ code: 'ERR_NO_PORT' });
    opened.push(await bindUdp({ address, port: range.first + 1 }), await bindUdp({ address, port: range.first + 2 }));
  });

  it('are the kernel’s choice without a range', async () => {
    const pool = new RtpPortPool(new FakeClock(), { address });
    const all = await Promise.all(Array.from({ length: 5 }, () => open(pool)));
    expect(new Set(all.flatMap(({ rtp, rtcp }) => [rtp.local.port, rtcp.local.port])).size).toBe(10);
  });

  it('say ERR_NO_PORT, too, when the address is none of this machine', async () => {
    for (const range of [undefined, { first: 20_000, last: 20_099 }]) {
      const pool = new RtpPortPool(new FakeClock(), { address: '192.0.2.1', ...(range ? { range } : {}) });
      await expect(pool.open()).rejects.toMatchObject({ code: 'ERR_NO_PORT' });
    }
  });

  it('carry packets', async () => {
    const { rtp } = await open(new RtpPortPool(new FakeClock(), { address }));
    const heard = new Promise<string>((resolve) => {
      rtp.onDatagram = (datagram) => resolve(datagram.toString());
    });
    const sender = createSocket('udp4');
    sender.send('hello', rtp.local.port, address);
    expect(await heard).toBe('hello');
    sender.close();
  });
});
