import { Audio, PeerConnection } from 'node-datachannel';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { MediaStreamTrack, RTCPeerConnection, RTCRtpCodecParameters } from 'werift';
import { loadSctp } from '../../src/webrtc/sctp/werift-sctp.ts';
import { Chromium } from '../support/chromium.ts';
import { Lateness } from '../support/lateness.ts';
import { LoopbackPeer, readDescription } from '../support/loopback-peer.ts';
import { describePeer } from '../support/peers.ts';
import { EventLog, eventually } from '../support/wait.ts';
import { keepWeriftOnLoopback } from '../support/werift-on-loopback.ts';

/*
 * Both sides send INIT as soon as DTLS is done. That many at once, and every channel is there: the association of one whose INIT or INIT ACK got lost
 * among them comes up by the next one.
 */

const CROWD = 20;
const DEADLINE_MS = 30_000;
/** From DTLS done here to the channel that can be written here, when nothing is lost: two transits and the crowd's DTLS. */
const USUAL_MS = 1000;
const closers: (() => unknown)[] = [];
let lateness: Lateness;

keepWeriftOnLoopback();

beforeAll(async () => {
  await loadSctp();
  lateness = new Lateness();
});

afterAll(() => lateness.stop());

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** One of ours that takes up an offer as the transceiver does, and notes when what was done. */
async function callee() {
  const peer = await LoopbackPeer.bind();
  closers.push(() => peer.close());
  let connectedAt: number | undefined;
  let openAt: number | undefined;
  return {
    takeUp: (offer: string) =>
      peer.takeUp(
        offer,
        {},
        {
          onConnected: () => {
            connectedAt = performance.now();
          },
          onChannel: () => {
            openAt ??= performance.now();
          },
        },
      ),
    /** Milliseconds from DTLS done to the channel open. */
    openMs: async (): Promise<number> => {
      const at = await eventually(() => openAt, DEADLINE_MS, 'the channel');
      return at - (connectedAt ?? at);
    },
  };
}

type Callee = Awaited<ReturnType<typeof callee>>;

async function crowd(name: string, call: (ours: Callee) => Promise<unknown>): Promise<void> {
  const callees = await Promise.all(Array.from({ length: CROWD }, callee));
  const times = await Promise.all(callees.map((ours) => call(ours).then(() => ours.openMs())));
  times.sort((a, b) => a - b);
  const p95 = times[Math.ceil(0.95 * CROWD) - 1] ?? Number.NaN;
  console.info(`${name}: ${CROWD} at once, DTLS to channel p50 ${times[CROWD / 2]?.toFixed(0)}, p95 ${p95.toFixed(0)} ms`);
  expect(p95).toBeLessThan(USUAL_MS + (await lateness.soFar()));
}

describe('twenty at once have their data channels', () => {
  it('of our own light client', async () => {
    await crowd('ours', async (ours) => {
      const client = await LoopbackPeer.bind();
      closers.push(() => client.close());
      const answer = ours.takeUp(client.description({ setup: 'actpass', lite: false }));
      client.startClient(readDescription(answer), 'server');
      client.seen.peer.openChannel('oai-events');
    });
  });

  it('of libdatachannel', async () => {
    await crowd('libdatachannel', async (ours) => {
      const connection = new PeerConnection('far', { iceServers: [], bindAddress: '127.0.0.1', disableAutoNegotiation: true });
      const gathered = new EventLog<string>();
      connection.onGatheringStateChange((state) => gathered.push(state));
      const audio = new Audio('0', 'SendRecv');
      audio.addOpusCodec(111);
      const track = connection.addTrack(audio);
      const channel = connection.createDataChannel('oai-events');
      // Whatever nobody holds any more is collected, and closed.
      closers.push(() => [track, channel, connection].map((each) => each.close()));
      connection.setLocalDescription('offer' as never);
      await gathered.find((state) => state === 'complete', DEADLINE_MS, 'its candidates');
      connection.setRemoteDescription(ours.takeUp(connection.localDescription()?.sdp ?? ''), 'answer' as never);
    });
  });

  it('of werift', async () => {
    await crowd('werift', async (ours) => {
      const opus = new RTCRtpCodecParameters({ mimeType: 'audio/opus', clockRate: 48_000, channels: 2, payloadType: 111 });
      const connection = new RTCPeerConnection({ iceServers: [], iceUseIpv6: false, codecs: { audio: [opus], video: [] } });
      closers.push(() => connection.close());
      connection.addTransceiver(new MediaStreamTrack({ kind: 'audio' }), { direction: 'sendrecv' });
      connection.createDataChannel('oai-events');
      await connection.setLocalDescription(await connection.createOffer());
      await connection.setRemoteDescription({ type: 'answer', sdp: ours.takeUp(connection.localDescription?.sdp ?? '') });
    });
  });
});

describePeer('chromium', 'twenty connections of Chromium at once', () => {
  let chromium: Chromium;

  beforeAll(async () => {
    chromium = await Chromium.start();
  });

  afterAll(() => chromium.close());

  it('have their data channels', async () => {
    // In one tab: twenty keep a small machine busy with themselves for seconds.
    const page = await chromium.newPage();
    const offers = await page.evaluate(offerMany, CROWD);
    const waiting = [...offers.keys()];
    await crowd('Chromium', async (ours) => {
      const index = waiting.pop() ?? 0;
      await page.evaluate(acceptOne, { index, sdp: ours.takeUp(offers[index] ?? '') });
    });
  });
});

interface PageConnection {
  createDataChannel(label: string): unknown;
  addTransceiver(kind: string): unknown;
  createOffer(): Promise<{ sdp?: string }>;
  setLocalDescription(description: object): Promise<void>;
  setRemoteDescription(description: object): Promise<void>;
}

/** Runs in the page. */
async function offerMany(count: number): Promise<string[]> {
  const scope = globalThis as unknown as { RTCPeerConnection: new () => PageConnection; connections: PageConnection[] };
  scope.connections = Array.from({ length: count }, () => new scope.RTCPeerConnection());
  return Promise.all(
    scope.connections.map(async (connection) => {
      connection.addTransceiver('audio');
      connection.createDataChannel('oai-events');
      const offer = await connection.createOffer();
      await connection.setLocalDescription(offer);
      return offer.sdp ?? '';
    }),
  );
}

/** Runs in the page. */
async function acceptOne({ index, sdp }: { index: number; sdp: string }): Promise<void> {
  const { connections } = globalThis as unknown as { connections: PageConnection[] };
  await connections[index]?.setRemoteDescription({ type: 'answer', sdp });
}
