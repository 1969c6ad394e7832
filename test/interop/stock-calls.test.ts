import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nextSound } from '../support/heard.ts';
import { Lateness } from '../support/lateness.ts';
import type { PhoneCall } from '../support/phone-call.ts';
import { type SeenMessage, SipPhone } from '../support/sip-phone.ts';
import { PROJECTS, SHOP_KEY, StockGateway, type StockMode } from '../support/stock-gateway.ts';
import { EventLog, elapse, within } from '../support/wait.ts';

/* Package `openai` decides on calls and places them, with its own repeats and through whatever process it is pointed at. */

const SECRET = 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=';
const DEADLINE_MS = 15_000;

interface Told {
  readonly path: string;
  readonly webhookId: string;
  readonly callId: string;
  readonly to: string;
}

/** What the webhooks were sent, by the number that was dialled; `/down` refuses everything. */
const incoming = new EventLog<Told>();
let receiver: Server;
const gateways = new Map<StockMode, StockGateway>();
const MODES: readonly StockMode[] = ['one', 'workers', 'apart'];
let phone: SipPhone;
let callee: SipPhone;
let late: Lateness;

beforeAll(async () => {
  const verifier = new OpenAI({ apiKey: 'none', webhookSecret: SECRET });
  receiver = createServer((request, response) => {
    void text(request).then(async (body) => {
      const event = await verifier.webhooks.unwrap(body, request.headers as Record<string, string>);
      if (event.type !== 'realtime.call.incoming') throw new Error(event.type);
      const { call_id: callId, sip_headers: headers } = event.data;
      const to = headers.find(({ name }) => name === 'To')?.value ?? '';
      incoming.push({
        path: request.url ?? '',
        webhookId: String(request.headers['webhook-id']),
        callId,
        to: /sip:([^@]*)@/.exec(to)?.[1] ?? to,
      });
      response.writeHead(request.url === '/down' ? 503 : 200).end();
    });
  });
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
  const hook = (path: string, within: number): string => `webhook: {url: "${url}${path}", secrets: [${SECRET}], within: ${within}`;
  callee = await SipPhone.open({ address: '127.0.0.3' });
  phone = await SipPhone.open({ address: '127.0.0.2' });
  const yaml = `callers: anyone
${PROJECTS}trunks: [{name: carrier, peer: "127.0.0.3:${callee.local.port}", destinations: ["+1555*"], caps: {per-second: 100}}]
routes:
  - {number: "ask*", project: shop, ${hook('/calls', 20)}}}
  - {number: "down-answer", project: shop, ${hook('/down', 1)}, otherwise: {answer: {}}}}
  - {number: "down-reject", project: shop, ${hook('/down', 1)}, otherwise: {reject: 486}}}
  - {number: "down-long", project: shop, ${hook('/down', 20)}}}
`;
  await Promise.all(MODES.map(async (mode) => gateways.set(mode, await StockGateway.start(yaml, mode))));
  late = new Lateness(...[...gateways.values()].map((each) => each.phones));
});

afterAll(async () => {
  late.stop();
  phone.close();
  callee.close();
  await Promise.all([...gateways.values()].map((each) => each.stop()));
  receiver.closeAllConnections();
  receiver.close();
});

function of(mode: StockMode): StockGateway {
  const gateway = gateways.get(mode);
  if (!gateway) throw new Error(`no gateway ${mode}`);
  return gateway;
}

