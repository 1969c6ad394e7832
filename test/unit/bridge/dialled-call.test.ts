import { beforeAll, describe, expect, test } from 'vitest';
import { loadOpus } from '../../../src/audio/opus.ts';
import { createLog } from '../../../src/base/log.ts';
import type { CallReport } from '../../../src/bridge/call-report.ts';
import { DialledCall } from '../../../src/bridge/dialled-call.ts';
import { LocalMediaHost } from '../../../src/bridge/local-media.ts';
import { PhoneCall } from '../../../src/bridge/phone-call.ts';
import { parseRtp } from '../../../src/rtp/packet.ts';
import type { Call, CallEnd, CallInfo, DialOptions, HangupReason, SipEngine } from '../../../src/sip/engine.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { phoneSdp } from '../../support/phone-sdp.ts';
import { writeRtp } from '../../support/rtp-wire.ts';
import { CallBench, FakeHost, FakeInner, FakePorts, IDENTITY, PHONE, settled } from './call-bench.ts';
import { browserSdp, FakeOutbound } from './web-bench.ts';

beforeAll(loadOpus);

class FakeDialog implements Call {
  readonly sipCallId = 'out@b';
  readonly acknowledged = true;
  onAck: undefined;
  onOffer: Call['onOffer'];
  onEnd: ((end: CallEnd) => void) | undefined;
  readonly hangups: (HangupReason | undefined)[] = [];

  hangup(reason?: HangupReason): void {
    this.hangups.push(reason);
  }
}

class Bench {
  readonly clock = new FakeClock();
  readonly outbound = new FakeOutbound({
    sipCallId: 'out@b',
    requestUri: 'sip:+15550001@192.0.2.9:5060',
    remote: { address: '192.0.2.9', port: 5060 },
    transport: 'udp',
  });
  readonly host = new FakeHost();
  readonly ports = new FakePorts();
  readonly inner = new FakeInner();
  readonly reports: CallReport[] = [];
  readonly dialled: DialOptions[] = [];
  readonly call: PhoneCall;
  gone = 0;

  constructor(to: Omit<DialOptions, 'offer'> = { trunk: 'carrier', destination: '+15550001' }) {
    const engine = {
      dial: (options: DialOptions) => {
        this.dialled.push(options);
        void Promise.resolve(options.offer('192.0.2.1')).then((sdp) => {
          this.outbound.offered = typeof sdp === 'string' ? sdp : sdp.phones;
          this.outbound.offeredToBrowsers = typeof sdp === 'string' ? undefined : sdp.browsers;
        });
        return this.outbound;
      },
    } as unknown as SipEngine;
    const deps = {
      clock: this.clock,
      log: createLog('silent'),
      media: new LocalMediaHost(
        {
          clock: this.clock,
          ports: { open: async () => this.ports },
          openInner: async () => this.inner,
          host: this.host,
          ownerAnswers: () => true,
          identity: IDENTITY,
        },
        { mediaTimeoutMs: 30_000 },
      ),
      onClosed: (report: CallReport) => void this.reports.push(report),
      onGone: () => {
        this.gone += 1;
      },
    };
    this.call = new PhoneCall(deps, new DialledCall(engine, to));
    this.call.open();
  }

  /** The INVITE is out. */
  async ringing(): Promise<this> {
    await settled();
    this.host.opening.resolve();
    await settled();
    this.host.leg?.answer();
    expect(this.outbound.offered).toBeUndefined();
    this.inner.onConnected?.();
    await settled();
    return this;
  }
}

