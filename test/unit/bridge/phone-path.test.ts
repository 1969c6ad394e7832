import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { Endpoint } from '../../../src/base/addresses.ts';
import { Driver } from '../../../src/base/driver.ts';
import { PhonePath } from '../../../src/bridge/phone-path.ts';
import { writeRtcp } from '../../../src/rtp/rtcp.ts';
import { RtpSender } from '../../../src/rtp/rtp-sender.ts';
import type { NegotiatedAudio } from '../../../src/sdp/phone-audio.ts';
import type { PhoneSecurity } from '../../../src/sdp/phone-terms.ts';
import { makeSdesKey } from '../../../src/sdp/sdes.ts';
import { DtlsConnection, type DtlsOutput } from '../../../src/webrtc/dtls/dtls-connection.ts';
import { createIdentity } from '../../../src/webrtc/dtls/identity.ts';
import type { SrtpKeys } from '../../../src/webrtc/srtp/profile.ts';
import { SrtpReceiver } from '../../../src/webrtc/srtp/srtp-receiver.ts';
import { SrtpSender } from '../../../src/webrtc/srtp/srtp-sender.ts';
import { parseStun } from '../../../src/webrtc/stun/parse-stun.ts';
import { writeStun } from '../../../src/webrtc/stun/write-stun.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { FakePorts, IDENTITY } from './call-bench.ts';

const PHONE: Endpoint = { address: '192.0.2.10', port: 20_000 };
/** Where a NAT shows it. */
const OUTSIDE: Endpoint = { address: '203.0.113.5', port: 61_000 };
const STRANGER: Endpoint = { address: '198.51.100.66', port: 20_000 };
const PROFILE = 'AES128_CM_HMAC_SHA1_80';
const PHONE_IDENTITY = createIdentity(0);

const PLAIN: NegotiatedAudio = {
  codec: 'PCMU',
  payloadType: 0,
  sampleRateHz: 8000,
  alternatives: [],
  remote: PHONE,
  remoteRtcp: { address: PHONE.address, port: 20_001 },
  direction: 'sendrecv',
  ptimeMs: 20,
};

function sdes(): Extract<PhoneSecurity, { type: 'sdes' }> {
  const suite = 'AES_CM_128_HMAC_SHA1_80';
  return { type: 'sdes', tag: 1, suite, local: makeSdesKey(suite), remote: makeSdesKey(suite) };
}

function dtls(role: 'client' | 'server', identity = PHONE_IDENTITY): PhoneSecurity {
  return { type: 'dtls', role, remoteFingerprints: [identity.fingerprint] };
}

const ICE = {
  local: { ufrag: 'ours', pwd: 'our-password-of-22-chars' },
  remote: { ufrag: 'them', pwd: 'their-password-of-22-chr' },
};

class Bench {
  readonly clock = new FakeClock();
  readonly ports = new FakePorts();
  readonly heard: string[] = [];
  readonly events: string[] = [];
  readonly path: PhonePath;
  readonly rtp = new RtpSender({ payloadType: 0 });
  /** The phone's end of a handshake. */
  #phone: { readonly connection: DtlsConnection; readonly driver: Driver<DtlsOutput> } | undefined;
  keys: SrtpKeys | undefined;
  #read = 0;

  constructor(audio: NegotiatedAudio, signallingAddress = PHONE.address) {
    const { clock, ports } = this;
    this.path = new PhonePath(
      { clock, ports, identity: IDENTITY },
      audio,
      { signallingAddress },
      {
        onRtp: ({ payload }) => this.heard.push(Buffer.from(payload).toString()),
        onRtcp: () => this.events.push('rtcp'),
        onReady: () => this.events.push('ready'),
        onFailed: (reason) => this.events.push(reason),
      },
    );
  }

  packet(text: string): Buffer {
    return this.rtp.next(Buffer.from(text), 160);
  }

  arrives(datagram: Buffer, from = PHONE): this {
    this.clock.advance(20);
    this.ports.rtp.onDatagram?.(Buffer.from(datagram), from);
    return this;
  }

