import { afterEach, describe, expect, it } from 'vitest';
import { MediaStreamTrack, RTCPeerConnection, RTCRtpCodecParameters, RtpPacket } from 'werift';
import { LoopbackPeer, readDescription } from '../support/loopback-peer.ts';
import { rtpPacket } from '../support/peer-pair.ts';
import { eventually } from '../support/wait.ts';
import { keepWeriftOnLoopback } from '../support/werift-on-loopback.ts';

const DEADLINE_MS = 10_000;
const closers: (() => unknown)[] = [];

keepWeriftOnLoopback();

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

describe('werift', () => {
  it.each(['active', 'passive'] as const)('calls our lite peer, which answers %s: audio both ways and a data channel', async (setup) => {
    const connection = new RTCPeerConnection({
      iceServers: [],
      iceUseIpv6: false,
      codecs: {
        audio: [new RTCRtpCodecParameters({ mimeType: 'audio/opus', clockRate: 48_000, channels: 2, payloadType: 111 })],
        video: [],
      },
    });
    closers.push(() => connection.close());
    const track = new MediaStreamTrack({ kind: 'audio' });
    connection.addTransceiver(track, { direction: 'sendrecv' });
    const heard: RtpPacket[] = [];
    connection.onTrack.subscribe((remote) => remote.onReceiveRtp.subscribe((packet) => heard.push(packet)));
    const channel = connection.createDataChannel('oai-events');
    const echoes: (string | Buffer)[] = [];
    channel.onMessage.subscribe((message) => echoes.push(message));
    await connection.setLocalDescription(await connection.createOffer());
    const offer = connection.localDescription?.sdp ?? '';

    const ours = await LoopbackPeer.bind();
    closers.push(() => ours.close());
    ours.startLite(readDescription(offer), setup === 'active' ? 'client' : 'server');
    const mids = [...offer.matchAll(/^a=mid:(\S+)/gm)].map(([, mid = '']) => mid);
    await connection.setRemoteDescription({ type: 'answer', sdp: ours.description({ setup, lite: true }, mids) });
    await eventually(() => ours.seen.connected === 1, DEADLINE_MS, 'DTLS');
    await eventually(() => connection.connectionState === 'connected', DEADLINE_MS, 'its side');

    for (let sequence = 1; sequence <= 20; sequence += 1) {
      ours.seen.peer.sendRtp(rtpPacket(sequence));
      track.writeRtp(RtpPacket.deSerialize(rtpPacket(sequence, undefined, 77)));
    }
    await eventually(() => ours.seen.rtp.length >= 20 && heard.length >= 20, DEADLINE_MS, 'audio both ways');
    expect(heard[0]?.payload).toEqual(rtpPacket(1).subarray(12));

    const theirs = await eventually(() => ours.seen.channels[0], DEADLINE_MS, 'the channel');
    channel.send('{"type":"hello"}');
    await eventually(() => ours.seen.messages.length === 1, DEADLINE_MS, 'its message');
    ours.seen.peer.sendMessage(theirs, 'echo');
    await eventually(() => echoes.length === 1, DEADLINE_MS, 'our message');
    expect([ours.seen.messages, echoes]).toEqual([['{"type":"hello"}'], ['echo']]);
  });
});
