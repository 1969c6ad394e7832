import { Audio, PeerConnection } from 'node-datachannel';
import { afterEach, describe, expect, test } from 'vitest';
import { OpusVoice } from '../support/opus-voice.ts';
import { findTone, tone } from '../support/tones.ts';
import { EventLog } from '../support/wait.ts';
import { WebCore } from '../support/web-core.ts';

const MODEL_RATE = { rateHz: 24_000 };
const PRESENT = { present: true };
const SOON = { timeout: 5000, interval: 50 };
const DEADLINE_MS = 5000;
const SSRC = 77;
const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** libdatachannel with a voice and a data channel, on loopback, without STUN servers. */
async function caller() {
  const connection = new PeerConnection('far', { iceServers: [], bindAddress: '127.0.0.1', disableAutoNegotiation: true });
  ends.push(() => connection.close());
  const gathered = new EventLog<string>();
  connection.onGatheringStateChange((state) => gathered.push(state));
  const states = new EventLog<string>();
  connection.onStateChange((state) => states.push(state));
  const audio = new Audio('0', 'SendRecv');
  audio.addOpusCodec(111);
  audio.addSSRC(SSRC, 'far');
  const track = connection.addTrack(audio);
  const voice = await OpusVoice.create({ ssrc: SSRC });
  ends.push(() => voice.close());
  track.onMessage((packet: Buffer) => {
    // RTCP comes to the same handler (RFC 5761).
    if (((packet[1] ?? 0) & 0x7f) === 111) voice.hear(packet);
  });
  const channel = connection.createDataChannel('oai-events');
  connection.setLocalDescription('offer' as never);
  await gathered.find((state) => state === 'complete', DEADLINE_MS, 'its candidates');
  const accept = async (answer: string) => {
    connection.setRemoteDescription(answer, 'answer' as never);
    await states.find((state) => state === 'connected', DEADLINE_MS, 'libdatachannel to be connected');
    voice.start((packet) => track.isOpen() && track.sendMessageBinary(packet));
  };
  return { connection, states, voice, channel, offer: connection.localDescription()?.sdp ?? '', accept };
}

describe('libdatachannel through relay and transceiver', () => {
  test.each([
    ['actpass', 'active'],
    ['active', 'passive'],
  ])('offers %s and is answered %s: Opus both ways, the data channel opens', async (offers, answered) => {
    const { core, model } = await WebCore.withProbe();
    ends.push(() => core.stop());
    const { voice, channel, offer, accept } = await caller();
    const leg = await core.open(offer.replaceAll('a=setup:actpass', `a=setup:${offers}`));
    expect(leg.answer).toContain(`a=setup:${answered}`);
    await accept(leg.answer);
    await expect.poll(() => channel.isOpen(), SOON).toBe(true);
    voice.hum(440, 4000);
    model.last.say(tone(1004, 4000, MODEL_RATE));
    await expect.poll(() => findTone(model.last.heard(400), 440, MODEL_RATE), SOON).toMatchObject(PRESENT);
    await expect.poll(() => findTone(voice.heard(400), 1004, MODEL_RATE), SOON).toMatchObject(PRESENT);
    expect(voice.undecodable).toBe(0);
    const { peer, media } = core.view(leg);
    expect(peer).toMatchObject({ state: 'connected', dropped: { unknown_kind: 0, srtp: 0, not_sendable: 0 } });
    expect(peer.data).toMatchObject({ state: 'connected', channels: 1, faults: 0 });
    expect(media.uplink).toMatchObject({ concealedFrames: 0, undecodable: 0 });
  });

  test('when the agent hangs up, its connection closes', async () => {
    const { core, model } = await WebCore.withProbe();
    ends.push(() => core.stop());
    const { channel, states, offer, accept } = await caller();
    const leg = await core.open(offer);
    await accept(leg.answer);
    await expect.poll(() => channel.isOpen(), SOON).toBe(true);
    model.last.hangup();
    expect(await leg.ended()).toBe('agent_hangup');
    await states.find((state) => state === 'closed', DEADLINE_MS, 'its end');
    expect(core.transceiver.sessions).toBe(0);
  });

  test('when it leaves, the session ends with it and not half a minute later', async () => {
    const { core } = await WebCore.withProbe();
    ends.push(() => core.stop());
    const { connection, channel, offer, accept } = await caller();
    const leg = await core.open(offer);
    await accept(leg.answer);
    await expect.poll(() => channel.isOpen(), SOON).toBe(true);
    connection.close();
    expect(await leg.ended()).toBe('remote_hangup');
    expect(core.transceiver.sessions).toBe(0);
  });
});
