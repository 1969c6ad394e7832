import { afterEach, describe, expect, it } from 'vitest';
import { answerWebRtcOffer, parseWebRtcOffer, type WebRtcDescription } from '../../../../src/sdp/webrtc.ts';
import { createSctpInit, parseSctpInit, type SctpInit, writeSctpInit } from '../../../../src/webrtc/sctp/sctp-init.ts';
import { loadSctp } from '../../../../src/webrtc/sctp/werift-sctp.ts';
import { chooseSetUp } from '../../../../src/webrtc/set-up.ts';
import { type PairOptions, peerPair, runUntil } from '../../../support/peer-pair.ts';

const CHROMIUM_INIT = Buffer.from('0100001e1234567800500000ffffffff9abcdef0c00000048008000682c0', 'hex').toString('base64');

const local = {
  ufrag: 'ours',
  pwd: 'p'.repeat(24),
  fingerprint: { algorithm: 'sha-256', value: Array.from({ length: 32 }, () => 'AB').join(':') },
  candidates: [{ address: '127.0.0.1', port: 3478 }],
};

function offerWith({ setup = 'actpass', options = 'trickle', init = '', application = true } = {}): string {
  return [
    'v=0',
    'o=- 1 1 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    'a=group:BUNDLE 0 1',
    'm=audio 9 UDP/TLS/RTP/SAVPF 111',
    'c=IN IP4 0.0.0.0',
    'a=ice-ufrag:abcd',
    `a=ice-pwd:${'x'.repeat(24)}`,
    `a=ice-options:${options}`,
    `a=fingerprint:sha-256 ${local.fingerprint.value}`,
    `a=setup:${setup}`,
    'a=mid:0',
    'a=sendrecv',
    'a=rtcp-mux',
    'a=rtpmap:111 opus/48000/2',
    ...(application
      ? [
          'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
          'c=IN IP4 0.0.0.0',
          'a=mid:1',
          'a=sctp-port:5000',
          ...(init ? [`a=sctp-init:${init}`] : []),
        ]
      : []),
    '',
  ].join('\r\n');
}

function parse(text: string): WebRtcDescription {
  const offer = parseWebRtcOffer(text);
  if ('fault' in offer) throw new Error(offer.fault.detail);
  return offer;
}

describe('an INIT in a description', () => {
  it('is read as Chromium writes it, and written back the same', () => {
    const init = parseSctpInit(CHROMIUM_INIT);
    expect(init).toMatchObject({
      tag: 0x1234_5678,
      windowBytes: 0x50_0000,
      outboundStreams: 65535,
      inboundStreams: 65535,
      tsn: 0x9abc_def0,
    });
    expect(init?.parameters.map(({ type, value }) => [type, value.toString('hex')])).toEqual([
      [0xc000, ''],
      [0x8008, '82c0'],
    ]);
    expect(writeSctpInit(init!)).toBe(CHROMIUM_INIT);
  });

  it('of ours is read back, and another one each time', () => {
    const [one, other] = [createSctpInit(), createSctpInit()];
    expect(parseSctpInit(writeSctpInit(one))).toEqual(one);
    expect([one.tag === other.tag, one.tsn === other.tsn]).toEqual([false, false]);
  });

  it.each([
    ['nothing', ''],
    ['no base64', '!!!!'],
    ['text', 'hello'],
    ['a cut chunk', CHROMIUM_INIT.slice(0, 20)],
    ['another chunk', Buffer.from(CHROMIUM_INIT, 'base64').fill(2, 0, 1).toString('base64')],
    ['tag 0', Buffer.from(CHROMIUM_INIT, 'base64').fill(0, 4, 8).toString('base64')],
    ['a window of nothing', Buffer.from(CHROMIUM_INIT, 'base64').fill(0, 8, 12).toString('base64')],
    ['no streams', Buffer.from(CHROMIUM_INIT, 'base64').fill(0, 12, 16).toString('base64')],
    ['a parameter of no length', Buffer.from(CHROMIUM_INIT, 'base64').fill(0, 22, 24).toString('base64')],
    ['bytes behind it', Buffer.concat([Buffer.from(CHROMIUM_INIT, 'base64'), Buffer.alloc(8)]).toString('base64')],
    ['a megabyte', 'A'.repeat(1_000_000)],
  ])('that is %s is none', (_, value) => {
    expect(parseSctpInit(value)).toBeUndefined();
  });
});

