import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DigestServer } from '../../src/sip/digest/digest-server.ts';
import type { CallEnd, ReferProgress } from '../../src/sip/engine.ts';
import { endpointText, LOOPBACK } from '../support/endpoint.ts';
import { ENGINES, EngineBench, SECRET, sdp } from '../support/engine-bench.ts';
import type { DialOptions } from '../support/phone-call.ts';
import type { SipPhone } from '../support/sip-phone.ts';
import { EventLog } from '../support/wait.ts';

/*
 * What an engine promises the bridge (src/sip/engine.ts), whoever has the sockets: we, a drachtio server by one connection a call, or by one for all. The server is a
 * double that speaks its wire protocol; with DRACHTIO_HOST (and DRACHTIO_PORT, DRACHTIO_SECRET, DRACHTIO_SIP_PORT) the same tests run over that real one, too.
 */

describe.each(Object.entries(ENGINES))('an engine with %s', (_name, open) => {
  let bench: EngineBench;
  let phone: SipPhone;
  let far: SipPhone;
  const rings = (options?: DialOptions) => bench.rings(options);
  const talks = (options?: DialOptions) => bench.talks(options);
  const dials = () => bench.dials();

  beforeAll(async () => {
    bench = await EngineBench.open(open);
    ({ phone, far } = bench);
  });

  afterAll(() => bench.close());

  test('a call rings, is answered, acknowledged, and ended by the phone', async () => {
    const { phoneCall, invite } = await rings({ headers: [['X-Account', '42']], user: 'agent' });
    expect(invite.offer).toContain('m=audio');
    expect(invite.requestUri).toBe(`sip:agent@${endpointText(bench.sip)}`);
    expect(invite.from).toBe(phone.uri);
    expect(invite.source).toMatchObject({ ...phone.local, transport: 'udp' });
    expect(invite.header('x-account')).toBe('42');
    invite.ring();
    await phoneCall.response(180);
    const call = invite.answer(sdp(4000));
    const ends = new EventLog<CallEnd>();
    call.onEnd = (end) => ends.push(end);
    const answer = await phoneCall.answered();
    expect(answer.body).toContain('m=audio 4000 RTP/AVP');
    expect((await phoneCall.bye()).status).toBe(200);
    expect(await ends.find(() => true, 5000, 'the end')).toBe('bye');
  });

  test('we hang up, and say why', async () => {
    const { phoneCall, call, ends } = await talks();
    call.hangup({ q850: 16, text: 'Normal call clearing' });
    const bye = await phoneCall.hungUp();
    expect(bye.header('reason')).toContain('cause=16');
    expect(await ends.find(() => true, 5000, 'the end')).toBe('hangup');
  });

  test('a refusal keeps its status, phrase and Retry-After', async () => {
    const { phoneCall, invite } = await rings();
    invite.reject({ status: 503, retryAfterS: 7 });
    const refusal = await phoneCall.refused();
    expect(refusal.status).toBe(503);
    expect(refusal.header('retry-after')).toBe('7');
  });

  test('a caller that gives up gets 487, and the application is told', async () => {
    const { phoneCall, invite } = await rings();
    const cancelled = new EventLog<true>();
    invite.onCancel = () => cancelled.push(true);
    invite.ring();
    await phoneCall.response(180);
    expect((await phoneCall.cancel()).status).toBe(200);
    await cancelled.find(() => true, 5000, 'the cancel');
    expect((await phoneCall.final()).status).toBe(487);
    expect(() => invite.answer(sdp(4000))).toThrow();
  });

  test('an INVITE without an offer gets ours, and its answer comes with the ACK', async () => {
    const { phoneCall, invite } = await rings({ sdp: 'none' });
    expect(invite.offer).toBeUndefined();
    const answers = new EventLog<string>();
    const call = invite.answer(sdp(4000));
    call.onAnswer = (answer) => {
      answers.push(answer);
      return true;
    };
    expect((await phoneCall.answered()).body).toContain('m=audio 4000');
    expect(await answers.find(() => true, 5000, 'the answer')).toContain('m=audio');
    expect((await phoneCall.bye()).status).toBe(200);
  });

  test('the phone offers again: an answer, a refusal that changes nothing, and our offer where it has none', async () => {
    const { phoneCall, call } = await talks();
    call.onOffer = () => sdp(4002);
    expect((await phoneCall.reinvite()).body).toContain('m=audio 4002');
    call.onOffer = () => ({ status: 488 });
    expect((await phoneCall.reinvite()).status).toBe(488);
    const answers = new EventLog<string>();
    call.onOfferWanted = () => sdp(4004);
    call.onAnswer = (answer) => {
      answers.push(answer);
      return true;
    };
    expect((await phoneCall.request('INVITE')).body).toContain('m=audio 4004');
    expect(await answers.find(() => true, 5000, 'the answer')).toContain('m=audio');
    call.onOffer = () => sdp(4006);
    const update = await phoneCall.request('UPDATE', { body: phoneCall.sdp(), contentType: 'application/sdp' });
    expect(update).toMatchObject({ status: 200 });
    expect(update.body).toContain('m=audio 4006');
    expect((await phoneCall.bye()).status).toBe(200);
  });

  test('we offer again, by INVITE and by UPDATE', async () => {
    const { phoneCall, call } = await talks();
    expect(await call.reinvite?.(sdp(4010))).toContain('m=audio');
    expect(phoneCall.requests.last?.method).toMatch(/ACK|INVITE/);
    expect((await phoneCall.bye()).status).toBe(200);
  });

  test('keys by INFO go both ways', async () => {
    const { phoneCall, call } = await talks();
    const infos = new EventLog<string>();
    call.onInfo = ({ body }) => infos.push(body);
    const sent = await phoneCall.request('INFO', { body: 'Signal=5\r\nDuration=160\r\n', contentType: 'application/dtmf-relay' });
    expect(sent.status).toBe(200);
    expect(await infos.find(() => true, 5000, 'the INFO')).toContain('Signal=5');
    call.info?.({ contentType: 'application/dtmf-relay', body: 'Signal=7\r\nDuration=160\r\n' });
    const got = await phoneCall.requests.find((each) => each.method === 'INFO', 5000, 'an INFO');
    expect(got.body).toContain('Signal=7');
    expect(got.header('content-type')).toBe('application/dtmf-relay');
    await phoneCall.bye();
  });

  test('we have the phone transferred, and hear what comes of it', async () => {
    const { phoneCall, call } = await talks();
    const progress = new EventLog<ReferProgress>();
    call.refer?.(`sip:other@${LOOPBACK}:9`, (each) => progress.push(each));
    const refer = await phoneCall.requests.find((each) => each.method === 'REFER', 5000, 'a REFER');
    expect(refer.header('refer-to')).toContain('sip:other@');
    const notify = (state: string, body: string): Promise<{ status: number | undefined }> =>
      phoneCall.request('NOTIFY', {
        headers: [
          ['Event', 'refer'],
          ['Subscription-State', state],
        ],
        contentType: 'message/sipfrag',
        body,
      });
    expect((await notify('active', 'SIP/2.0 180 Ringing\r\n')).status).toBe(200);
    expect((await notify('terminated;reason=noresource', 'SIP/2.0 200 OK\r\n')).status).toBe(200);
    await progress.find(({ type }) => type === 'succeeded', 5000, 'success');
    expect(progress.all.map(({ type }) => type)).toEqual(['accepted', 'progress', 'succeeded']);
    await phoneCall.bye();
  });

  test('the phone has us transferred, and is told what comes of it', async () => {
    const { phoneCall, call } = await talks();
    call.onRefer = (refer) => {
      expect(refer.target).toBe('sip:boss@127.0.0.1:9');
      setImmediate(() => refer.notify(200));
      return true;
    };
    const response = await phoneCall.request('REFER', { headers: [['Refer-To', '<sip:boss@127.0.0.1:9>']] });
    expect(response.status).toBe(202);
    const last = await phoneCall.requests.find((each) => each.method === 'NOTIFY' && each.body.includes('200'), 5000, 'the final NOTIFY');
    expect(last.header('subscription-state')).toContain('terminated');
    await phoneCall.bye();
  });

  test('what cannot be served is refused as the RFC says', async () => {
    const ask = async (method: string, headers: readonly (readonly [string, string])[] = [], body = ''): Promise<number | undefined> =>
      (await phone.ask(method, bench.sip, { headers, body })).status;
    expect(await ask('OPTIONS')).toBe(200);
    expect(await ask('INVITE', [['Require', 'x-nobody']])).toBe(420);
    expect(await ask('INVITE', [['Content-Type', 'text/plain']], 'hello')).toBe(415);
    expect(await ask('MESSAGE', [['Content-Type', 'text/plain']], 'hello')).toBe(405);
  });

  test('a call of ours rings, is answered, and hung up by us', async () => {
    const { outbound, answered, progress } = dials();
    const incoming = await far.nextCall();
    expect(outbound.requestUri).toContain('desk@');
    incoming.ring();
    await progress.find(({ status }) => status === 180, 5000, 'ringing');
    incoming.answer();
    const { call, answer } = await answered.find(() => true, 5000, 'the answer');
    expect(answer).toContain('m=audio');
    await incoming.acknowledged();
    call.hangup({ q850: 16, text: 'done' });
    expect((await incoming.hungUp()).header('reason')).toContain('cause=16');
  });

  test('a call of ours that the phone ends', async () => {
    const { answered } = dials();
    const incoming = await far.nextCall();
    incoming.answer();
    const { call } = await answered.find(() => true, 5000, 'the answer');
    const ends = new EventLog<CallEnd>();
    call.onEnd = (end) => ends.push(end);
    await incoming.acknowledged();
    expect((await incoming.bye()).status).toBe(200);
    expect(await ends.find(() => true, 5000, 'the end')).toBe('bye');
  });

  test('a call of ours that is refused says how, and its Q.850 cause', async () => {
    const { failed } = dials();
    (await far.nextCall()).refuse(486, 'Busy Here', [['Reason', 'Q.850;cause=17']]);
    expect(await failed.find(() => true, 5000, 'the failure')).toMatchObject({ cause: 'busy', status: 486, q850: 17 });
  });

  test('a call of ours that is given up is cancelled at the phone', async () => {
    const { outbound, failed, progress } = dials();
    const incoming = await far.nextCall();
    incoming.ring();
    await progress.find(({ status }) => status === 180, 5000, 'ringing');
    outbound.cancel();
    await incoming.requests.find((each) => each.method === 'CANCEL', 5000, 'the CANCEL');
    expect(await failed.find(() => true, 5000, 'the failure')).toMatchObject({ cause: 'cancelled' });
  });

  test('a trunk that asks for a password gets it, by SHA-256', async () => {
    const server = new DigestServer({ realm: 'far', passwordOf: (user) => (user === 'gw' ? SECRET : undefined), algorithms: ['SHA-256'] });
    const seen: string[] = [];
    far.onRequest = (request, reply) => {
      if (request.method !== 'INVITE' || request.toTag !== undefined) return false;
      const values = request.all('authorization');
      seen.push(...values);
      const verdict = server.verify(Date.now(), LOOPBACK, values, { method: 'INVITE', uri: request.requestUri });
      if (verdict.type === 'ok') return false;
      reply(
        401,
        'Unauthorized',
        server.challenges(Date.now(), LOOPBACK, verdict.stale).map((value) => ['WWW-Authenticate', value] as const),
      );
      return true;
    };
    const { answered } = dials();
    const incoming = await far.nextCall();
    far.onRequest = undefined;
    incoming.answer();
    const { call } = await answered.find(() => true, 5000, 'the answer');
    expect(seen.join()).toContain('algorithm=SHA-256');
    expect(seen.join()).not.toContain(SECRET);
    await incoming.acknowledged();
    call.hangup();
    await incoming.hungUp();
  });

  test('a process that leaves refuses with 503', async () => {
    bench.engine.drain();
    expect((await phone.ask('OPTIONS', bench.sip)).status).toBe(503);
    const call = await phone.dial(bench.sip, { talk: false });
    const refusal = await call.refused();
    expect(refusal.status).toBe(503);
    expect(refusal.header('retry-after')).toBeDefined();
  });
});
