import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createIdentity } from '../../src/webrtc/dtls/identity.ts';
import { AttackedGateway } from '../support/attacked-gateway.ts';
import { Attacker, paced } from '../support/attacker.ts';
import type { LogLine } from '../support/gateway-process.ts';
import { MachineSlack } from '../support/machine-slack.ts';
import { elapse, eventually } from '../support/wait.ts';
import type { WebCaller, WebCallerOptions } from '../support/web-caller.ts';

/** A DTLS 1.2 ClientHello as far as anybody without a secret can write one; cipher 0 is NULL. */
function clientHello(cipher: number): Buffer {
  const extensions = Buffer.from('000a00040002001d000d0006000404030401000e0005000200010000170000', 'hex');
  const body = Buffer.concat([
    Buffer.from([0xfe, 0xfd]),
    randomBytes(32),
    Buffer.from([0, 0, 0, 2, cipher >> 8, cipher & 0xff, 1, 0, 0, extensions.length]),
    extensions,
  ]);
  const handshake = Buffer.concat([Buffer.from([1, 0, 0, body.length, 0, 0, 0, 0, 0, 0, 0, body.length]), body]);
  return Buffer.concat([Buffer.from([22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, handshake.length]), handshake]);
}

/** One unprotected record each: what an outsider can say in the middle of a handshake or a call. */
const plaintext = {
  'a hello with the NULL cipher': clientHello(0),
  'a hello with a good cipher': clientHello(0xc02b),
  close_notify: Buffer.from('15fefd000000000000000100020100', 'hex'),
  'a fatal alert': Buffer.from('15fefd000000000000000100020228', 'hex'),
  'an unknown record': Buffer.from('18fefd000000000000000100020228', 'hex'),
  'a cut record': Buffer.from('16fefd0000000000000001ffff01', 'hex'),
  'a hello request': Buffer.from('16fefd0000000000000001000c000000000000000000000000', 'hex'),
  'a change of cipher': Buffer.from('14fefd0000000000000001000101', 'hex'),
} as const;

function percentile(values: readonly number[], share: number): number {
  return [...values].sort((a, b) => a - b)[Math.ceil(values.length * share) - 1] ?? Number.NaN;
}

