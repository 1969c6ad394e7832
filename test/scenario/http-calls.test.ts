import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GatewayProcess } from '../support/gateway-process.ts';
import { Lateness } from '../support/lateness.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { removeFolder, tempFolder } from '../support/temp-folder.ts';
import { EventLog, elapse, eventually } from '../support/wait.ts';

/* A program written with the stock client decides about phone calls: only its base URL is another one. */

const SECRET = 'whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=';
const SHOP = 'sk-shop-0123456789';
const BANK = 'sk-bank-0123456789';

interface Incoming {
  readonly type: string;
  readonly data: {
    readonly call_id: string;
    readonly sip_headers: readonly { readonly name: string; readonly value: string }[];
    readonly call?: Readonly<Record<string, unknown>>;
  };
}

let folder: string;
let receiver: Server;
let gateway: GatewayProcess;
let phone: SipPhone;
let callee: SipPhone;
let late: Lateness;
let shop: OpenAI;
/** What the webhook has brought, by the number that was dialled. */
const incoming = new EventLog<{ readonly number: string; readonly id: string; readonly event: Incoming }>();
/** Tries of deliveries that the receiver refuses. */
const refused = new EventLog<{ readonly id: string; readonly path: string }>();

beforeAll(async () => {
  folder = tempFolder('shop');
  shop = new OpenAI({ apiKey: SHOP, baseURL: 'http://unset', maxRetries: 0 });
  receiver = createServer((request, response) => {
    void text(request).then(async (body) => {
      const id = String(request.headers['webhook-id']);
      if (request.url !== '/calls') {
        refused.push({ id, path: request.url ?? '' });
        response.writeHead(500).end();
        return;
      }
      const event = (await shop.webhooks.unwrap(body, request.headers as Record<string, string>, SECRET)) as unknown as Incoming;
      const to = event.data.sip_headers.find(({ name }) => /^(to|t)$/i.test(name))?.value ?? '';
      incoming.push({ number: /sip:([^@]*)@/.exec(to)?.[1] ?? to, id, event });
      response.writeHead(200).end();
    });
  });
  receiver.listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  callee = await SipPhone.open();
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}`;
  const config = join(folder, 'ringdown.yaml');
  writeFileSync(
    config,
    `callers: anyone
agent: {transfer-target: "sip:desk@192.0.2.50"}
projects: [{name: shop, keys: [${SHOP}]}, {name: bank, keys: [${BANK}]}]
trunks:
  - name: carrier
    peer: "127.0.0.1:${callee.local.port}"
    destinations: ["+1555*", "+1556*"]
    caps: {per-second: 100}
    numbers:
      country: 1
      inbound: {called: [{match: "line*", strip: 4, add: ask-}]}
      outbound:
        called: [{match: "+1556*", strip: 2, add: "001"}]
        caller: [{match: "+1*", strip: 2, add: "0"}]
routes:
  - {number: "ask*", project: shop, webhook: {url: "${url}/calls", secrets: [whsec_YW4gb2xkZXIgc2VjcmV0IG9mIHRoZSBzaG9w, ${SECRET}], within: 10, otherwise: {reject: 486}}}
  - {number: late-answer, project: shop, webhook: {url: "${url}/refuses", secrets: [${SECRET}], within: 1, otherwise: {answer: {}}}}
  - {number: late-reject, project: shop, webhook: {url: "${url}/refuses", secrets: [${SECRET}], within: 1, otherwise: {reject: 487}}}
  - {number: gone, project: shop, webhook: {url: "${url}/gone", secrets: [${SECRET}], within: 30}}
  - {number: banker, project: bank, answer: {instructions: "Be brief."}}
`,
  );
  gateway = await GatewayProcess.start({ flags: ['--config', config] });
  shop.baseURL = `http://127.0.0.1:${gateway.http.port}/v1`;
  // Not the address of the trunk, which takes a call a second.
  phone = await SipPhone.open({ address: '127.0.0.2' });
  late = new Lateness(gateway);
});

afterAll(async () => {
  late.stop();
  phone.close();
  callee.close();
  await gateway.stop();
  receiver.closeAllConnections();
  receiver.close();
  removeFolder(folder);
});

const dial = (user: string) => phone.dial(gateway.sip, { user });
const asked = (number: string) => incoming.find((each) => each.number === number, 8000, `the webhook about ${number}`);

