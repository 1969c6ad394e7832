import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import OpenAI from 'openai';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { createLog } from '../../../src/base/log.ts';
import { Metrics } from '../../../src/base/metrics.ts';
import { CallDesk } from '../../../src/control/call-desk.ts';
import { type Route, RouteTable } from '../../../src/control/route-table.ts';
import { postWebhook, WebhookDelivery, type WebhookPost } from '../../../src/control/webhook-delivery.ts';
import { incomingCallBody } from '../../../src/control/webhook-event.ts';
import { signWebhook } from '../../../src/control/webhook-signature.ts';
import type { LegOrigin } from '../../../src/leg/leg.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const OLD = `whsec_${Buffer.from('0123456789abcdef01234567').toString('base64')}`;
const NEW = 'a plain text as secret';
const client = new OpenAI({ apiKey: 'unused' });
const ORIGIN: LegOrigin = {
  kind: 'phone',
  from: 'sip:alice@192.0.2.5',
  to: 'sip:+15550100@192.0.2.1',
  sipCallId: 'call-1',
  headers: [
    { name: 'Via', value: 'SIP/2.0/UDP 192.0.2.5' },
    { name: 'Via', value: 'SIP/2.0/UDP 192.0.2.6' },
    { name: 'Proxy-Authorization', value: 'canary' },
    { name: 'authorization', value: 'canary' },
    { name: 'X-Customer', value: 'ü "1"' },
  ],
};

