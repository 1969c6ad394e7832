import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ATTACKER, CLIENT, peerPair, rtpPacket, runUntil, SERVER } from '../../../support/peer-pair.ts';
import { describeWithTestData, importTool, testDataPath } from '../../../support/test-data.ts';

interface AttackTool {
  /** Datagrams of each attack, by its name. */
  readonly CASES: Readonly<Record<string, (count: number) => Buffer[]>>;
}

/** A fresh peer gives nobody anything; a connected one goes on, even when the datagrams come from the far side's own address. */
async function withstand(datagrams: readonly Buffer[]): Promise<void> {
  const fresh = peerPair({ start: false });
  fresh.server.peer.start();
  for (const datagram of datagrams) fresh.network.send(ATTACKER, SERVER, datagram);
  fresh.clock.advance(50);
  expect(fresh.network.sentTo(ATTACKER)).toEqual([]);
  expect(fresh.server.peer.snapshot()).toMatchObject({ state: 'checking', ice: { paths: 0, checks: 0 }, dtls: undefined, data: undefined });
  fresh.server.peer.close();

  for (const serverRole of ['server', 'client'] as const) {
    const { server, client, network, clock } = peerPair({ serverRole });
    await runUntil(clock, () => server.connected + client.connected === 2);
    const sent = network.sent.length;
    for (const datagram of datagrams) {
      for (const from of [ATTACKER, CLIENT]) network.send(from, SERVER, datagram);
      network.send(SERVER, CLIENT, datagram);
    }
    clock.advance(50);
    expect(network.sent.slice(sent).filter(({ datagram }) => !datagrams.some((each) => each.equals(datagram)))).toEqual([]);
    client.peer.sendRtp(rtpPacket(7));
    server.peer.sendRtp(rtpPacket(8));
    clock.advance(10);
    expect([server.rtp, client.rtp]).toEqual([[rtpPacket(7)], [rtpPacket(8)]]);
    expect([server.closed, client.closed]).toEqual([[], []]);
    server.peer.close();
    client.peer.close();
  }
}

describeWithTestData('a peer under outside attack data', () => {
  it('withstands every case of the media port attacks', async () => {
    const { CASES } = await importTool<AttackTool>('mediaport-attack.mjs');
    for (const [name, make] of Object.entries(CASES)) {
      if (name !== 'corpus') await withstand(make(50));
    }
  });

  it('withstands every file of the fuzz corpora', async () => {
    const folders = readdirSync(testDataPath('corpora'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const files = folders.flatMap(({ name }) =>
      readdirSync(testDataPath('corpora', name)).map((file) => testDataPath('corpora', name, file)),
    );
    expect(files.length).toBeGreaterThan(100);
    await withstand(files.map((file) => readFileSync(file)).filter((datagram) => datagram.length > 0));
  });
});

describe('a peer under noise', () => {
  it('never throws, whatever kind the first byte claims', async () => {
    const { server, client, network, clock } = peerPair();
    await runUntil(clock, () => server.connected + client.connected === 2);
    const path = network.path(SERVER, CLIENT);
    const first = fc.constantFrom(0, 1, 3, 20, 21, 22, 23, 24, 25, 63, 64, 128, 144, 191, 255);
    fc.assert(
      fc.property(first, fc.uint8Array({ maxLength: 120 }), (kind, rest) => {
        server.peer.handleDatagram(Buffer.from([kind, ...rest]), path, clock.now());
      }),
      { numRuns: 3000 },
    );
    // Genuine datagrams, changed a little.
    const genuine = network.sent.map(({ datagram }) => datagram);
    fc.assert(
      fc.property(fc.nat(genuine.length - 1), fc.nat(1500), fc.nat(255), (which, at, value) => {
        const copy = Buffer.from(genuine[which] ?? []);
        copy[at % copy.length] = value;
        server.peer.handleDatagram(copy, path, clock.now());
      }),
      { numRuns: 3000 },
    );
    server.peer.handleDatagram(Buffer.alloc(0), path, clock.now());
    client.peer.sendRtp(rtpPacket(7));
    clock.advance(10);
    expect(server.rtp).toEqual([rtpPacket(7)]);
    expect(server.closed).toEqual([]);
  });
});