  /** What left since the last look. */
  sent(): { readonly datagram: Buffer; readonly to: Endpoint }[] {
    const all = this.ports.rtp.sent.slice(this.#read);
    this.#read = this.ports.rtp.sent.length;
    return all;
  }

  /** Lets the phone and us shake hands until nothing is left to say. @param from where the phone's datagrams come from */
  shakeHands(role: 'client' | 'server', from = PHONE, identity = PHONE_IDENTITY): void {
    const connection = new DtlsConnection({ role, identity, remoteFingerprints: [IDENTITY.fingerprint] });
    const driver = new Driver<DtlsOutput>(this.clock, connection, (output) => {
      if (output.type === 'datagram') waiting.push(output.bytes);
      else if (output.type === 'connected') this.keys = output.srtp;
    });
    const waiting: Buffer[] = [];
    this.#phone = { connection, driver };
    driver.run((now) => connection.start(now));
    for (let turns = 0; turns < 12; turns++) {
      for (const datagram of waiting.splice(0)) this.ports.rtp.onDatagram?.(datagram, from);
      for (const { datagram } of this.sent()) this.#phone.driver.run((now) => connection.handleDatagram(datagram, now));
    }
  }

  check(change: { readonly pwd?: string; readonly username?: string } = {}, from = PHONE, useCandidate = true): this {
    const { pwd = ICE.local.pwd, username = 'ours:them' } = change;
    const draft = { class: 'request', transactionId: randomBytes(12), username, priority: 1, iceControlling: 1n, useCandidate } as const;
    return this.arrives(writeStun(draft, pwd === '' ? undefined : pwd), from);
  }
}

describe('a way that is encrypted by keys of descriptions', () => {
  const start = (security = sdes()) => {
    const bench = new Bench({ ...PLAIN, security });
    bench.path.start();
    const theirs = new SrtpSender({ profile: PROFILE, ...security.remote });
    return { bench, security, theirs };
  };

  it('lets through what is authentic, both ways', () => {
    const { bench, security, theirs } = start();
    bench.arrives(theirs.protectRtp(bench.packet('hello')));
    expect(bench.heard).toEqual(['hello']);
    expect(bench.path.sendRtp(bench.packet('answer'), bench.clock.now())).toBe(true);
    const [out] = bench.sent();
    expect(out?.to).toEqual(PHONE);
    expect(out?.datagram.includes('answer')).toBe(false);
    const opened = new SrtpReceiver({ profile: PROFILE, ...security.local }).unprotectRtp(out?.datagram as Buffer);
    expect(opened?.subarray(12).toString()).toBe('answer');
  });

  it('lets nothing else in: forged, of another key, replayed, plain', () => {
    const { bench, theirs } = start();
    const authentic = theirs.protectRtp(bench.packet('heard'));
    bench.arrives(authentic).arrives(authentic);
    const forged = theirs.protectRtp(bench.packet('forged'));
    forged[14] = (forged[14] as number) ^ 1;
    bench.arrives(forged);
    bench.arrives(new SrtpSender({ profile: PROFILE, ...makeSdesKey('AES_CM_128_HMAC_SHA1_80') }).protectRtp(bench.packet('key')));
    for (let n = 0; n < 50; n++) bench.arrives(bench.packet('plain'));
    expect(bench.heard).toEqual(['heard']);
    expect(bench.path.snapshot().secure).toMatchObject({ srtp: PROFILE, srtpDropped: 53 });
  });

  it('is not moved by a stranger’s stream, whatever its pace', () => {
    const { bench, theirs } = start();
    bench.arrives(theirs.protectRtp(bench.packet('phone')));
    for (let n = 0; n < 100; n++) bench.arrives(bench.packet('stranger'), STRANGER);
    expect(bench.heard).toEqual(['phone']);
    bench.path.sendRtp(bench.packet('answer'), bench.clock.now());
    expect(bench.sent().map(({ to }) => to)).toEqual([PHONE]);
  });

  it('follows a phone behind a NAT by authentic packets alone', () => {
    const { bench, theirs } = start();
    const behind = { address: PHONE.address, port: 33_333 };
    for (let n = 0; n < 6; n++) bench.arrives(bench.packet('plain'), behind);
    expect(bench.path.snapshot().source.source).toBe('none');
    for (let n = 0; n < 6; n++) bench.arrives(theirs.protectRtp(bench.packet('voice')), behind);
    expect(bench.path.snapshot().source.source).toBe('learned');
    expect(bench.heard).toEqual(['voice', 'voice']);
  });

  it('takes what was on its way when the keys changed, and nothing of the old ones later', () => {
    const { bench, security, theirs } = start();
    bench.arrives(theirs.protectRtp(bench.packet('old')));
    const late = theirs.protectRtp(bench.packet('late'));
    const latest = theirs.protectRtp(bench.packet('too late'));
    const next = sdes();
    bench.path.renegotiate({ ...PLAIN, security: next });
    const again = new SrtpSender({ profile: PROFILE, ...next.remote });
    bench.arrives(late).arrives(again.protectRtp(bench.packet('new')));
    bench.clock.advance(6000);
    bench.arrives(latest).arrives(again.protectRtp(bench.packet('still')));
    expect(bench.heard).toEqual(['old', 'late', 'new', 'still']);
    expect(security.local).not.toEqual(next.local);
  });

  it('keeps its replay window when a re-INVITE changes nothing', () => {
    const { bench, security, theirs } = start();
    const packet = theirs.protectRtp(bench.packet('once'));
    bench.arrives(packet);
    bench.path.renegotiate({ ...PLAIN, security: { ...security } });
    bench.arrives(packet);
    expect(bench.heard).toEqual(['once']);
  });

  it('takes RTCP on the port of RTP where that was agreed, and none without a tag', () => {
    const security = sdes();
    const bench = new Bench({ ...PLAIN, security, rtcpMux: true });
    const report = writeRtcp([{ type: 'receiver_report', ssrc: 1, reports: [] }]);
    bench.arrives(report);
    expect(bench.events).toEqual([]);
    bench.arrives(new SrtpSender({ profile: PROFILE, ...security.remote }).protectRtcp(report));
    expect(bench.events).toEqual(['rtcp']);
    bench.ports.rtcp.onDatagram?.(report, PHONE);
    expect(bench.events).toEqual(['rtcp']);
  });
});

describe('a way whose keys come by a handshake', () => {
  it.each(['client', 'server'] as const)('carries media when we are its %s, and none before', (role) => {
    const bench = new Bench({ ...PLAIN, security: dtls(role), rtcpMux: true });
    expect(bench.path.isReady).toBe(false);
    bench.path.start();
    expect(bench.path.sendRtp(bench.packet('early'), bench.clock.now())).toBe(false);
    bench.arrives(bench.packet('plain'));
    bench.shakeHands(role === 'client' ? 'server' : 'client');
    expect(bench.events).toEqual(['ready']);
    const keys = bench.keys as SrtpKeys;
    const theirs = new SrtpSender({ profile: keys.profile, key: keys.localKey, salt: keys.localSalt });
    bench.arrives(theirs.protectRtp(bench.packet('voice')));
    expect(bench.heard).toEqual(['voice']);
    expect(bench.path.sendRtp(bench.packet('answer'), bench.clock.now())).toBe(true);
    // The same fingerprint again is the same association (RFC 5763 §6.6).
    bench.path.renegotiate({ ...PLAIN, security: dtls(role), rtcpMux: true, direction: 'recvonly' });
    bench.arrives(theirs.protectRtp(bench.packet('after')));
    expect(bench.heard).toEqual(['voice', 'after']);
    expect(bench.path.snapshot().secure).toMatchObject({ dtls: { state: 'connected', role } });
  });

  it('goes where the handshake came from, when a NAT changes the phone’s port', () => {
    const bench = new Bench(
      { ...PLAIN, remote: { address: '10.0.0.5', port: 4000 }, security: dtls('server'), rtcpMux: true },
      OUTSIDE.address,
    );
    bench.path.start();
    bench.shakeHands('client', OUTSIDE);
    expect(bench.events).toEqual(['ready']);
    bench.path.sendRtp(bench.packet('answer'), bench.clock.now());
    expect(bench.sent().at(-1)?.to).toEqual(OUTSIDE);
  });

  it('shakes no hands with a stranger', () => {
    const bench = new Bench({ ...PLAIN, security: dtls('server'), rtcpMux: true });
    bench.path.start();
    bench.shakeHands('client', STRANGER);
    expect(bench.keys).toBeUndefined();
    expect(bench.ports.rtp.sent).toEqual([]);
    expect(bench.path.snapshot().secure?.dropped.foreign).toBeGreaterThan(0);
  });

  it('ends with a phone that has another certificate than its description says', () => {
    const bench = new Bench({ ...PLAIN, security: dtls('server'), rtcpMux: true });
    bench.path.start();
    bench.shakeHands('client', PHONE, createIdentity(0));
    bench.clock.advance(25_000);
    expect(bench.events).toEqual([expect.stringMatching(/^dtls_failed: /)]);
    expect(bench.path.isReady).toBe(false);
  });
});

describe('a way that ICE finds', () => {
  it('is the one whose check holds, wherever the description points', () => {
    const bench = new Bench({ ...PLAIN, remote: { address: '0.0.0.0', port: 9 }, ice: ICE, rtcpMux: true });
    bench.path.start();
    bench.arrives(bench.packet('too early'), OUTSIDE);
    bench.check({}, OUTSIDE);
    const [answer] = bench.sent();
    expect(answer?.to).toMatchObject(OUTSIDE);
    expect(parseStun(answer?.datagram as Buffer)).toMatchObject({ class: 'success', xorMappedAddress: OUTSIDE });
    expect(bench.events).toEqual(['ready']);
    bench.arrives(bench.packet('voice'), OUTSIDE);
    expect(bench.heard).toEqual(['voice']);
    bench.path.sendRtp(bench.packet('answer'), bench.clock.now());
    expect(bench.sent().at(-1)?.to).toMatchObject(OUTSIDE);
  });

  it('is not moved by checks without our password, of another call, or by media alone', () => {
    const bench = new Bench({ ...PLAIN, ice: ICE, rtcpMux: true });
    bench.path.start();
    bench.check();
    bench.sent();
    bench.check({ pwd: '' }, STRANGER).check({ pwd: 'a-password-nobody-gave-us' }, STRANGER).check({ username: 'else:them' }, STRANGER);
    for (let n = 0; n < 40; n++) bench.arrives(bench.packet('stranger'), STRANGER);
    expect(bench.sent()).toEqual([]);
    expect(bench.heard).toEqual([]);
    bench.path.sendRtp(bench.packet('answer'), bench.clock.now());
    expect(bench.sent().at(-1)?.to).toMatchObject(PHONE);
    expect(bench.path.snapshot().secure?.ice).toMatchObject({ state: 'connected', checks: 1, refused: 3 });
  });

  it('goes on through a restart, and under the old credentials no longer once the new ones were used', () => {
    const bench = new Bench({ ...PLAIN, ice: ICE, rtcpMux: true });
    bench.path.start();
    bench.check();
    const next = { local: { ufrag: 'anew', pwd: 'another-password-22-chrs' }, remote: { ufrag: 'also', pwd: 'their-next-password-22ch' } };
    bench.path.renegotiate({ ...PLAIN, ice: next, rtcpMux: true });
    bench.arrives(bench.packet('meanwhile'));
    bench.check({ pwd: next.local.pwd, username: 'anew:also' }, OUTSIDE);
    bench.sent();
    bench.path.sendRtp(bench.packet('answer'), bench.clock.now());
    expect(bench.sent().at(-1)?.to).toMatchObject(OUTSIDE);
    bench.check({}, STRANGER);
    expect(bench.sent()).toEqual([]);
    expect(bench.heard).toEqual(['meanwhile']);
  });
});

describe('plain RTP', () => {
  it('passes by all of that', () => {
    const bench = new Bench(PLAIN);
    bench.path.start();
    bench.arrives(bench.packet('voice'));
    expect(bench.heard).toEqual(['voice']);
    expect(bench.path.isReady).toBe(true);
    expect(bench.path.snapshot().secure).toBeUndefined();
  });
});