describe('a call that we place', () => {
  test('is sent when the session has its media, rings, and is answered', async () => {
    const bench = await new Bench().ringing();
    expect(bench.outbound.offered).toContain('m=audio 20000');
    bench.clock.advance(3000);
    bench.outbound.onProgress?.({ status: 180, reason: 'Ringing', sdp: undefined });
    bench.outbound.onProgress?.({ status: 180, reason: 'Ringing', sdp: undefined });
    bench.clock.advance(4000);
    const dialog = new FakeDialog();
    bench.outbound.onAnswered?.(dialog, phoneSdp(PHONE, undefined));
    expect(bench.host.told).toEqual([{ type: 'ringing' }, { type: 'answered' }]);
    bench.clock.advance(10_000);
    dialog.onEnd?.('bye');
    bench.clock.advance(1000);
    expect(bench.reports).toMatchObject([
      {
        cause: 'remote_hangup',
        sipStatus: 200,
        to: 'sip:+15550001@192.0.2.9:5060',
        durationMs: 10_000,
        setup: { ringingMs: 3000, answeredMs: 7000 },
      },
    ]);
    expect([bench.gone, bench.ports.released > 0]).toEqual([1, true]);
  });

  test('to somebody with a telephone and a browser offers each what it speaks, by the same ports', async () => {
    const to = { trunk: 'users', destination: 'user:bob', devices: 'all' } as const;
    const [telephone, browser] = await Promise.all([new Bench(to).ringing(), new Bench(to).ringing()]);
    expect(telephone.outbound.offered).toContain('m=audio 20000 RTP/AVP');
    expect(telephone.outbound.offeredToBrowsers).toMatch(/m=audio 20000 UDP\/TLS\/RTP\/SAVPF 96 [\s\S]*a=ice-ufrag:/);
    telephone.outbound.onAnswered?.(new FakeDialog(), phoneSdp(PHONE, undefined));
    browser.outbound.onAnswered?.(new FakeDialog(), browserSdp().replace('a=setup:actpass', 'a=setup:active').replaceAll('111', '96'));
    const media = ({ call }: Bench) => (call.snapshot() as { media: { codec: string; secure?: unknown } }).media;
    expect([telephone.host.told, media(telephone)]).toEqual([[{ type: 'answered' }], expect.objectContaining({ codec: 'PCMU' })]);
    // This one is there when it has found the way and shaken hands.
    expect(browser.host.told).toEqual([]);
    const secure = expect.objectContaining({
      ice: expect.objectContaining({ state: 'new' }),
      dtls: expect.objectContaining({ role: 'server' }),
    });
    expect(media(browser)).toEqual(expect.objectContaining({ codec: 'opus', secure }));
  });

  test('that is refused tells the session the status', async () => {
    const bench = await new Bench().ringing();
    bench.outbound.onFailed?.({ cause: 'busy', status: 486, reason: 'Busy Here' });
    bench.clock.advance(1000);
    expect(bench.host.told).toEqual([{ type: 'ended', cause: 'rejected', status: 486 }]);
    expect(bench.reports).toMatchObject([{ cause: 'rejected', sipStatus: 486, detail: 'busy: Busy Here', durationMs: 0 }]);
    expect(bench.gone).toBe(1);
  });

  test('is cancelled when the session hangs up while it rings', async () => {
    const bench = await new Bench().ringing();
    bench.host.leg?.hangup('agent_hangup');
    expect(bench.outbound.cancels).toBe(1);
    bench.outbound.onFailed?.({ cause: 'cancelled', status: 487, reason: 'Request Terminated' });
    bench.clock.advance(1000);
    expect([bench.reports.length, bench.gone]).toEqual([1, 1]);
  });

  test('whose answer cannot be used is hung up', async () => {
    const bench = await new Bench().ringing();
    const dialog = new FakeDialog();
    bench.outbound.onAnswered?.(dialog, 'garbage');
    dialog.onEnd?.('hangup');
    expect(dialog.hangups.length).toBeGreaterThan(0);
    bench.clock.advance(1000);
    expect(bench.host.told).toMatchObject([{ type: 'ended', cause: 'rejected' }]);
  });

  test('that its trunk does not let last ends for that', async () => {
    const bench = await new Bench().ringing();
    bench.outbound.onAnswered?.(new FakeDialog(), phoneSdp(PHONE, undefined));
    bench.outbound.onDurationCap?.();
    bench.clock.advance(1000);
    expect(bench.reports).toMatchObject([{ cause: 'duration_cap' }]);
  });
});

describe('keys towards a phone', () => {
  test('go out as RTP events, in place of the audio', async () => {
    const bench = await new CallBench().acknowledged();
    bench.leg.sendDtmf?.('1#');
    bench.clock.advance(2000);
    const packets = bench.ports.rtp.sent.map(({ datagram }) => parseRtp(datagram)).filter((each) => each !== undefined);
    const events = packets.filter(({ payloadType }) => payloadType === 101);
    expect(events.map(({ payload }) => payload[0])).toEqual([...Array(10).fill(1), ...Array(10).fill(11)]);
    expect(
      events.map(({ sequenceNumber }, n) => (sequenceNumber - (events[0]?.sequenceNumber ?? 0) + 65_536) % 65_536 === n).every(Boolean),
    ).toBe(true);
    bench.call.hangup('shutdown');
  });

  test('go by INFO to a phone that takes no events, one after the other', async () => {
    const offer = phoneSdp(PHONE, undefined)
      .replace(/^(m=audio \d+ RTP\/AVP).*$/m, '$1 0')
      .replaceAll(/^a=(?:rtpmap|fmtp):101.*\r\n/gm, '');
    const bench = await new CallBench({ offer }).acknowledged();
    const infos: [number, CallInfo][] = [];
    Object.assign(bench.invite.call, { info: (info: CallInfo) => infos.push([bench.clock.now(), info]) });
    bench.leg.sendDtmf?.('1#');
    bench.clock.advance(2000);
    expect(infos).toEqual([
      [0, { contentType: 'application/dtmf-relay', body: 'Signal=1\r\nDuration=160\r\n' }],
      [320, { contentType: 'application/dtmf-relay', body: 'Signal=#\r\nDuration=160\r\n' }],
    ]);
    bench.call.hangup('shutdown');
  });
});

