import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Attacker } from '../support/attacker.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { longestGapMs, nextSound } from '../support/heard.ts';
import { IdleGateway } from '../support/idle-gateway.ts';
import { Lateness } from '../support/lateness.ts';
import { Switchhook } from '../support/switchhook.ts';
import { elapse, eventually } from '../support/wait.ts';

/* What a gateway does when it may open nothing more, and with an INVITE that comes again and again. */

const hook = new Switchhook();
let gateway: GatewayProcess;
let idle: IdleGateway;
let late: Lateness;

beforeAll(async () => {
  gateway = await GatewayProcess.start({ flags: ['--sip-rate', '0'] });
  await (await hook.call(gateway.sip)).bye();
  idle = await IdleGateway.take(gateway);
  late = new Lateness(gateway);
});

afterAll(async () => {
  late.stop();
  await hook.close();
  await gateway.stop();
});

/** What a process may open, of the machine's tools; false where it cannot be told. */
function limitFiles(pid: number, most: number): boolean {
  try {
    execFileSync('prlimit', ['--pid', String(pid), `--nofile=${most}:`], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('a gateway that has no file descriptors left', () => {
  test('refuses callers by 503, leaves those who talk alone, and takes calls again as soon as there are some', async ({ skip }) => {
    const talking = await hook.call(gateway.sip);
    await nextSound(talking.media, 3000);
    const since = performance.now();
    skip(!limitFiles(gateway.pid, gateway.figures().fileDescriptors), 'prlimit cannot be run here');
    try {
      for (let n = 0; n < 5; n++) {
        const refusal = await (await (await hook.phone()).dial(gateway.sip)).refused();
        expect(refusal.status).toBe(503);
        expect(Number(refusal.header('retry-after'))).toBeGreaterThan(0);
      }
      await elapse(300);
    } finally {
      limitFiles(gateway.pid, 4096);
    }
    const call = await hook.call(gateway.sip);
    await nextSound(call.media, 3000);
    const gapMs = longestGapMs(talking.media, since, performance.now());
    console.log(`no file descriptors: 5 refused by 503; longest gap of the call beside them ${gapMs.toFixed(0)} ms`);
    expect(gapMs).toBeLessThan(60 + (await late.soFar()));
    for (const each of [call, talking]) expect((await each.bye()).status).toBe(200);
    expect(gateway.cdrs().filter((each) => each['sip_status'] === 503)).toHaveLength(5);
    await idle.restored();
  });
});

describe('an INVITE that comes a hundred times', () => {
  /** As a trunk would send it, and what it got: status lines and tags. */
  function invite(callId: string, branch: string, { port }: Attacker['local']): Buffer {
    const sdp = `v=0\r\no=- 1 1 IN IP4 127.0.0.66\r\ns=-\r\nc=IN IP4 127.0.0.66\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n`;
    return Buffer.from(
      [
        'INVITE sip:agent@127.0.0.1 SIP/2.0',
        `Via: SIP/2.0/UDP 127.0.0.66:${port};rport;branch=z9hG4bK${branch}`,
        'Max-Forwards: 70',
        `From: <sip:again@127.0.0.66>;tag=${callId}`,
        'To: <sip:agent@127.0.0.1>',
        `Call-ID: ${callId}`,
        'CSeq: 1 INVITE',
        `Contact: <sip:again@127.0.0.66:${port}>`,
        'Content-Type: application/sdp',
        `Content-Length: ${sdp.length}`,
        '',
        sdp,
      ].join('\r\n'),
    );
  }

  test('is one call with one answer, before and after it; by another way it is refused by 482', async () => {
    const trunk = await Attacker.open();
    const callId = randomBytes(8).toString('hex');
    const first = invite(callId, 'one', trunk.local);
    const answers = (): { readonly status: number; readonly tag: string | undefined }[] =>
      trunk.replies.all.flatMap(({ datagram }) => {
        const text = datagram.toString('latin1');
        const status = Number(/^SIP\/2\.0 (\d+)/.exec(text)?.[1]);
        return status >= 200 ? [{ status, tag: /^To:.*;tag=(\S+)/im.exec(text)?.[1] }] : [];
      });
    for (let n = 0; n < 50; n++) trunk.send(first, gateway.sip);
    await eventually(() => answers().some(({ status }) => status === 200), 3000, 'the answer');
    for (let n = 0; n < 50; n++) trunk.send(first, gateway.sip);
    await elapse(300);
    expect((await gateway.metrics()).value('ringdown_calls')).toBe(1);
    expect(new Set(answers().map(({ status, tag }) => `${status} ${tag}`)).size, 'one answer, the same each time').toBe(1);

    // RFC 3261 §8.2.2.2: the same request, forked by a proxy on its way.
    trunk.send(invite(callId, 'two', trunk.local), gateway.sip);
    await eventually(() => answers().some(({ status }) => status === 482), 2000, 'the refusal of the other way');
    expect((await gateway.metrics()).value('ringdown_calls')).toBe(1);

    const tag = answers().find(({ status }) => status === 200)?.tag;
    for (const method of ['ACK', 'BYE']) {
      const lines = [
        `${method} sip:agent@127.0.0.1 SIP/2.0`,
        `Via: SIP/2.0/UDP 127.0.0.66:${trunk.local.port};rport;branch=z9hG4bK${method}`,
        'Max-Forwards: 70',
        `From: <sip:again@127.0.0.66>;tag=${callId}`,
        `To: <sip:agent@127.0.0.1>;tag=${tag}`,
        `Call-ID: ${callId}`,
        `CSeq: ${method === 'ACK' ? 1 : 2} ${method}`,
        'Content-Length: 0',
        '',
        '',
      ];
      trunk.send(Buffer.from(lines.join('\r\n')), gateway.sip);
    }
    const records = () => gateway.cdrs().filter((each) => each['sip_call_id'] === callId);
    await eventually(() => records().length > 0, 3000, 'its record');
    await idle.restored();
    expect(records()).toEqual([expect.objectContaining({ cause: 'remote_hangup', sip_status: 200 })]);
    trunk.close();
  });
});