describe('the choice of how to set up', () => {
  it('is active and nothing else for a client of today', () => {
    const { answer, peer } = chooseSetUp(parse(offerWith()));
    expect(answer).toEqual({ setup: 'active' });
    expect(peer).toEqual({ dtlsRole: 'client', remoteSctpPort: 5000, remoteMaxMessageBytes: 65_536, startsSctp: true });
    expect(chooseSetUp(parse(offerWith({ application: false }))).peer).toEqual({ dtlsRole: 'client' });
  });

  it.each([
    ['active', '', 'server', 'passive'],
    ['passive', '', 'client', 'active'],
    ['actpass', 'sped', 'server', 'passive'],
    ['passive', 'sped', 'client', 'active'],
  ] as const)('goes by the role: %s with %j makes us the %s', (setup, options, dtlsRole, answered) => {
    const chosen = chooseSetUp(parse(offerWith({ setup, options })));
    expect([chosen.peer.dtlsRole, chosen.answer.setup]).toEqual([dtlsRole, answered]);
  });

  it('takes up SPED by whichever names it goes', () => {
    for (const [options, answered] of [
      ['trickle sped googspedv1', ['sped', 'googspedv1']],
      ['goog-sped-v1 trickle', ['goog-sped-v1']],
      ['trickle renomination', undefined],
    ] as const) {
      const { answer, peer } = chooseSetUp(parse(offerWith({ options })));
      expect([answer.iceOptions, peer.takesDtlsInStun]).toEqual([answered, answered && true]);
    }
  });

  it('answers SNAP with what our association will say, and only what it can read', () => {
    const { answer, peer } = chooseSetUp(parse(offerWith({ init: CHROMIUM_INIT })));
    expect(parseSctpInit(answer.sctpInit!)).toEqual(peer.sctpInits?.local);
    expect(peer.sctpInits?.remote).toEqual(parseSctpInit(CHROMIUM_INIT));
    const malformed = chooseSetUp(parse(offerWith({ init: 'AAAA' })));
    expect([malformed.answer.sctpInit, malformed.peer.sctpInits]).toEqual([undefined, undefined]);
  });

  it('can be told to do without drafts', () => {
    const { answer, peer } = chooseSetUp(parse(offerWith({ init: CHROMIUM_INIT, options: 'sped' })), { drafts: false });
    expect(answer).toEqual({ setup: 'active' });
    expect(peer.takesDtlsInStun ?? peer.sctpInits).toBeUndefined();
  });

  it('names the agreed channel, where the offer has any', () => {
    expect(chooseSetUp(parse(offerWith()), { dataChannelId: 7 }).peer.negotiatedChannels).toEqual([{ id: 7, label: 'oai-events' }]);
    expect(chooseSetUp(parse(offerWith({ application: false })), { dataChannelId: 7 }).peer.negotiatedChannels).toBeUndefined();
  });

  it('stands in the answer, in the places where clients look', () => {
    const offer = parse(offerWith({ init: CHROMIUM_INIT, options: 'trickle sped' }));
    const text = answerWebRtcOffer(offer, { ...local, ...chooseSetUp(offer).answer });
    const [, audio = '', application = ''] = text.split(/^m=/m);
    expect(audio).toContain('a=ice-options:sped\r\n');
    expect(audio).not.toContain('sctp-init');
    expect(application).toMatch(/a=sctp-init:[A-Za-z0-9+/=]+\r\n/);
  });
});

const open: ReturnType<typeof peerPair>[] = [];

afterEach(() => {
  for (const { server, client } of open.splice(0)) {
    server.peer.close();
    client.peer.close();
  }
});

function pair(options: PairOptions) {
  const made = peerPair(options);
  open.push(made);
  return made;
}

/** Client and server with each other's INIT, as offer and answer would tell them. */
function snap(): { client: { local: SctpInit; remote: SctpInit }; server: { local: SctpInit; remote: SctpInit } } {
  const [offered, answered] = [createSctpInit(), createSctpInit()];
  return { client: { local: offered, remote: answered }, server: { local: answered, remote: offered } };
}

const CHANNEL = [{ id: 100, label: 'oai-events' }];