describe('the DTLS handshake', () => {
  let gateway: AttackedGateway;
  let slack: MachineSlack;
  const callers: WebCaller[] = [];
  let thieves: Promise<{ made: WebCaller; refused: Promise<{ time: number; reason: string }> }>[] = [];

  beforeAll(async () => {
    gateway = await AttackedGateway.start();
    slack = new MachineSlack(gateway.process.pid);
    // What the first one compiles and allocates is no matter of attacks.
    await (await caller()).connected();
    thieves = [steal('actpass'), steal('active')];
  });

  afterEach(() => {
    for (const each of callers.splice(0)) each.close();
  });

  afterAll(async () => {
    slack.stop();
    await gateway.stop();
  });

  /** Shows the certificate of somebody whose fingerprint stands in the offer, and signs with another key. */
  async function steal(setup: 'actpass' | 'active') {
    const owner = createIdentity(Date.now());
    const made = await gateway.webCaller({ setup, identity: { ...owner, privateKey: createIdentity(Date.now()).privateKey } });
    const isHis = ({ msg, session }: LogLine): boolean => msg === 'media connection closed' && session === made.sessionId;
    const refused = gateway.process.log.find(isHis, 15_000, 'the end of the thief').then(({ reason }) => {
      return { time: performance.now() - made.startedAt, reason: String(reason) };
    });
    return { made, refused };
  }

  async function caller(options: WebCallerOptions = {}): Promise<WebCaller> {
    const made = await gateway.webCaller(options);
    callers.push(made);
    return made;
  }

  /** Sets calls up one every 100 ms. @returns the times it took from the first check to the end of the handshake, in ms */
  async function setUp(count: number, setup: 'actpass' | 'active', meanwhile?: (made: WebCaller) => void): Promise<number[]> {
    const times: Promise<number>[] = [];
    for (let n = 0; n < count; n++) {
      const made = await caller({ setup, connect: false });
      made.connect();
      meanwhile?.(made);
      times.push(made.connected(8000));
      await elapse(100);
    }
    return Promise.all(times);
  }

  test.each(['actpass', 'active'] as const)('a spray of hellos at the relay keeps nobody out (offers are %s)', async (setup) => {
    const calm = await setUp(6, setup);
    const sprayer = await Attacker.open();
    let over = false;
    const spraying = (async () => {
      while (!over)
        await paced(50, 500, (n) =>
          sprayer.send(n % 2 ? plaintext['a hello with the NULL cipher'] : plaintext['a hello with a good cipher'], gateway.relay),
        );
    })();
    const times = await setUp(20, setup);
    over = true;
    await spraying;
    console.log(
      `figures: ${times.length} of 20 connect beside ${sprayer.sent} hellos, set-up p50 ${percentile(times, 0.5).toFixed(1)} ms, ` +
        `p95 ${percentile(times, 0.95).toFixed(1)} ms (calm: p50 ${percentile(calm, 0.5).toFixed(1)} ms), ${sprayer.replies.count} replies`,
    );
    expect(times).toHaveLength(20);
    expect(percentile(times, 0.95)).toBeLessThan(percentile(calm, 0.95) + 100 + slack.worstMs);
    expect(sprayer.replies.count).toBe(0);
    sprayer.close();
  });

  test.each(['actpass', 'active'] as const)("even from the client's own address they keep nobody out (offers are %s)", async (setup) => {
    const times = await setUp(20, setup, (made) => {
      // From before the first check until well after the handshake.
      const all = Object.values(plaintext);
      void paced(100, 500, (n) => made.sendRaw(all[n % all.length] as Buffer));
    });
    console.log(`figures: ${times.length} of 20 connect under forged handshakes, set-up p95 ${percentile(times, 0.95).toFixed(1)} ms`);
    expect(times).toHaveLength(20);
    expect(percentile(times, 0.95)).toBeLessThan(1000 + slack.worstMs);
    expect(callers.flatMap(({ closed }) => closed)).toEqual([]);
  });

  test.each(['actpass', 'active'] as const)(
    'a wrong certificate is refused within 2 s, and the log says why (offers are %s)',
    async (setup) => {
      const made = await caller({ setup, announced: createIdentity(Date.now()) });
      const isIts = ({ msg, session }: LogLine): boolean => msg === 'media connection closed' && session === made.sessionId;
      const closed = await gateway.process.log.find(isIts, 3000, 'the end of the media connection');
      const tookMs = performance.now() - made.startedAt;
      console.log(`figures: refused after ${tookMs.toFixed(0)} ms: ${String(closed['reason'])}`);
      expect(tookMs).toBeLessThan(2000 + slack.worstMs);
      expect(closed['reason']).toMatch(/^dtls_failed: fingerprint/);
      await made.commands.find((command) => command === 'hangup: media_failed' || command.startsWith('reject'), 1000, 'the end of the leg');
      expect(made.arrivals.count).toBe(0);
    },
  );

  test.each(Object.keys(plaintext) as (keyof typeof plaintext)[])('in mid-call nobody heeds %s', async (name) => {
    const both = await Promise.all([caller({ setup: 'actpass' }), caller({ setup: 'active' })]);
    for (const made of both) {
      await made.connected();
      made.talk();
    }
    await eventually(() => both.every(({ arrivals }) => arrivals.count > 5), 3000, 'audio');
    for (const made of both) for (let n = 0; n < 20; n++) made.sendRaw(plaintext[name]);
    await elapse(250);
    for (const { arrivals, closed } of both) {
      const at = performance.now();
      await arrivals.next(() => true, 200 + slack.worstMs, 'audio to go on');
      expect(performance.now() - at).toBeLessThan(200 + slack.worstMs);
      expect(closed).toEqual([]);
    }
    expect(gateway.unharmed).toBe(true);
  });

  // Anybody can put a wrong signature under the right certificate, also in the right one's stead: so the time is waited for.
  test('a stolen certificate is of no use with another key: refused when the time is up, and the log says why', async () => {
    for (const { made, refused } of await Promise.all(thieves)) {
      const { time, reason } = await refused;
      console.log(`figures: stolen certificate refused after ${time.toFixed(0)} ms: ${reason}`);
      expect(reason).toBe('dtls_failed: signature');
      expect(time).toBeLessThan(11_000 + slack.worstMs);
      expect(made.arrivals.count).toBe(0);
      made.close();
    }
  });
});