/** Lets promises that are settled run on. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('what is sent', () => {
  const body = incomingCallBody({ id: 'evt_1', createdAt: 1_700_000_000, callId: 'rtc_0_1', origin: ORIGIN });

  test('has the header fields in their order, without credentials', () => {
    expect(JSON.parse(body)).toEqual({
      object: 'event',
      id: 'evt_1',
      type: 'realtime.call.incoming',
      created_at: 1_700_000_000,
      data: { call_id: 'rtc_0_1', sip_headers: [ORIGIN.headers?.[0], ORIGIN.headers?.[1], ORIGIN.headers?.[4]] },
    });
  });

  test('names the caller where the header fields are not known', () => {
    const { headers: _headers, ...origin } = ORIGIN;
    const { data } = JSON.parse(incomingCallBody({ id: 'e', createdAt: 1, callId: 'rtc_0_1', origin }));
    expect(data.sip_headers).toEqual([
      { name: 'From', value: 'sip:alice@192.0.2.5' },
      { name: 'To', value: 'sip:+15550100@192.0.2.1' },
      { name: 'Call-ID', value: 'call-1' },
    ]);
  });

  test('is taken by the stock client with either secret, and with no other', async () => {
    const timestamp = Math.floor(systemClock.wallclock() / 1000);
    const headers = {
      'webhook-id': 'evt_1',
      'webhook-timestamp': `${timestamp}`,
      'webhook-signature': signWebhook({ id: 'evt_1', timestamp, body }, [OLD, NEW]),
    };
    for (const secret of [OLD, NEW]) {
      expect(await client.webhooks.unwrap(body, headers, secret)).toMatchObject({
        type: 'realtime.call.incoming',
        data: { call_id: 'rtc_0_1' },
      });
    }
    await expect(client.webhooks.unwrap(body, headers, 'another secret, as long')).rejects.toThrow();
    await expect(client.webhooks.unwrap(`${body} `, headers, NEW)).rejects.toThrow();
    await expect(client.webhooks.unwrap(body, { ...headers, 'webhook-id': 'evt_2' }, NEW)).rejects.toThrow();
    await expect(client.webhooks.unwrap(body, { ...headers, 'webhook-timestamp': `${timestamp - 301}` }, NEW)).rejects.toThrow();
  });
});

describe('a delivery', () => {
  interface Try {
    readonly at: number;
    readonly headers: Readonly<Record<string, string>>;
    readonly answer: (status: number | Error) => void;
    readonly signal: AbortSignal;
  }

  function setUp(withinMs = 5000) {
    const clock = new FakeClock();
    const tries: Try[] = [];
    const results: string[] = [];
    const post: WebhookPost = (_url, headers, _body, signal) =>
      new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('aborted')));
        const answer = (status: number | Error): void => (status instanceof Error ? reject(status) : resolve(status));
        tries.push({ at: clock.now(), headers, answer, signal });
      });
    const deps = { clock, post, onAttempt: (result: string) => results.push(result) };
    const delivery = new WebhookDelivery(deps, { url: 'https://x', secrets: [NEW] }, { id: 'evt_1', body: '{}' }, withinMs);
    return { clock, tries, results, delivery };
  }

  test('that is taken is over', async () => {
    const { clock, tries, results, delivery } = setUp();
    tries[0]?.answer(204);
    expect(await delivery.outcome).toBe('delivered');
    clock.advance(10_000);
    expect([tries.length, results, clock.timers]).toEqual([1, ['delivered'], 0]);
  });

  test('is tried again with the same id and a fresh time, ever later, until the decision is due', async () => {
    const { clock, tries, results, delivery } = setUp(20_000);
    for (let n = 0; n < 30 && results.length < 20; n++) {
      tries.at(-1)?.answer(n % 3 === 0 ? 500 : n % 3 === 1 ? 302 : new Error('refused'));
      await settle();
      clock.advance((clock.nextTimer() ?? clock.now() + 1000) - clock.now());
      await settle();
    }
    expect(await delivery.outcome).toBe('undelivered');
    expect(new Set(tries.map(({ headers }) => headers['webhook-id']))).toEqual(new Set(['evt_1']));
    expect(new Set(results)).toEqual(new Set(['refused', 'redirected', 'failed']));
    const waits = tries.slice(1).map(({ at }, index) => at - (tries[index]?.at ?? 0));
    const longest = [200, 400, 800, 1600, 3200, 5000, 5000, 5000];
    for (const [index, wait] of waits.entries()) {
      expect(wait).toBeGreaterThanOrEqual((longest[index] ?? 5000) / 2);
      expect(wait).toBeLessThanOrEqual(longest[index] ?? 5000);
    }
    expect(tries.at(-1)?.at).toBeLessThan(20_000);
    expect(Number(tries.at(-1)?.headers['webhook-timestamp'])).toBeGreaterThan(Number(tries[0]?.headers['webhook-timestamp']));
  });

  test('that gets no answer is cut off and tried again', async () => {
    const { clock, tries, results, delivery } = setUp();
    clock.advance(3000);
    await settle();
    expect([results, tries[0]?.signal.aborted]).toEqual([['timed_out'], true]);
    clock.advance(200);
    expect(tries).toHaveLength(2);
    clock.advance(1900);
    expect(await delivery.outcome).toBe('undelivered');
    expect(clock.timers).toBe(0);
  });

  test('that nobody needs any more stops, also in the middle of a try', async () => {
    const { clock, tries, results, delivery } = setUp();
    delivery.cancel();
    expect(await delivery.outcome).toBe('cancelled');
    await settle();
    expect([tries[0]?.signal.aborted, results, clock.timers]).toEqual([true, [], 0]);
  });
});

describe('over the network', () => {
  let server: Server | undefined;
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
  });

  async function receiver(
    answer: (request: IncomingMessage, body: string) => { status: number; headers?: Record<string, string>; body?: string },
  ) {
    server = createServer((request, response) => {
      void text(request).then((body) => {
        const { status, headers = {}, body: told = '' } = answer(request, body);
        response.writeHead(status, headers).end(told);
      });
    });
    await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/calls`;
  }

  test('a call reaches the stock client, and a decision ends the tries', async () => {
    const seen: { id: unknown; event: unknown }[] = [];
    const url = await receiver((request, body) => {
      const event = client.webhooks.unwrap(body, request.headers as Record<string, string>, OLD);
      void event.then((each) => seen.push({ id: request.headers['webhook-id'], event: each }));
      return { status: seen.length === 0 ? 500 : 200 };
    });
    const otherwise = { type: 'reject', status: 480 } as const;
    const route: Route = { action: { type: 'webhook', webhook: { url, secrets: [NEW, OLD], withinMs: 5000, otherwise } } };
    const metrics = new Metrics();
    const desk = new CallDesk({
      clock: systemClock,
      log: createLog('silent'),
      metrics,
      routes: new RouteTable([route], 'default'),
      post: postWebhook,
      dial: () => Promise.reject(new Error('unused')),
    });
    expect(desk.policyFor('call-1', { to: 'sip:x@y' }).decide).toEqual({ by: 'api', withinMs: 5000, otherwise });
    const call = desk.opened('rtc_0_1', ORIGIN);
    while (seen.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    call.decided();
    expect(seen[0]?.id).toBe(seen[1]?.id);
    expect(seen[1]?.event).toMatchObject({ id: seen[1]?.id, data: { call_id: 'rtc_0_1' } });
    expect(await metrics.text()).toContain('ringdown_webhook_attempts_total{result="refused"} 1');
  });

  test('a redirection is not followed, and a long answer is not read', async () => {
    let asked = 0;
    const url = await receiver(() => {
      asked += 1;
      return { status: asked === 1 ? 307 : 200, headers: { location: '/elsewhere' }, body: 'x'.repeat(1_000_000) };
    });
    const signal = AbortSignal.timeout(5000);
    expect(await postWebhook(url, {}, '{}', signal)).toBe(307);
    expect([await postWebhook(url, {}, '{}', signal), asked]).toEqual([200, 2]);
  });
});

describe('calls of programs', () => {
  function setUp() {
    const clock = new FakeClock();
    let next = 0;
    const desk = new CallDesk({
      clock,
      log: createLog('silent'),
      metrics: new Metrics(),
      routes: new RouteTable([], 'default'),
      post: () => Promise.reject(new Error('unused')),
      dial: async () => {
        next += 1;
        return `sip-${next}`;
      },
    });
    return { clock, desk };
  }
  const request = { trunk: 'carrier', destination: '+15550100' };
  const origin = (sipCallId: string): LegOrigin => ({ kind: 'phone', direction: 'outbound', sipCallId });

  test('get the policy of the program, each its own', async () => {
    const { desk, clock } = setUp();
    const policies = ['shop', 'bank'].map((project) => ({ project, decide: { by: 'answer' } as const }));
    const ids = policies.map((policy) => desk.dial(request, policy));
    await settle();
    expect(desk.policyFor('sip-2', { to: 'x' })).toBe(policies[1]);
    expect(desk.policyFor('sip-1', { to: 'x' })).toBe(policies[0]);
    desk.opened('rtc_0_b', origin('sip-2'));
    desk.opened('rtc_0_a', origin('sip-1'));
    expect(await Promise.all(ids)).toEqual(['rtc_0_a', 'rtc_0_b']);
    expect(clock.timers).toBe(0);
    expect(desk.policyFor('sip-1', { to: 'x' })).toEqual({ project: 'default', decide: { by: 'answer' } });
  });

  test('that get no session are told so', async () => {
    const { desk, clock } = setUp();
    const policy = { project: 'shop', decide: { by: 'answer' } as const };
    const late = desk.dial(request, policy);
    await settle();
    clock.advance(5000);
    await expect(late).rejects.toMatchObject({ code: 'ERR_TIMEOUT' });
  });
});
