import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Attacker, lastingGapMs, paced } from '../support/attacker.ts';
import { Child } from '../support/child.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { MachineSlack } from '../support/machine-slack.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { describeWithTestData, testDataPath, testDataRoot } from '../support/test-data.ts';
import { elapse } from '../support/wait.ts';

const MB = 2 ** 20;

function tool(name: string, args: readonly string[]): Child {
  return new Child(process.execPath, [testDataPath('tools', name), ...args], { name });
}

function lastFigures<T>(child: Child): T {
  const line = child.stdout.all.findLast((each) => each.startsWith('{')) ?? '{}';
  return JSON.parse(line) as T;
}

/** The torture messages are sent one after the other with pauses, some 20 s in all: to a gateway of their own, while the others are tested. */
let tortured: Promise<{ readonly gateway: GatewayProcess; readonly child: Child }> | undefined;

beforeAll(() => {
  if (!testDataRoot) return;
  tortured = GatewayProcess.start({ flags: ['--sip-rate', '0', '--sip-ban', '0'] }).then((gateway) => {
    const { address, port } = gateway.sip;
    return { gateway, child: tool('torture-run.mjs', [address, `${port}`, testDataPath('torture'), '127.0.0.9']) };
  });
});

afterAll(async () => {
  await (await tortured)?.gateway.stop();
});

/** A request that differs from all others, as floods are. */
function request(method: 'INVITE' | 'OPTIONS' | 'REGISTER', n: number, target: string): Buffer {
  const id = randomBytes(8).toString('hex');
  const sdp = 'v=0\r\no=- 1 1 IN IP4 127.0.0.66\r\ns=-\r\nc=IN IP4 127.0.0.66\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n';
  const body = method === 'INVITE' ? sdp : '';
  return Buffer.from(
    [
      `${method} sip:u${n}@${target} SIP/2.0`,
      `Via: SIP/2.0/UDP 127.0.0.66;rport;branch=z9hG4bK${id}`,
      'Max-Forwards: 70',
      `From: <sip:f${n}@127.0.0.66>;tag=${id}`,
      `To: <sip:u${n}@${target}>`,
      `Call-ID: ${id}`,
      `CSeq: 1 ${method}`,
      'Contact: <sip:f@127.0.0.66>',
      ...(body ? ['Content-Type: application/sdp'] : []),
      `Content-Length: ${body.length}`,
      '',
      body,
    ].join('\r\n'),
  );
}