describe.concurrent('a program of the shop', () => {
  test('accepts a call, listens beside it and hangs up', async () => {
    const call = await dial('ask-accept');
    const { event } = await asked('ask-accept');
    expect(event.type).toBe('realtime.call.incoming');
    await shop.realtime.calls.accept(event.data.call_id, { type: 'realtime', instructions: 'Be friendly.' } as never);
    await call.answered();
    const ca = readFileSync(join(gateway.dataDir, 'certificates', 'ca.pem'), 'utf8');
    const sideband = new OpenAIRealtimeWS({ callID: event.data.call_id, options: { ca } } as never, shop);
    const created = await new Promise<{ session: { instructions?: string } }>((resolve, reject) => {
      sideband.on('session.created', resolve as never);
      sideband.on('error', reject);
    });
    expect(created.session.instructions).toBe('Be friendly.');
    const closed = new Promise((resolve) => sideband.socket.once('close', resolve));
    await shop.realtime.calls.hangup(event.data.call_id);
    await Promise.all([call.hungUp(), closed]);
  });

  test('rejects a call with the status it chooses, and only once', async () => {
    const call = await dial('ask-reject');
    const { event } = await asked('ask-reject');
    await shop.realtime.calls.reject(event.data.call_id, { status_code: 488 });
    expect((await call.refused()).status).toBe(488);
    await expect(shop.realtime.calls.accept(event.data.call_id, { type: 'realtime' } as never)).rejects.toMatchObject({ status: 404 });
  });

  test('may say it twice at once: one of them is heard', async () => {
    const call = await dial('ask-twice');
    const { event } = await asked('ask-twice');
    const accept = () => shop.realtime.calls.accept(event.data.call_id, { type: 'realtime' } as never);
    const outcomes = await Promise.allSettled([accept(), accept()]);
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(outcomes.find((each) => each.status === 'rejected')?.reason).toMatchObject({ status: 409 });
    await call.answered();
    await call.bye();
  });

  test('is told what is wrong with what it says, and the call waits for something better', async () => {
    const call = await dial('ask-wrong');
    const { event } = await asked('ask-wrong');
    const { call_id: id } = event.data;
    await expect(shop.realtime.calls.accept(id, { model: 'x' } as never)).rejects.toMatchObject({ status: 400, param: 'session.type' });
    const bank = new OpenAI({ apiKey: BANK, baseURL: shop.baseURL, maxRetries: 0 });
    await expect(bank.realtime.calls.accept(id, { type: 'realtime' } as never)).rejects.toMatchObject({ status: 404 });
    await shop.realtime.calls.accept(id, { type: 'realtime' } as never);
    await call.answered();
    await call.bye();
  });

  test.each([
    ['late-answer', 200],
    ['late-reject', 487],
  ])('that says nothing about %s leaves it to the route: %i', async (number, status) => {
    const startedAt = performance.now();
    const call = await dial(number);
    const final = status === 200 ? await call.answered() : await call.refused();
    expect(final.status).toBe(status);
    const after = performance.now() - startedAt;
    expect(after).toBeGreaterThan(950);
    expect(after).toBeLessThan(2500 + (await late.soFar()));
    if (status === 200) await call.bye();
  });

  test('is not asked any more when the caller has gone', async () => {
    const call = await dial('gone');
    const tries = () => refused.all.filter(({ path }) => path === '/gone');
    await eventually(() => tries().length >= 2, 8000, 'the second try');
    await call.cancel();
    const before = tries().length;
    // The next ones would come after at most 0.8 and 1.6 s.
    await elapse(2500);
    expect(tries().length - before).toBeLessThanOrEqual(1); // one may have been on its way
    expect(new Set(tries().map(({ id }) => id)).size).toBe(1);
  });

  test('sees its own calls, and no others', async () => {
    const call = await dial('banker');
    await call.answered();
    const list = async (key: string): Promise<readonly { kind: string; state: string }[]> => {
      const response = await fetch(`${shop.baseURL}/realtime/calls`, { headers: { authorization: `Bearer ${key}` } });
      return ((await response.json()) as { data: { kind: string; state: string }[] }).data;
    };
    expect(await list(BANK)).toMatchObject([{ kind: 'phone', state: 'live' }]);
    const { id } = (await list(BANK))[0] as unknown as { id: string };
    await expect(shop.realtime.calls.hangup(id)).rejects.toMatchObject({ status: 404 });
    await call.bye();
  });

  test('has somebody called, within the destinations of the trunk', async () => {
    const post = (destination: string) =>
      fetch(`${shop.baseURL}/realtime/calls`, {
        method: 'POST',
        headers: { authorization: `Bearer ${SHOP}`, 'content-type': 'application/json' },
        body: JSON.stringify({
          session: { type: 'realtime', instructions: 'Sell.' },
          transport: { type: 'sip', destination, trunk: 'carrier' },
        }),
      });
    const refusal = await post('+4930123');
    expect(refusal.status).toBe(403);
    const placing = post('+15550100');
    const rung = await callee.incoming.find(({ invited }) => invited?.requestUri.includes('15550100') === true, 8000, 'the call');
    const placed = await placing;
    const { session } = (await placed.json()) as { session: { id: string } };
    expect([placed.status, placed.headers.get('location')]).toEqual([201, `/v1/realtime/calls/${session.id}`]);
    rung.answer();
    await rung.acknowledged();
    await shop.realtime.calls.hangup(session.id);
    await rung.hungUp();
  });

  const told = (path: string, body: unknown) =>
    fetch(`${shop.baseURL}/realtime/calls${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${SHOP}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  /** What a program says of a call, and how it is written. */
  const said = (what: string) => ({ headers: { 'X-Case': what }, user_to_user: { data: 'cafe', purpose: 'isdn-uui' } });
  const UUI = 'cafe;encoding=hex;purpose=isdn-uui';

  test('says something in the INVITE, the REFER and the BYE of a call it places, whose numbers are written as its trunk wants them', async () => {
    const transport = { type: 'sip', destination: '+15560199', trunk: 'carrier', from: '+15550111', ...said('invite') };
    const placing = told('', { session: { type: 'realtime' }, transport });
    const call = await callee.incoming.find(({ invited }) => invited?.header('x-case') === 'invite', 8000, 'the call');
    const { invited: invite } = call;
    expect(invite?.header('user-to-user')).toBe(UUI);
    expect(invite?.requestUri).toMatch(/^sip:0015560199@/);
    expect(invite?.header('to')).toMatch(/sip:0015560199@/);
    expect(invite?.header('from')).toMatch(/sip:05550111@/);
    const { session } = (await (await placing).json()) as { session: { id: string } };
    call.answer();
    await call.acknowledged();
    const refer = call.requests.find(({ method }) => method === 'REFER', 5000, 'REFER');
    const referring = told(`/${session.id}/refer`, { target_uri: 'sip:desk@192.0.2.50', ...said('refer') });
    expect((await refer).header('x-case')).toBe('refer');
    expect((await refer).header('user-to-user')).toBe(UUI);
    expect((await referring).status).toBe(200);
    // It keeps the call until the phone has got through.
    expect((await told(`/${session.id}/hangup`, said('bye'))).status).toBe(200);
    const bye = await call.hungUp();
    expect([bye.header('x-case'), bye.header('user-to-user')]).toEqual(['bye', UUI]);
  });

  test('reads in the webhook what the INVITE says, of a trunk with its numbers as they are written inside', async () => {
    const headers = [
      ['X-Tenant', 'shop'],
      ['User-to-User', '56a390f3;encoding=hex;purpose=isdn-uui'],
      ['P-Asserted-Identity', '<sip:05550123@192.0.2.9>'],
      ['Diversion', '<sip:05550177@192.0.2.9>;reason=no-answer'],
    ] as const;
    const call = await callee.dial(gateway.sip, { user: 'linefacts', headers });
    const { event } = await incoming.find((each) => each.number === 'linefacts', 8000, 'the webhook');
    expect(event.data.call).toMatchObject({
      ...{ trunk: 'carrier', called: 'ask-facts', caller: '+15550123', diverted_by: '+15550177' },
      headers: { 'X-Tenant': 'shop' },
      user_to_user: { data: '56a390f3', encoding: 'hex', purpose: 'isdn-uui' },
    });
    const stranger = await phone.dial(gateway.sip, { user: 'ask-stranger', headers });
    const { event: other } = await asked('ask-stranger');
    // Whoever it is may say what it likes in X-; who it is it may not.
    expect(other.data.call).toMatchObject({ headers: { 'X-Tenant': 'shop' }, user_to_user: { data: '56a390f3' } });
    expect(JSON.stringify(other.data.call)).not.toContain('5550123');
    for (const each of [event, other]) await shop.realtime.calls.reject(each.data.call_id, { status_code: 486 });
    expect([(await call.refused()).status, (await stranger.refused()).status]).toEqual([486, 486]);
  });

  test.each([
    [{ headers: { Route: '<sip:192.0.2.66>' } }, 400],
    [{ headers: { 'X-A': 'x\r\nRoute: <sip:192.0.2.66>' } }, 400],
    [{ user_to_user: { data: 'no hex' } }, 400],
  ])('may not write %j into a message', async (what, status) => {
    const transport = { type: 'sip', destination: '+15550100', trunk: 'carrier', ...what };
    expect((await told('', { session: { type: 'realtime' }, transport })).status).toBe(status);
  });
});

test('a page is served with what it may load, and asked for again without being sent', async () => {
  const url = `http://127.0.0.1:${gateway.http.port}/`;
  const page = await fetch(url);
  // Built by `npm run build`; a checkout that was not built has none.
  if (page.status === 404) return;
  expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
  expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
  const etag = page.headers.get('etag') ?? '';
  const again = await fetch(url, { headers: { 'if-none-match': etag } });
  expect([again.status, await again.text()]).toEqual([304, '']);
});