describe.concurrent.each(MODES)('the stock client and a phone: %s', (mode) => {
  /** Dials; resolves when the webhook was told, at its first try. */
  async function dial(number: string) {
    const user = number.startsWith('down') ? number : `${number}-${mode}`;
    const before = incoming.count;
    const call = await phone.dial(of(mode).sip, { user });
    const told = await incoming.find(({ to }) => to === user, DEADLINE_MS, `the webhook about ${user}`, before);
    return { call, id: told.callId, webhookId: told.webhookId };
  }

  test('accepts twice at once: exactly one wins, and the other is told so without repeats', async () => {
    const { call, id } = await dial('ask-twice');
    const { calls } = of(mode).client().realtime;
    const accept = (instructions: string) => calls.accept(id, { type: 'realtime', instructions }).then(() => instructions);
    const outcomes = await Promise.allSettled([accept('one'), accept('two')]);
    const lost = outcomes.find((each) => each.status === 'rejected')?.reason;
    const won = outcomes.find((each) => each.status === 'fulfilled')?.value;
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(lost).toBeInstanceOf(OpenAI.ConflictError);
    expect(lost).toMatchObject({ status: 409, type: 'invalid_request_error', code: 'invalid_state' });
    await call.answered(DEADLINE_MS);
    await expect(calls.accept(id, { type: 'realtime' })).rejects.toMatchObject({ status: 409 });
    const { rt, told, closed } = of(mode).connect({ callID: id });
    expect(await told.type('session.created', DEADLINE_MS)).toMatchObject({ session: { instructions: won } });
    rt.send({ type: 'response.create' });
    await nextSound(call.media, DEADLINE_MS);
    await call.bye();
    expect(await within(closed, DEADLINE_MS, 'the end of the sideband')).toBe(1000);
    expect(told.last).toMatchObject({ type: 'call.ended', reason: 'remote_hangup' });
    expect(told.faults).toEqual([]);
  });

  test.each([
    ['busy', { status_code: 486 }, 486],
    ['decline', {}, 603],
  ])('rejects: %s', async (number, body, status) => {
    const { call, id } = await dial(`ask-${number}`);
    await of(mode).client().realtime.calls.reject(id, body);
    expect((await call.refused(DEADLINE_MS)).status).toBe(status);
    await expect(of(mode).client().realtime.calls.accept(id, { type: 'realtime' })).rejects.toMatchObject({ status: 404 });
  });

  test('takes VAD settings on a phone, refuses what is wrong with a name for it, and the call still rings', async () => {
    const { call, id } = await dial('ask-vad');
    const { calls } = of(mode).client().realtime;
    const turns = { type: 'server_vad', threshold: 0.7, prefix_padding_ms: 200, silence_duration_ms: 700 } as const;
    await expect(calls.accept(id, { audio: { input: { turn_detection: turns } } } as never)).rejects.toMatchObject({
      status: 400,
      param: 'session.type',
    });
    await expect(
      calls.accept(id, { type: 'realtime', audio: { input: { turn_detection: { ...turns, threshold: 7 } } } }),
    ).rejects.toMatchObject({ status: 400, param: 'session.audio.input.turn_detection.threshold' });
    await calls.accept(id, { type: 'realtime', audio: { input: { turn_detection: turns, format: { type: 'audio/pcm', rate: 24_000 } } } });
    await call.answered(DEADLINE_MS);
    const { told } = of(mode).connect({ callID: id });
    expect(await told.type('session.created', DEADLINE_MS)).toMatchObject({ session: { audio: { input: { turn_detection: turns } } } });
    await of(mode).client().realtime.calls.hangup(id);
    await call.hungUp(DEADLINE_MS);
  });

  test('cannot accept a caller who has gone, and is not asked again', async () => {
    const { call, id, webhookId } = await dial('down-long');
    await call.response(180, DEADLINE_MS);
    await call.cancel();
    await expect(of(mode).client().realtime.calls.accept(id, { type: 'realtime' })).rejects.toBeInstanceOf(OpenAI.NotFoundError);
    const tries = (): number => incoming.all.filter((told) => told.webhookId === webhookId).length;
    const had = tries();
    // The next try would be due after 0.4 s at the latest, the one after it after 0.8 s.
    await elapse(1500);
    expect(tries()).toBeLessThanOrEqual(had + 1);
  });

  test('that is down leaves the call to the route', async () => {
    const answered = await dial('down-answer');
    const refused = await dial('down-reject');
    await answered.call.answered(DEADLINE_MS);
    await nextSound(answered.call.media, DEADLINE_MS);
    await answered.call.bye();
    expect((await refused.call.refused(DEADLINE_MS)).status).toBe(486);
    const ids = incoming.all.filter(({ callId }) => callId === answered.id).map(({ webhookId }) => webhookId);
    expect(ids.length).toBeGreaterThan(1);
    expect(new Set(ids).size).toBe(1);
  });
});

// A process without phones places no calls yet: roles `sip` and `control` go together for that.
describe.concurrent.each(['one', 'workers'] as const)('a call that a program places: %s', (mode) => {
  const place = (destination: string, key?: string) => {
    const body = { session: { type: 'realtime', instructions: 'Sell.' }, transport: { type: 'sip', destination, trunk: 'carrier' } };
    return of(mode).client(key).post<{ session: { id: string } }>('/realtime/calls', { body });
  };
  async function rung(number: string): Promise<PhoneCall> {
    const isIt = ({ direction, message }: SeenMessage): boolean =>
      direction === 'in' && message.method === 'INVITE' && message.startLine.includes(number);
    const { message } = await callee.messages.find(isIt, DEADLINE_MS, `the call to ${number}`);
    return callee.incoming.find(({ callId }) => callId === message.callId, DEADLINE_MS, `the call to ${number}`);
  }

  test('rings, is told of step by step, heard, and hung up', async () => {
    const number = `+1555${MODES.indexOf(mode)}1`;
    const [placed, call] = await Promise.all([place(number), rung(number)]);
    const { told, closed, rt } = of(mode).connect({ callID: placed.session.id });
    await told.type('session.created', DEADLINE_MS);
    call.ring();
    await told.type('call.ringing', DEADLINE_MS);
    call.answer();
    await told.type('call.answered', DEADLINE_MS);
    rt.send({ type: 'response.cancel' });
    await nextSound(call.media, DEADLINE_MS);
    const later = of(mode).connect({ callID: placed.session.id });
    await later.told.type('call.answered', DEADLINE_MS);
    await of(mode).client().realtime.calls.hangup(placed.session.id);
    await call.hungUp(DEADLINE_MS);
    await within(closed, DEADLINE_MS, 'the end of the sideband');
    expect(told.last).toMatchObject({ type: 'call.ended', reason: 'agent_hangup' });
    expect(later.told.faults).toEqual([]);
  });

  test('is told of the refusal, with its status', async () => {
    const number = `+1555${MODES.indexOf(mode)}2`;
    const [placed, call] = await Promise.all([place(number), rung(number)]);
    const { told } = of(mode).connect({ callID: placed.session.id });
    await told.type('session.created', DEADLINE_MS);
    call.refuse(486, 'Busy Here');
    expect(await told.type('call.ended', DEADLINE_MS)).toMatchObject({ status_code: 486 });
  });

  test('goes nowhere but to the destinations of its trunk, and is nothing for client secrets', async () => {
    await expect(place('+4930123')).rejects.toMatchObject({ status: 403, code: 'forbidden', type: expect.any(String) });
    const secret = await of(mode).client().realtime.clientSecrets.create({});
    await expect(place('+15550', secret.value)).rejects.toMatchObject({ status: 403 });
    const body = { session: { type: 'realtime' }, transport: { type: 'sip', destination: '+1555', trunk: 'none' } };
    await expect(of(mode).client(SHOP_KEY).post('/realtime/calls', { body })).rejects.toMatchObject({ status: 404 });
  });
});
