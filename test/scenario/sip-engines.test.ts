import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { createLog } from '../../src/base/log.ts';
import { Metrics } from '../../src/base/metrics.ts';
import { DigestServer } from '../../src/sip/digest/digest-server.ts';
import { DrachtioDoors } from '../../src/sip/drachtio/drachtio-doors.ts';
import { EmbeddedEngine, type EmbeddedEngineDeps } from '../../src/sip/embedded/embedded-engine.ts';
import type { Call, CallEnd, DialFailure, InboundCall, OutboundCall, ReferProgress } from '../../src/sip/engine.ts';
import type { Trunk } from '../../src/sip/trunk.ts';
import { TrunkBook } from '../../src/sip/trunk-book.ts';
import { DrachtioDouble } from '../support/drachtio-double.ts';
import { type Endpoint, endpointText, LOOPBACK } from '../support/endpoint.ts';
import type { DialOptions, PhoneCall } from '../support/phone-call.ts';
import { SipPhone } from '../support/sip-phone.ts';
import { EventLog, eventually } from '../support/wait.ts';

/*
 * What an engine promises the bridge (src/sip/engine.ts), whoever has the sockets: we, a drachtio server by one connection a call, or by one for all. The server is a
 * double that speaks its wire protocol; with DRACHTIO_HOST (and DRACHTIO_PORT, DRACHTIO_SECRET, DRACHTIO_SIP_PORT) the same tests run over that real one, too.
 */

interface Engine {
  readonly engine: EmbeddedEngine;
  /** Where phones dial. */
  readonly sip: Endpoint;
  readonly close: () => Promise<void>;
}

const SECRET = 'k33p-0ut';

const KINDS = {
  'sockets of its own': (trunks: TrunkBook) => own(trunks),
  'a drachtio server that comes to us': (trunks: TrunkBook) => byDrachtio(trunks, 'comes'),
  'a drachtio server that we go to': (trunks: TrunkBook) => byDrachtio(trunks, 'waits'),
  ...(process.env['DRACHTIO_HOST'] === undefined ? {} : { 'a real drachtio server': (trunks: TrunkBook) => byRealDrachtio(trunks) }),
};

describe.each(Object.entries(KINDS))('an engine with %s', (_name, open) => {
  const invites = new EventLog<InboundCall>();
  let phone: SipPhone;
  let far: SipPhone;
  let engine: Engine;

  beforeAll(async () => {
    phone = await SipPhone.open();
    far = await SipPhone.open({ user: 'desk' });
    engine = await open(new TrunkBook(systemClock, [trunkTo(far.local)]));
    engine.engine.onInvite = (invite) => invites.push(invite);
  });

  afterAll(async () => {
    phone.close();
    far.close();
    await engine.close();
  });

  /** A phone dials; the engine's call to decide about. */
  async function rings(options: DialOptions = {}): Promise<{ phoneCall: PhoneCall; invite: InboundCall }> {
    const coming = invites.next(() => true, 5000, 'an invite');
    const phoneCall = await phone.dial(engine.sip, { talk: false, ...options });
    return { phoneCall, invite: await coming };
  }

  async function talks(options: DialOptions = {}): Promise<{ phoneCall: PhoneCall; call: Call; ends: EventLog<CallEnd> }> {
    const { phoneCall, invite } = await rings(options);
    const call = invite.answer(sdp(4000));
    const acknowledged = new EventLog<true>();
    const ends = new EventLog<CallEnd>();
    call.onEnd = (end) => ends.push(end);
    call.onAck = () => acknowledged.push(true);
    await phoneCall.answered();
    if (!call.acknowledged) await acknowledged.next(() => true, 5000, 'the ACK');
    return { phoneCall, call, ends };
  }

  interface Dialled {
    readonly outbound: OutboundCall;
    readonly answered: EventLog<{ call: Call; answer: string }>;
    readonly failed: EventLog<DialFailure>;
    readonly progress: EventLog<number>;
  }

  function dials(destination = 'desk'): Dialled {
    const outbound = engine.engine.dial({ trunk: 'far', destination, offer: () => sdp(5000) });
    const answered = new EventLog<{ call: Call; answer: string }>();
    const failed = new EventLog<DialFailure>();
    const progress = new EventLog<number>();
    outbound.onAnswered = (call, answer) => answered.push({ call, answer });
    outbound.onFailed = (failure) => failed.push(failure);
    outbound.onProgress = ({ status }) => progress.push(status);
    return { outbound, answered, failed, progress };
  }

  test('a call rings, is answered, acknowledged, and ended by the phone', async () => {
    const { phoneCall, invite } = await rings({ headers: [['X-Account', '42']], user: 'agent' });
    expect(invite.offer).toContain('m=audio');
    expect(invite.requestUri).toBe(`sip:agent@${endpointText(engine.sip)}`);
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
      (await phone.ask(method, engine.sip, { headers, body })).status;
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
    await progress.find((status) => status === 180, 5000, 'ringing');
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
    await progress.find((status) => status === 180, 5000, 'ringing');
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
    engine.engine.drain();
    expect((await phone.ask('OPTIONS', engine.sip)).status).toBe(503);
    const call = await phone.dial(engine.sip, { talk: false });
    const refusal = await call.refused();
    expect(refusal.status).toBe(503);
    expect(refusal.header('retry-after')).toBeDefined();
  });
});

