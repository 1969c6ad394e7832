import { afterAll, beforeAll, expect, test } from 'vitest';
import { type GatewayUnderTest, gatewayUnderTest } from '../support/gateway-under-test.ts';
import { describePeer } from '../support/peers.ts';
import { runSipp } from '../support/sipp.ts';
import { speech } from '../support/speech.ts';
import { concat, silence } from '../support/tones.ts';
import { eventually } from '../support/wait.ts';

/** No call failed, and none was answered with what its scenario does not have. */
const SUCCESS = { exitCode: 0, failed: 0, unexpected: 0, unanswered: 0 };

describePeer('sipp', 'sipp calls the gateway', () => {
  let gateway: GatewayUnderTest;

  beforeAll(async () => {
    // So many lines that a machine that stalls for seconds turns nobody away.
    gateway = await gatewayUnderTest({ mode: 'process', flags: ['--max-calls', '500'] });
  });
  afterAll(() => gateway?.stop());

  /** The records of the calls since there were `before` of them; nothing else of these calls is left. */
  async function records(before: number, calls: number): Promise<readonly Readonly<Record<string, unknown>>[]> {
    await eventually(() => gateway.cdrs().length >= before + calls, 5000, 'the call records');
    const metrics = await gateway.metrics();
    expect([metrics.value('ringdown_calls'), metrics.value('ringdown_sessions')]).toEqual([0, 0]);
    return gateway.cdrs().slice(before);
  }

  test('its own uac, 200 calls of 2 s, 20 a second: none fails, each has its record', async () => {
    const before = gateway.cdrs().length;
    const result = await runSipp(gateway.sip, { scenario: { builtIn: 'uac' }, calls: 200, rate: 20, limit: 60, talkMs: 2000 });
    const calls = await records(before, 200);
    expect(new Set(calls.map(({ id }) => id)).size).toBe(200);
    expect(calls).toHaveLength(200);
    // A machine that has no time for more audio says so, and sheds load.
    const shed = calls.filter((call) => call['detail'] === 'audio leaves late');
    expect(result).toMatchObject({ created: 200, successful: 200 - shed.length, failed: shed.length, unanswered: 0 });
    for (const call of calls.filter((each) => !shed.includes(each))) {
      expect(call).toMatchObject({ cause: 'remote_hangup', sip_status: 200, codec: 'PCMU', packets_in: 0 });
    }
  });

  test('ten at a time talk from a file into the greeting: it stops, and each caller is parroted', async () => {
    const before = gateway.cdrs().length;
    const audio = concat(silence(600), speech(1500), silence(3000));
    const result = await runSipp(gateway.sip, { scenario: 'uac-audio', calls: 10, rate: 10, talkMs: 5500, audio });
    expect(result).toMatchObject({ ...SUCCESS, successful: 10 });
    const calls = await records(before, 10);
    for (const call of calls) {
      expect(call).toMatchObject({ turns: 1, barge_ins: 1, packets_lost: 0, packets_discarded: 0, packets_foreign: 0 });
      expect(call).toMatchObject({ concealed_in_frames: 0, concealed_out_frames: 0 });
      const { response_p50_ms: responseMs, packets_in: packets, duration_s: seconds } = call;
      // 500 ms of hangover, and the way there and back.
      expect(responseMs).toBeGreaterThan(400);
      expect(responseMs).toBeLessThan(900);
      expect(Number(packets) / Number(seconds)).toBeGreaterThan(48);
    }
  });

  test('each call from a port of its own', async () => {
    const sockets = ['-t', 'un', '-max_socket', '200'];
    const result = await runSipp(gateway.sip, { scenario: { builtIn: 'uac' }, calls: 40, rate: 40, talkMs: 200, args: sockets });
    expect(result).toMatchObject({ ...SUCCESS, successful: 40 });
  });

  test.each([
    'options',
    'uac-call',
    'uac-late-ack',
    'uac-reinvite',
    'uac-bye-before-ack',
    'uac-cancel-after-answer',
    'uac-refused-codec',
  ] as const)('as in scenario %s', async (scenario) => {
    expect(await runSipp(gateway.sip, { scenario, calls: 10, rate: 50 })).toMatchObject({ ...SUCCESS, successful: 10 });
  });
});
