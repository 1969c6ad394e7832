import { afterEach, describe, expect, test } from 'vitest';
import { MediaStreamTrack, RTCPeerConnection, RTCRtpCodecParameters, RtpPacket } from 'werift';
import { OpusVoice } from '../support/opus-voice.ts';
import { findTone, tone } from '../support/tones.ts';
import { EventLog } from '../support/wait.ts';
import { WebCore } from '../support/web-core.ts';
import { keepWeriftOnLoopback } from '../support/werift-on-loopback.ts';

const MODEL_RATE = { rateHz: 24_000 };
const PRESENT = { present: true };
const SOON = { timeout: 5000, interval: 50 };
const ends: (() => unknown)[] = [];

keepWeriftOnLoopback();
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

/** A werift connection with a voice and a data channel, which makes offers. */
async function caller() {
  const codec = new RTCRtpCodecParameters({ mimeType: 'audio/opus', clockRate: 48_000, channels: 2, payloadType: 96 });
  const connection = new RTCPeerConnection({ iceServers: [], iceUseIpv6: false, codecs: { audio: [codec], video: [] } });
  ends.push(() => connection.close());
  const states = new EventLog<string>();
  connection.connectionStateChange.subscribe((state) => states.push(state));
  const track = new MediaStreamTrack({ kind: 'audio' });
  connection.addTransceiver(track, { direction: 'sendrecv' });
  const voice = await OpusVoice.create({ ssrc: 77, payloadType: 96 });
  ends.push(() => voice.close());
  connection.onTrack.subscribe((remote) => remote.onReceiveRtp.subscribe((packet) => voice.hear(packet.serialize())));
  const channel = connection.createDataChannel('oai-events');
  await connection.setLocalDescription(await connection.createOffer());
  const accept = async (answer: string) => {
    await connection.setRemoteDescription({ type: 'answer', sdp: answer });
    await states.find((state) => state === 'connected', 5000, 'werift to be connected');
    voice.start((packet) => track.writeRtp(RtpPacket.deSerialize(packet)));
  };
  return { connection, states, voice, channel, offer: connection.localDescription?.sdp ?? '', accept };
}

describe('werift through relay and transceiver', () => {
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
    await expect.poll(() => channel.readyState, SOON).toBe('open');
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

  test('when the agent hangs up, its data channel closes', async () => {
    const { core, model } = await WebCore.withProbe();
    ends.push(() => core.stop());
    const { channel, offer, accept } = await caller();
    const leg = await core.open(offer);
    await accept(leg.answer);
    await expect.poll(() => channel.readyState, SOON).toBe('open');
    model.last.hangup();
    expect(await leg.ended()).toBe('agent_hangup');
    await expect.poll(() => channel.readyState, SOON).toBe('closed');
    expect(core.transceiver.sessions).toBe(0);
  });
});
