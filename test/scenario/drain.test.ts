import { afterAll, describe, expect, test } from 'vitest';
import { SIGNALS_APART_MS } from '../support/child.ts';
import { endpointText } from '../support/endpoint.ts';
import { GatewayProcess } from '../support/gateway-process.ts';
import { longestGapMs } from '../support/heard.ts';
import { Lateness } from '../support/lateness.ts';
import { Switchhook } from '../support/switchhook.ts';
import { elapse, within } from '../support/wait.ts';

/* SIGTERM while people talk. */

const hook = new Switchhook();

afterAll(() => hook.close());

describe('a gateway with ten calls', () => {
  test('that is told to end refuses new calls within 100 ms, lets the old ones talk, and ends with 0 after the last', async () => {
    const gateway = await GatewayProcess.start();
    const late = new Lateness(gateway);
    try {
      const calls = await Promise.all(Array.from({ length: 10 }, () => hook.call(gateway.sip)));
      await Promise.all(calls.map((call) => call.media.arrivals.reach(5, 2000, 'audio')));
      const phone = await hook.phone();
      gateway.signal('SIGTERM');
      await gateway.logged('draining');
      const drainedAt = performance.now();

      const refused = await (await phone.dial(gateway.sip)).refused();
      const refusedMs = performance.now() - drainedAt;
      expect(refused.status).toBe(503);
      expect(Number(refused.header('retry-after'))).toBeGreaterThan(0);
      expect(refusedMs).toBeLessThan(100 + (await late.soFar()));
      const options = await phone.ask('OPTIONS', gateway.sip);
      expect(options.status).toBe(503);
      expect(Number(options.header('retry-after'))).toBeGreaterThan(0);
      expect((await fetch(`http://${endpointText(gateway.http)}/readyz`)).status).toBe(503);
      expect((await fetch(`http://${endpointText(gateway.http)}/healthz`)).status).toBe(200);

      // A second of the greeting goes on in every call as if nothing had happened.
      await Promise.all(calls.map((call) => call.media.arrivals.reach(call.media.arrivals.count + 50, 3000, 'a second of audio')));
      const gaps = calls.map((call) => longestGapMs(call.media, drainedAt - 100, performance.now()));
      console.log(`drain: INVITE refused after ${refusedMs.toFixed(0)} ms; longest gap of old calls ${Math.max(...gaps).toFixed(0)} ms`);
      expect(Math.max(...gaps)).toBeLessThan(100 + (await late.soFar()));

      const hungUpAt = performance.now();
      for (const { status } of await Promise.all(calls.map((call) => call.bye()))) expect(status).toBe(200);
      expect(await within(gateway.ended, 3000, 'the end of the gateway')).toEqual({ code: 0, signal: null });
      console.log(`drain: ended ${(performance.now() - hungUpAt).toFixed(0)} ms after the last call`);
      expect(gateway.cdrs().map((each) => [each['cause'], each['sip_status']])).toEqual([
        ['rejected', 503],
        ...Array(10).fill(['remote_hangup', 200]),
      ]);
    } finally {
      late.stop();
      await gateway.stop();
    }
  });

  test('that is told twice hangs up on all, and has ended with 0 and all its records within 2 s', async () => {
    const gateway = await GatewayProcess.start();
    const late = new Lateness(gateway);
    try {
      const calls = await Promise.all(Array.from({ length: 10 }, () => hook.call(gateway.sip)));
      // One that is not answered yet: its ACK never comes, so it can only be let go.
      const silent = await (await hook.phone()).dial(gateway.sip, { ack: false });
      await silent.answered();
      gateway.signal('SIGTERM');
      await gateway.logged('draining');
      await elapse(SIGNALS_APART_MS);
      const secondAt = performance.now();
      gateway.signal('SIGTERM');
      const byes = await Promise.all(calls.map((call) => call.hungUp(4000)));
      const hungUpMs = performance.now() - secondAt;
      expect(byes.map((each) => each.header('reason'))).toEqual(Array(10).fill(expect.stringContaining('cause=38')));
      expect(await within(gateway.ended, 3000, 'the end of the gateway')).toEqual({ code: 0, signal: null });
      const endedMs = performance.now() - secondAt;
      console.log(`second signal: BYE to all after ${hungUpMs.toFixed(0)} ms, ended after ${endedMs.toFixed(0)} ms`);
      expect(endedMs).toBeLessThan(2000 + (await late.soFar()));
      expect(gateway.cdrs().map((each) => each['cause'])).toEqual(Array(11).fill('shutdown'));
    } finally {
      late.stop();
      await gateway.stop();
    }
  });
});