const OPTIONS = { bind: LOOPBACK, port: 0, requestsPerSecond: 0, userAgent: 'Ringdown' };

async function own(trunks: TrunkBook): Promise<Engine> {
  const engine = new EmbeddedEngine(deps(trunks), OPTIONS);
  const [udp] = await engine.start();
  if (!udp) throw new Error('no listener');
  return { engine, sip: { address: udp.address, port: udp.port }, close: () => engine.stop() };
}

async function byDrachtio(trunks: TrunkBook, way: 'comes' | 'waits'): Promise<Engine> {
  let doors: DrachtioDoors | undefined;
  const program = (): Endpoint => doors?.at ?? { address: LOOPBACK, port: 9 };
  const double = await DrachtioDouble.open({ secret: SECRET, ...(way === 'comes' ? { program } : {}) });
  const listen = { address: LOOPBACK, port: 0 };
  const options = { ...(way === 'comes' ? { listen } : {}), allowed: [LOOPBACK], servers: [double.admin], secret: SECRET };
  const engine = new EmbeddedEngine(
    {
      ...deps(trunks),
      openDoors: async (handlers) => {
        doors = await DrachtioDoors.open({ clock: systemClock, log }, handlers, options);
        return doors;
      },
    },
    { ...OPTIONS, sessionIntervalS: 0 },
  );
  await engine.start();
  await eventually(() => double.programs > 0, 5000, 'the connection to the server');
  return {
    engine,
    sip: double.sip,
    close: async () => {
      await engine.stop();
      double.close();
    },
  };
}

async function byRealDrachtio(trunks: TrunkBook): Promise<Engine> {
  const { DRACHTIO_HOST = LOOPBACK, DRACHTIO_PORT = '9022', DRACHTIO_SECRET = 'cymru', DRACHTIO_SIP_PORT = '5060' } = process.env;
  const servers = [{ address: DRACHTIO_HOST, port: Number(DRACHTIO_PORT) }];
  let doors: DrachtioDoors | undefined;
  const engine = new EmbeddedEngine(
    {
      ...deps(trunks),
      openDoors: async (handlers) => {
        doors = await DrachtioDoors.open({ clock: systemClock, log }, handlers, { allowed: [], servers, secret: DRACHTIO_SECRET });
        return doors;
      },
    },
    { ...OPTIONS, sessionIntervalS: 0 },
  );
  await engine.start();
  await eventually(() => doors?.dials, 5000, 'the connection to the server');
  return { engine, sip: { address: DRACHTIO_HOST, port: Number(DRACHTIO_SIP_PORT) }, close: () => engine.stop() };
}

const log = createLog('error', process.stderr);

function deps(trunks: TrunkBook): EmbeddedEngineDeps {
  return { clock: systemClock, log, metrics: new Metrics(), trunks };
}

function trunkTo(peer: Endpoint): Trunk {
  return {
    ...{ name: 'far', peer, transport: 'udp', addresses: [], username: 'gw', password: SECRET },
    ...{ caps: { concurrent: 10, perSecond: 100, perDay: 1000, durationS: 600 }, destinations: ['desk'] },
    ...{ redirects: 'refuse', refer: 'refuse' },
  };
}

function sdp(port: number): string {
  const head = `v=0\r\no=- ${port} 1 IN IP4 ${LOOPBACK}\r\ns=-\r\nc=IN IP4 ${LOOPBACK}\r\nt=0 0\r\n`;
  return `${head}m=audio ${port} RTP/AVP 0 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\n`;
}
