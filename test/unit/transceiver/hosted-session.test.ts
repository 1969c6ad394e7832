import { beforeAll, describe, expect, test } from 'vitest';
import { liveOpusCodecs, loadOpus } from '../../../src/audio/opus.ts';
import { createLog } from '../../../src/base/log.ts';
import { Metrics } from '../../../src/base/metrics.ts';
import type { Leg } from '../../../src/leg/leg.ts';
import { createSessionMetrics } from '../../../src/realtime/session-metrics.ts';
import { parseWebRtcOffer, writeWebRtcOffer } from '../../../src/sdp/webrtc.ts';
import { HostedSession } from '../../../src/transceiver/hosted-session.ts';
import { createIdentity } from '../../../src/webrtc/dtls/identity.ts';
import { FakeClock } from '../../support/fake-clock.ts';

beforeAll(loadOpus);

const lines: { readonly level: number; readonly msg: string }[] = [];
const log = createLog('info', { write: (line) => void lines.push(JSON.parse(line)) });
const clock = new FakeClock();
const identity = createIdentity(0);
const connection = {
  appendAudio: () => undefined,
  start: () => undefined,
  speechStarted: () => undefined,
  commitTurn: () => undefined,
  dtmf: () => undefined,
  cancelResponse: () => undefined,
  truncate: () => undefined,
  close: () => undefined,
};

async function create(commands: string[], maxAverageBitrate?: number): Promise<HostedSession> {
  const text = writeWebRtcOffer({
    ufrag: 'clie',
    pwd: 'client-password-22-ice',
    fingerprint: identity.fingerprint,
    setup: 'actpass',
    dataChannel: false,
  });
  const offer = parseWebRtcOffer(text);
  if ('fault' in offer || !offer.audio) throw new Error('the offer of the test');
  const leg: Leg = {
    answer: () => void commands.push('answer'),
    reject: (cause) => void commands.push(`reject ${cause}`),
    hangup: (cause) => void commands.push(`hangup ${cause}`),
    report: () => undefined,
  };
  const ticker = { add: () => () => undefined, takeWorstLatenessMs: () => 0, stop: async () => undefined };
  const createVoiceDetector = () => ({ process: () => ({ voiced: false, levelDb: -70 }), free: () => undefined });
  const deps = { clock, log, ticker, identity, createVoiceDetector, sessionMetrics: createSessionMetrics(new Metrics()) };
  const { hosted } = await HostedSession.create(
    { ...deps, model: { name: 'silent', connect: () => connection } },
    {
      id: 'rtc_7_AAAAAAAAAAAAAAAAAAAAAA',
      credentials: { ufrag: 'serv', pwd: 'server-password-22-ice' },
      offer,
      audio: {
        ...offer.audio,
        ...(maxAverageBitrate !== undefined && { opus: { maxAverageBitrate, fec: false, cbr: false, dtx: false, stereo: false } }),
      },
      setUp: { dtlsRole: 'client' },
      onPathVerified: () => undefined,
      onPathDropped: () => undefined,
      onGone: () => undefined,
      onEnded: (cause) => void commands.push(`ended ${cause}`),
    },
    { origin: { kind: 'phone' } },
    leg,
  );
  return hosted;
}

describe('a session', () => {
  test('that cannot be made says why to whoever opens it, not to the leg, and leaves nothing', async () => {
    const codecs = liveOpusCodecs();
    const commands: string[] = [];
    // No offer brings it past the parser; libopus refuses it when the decoder has been made already.
    await expect(create(commands, -2)).rejects.toThrow('bitrate');
    expect(commands).toEqual(['ended internal_error']);
    expect(liveOpusCodecs() - codecs).toBe(0);
    expect(clock.nextTimer()).toBeUndefined();
  });

  test('is closed by one line of the log', async () => {
    lines.length = 0;
    const hosted = await create([]);
    hosted.start();
    hosted.end('agent_hangup');
    expect(lines).toMatchObject([{ level: 30, cause: 'agent_hangup', msg: 'session ended' }]);
  });
});