describe('SCTP', () => {
  it('is begun by us as soon as DTLS is done, when we are told to', async () => {
    await loadSctp();
    const { clock, server } = pair({ server: { startsSctp: true } });
    await runUntil(clock, () => server.peer.snapshot().data?.state === 'connected');
    expect(server.channels).toEqual([]);
  });

  it('may be begun by both at once', async () => {
    const { clock, server, client } = pair({ server: { startsSctp: true }, client: { startsSctp: true } });
    const channel = client.peer.openChannel('oai-events');
    await runUntil(clock, () => server.channels.length === 1 && client.channels.length === 1);
    expect(server.peer.sendMessage(server.channels[0]!, 'hello')).toBe(true);
    expect(client.peer.sendMessage(channel!, 'hello, too')).toBe(true);
    await runUntil(clock, () => server.messages.length === 1 && client.messages.length === 1);
  });

  it('opens channels that were agreed on beforehand on both sides, without a word', async () => {
    const { clock, server, client } = pair({ server: { negotiatedChannels: CHANNEL }, client: { negotiatedChannels: CHANNEL } });
    await runUntil(clock, () => server.channels.length === 1 && client.channels.length === 1);
    expect([server.channels[0], client.channels[0]]).toMatchObject([
      { id: 100, label: 'oai-events', state: 'open' },
      { id: 100, label: 'oai-events', state: 'open' },
    ]);
    expect(server.peer.sendMessage(server.channels[0]!, 'session.created')).toBe(true);
    await runUntil(clock, () => client.messages.length === 1);
    // Another one gets a stream of its own.
    const other = server.peer.openChannel('other');
    await runUntil(clock, () => client.channels.length === 2);
    expect([other?.id === 100, client.channels[1]?.label]).toEqual([false, 'other']);
  });

  it('is up with DTLS when both know it from the descriptions: the first message needs no round trip', async () => {
    const inits = snap();
    const made = pair({
      delayMs: 50,
      client: { sctpInits: inits.client, negotiatedChannels: CHANNEL },
      server: { sctpInits: inits.server, negotiatedChannels: CHANNEL },
      serverRole: 'client',
    });
    const { clock, server, client, network } = made;
    await runUntil(clock, () => server.peer.state === 'connected');
    const sctpBefore = network.sent.length;
    await runUntil(clock, () => server.channels.length === 1);
    expect(server.peer.sendMessage(server.channels[0]!, 'first')).toBe(true);
    const connectedAt = clock.now();
    await runUntil(clock, () => client.messages.length === 1);
    expect(clock.now() - connectedAt).toBeLessThan(120);
    expect(network.sent.length - sctpBefore).toBeLessThan(8);
    client.peer.sendMessage(client.channels[0]!, 'second');
    await runUntil(clock, () => server.messages.length === 1);
    expect([server.peer.snapshot().data, client.peer.snapshot().data]).toMatchObject([{ faults: 0 }, { faults: 0 }]);
  });

  it('is begun anew when the client did not take the descriptions up, and what was said meanwhile arrives', async () => {
    const { clock, server, client } = pair({
      client: { startsSctp: true, negotiatedChannels: CHANNEL },
      server: { sctpInits: snap().server, negotiatedChannels: CHANNEL },
      serverRole: 'client',
    });
    await runUntil(clock, () => server.channels.length === 1);
    for (const text of ['one', 'two', 'three']) expect(server.peer.sendMessage(server.channels[0]!, text)).toBe(true);
    await runUntil(clock, () => client.messages.length === 3);
    expect(client.messages).toEqual(['one', 'two', 'three']);
    client.peer.sendMessage(client.channels[0]!, 'four');
    await runUntil(clock, () => server.messages.length === 1);
    expect([server.closed, client.closed, server.channels.length]).toEqual([[], [], 1]);
  });

  it('of wrong descriptions carries nothing, and the call goes on', async () => {
    const { clock, server, client } = pair({
      client: { sctpInits: snap().client, negotiatedChannels: CHANNEL },
      server: { sctpInits: snap().server, negotiatedChannels: CHANNEL },
    });
    await runUntil(clock, () => server.channels.length === 1 && client.channels.length === 1);
    server.peer.sendMessage(server.channels[0]!, 'lost');
    clock.advance(5000);
    expect([server.peer.state, client.peer.state, client.messages]).toEqual(['connected', 'connected', []]);
  });
});