describe('a transfer', () => {
  test('is told to the session step by step', async () => {
    const bench = await new CallBench().acknowledged();
    Object.assign(bench.invite.call, {
      refer: (target: string, tell: (news: object) => void) => {
        expect(target).toBe('sip:desk@192.0.2.50');
        tell({ type: 'accepted' });
        tell({ type: 'progress', status: 180, reason: 'Ringing' });
        tell({ type: 'failed', status: 404, reason: 'Not Found' });
      },
    });
    bench.leg.refer?.('sip:desk@192.0.2.50');
    expect(bench.host.told.slice(1)).toEqual([
      { type: 'transfer', state: 'accepted' },
      { type: 'transfer', state: 'progress', status: 180 },
      { type: 'transfer', state: 'failed', status: 404 },
    ]);
    bench.call.hangup('shutdown');
  });

  test('by an engine that cannot, or to what is no URI, has failed', async () => {
    const bench = await new CallBench().acknowledged();
    bench.leg.refer?.('sip:desk@192.0.2.50');
    Object.assign(bench.invite.call, {
      refer: () => {
        throw new Error('no');
      },
    });
    bench.leg.refer?.('desk');
    expect(bench.host.told.slice(1).map((event) => 'status' in event && event.status)).toEqual([501, 400]);
    bench.call.hangup('shutdown');
  });

  test('to somebody who is not among the destinations is asked of nobody', async () => {
    const bench = await new CallBench().acknowledged();
    let asked = 0;
    Object.assign(bench.invite.call, { refer: () => asked++ });
    bench.leg.refer?.('sip:+88212345@192.0.2.9');
    expect(bench.host.told.slice(1)).toEqual([{ type: 'transfer', state: 'failed', status: 403 }]);
    expect([asked, JSON.stringify(bench.lines).includes('88212345')]).toEqual([0, false]);
    bench.call.hangup('shutdown');
  });
});

describe('early media', () => {
  const BRANCH = { address: '192.0.2.20', port: 6000 };
  const OTHER = { address: '192.0.2.21', port: 7000 };
  const heard = async (bench: Bench, from: typeof PHONE, first: number): Promise<number> => {
    const before = bench.inner.sent.length;
    for (let n = 0; n < 10; n += 1) {
      const payload = new Uint8Array(160).fill(0x55);
      const packet = { payloadType: 0, marker: n === 0, sequence: first + n, timestamp: 160 * (first + n), ssrc: from.port, payload };
      bench.ports.rtp.onDatagram?.(writeRtp(packet), from);
      bench.clock.advance(20);
    }
    return bench.inner.sent.length - before;
  };
  const progress = (bench: Bench, from: typeof PHONE, status = 183): void =>
    bench.outbound.onProgress?.({ status, reason: '', sdp: phoneSdp(from, undefined) });

  test('goes to the session, of the branch that spoke last, and nothing goes to any of them before the answer', async () => {
    const bench = await new Bench().ringing();
    expect(await heard(bench, BRANCH, 1)).toBe(0);
    progress(bench, BRANCH);
    expect(await heard(bench, BRANCH, 100)).toBeGreaterThanOrEqual(9);
    progress(bench, OTHER, 180);
    expect(await heard(bench, OTHER, 200)).toBeGreaterThanOrEqual(9);
    expect(await heard(bench, BRANCH, 300)).toBe(0);
    bench.inner.onRtp?.(bench.inner.sent[0] ?? Buffer.alloc(0), bench.clock.now());
    expect([bench.ports.rtp.sent, bench.ports.rtcp.sent]).toEqual([[], []]);
    bench.clock.advance(45_000); // no media timeout: it rings
    expect([bench.reports, bench.host.told]).toEqual([[], [{ type: 'ringing' }]]);
    bench.outbound.onAnswered?.(new FakeDialog(), phoneSdp(PHONE, undefined));
    expect(await heard(bench, PHONE, 400)).toBeGreaterThanOrEqual(9);
    expect(bench.host.told).toEqual([{ type: 'ringing' }, { type: 'answered' }]);
    bench.call.hangup('shutdown');
  });

  test('that is garbage, or comes without end, changes nothing', async () => {
    const bench = await new Bench().ringing();
    for (const sdp of ['garbage', 'v=0\r\n', phoneSdp(BRANCH, undefined).replace(/RTP\/AVP.*/, 'RTP/AVP 3')]) {
      bench.outbound.onProgress?.({ status: 183, reason: '', sdp });
    }
    for (let n = 0; n < 1000; n += 1) progress(bench, { address: '192.0.2.30', port: 10_000 + 2 * n });
    progress(bench, BRANCH);
    expect(await heard(bench, BRANCH, 1)).toBe(0);
    bench.outbound.onAnswered?.(new FakeDialog(), phoneSdp(PHONE, undefined));
    progress(bench, BRANCH);
    expect(await heard(bench, PHONE, 400)).toBeGreaterThanOrEqual(9);
    expect(bench.reports).toEqual([]);
    bench.call.hangup('shutdown');
  });
});
