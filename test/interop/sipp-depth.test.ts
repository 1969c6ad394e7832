import { afterAll, beforeAll, expect, test } from 'vitest';
import { AnsweringEngine } from '../support/answering-engine.ts';
import { type GatewayUnderTest, gatewayUnderTest } from '../support/gateway-under-test.ts';
import { describePeer } from '../support/peers.ts';
import { runSipp } from '../support/sipp.ts';

/** No call failed, and sipp had nothing to complain of. */
const SUCCESS = { exitCode: 0, failed: 0, unexpected: 0, unanswered: 0, outOfCall: 0, errors: '' };

const TCP = ['-t', 't1'];

describePeer('sipp', 'sipp offers late, holds, overlaps and takes its time', () => {
  let gateway: GatewayUnderTest;

  beforeAll(async () => {
    gateway = await gatewayUnderTest({ mode: 'process' });
  });
  afterAll(() => gateway?.stop());

  test.each([
    'uac-nosdp',
    'uac-nosdp-noanswer',
    'uac-reinvite-nosdp',
    'uac-hold-variants',
    'uac-update',
    'uac-reinvite-overlap',
    'uac-drop-200-then-cancel',
  ] as const)('as in scenario %s', async (scenario) => {
    expect(await runSipp(gateway.sip, { scenario, calls: 10, rate: 50 })).toMatchObject({ ...SUCCESS, successful: 10 });
  });

  test.each(['uac-call', 'uac-nosdp', 'uac-hold-variants', 'uac-refused-codec', 'options'] as const)(
    'over TCP as in scenario %s',
    async (scenario) => {
      const result = await runSipp(gateway.sip, { scenario, calls: 10, rate: 50, args: TCP });
      expect(result).toMatchObject({ ...SUCCESS, successful: 10, retransmissions: 0 });
    },
  );

  test('its own uac over TCP, 100 calls, up to 50 a second', async () => {
    const result = await runSipp(gateway.sip, { scenario: { builtIn: 'uac' }, calls: 100, rate: 50, limit: 25, talkMs: 300, args: TCP });
    expect(result).toMatchObject({ ...SUCCESS, successful: 100, retransmissions: 0 });
  });
});

describePeer('sipp', 'sipp tries the SIP engine alone', () => {
  test.each([
    ['uac-prack', { answerMs: 150 }],
    ['uac-session-timer', {}],
    ['uac-session-refreshed', { sessionIntervalS: 2, minSessionS: 2 }],
    ['uac-session-expired', { minSessionS: 2 }],
  ] as const)('as in scenario %s, over UDP and TCP', async (scenario, options) => {
    const engine = await AnsweringEngine.start(options);
    try {
      for (const args of [[], TCP]) {
        expect(await runSipp(engine.sip, { scenario, calls: 10, rate: 50, args })).toMatchObject({ ...SUCCESS, successful: 10 });
      }
      expect(engine.ends).toHaveLength(20);
      expect(await engine.count('sip_dialogs')).toBe(0);
    } finally {
      await engine.stop();
    }
  });
});
