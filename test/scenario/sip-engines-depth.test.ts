import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CallEnd, IncomingRefer, ReferProgress, RefusedInvite } from '../../src/sip/engine.ts';
import { endpointText, LOOPBACK } from '../support/endpoint.ts';
import { ENGINES, EngineBench, sdp, trunkTo } from '../support/engine-bench.ts';
import type { DialOptions, PhoneCall } from '../support/phone-call.ts';
import { newBranch, newTag } from '../support/phone-dialog.ts';
import { type HeaderLine, type SipMessage, uriOf, writeSip } from '../support/sip-message.ts';
import { type Reply, SipPhone } from '../support/sip-phone.ts';
import { EventLog, eventually } from '../support/wait.ts';

/*
 * The small print of RFCs, whoever has the sockets: what test/scenario/sip-engines.test.ts says of the engines, but of races, refusals and rare requests.
 */

/** No trunk's. */
const STRANGER = '127.0.0.4';
const REAL = 'a real drachtio server';
const SIPFRAG = 'message/sipfrag;version=2.0';

describe.each(Object.entries(ENGINES))('the small print over %s', (name, open) => {
  let bench: EngineBench;
  let phone: SipPhone;
  let far: SipPhone;
  let second: SipPhone;
  const refused = new EventLog<RefusedInvite>();
  const rings = (options?: DialOptions) => bench.rings(options);
  const talks = (options?: DialOptions) => bench.talks(options);

  beforeAll(async () => {
    second = await SipPhone.open({ user: 'second' });
    bench = await EngineBench.open(open, {
      address: STRANGER,
      trunk: { redirects: 'follow', refer: 'allow', realm: 'far', destinations: ['desk', 'second', '+1555*'] },
      trunks: (peer) => [{ ...trunkTo(peer), name: 'asked', keepAliveS: 1, peer: second.local, destinations: ['*'] }],
    });
    ({ phone, far } = bench);
    bench.engine.onRefused = (each) => refused.push(each);
  });

  afterAll(async () => {
    second.close();
    await bench.close();
  });

  /** Any request outside a dialog, as it is. @returns its final response */
  function ask(startLine: string, headers: Readonly<Record<string, string | undefined>> = {}, body = ''): Promise<SipMessage> {
    const method = startLine.split(' ')[0] ?? '';
    const given: Readonly<Record<string, string | undefined>> = {
      Via: phone.via(newBranch()),
      'Max-Forwards': '70',
      From: `<${phone.uri}>;tag=${newTag()}`,
      To: `<sip:agent@${endpointText(bench.sip)}>`,
      'Call-ID': `${newTag()}@phone`,
      CSeq: `1 ${method}`,
      Contact: `<${phone.uri}>`,
      ...(body === '' ? {} : { 'Content-Type': 'application/sdp' }),
      ...headers,
    };
    const lines = Object.entries(given).flatMap(([name, value]): HeaderLine[] => (value === undefined ? [] : [[name, value]]));
    return phone.request(writeSip(startLine, lines, body), bench.sip).final(5000);
  }

  const uri = (): string => `sip:agent@${endpointText(bench.sip)}`;
  const invite = (headers: Readonly<Record<string, string | undefined>> = {}, body = sdp(6000)): Promise<SipMessage> =>
    ask(`INVITE ${uri()} SIP/2.0`, headers, body);

  /** A request in the dialog of a provisional response. */
  function early(method: string, response: SipMessage, cseq: number, headers: readonly HeaderLine[] = [], body = ''): Promise<SipMessage> {
    const text = writeSip(
      `${method} ${uriOf(response.header('contact') ?? uri())} SIP/2.0`,
      [
        ['Via', phone.via(newBranch())],
        ['Max-Forwards', '70'],
        ['From', response.header('from') ?? ''],
        ['To', response.header('to') ?? ''],
        ['Call-ID', response.callId],
        ['CSeq', `${cseq} ${method}`],
        ['Contact', `<${phone.uri}>`],
        ...headers,
        ...(body === '' ? [] : [['Content-Type', 'application/sdp'] as const]),
      ],
      body,
    );
    return phone.request(text, bench.sip).final(5000);
  }

  /** The next request of this method in a call is the test's to answer. */
  function caught(at: SipPhone, method: string): Promise<{ readonly request: SipMessage; readonly reply: Reply }> {
    return new Promise((resolve) => {
      at.onRequest = (request, reply) => {
        if (request.method !== method) return false;
        at.onRequest = undefined;
        resolve({ request, reply });
        return true;
      };
    });
  }

  /** What was sent before this has arrived. */
  async function passed(): Promise<void> {
    await phone.ask('OPTIONS', bench.sip);
  }

  const byes = (call: PhoneCall): number => call.requests.all.filter(({ method }) => method === 'BYE').length;

  describe('a request that is wrong', () => {
    test.skipIf(name === REAL)(
      'of a method nobody knows is refused with 501, REFER without a call with 405; a real drachtio server drops both',
      async () => {
        expect((await ask(`FLY ${uri()} SIP/2.0`)).status).toBe(501);
        expect((await ask(`REFER ${uri()} SIP/2.0`, { 'Refer-To': '<sip:boss@127.0.0.1:9>' })).status).toBe(405);
      },
    );

    test('is refused by the status that says how', async () => {
      expect((await ask('INVITE fax:123 SIP/2.0', {}, sdp(6000))).status).toBe(416);
      expect((await invite({ 'Max-Forwards': '0' })).status).toBe(483);
      expect((await invite({ Accept: 'text/plain' })).status).toBe(406);
      const multipart = await invite({ 'Content-Type': 'multipart/mixed;boundary=x' }, '--x\r\n\r\nhello\r\n--x--\r\n');
      expect([multipart.status, multipart.header('accept')]).toEqual([415, 'application/sdp']);
      expect((await ask(`BYE ${uri()} SIP/2.0`, { To: `<${uri()}>;tag=nobody` })).status).toBe(481);
      expect((await phone.ask('REGISTER', bench.sip)).status).toBe(405);
    });

    test('of a call is told to whoever keeps records, with its Call-ID', async () => {
      const before = refused.count;
      const { callId } = await invite({ Require: 'x-nobody' });
      const record = await refused.find(({ sipCallId }) => sipCallId === callId, 5000, 'the record', before);
      expect(record).toMatchObject({ status: 420, from: phone.uri, requestUri: uri() });
      expect(record.source).toMatchObject({ address: STRANGER, port: phone.local.port });
    });
  });

  describe('an INVITE', () => {
    test('says who calls, and by which rules that was found, with all its headers', async () => {
      const headers = [
        ['P-Asserted-Identity', '<tel:+15550001>'],
        ['User-to-User', '56a390f3d2b7310023a2;encoding=hex'],
        ['Diversion', '<sip:+15550009@127.0.0.1>;reason=user-busy'],
      ] as const;
      const stranger = await rings({ headers });
      expect(stranger.invite.caller).toEqual({ type: 'stranger' });
      expect(stranger.invite.tried?.length).toBeGreaterThan(0);
      for (const [name, value] of headers) expect(stranger.invite.header(name)).toBe(value);
      expect(stranger.invite.headers?.map(({ name }) => name.toLowerCase())).toEqual(
        expect.arrayContaining(headers.map(([name]) => name.toLowerCase())),
      );
      const trunk = await bench.rings({ headers }, far);
      expect(trunk.invite.caller).toMatchObject({ type: 'trunk', name: 'far' });
      for (const { invite: each, phoneCall } of [stranger, trunk]) {
        each.reject({ status: 488, warning: 'no codec of ours' });
        expect((await phoneCall.refused()).header('warning')).toContain('no codec of ours');
      }
    });

    test('to a telephone number arrives as it was written', async () => {
      const { invite: arrived, phoneCall } = await rings({ uri: 'tel:+15550001' });
      expect(arrived.requestUri).toBe('tel:+15550001');
      arrived.reject({ status: 404 });
      expect((await phoneCall.refused()).status).toBe(404);
    });

    test('whose CANCEL crosses the answer has one final response, and the call can be ended', async () => {
      const { invite: arrived, phoneCall } = await rings();
      const cancelling = phoneCall.cancel();
      const call = arrived.answer(sdp(4000));
      const ends = new EventLog<CallEnd>();
      call.onEnd = (end) => ends.push(end);
      await cancelling;
      const { status: final } = await phoneCall.final();
      // Of a drachtio server either may win.
      if (final === 200) expect((await phoneCall.bye()).status).toBe(200);
      else expect([name, final]).toEqual([REAL, 487]);
      await ends.find((end) => end === 'bye', 5000, 'the end');
      expect(new Set(phoneCall.responses.all.flatMap(({ status = 0 }) => (status >= 200 ? [status] : [])))).toEqual(new Set([final]));
    });

    test('that rings puts offers off with 500 and Retry-After, answers a refresh, and is ended by a BYE', async () => {
      const { invite: arrived, phoneCall } = await rings({ headers: [['Allow', 'INVITE, ACK, BYE, CANCEL, UPDATE']] });
      const cancelled = new EventLog<true>();
      arrived.onCancel = () => cancelled.push(true);
      arrived.ring();
      const ringing = await phoneCall.response(180);
      const put = await early('UPDATE', ringing, 2, [], sdp(6002));
      expect([put.status, Number(put.header('retry-after')) <= 10]).toEqual([500, true]);
      expect((await early('UPDATE', ringing, 3)).status).toBe(200);
      // A real drachtio server knows of no dialog before the answer.
      if (name === REAL) await phoneCall.cancel();
      else expect((await early('BYE', ringing, 4)).status).toBe(200);
      await cancelled.reach(1, 5000, 'the end');
      expect((await phoneCall.refused()).status).toBe(487);
    });

    test('with 100rel hears early media reliably, and is answered when it has acknowledged that', async () => {
      const { invite: arrived, phoneCall } = await rings({ headers: [['Supported', '100rel']] });
      arrived.progress?.(sdp(4000));
      const progress = await phoneCall.response(183);
      expect(progress.all('require').join()).toContain('100rel');
      expect(progress.body).toContain('m=audio 4000');
      const call = arrived.answer(sdp(4000));
      await passed();
      expect(phoneCall.responses.all.some(({ status }) => status === 200)).toBe(false);
      const rack = `${progress.header('rseq')} 1 INVITE`;
      expect((await early('PRACK', progress, 2, [['RAck', rack]])).status).toBe(200);
      await phoneCall.answered();
      await eventually(() => call.acknowledged, 5000, 'the ACK');
      // The PRACK was the second request.
      await phoneCall.request('OPTIONS');
      expect((await phoneCall.bye()).status).toBe(200);
    });

    test('without an offer that is acknowledged without an answer is hung up', async () => {
      const { invite: arrived, phoneCall } = await rings({ sdp: 'none', lateAnswer: false });
      const call = arrived.answer(sdp(4000));
      const ends = new EventLog<CallEnd>();
      call.onEnd = (end) => ends.push(end);
      await phoneCall.hungUp();
      expect(await ends.find(() => true, 5000, 'the end')).toBe('no_answer');
    });
  });

  describe('a call', () => {
    test('asked by OPTIONS, or refreshed by an UPDATE without a body, goes on', async () => {
      const { phoneCall, ends } = await talks();
      const asked = await phoneCall.request('OPTIONS');
      expect([asked.status, asked.all('allow')]).toEqual([200, expect.arrayContaining(['INVITE', 'UPDATE', 'REFER'])]);
      expect((await phoneCall.request('UPDATE')).status).toBe(200);
      expect((await phoneCall.request('PUBLISH')).status).toBe(405);
      const info = await phoneCall.request('INFO', { headers: [['Info-Package', 'foo']] });
      expect([info.status, info.header('recv-info')]).toEqual([469, '']);
      expect(ends.all).toEqual([]);
      expect((await phoneCall.bye()).status).toBe(200);
    });

    test('whose answer is not acknowledged has our BYE and our offers wait for the ACK', async () => {
      const { invite: arrived, phoneCall } = await rings({ ack: 1 });
      const call = arrived.answer(sdp(4000));
      await phoneCall.answered();
      const offers = [call.reinvite?.(sdp(4002)), call.reinvite?.(sdp(4004))];
      await expect(call.reinvite?.(sdp(4006))).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' });
      await passed();
      expect(phoneCall.requests.all).toEqual([]);
      phoneCall.ack();
      for (const offer of offers) expect(await offer).toContain('m=audio');

      const other = await rings({ ack: 1 });
      const kept = other.invite.answer(sdp(4000));
      await other.phoneCall.answered();
      kept.hangup({ q850: 16, text: 'bye' });
      await passed();
      expect(byes(other.phoneCall)).toBe(0);
      other.phoneCall.ack();
      await other.phoneCall.hungUp();
      expect((await phoneCall.bye()).status).toBe(200);
    });

    test('whose offer takes us a while to answer is answered then, and another one is put off', async () => {
      const { phoneCall, call } = await talks();
      let answer: (sdp: string) => void = () => undefined;
      call.onOffer = () =>
        new Promise<string>((resolve) => {
          answer = resolve;
        });
      const held = phoneCall.reinvite();
      await passed();
      const put = await phoneCall.request('UPDATE', { body: phoneCall.sdp(), contentType: 'application/sdp' });
      expect([put.status, Number(put.header('retry-after')) <= 10]).toEqual([500, true]);
      answer(sdp(4012));
      const taken = await held;
      expect([taken.status, taken.body.includes('m=audio 4012')]).toEqual([200, true]);
      expect((await phoneCall.bye()).status).toBe(200);
    });

    test('that the phone does not know any more is over', async () => {
      const { call, ends } = await talks();
      const catching = caught(phone, 'INVITE');
      const ours = call.reinvite?.(sdp(4002)).catch((error: { code: string }) => error.code);
      (await catching).reply(481, 'Call Does Not Exist');
      expect(await ours).toBe('ERR_TIMEOUT');
      expect(await ends.find(() => true, 5000, 'the end')).toBe('dialog_lost');
    });

    test('is offered another session by UPDATE, where the phone allows it', async () => {
      const allowing = await talks({ headers: [['Allow', 'INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE']] });
      expect(await allowing.call.update?.(sdp(4010))).toContain('m=audio');
      expect(allowing.phoneCall.requests.all.map(({ method }) => method)).toContain('UPDATE');
      const other = await talks({ headers: [['Allow', 'INVITE, ACK, BYE, CANCEL']] });
      await expect(other.call.update?.(sdp(4010))).rejects.toMatchObject({ code: 'ERR_INVALID_STATE' });
      for (const { phoneCall } of [allowing, other]) expect((await phoneCall.bye()).status).toBe(200);
    });

    test('that both end at once is over once, and a re-INVITE that crosses our BYE is refused', async () => {
      const both = await talks();
      both.call.hangup();
      expect(String((await both.phoneCall.bye()).status)).toMatch(/^(?:200|481)$/);
      await both.ends.reach(1, 5000, 'the end');
      const crossing = await talks();
      crossing.call.onOffer = () => sdp(4002);
      crossing.call.hangup();
      expect(String((await crossing.phoneCall.reinvite()).status)).toMatch(/^(?:481|487|500)$/);
      await crossing.phoneCall.hungUp();
      await crossing.ends.reach(1, 5000, 'the end');
      expect([both.ends.count, crossing.ends.count]).toEqual([1, 1]);
    });
  });

  describe('a transfer', () => {
    test('that nobody allows gets 603, a malformed one 400; NOTIFY of nothing 481, of another event 489', async () => {
      const { phoneCall } = await talks();
      const refer = async (target: string): Promise<number | undefined> =>
        (await phoneCall.request('REFER', { headers: [['Refer-To', target]] })).status;
      expect(await refer('<sip:boss@127.0.0.1:9>')).toBe(603);
      expect(await refer('<<nobody')).toBe(400);
      const notify = async (event: string): Promise<number | undefined> => {
        const headers: HeaderLine[] = [
          ['Event', event],
          ['Subscription-State', 'active'],
        ];
        return (await phoneCall.request('NOTIFY', { headers, contentType: SIPFRAG, body: 'SIP/2.0 100 Trying\r\n' })).status;
      };
      expect([await notify('refer'), await notify('presence')]).toEqual([481, 489]);
      expect((await phoneCall.bye()).status).toBe(200);
    });

    test('of ours says who refers, takes our headers along, and may do without a subscription', async () => {
      const { phoneCall, call } = await talks();
      const progress = new EventLog<ReferProgress>();
      const catching = caught(phone, 'REFER');
      call.refer?.(`sip:other@${LOOPBACK}:9`, (each) => progress.push(each), [['User-to-User', '00c0ffee;encoding=hex']]);
      const { request, reply } = await catching;
      expect(request.header('referred-by')).toBeDefined();
      expect(request.header('user-to-user')).toBe('00c0ffee;encoding=hex');
      reply(202, 'Accepted', [['Refer-Sub', 'false']]);
      await progress.find(({ type }) => type === 'succeeded', 5000, 'success');
      call.hangup(undefined, [['User-to-User', '00c0ffee;encoding=hex']]);
      expect((await phoneCall.hungUp()).header('user-to-user')).toBe('00c0ffee;encoding=hex');
    });

    test('of theirs hears how far the other call has come, and what cannot be read of ours is nothing', async () => {
      const { phoneCall, call } = await talks();
      const refers = new EventLog<IncomingRefer>();
      call.onRefer = (refer) => {
        refers.push(refer);
        return true;
      };
      const target = '<sip:boss@127.0.0.1:9?Replaces=a%40b%3Bto-tag%3Dx%3Bfrom-tag%3Dy>';
      expect((await phoneCall.request('REFER', { headers: [['Refer-To', target]] })).status).toBe(202);
      const refer = await refers.find(() => true, 5000, 'the REFER');
      expect(refer).toMatchObject({ target: 'sip:boss@127.0.0.1:9', replaces: 'a@b;to-tag=x;from-tag=y' });
      refer.notify(180);
      refer.notify(486);
      const last = await phoneCall.requests.find(({ method, body }) => method === 'NOTIFY' && body.includes('486'), 5000, 'the end of it');
      expect(last.header('subscription-state')).toContain('terminated');
      expect((await phoneCall.bye()).status).toBe(200);
    });
  });

  describe('an INVITE with Replaces', () => {
    const replacing = (call: PhoneCall, toTag: string, { status = 200 } = {}): string => {
      const from = call.responses.all.find((each) => each.status === status)?.fromTag ?? '';
      return `${call.callId};to-tag=${toTag};from-tag=${from}`;
    };
    const tagOf = (call: PhoneCall, status = 200): string => call.responses.all.find((each) => each.status === status)?.toTag ?? '';

    test('brings the call that it takes the place of', async () => {
      const { phoneCall, call } = await talks();
      const next = await rings({ headers: [['Replaces', replacing(phoneCall, tagOf(phoneCall))]] });
      expect(next.invite.replaces).toBe(call);
      next.invite.answer(sdp(4002));
      await next.phoneCall.answered();
      call.hangup();
      await phoneCall.hungUp();
      expect((await next.phoneCall.bye()).status).toBe(200);
    });

    test('of no call, or of one that still rings, gets 481, and from elsewhere 403', async () => {
      const { phoneCall } = await talks();
      const wrong = await phone.dial(bench.sip, { talk: false, headers: [['Replaces', replacing(phoneCall, 'nobody')]] });
      expect((await wrong.refused()).status).toBe(481);
      const ringing = await rings();
      ringing.invite.ring();
      await ringing.phoneCall.response(180);
      const value = replacing(ringing.phoneCall, tagOf(ringing.phoneCall, 180), { status: 180 });
      const tooEarly = await phone.dial(bench.sip, { talk: false, headers: [['Replaces', value]] });
      expect((await tooEarly.refused()).status).toBe(481);
      ringing.invite.reject({ status: 486 });
      await ringing.phoneCall.refused();
      const other = await SipPhone.open({ address: '127.0.0.5' });
      const foreign = await other.dial(bench.sip, { talk: false, headers: [['Replaces', replacing(phoneCall, tagOf(phoneCall))]] });
      expect((await foreign.refused()).status).toBe(403);
      other.close();
      expect((await phoneCall.bye()).status).toBe(200);
    });
  });

  describe('a call of ours', () => {
    test('takes headers along, and is heard before it is answered', async () => {
      const coming = far.nextCall();
      const { answered, progress } = bench.dials({
        headers: [
          ['User-to-User', '00c0ffee;encoding=hex'],
          ['X-Account', '42'],
        ],
      });
      const incoming = await coming;
      expect([incoming.invited?.header('user-to-user'), incoming.invited?.header('x-account')]).toEqual(['00c0ffee;encoding=hex', '42']);
      incoming.progress();
      expect(await progress.find(({ status }) => status === 183, 5000, 'early media')).toMatchObject({
        sdp: expect.stringContaining('m=audio'),
      });
      incoming.answer();
      const { call } = await answered.find(() => true, 5000, 'the answer');
      await incoming.acknowledged();
      call.hangup();
      await incoming.hungUp();
    });

    test('to a telephone number is dialled at the trunk', async () => {
      const coming = far.nextCall();
      const { failed } = bench.dials({ destination: 'tel:+15550002' });
      const incoming = await coming;
      expect(incoming.invited?.requestUri).toMatch(/^sip:\+15550002@/);
      incoming.refuse(404, 'Not Found');
      expect(await failed.find(() => true, 5000, 'the failure')).toMatchObject({ status: 404 });
      expect(() => bench.dials({ destination: 'tel:+1666' })).toThrow();
    });

    test('that is sent on goes there, within the destinations', async () => {
      const catching = caught(far, 'INVITE');
      const { answered } = bench.dials();
      const coming = far.nextCall();
      (await catching).reply(302, 'Moved', [['Contact', `<sip:second@${endpointText(far.local)}>`]]);
      const moved = await coming;
      expect(moved.invited?.requestUri).toContain('sip:second@');
      moved.answer();
      const { call } = await answered.find(() => true, 5000, 'the answer');
      await moved.acknowledged();
      call.hangup();
      await moved.hungUp();
    });

    test('that is answered while we give it up is acknowledged and hung up', async () => {
      const coming = far.nextCall();
      const { outbound, failed, progress } = bench.dials();
      const incoming = await coming;
      incoming.ring();
      await progress.find(({ status }) => status === 180, 5000, 'ringing');
      outbound.cancel();
      incoming.answer();
      await incoming.acknowledged();
      await incoming.hungUp();
      expect(await failed.find(() => true, 5000, 'the failure')).toMatchObject({ cause: 'cancelled' });
    });

    test('that is answered without a description is hung up', async () => {
      const coming = far.nextCall();
      const { failed } = bench.dials();
      (await coming).answer('');
      expect(await failed.find(() => true, 5000, 'the failure')).toMatchObject({ cause: expect.stringMatching(/./) });
      await eventually(() => far.incoming.last && byes(far.incoming.last) > 0, 5000, 'the BYE');
    });

    test('answers the realm of its trunk alone, a proxy and the agent behind it, and a nonce that has become stale', async () => {
      const shown: string[][] = [];
      const challenge = (name: string, value: string): Reply extends (...all: infer All) => void ? All : never => [
        name.startsWith('Proxy') ? 407 : 401,
        'Unauthorized',
        [[name, `Digest ${value}, algorithm=SHA-256, qop="auth"`]],
      ];
      const answers = [
        challenge('Proxy-Authenticate', 'realm="far", nonce="n1"'),
        challenge('WWW-Authenticate', 'realm="far", nonce="n2"'),
        challenge('WWW-Authenticate', 'realm="far", nonce="n3", stale=true'),
      ];
      far.onRequest = (request, reply) => {
        if (request.method !== 'INVITE') return false;
        shown.push([...request.all('proxy-authorization'), ...request.all('authorization')]);
        const next = answers.shift();
        if (next) reply(...next);
        return next !== undefined;
      };
      const coming = far.nextCall();
      const { answered, failed } = bench.dials();
      const incoming = await coming;
      incoming.answer();
      const { call } = await answered.find(() => true, 5000, 'the answer');
      await incoming.acknowledged();
      call.hangup();
      await incoming.hungUp();
      expect(shown.map((each) => each.map((value) => /nonce="(\w+)"/.exec(value)?.[1]))).toEqual([[], ['n1'], ['n1', 'n2'], ['n1', 'n3']]);
      expect(failed.all).toEqual([]);
      far.onRequest = (request, reply) => {
        if (request.method === 'INVITE') reply(...challenge('WWW-Authenticate', 'realm="another", nonce="n4"'));
        return request.method === 'INVITE';
      };
      const before = far.seen('in', ({ method }) => method === 'INVITE').length;
      expect(await bench.dials().failed.find(() => true, 5000, 'the failure')).toMatchObject({ status: 401 });
      expect(far.seen('in', ({ method }) => method === 'INVITE').length - before).toBe(1);
      far.onRequest = undefined;
    });
  });

  // These wait, and do so side by side.
  test.concurrent('an INVITE that expires is ended with 487', async () => {
    const { invite: arrived, phoneCall } = await rings({ headers: [['Expires', '1']] });
    const cancelled = new EventLog<true>();
    arrived.onCancel = () => cancelled.push(true);
    arrived.ring();
    expect((await phoneCall.refused()).status).toBe(487);
    await cancelled.reach(1, 5000, 'the end');
  });

  test.concurrent('a call in which both offer at once: theirs gets 491, and ours is tried again after theirs', async () => {
    const { phoneCall, call } = await talks();
    call.onOffer = () => sdp(4008);
    const catching = caught(phone, 'INVITE');
    const ours = call.reinvite?.(sdp(4002));
    const { reply } = await catching;
    expect((await phoneCall.reinvite()).status).toBe(491);
    reply(491, 'Request Pending');
    expect((await phoneCall.reinvite()).body).toContain('m=audio 4008');
    expect(await ours).toContain('m=audio');
    expect((await phoneCall.bye()).status).toBe(200);
  });

  test.concurrent('a trunk is asked by OPTIONS, and is not dialled while it takes no calls', async () => {
    await eventually(() => second.seen('in', ({ method }) => method === 'OPTIONS').length > 0, 5000, 'OPTIONS');
    second.onRequest = (request, reply) => {
      if (request.method === 'OPTIONS') reply(503, 'Service Unavailable');
      return request.method === 'OPTIONS';
    };
    const refusal = (): string | undefined => {
      try {
        bench.dials({ trunk: 'asked' }).outbound.cancel();
        return undefined;
      } catch (thrown) {
        return (thrown as { code: string }).code;
      }
    };
    await eventually(() => refusal() === 'ERR_NODE_UNREACHABLE', 10_000, 'the trunk to be down');
    second.onRequest = undefined;
    await eventually(() => refusal() === undefined, 10_000, 'the trunk to be up again');
  });
});