describe('a flood of SIP requests from one address', () => {
  let gateway: GatewayProcess;
  let slack: MachineSlack;
  let phone: SipPhone;

  beforeAll(async () => {
    gateway = await GatewayProcess.start();
    slack = new MachineSlack(gateway.pid);
    phone = await SipPhone.open({ address: '127.0.0.2' });
  });

  afterAll(async () => {
    phone.close();
    slack.stop();
    await gateway.stop();
  });

  /** From INVITE to 200. */
  async function setUpMs(): Promise<{ call: PhoneCall; ms: number }> {
    const at = performance.now();
    const call = await phone.dial(gateway.sip);
    await call.answered();
    return { call, ms: performance.now() - at };
  }

  it('does not keep callers of another address out, nor disturb those who talk', async () => {
    const calm: number[] = [];
    for (let n = 0; n < 5; n++) {
      const { call, ms } = await setUpMs();
      calm.push(ms);
      await call.bye();
    }
    const { call: talking } = await setUpMs();
    await elapse(300);
    const from = talking.media.arrivals.count;
    const before = gateway.figures();
    const flooder = await Attacker.open();
    const requests = Array.from({ length: 12_000 }, (_, n) =>
      request((['INVITE', 'OPTIONS', 'REGISTER'] as const)[n % 3] ?? 'OPTIONS', n, '127.0.0.1'),
    );
    const flood = paced(requests.length, 2400, (n) => flooder.send(requests[n] as Buffer, gateway.sip));
    const times: number[] = [];
    let failed = 0;
    for (let n = 0; n < 20; n++) {
      await setUpMs().then(
        async ({ call, ms }) => {
          times.push(ms);
          await call.bye();
        },
        () => {
          failed += 1;
        },
      );
      await elapse(180);
    }
    await flood;
    const after = gateway.figures();
    times.sort((a, b) => a - b);
    calm.sort((a, b) => a - b);
    const gap = lastingGapMs([talking.media.arrivals.all.slice(from).map(({ at }) => at)]);
    const p95 = times[Math.ceil(times.length * 0.95) - 1] ?? Number.NaN;
    const calmP95 = calm.at(-1) ?? Number.NaN;
    const metrics = await gateway.metrics();
    const limited = metrics.sum('ringdown_sip_dropped_total', { reason: 'rate_limited' });
    console.log(
      `figures: ${flooder.sent} requests in 5 s, ${limited} dropped unread; ${times.length} of 20 calls of another address set up, p95 ${p95.toFixed(0)} ms (calm: ${calmP95.toFixed(0)} ms), ` +
        `longest gap ${gap.toFixed(0)} ms, memory ${((after.rssBytes - before.rssBytes) / MB).toFixed(0)} MB up`,
    );
    expect(failed).toBe(0);
    expect(p95).toBeLessThan(Math.max(100, 2 * calmP95) + slack.worstMs);
    expect(gap).toBeLessThan(60 + slack.worstMs);
    expect(limited).toBeGreaterThan(8000);
    expect(after.rssBytes - before.rssBytes).toBeLessThan(80 * MB);
    expect(gateway.running).toBe(true);
    await talking.bye();
    flooder.close();
  });
});

describeWithTestData('malformed SIP', () => {
  it('of RFC 4475 and 5118 is answered or ignored as they want, and so are 5000 mutations of it', async () => {
    const { gateway, child } = await (tortured as NonNullable<typeof tortured>);
    const slack = new MachineSlack(gateway.pid);
    const phone = await SipPhone.open({ address: '127.0.0.2' });
    await child.end(45_000);
    const result = lastFigures<{ messages: number; acceptable: number; preferred: number; failed: number }>(child);
    console.log(`figures: ${result.messages} torture messages, ${result.acceptable} acceptable, ${result.preferred} preferred`);
    expect(child.stdout.all.filter((line) => line.startsWith('FAIL'))).toEqual([]);
    expect(result.acceptable).toBe(result.messages);
    expect(result.preferred).toBeGreaterThanOrEqual(55);
    let quickestMs = Number.POSITIVE_INFINITY;
    for (let n = 0; n < 3; n++) {
      const at = performance.now();
      expect((await phone.ask('OPTIONS', gateway.sip)).status).toBe(200);
      quickestMs = Math.min(quickestMs, performance.now() - at);
    }
    expect(quickestMs).toBeLessThan(100 + slack.worstMs);

    const { address, port } = gateway.sip;
    const fuzz = tool('sipfuzz.mjs', ['--to', `${address}:${port}`, '--n', '5000', '--seed', '7', '--pid', `${gateway.pid}`]);
    await fuzz.end(20_000);
    const { probesMissed, worstProbeMs, rssKB, sent } = lastFigures<{
      probesMissed: number;
      worstProbeMs: number;
      rssKB: [number, number];
      sent: number;
    }>(fuzz);
    const grown = (rssKB[1] - rssKB[0]) / 1024;
    console.log(`figures: ${sent} mutations, ${probesMissed} probes missed, worst ${worstProbeMs} ms, memory ${grown.toFixed(0)} MB up`);
    expect(probesMissed).toBe(0);
    expect(worstProbeMs).toBeLessThan(500 + slack.worstMs);
    slack.stop();
    expect(grown).toBeLessThan(80);
    expect(gateway.running).toBe(true);
    expect(gateway.log.all.filter(({ level }) => level >= 50)).toEqual([]);
    phone.close();
  });
});
