import { Audio, type DataChannel, PeerConnection, type Track } from 'node-datachannel';
import { afterEach, describe, expect, it } from 'vitest';
import { LoopbackPeer, readDescription } from '../support/loopback-peer.ts';
import { rtpPacket } from '../support/peer-pair.ts';
import { EventLog, eventually } from '../support/wait.ts';

const DEADLINE_MS = 10_000;
const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** libdatachannel with one audio track, on loopback, without STUN servers. */
function farSide() {
  const connection = new PeerConnection('far', { iceServers: [], bindAddress: '127.0.0.1', disableAutoNegotiation: true });
  closers.push(() => connection.close());
  const descriptions = new EventLog<string>();
  const gathered = new EventLog<string>();
  const channels = new EventLog<DataChannel>();
  const rtp = new EventLog<Buffer>();
  connection.onLocalDescription((sdp) => descriptions.push(sdp));
  connection.onGatheringStateChange((state) => gathered.push(state));
  connection.onDataChannel((channel) => channels.push(channel));
  const listen = (track: Track) => track.onMessage((packet: Buffer) => rtp.push(Buffer.from(packet)));
  const addAudio = () => {
    const audio = new Audio('0', 'SendRecv');
    audio.addOpusCodec(111);
    audio.addSSRC(77, 'far');
    const track = connection.addTrack(audio);
    listen(track);
    return track;
  };
  const localDescription = async () => {
    await gathered.find((state) => state === 'complete', DEADLINE_MS, 'its candidates');
    return connection.localDescription()?.sdp ?? '';
  };
  return { connection, channels, rtp, addAudio, localDescription };
}

async function exchangeAudio(ours: LoopbackPeer, track: Track, rtp: EventLog<Buffer>): Promise<void> {
  await eventually(() => track.isOpen(), DEADLINE_MS, 'its track to open');
  for (let sequence = 65_530; sequence < 65_550; sequence += 1) {
    track.sendMessageBinary(rtpPacket(sequence, undefined, 77));
    ours.seen.peer.sendRtp(rtpPacket(sequence));
  }
  await eventually(() => ours.seen.rtp.length >= 20, DEADLINE_MS, 'its audio');
  await rtp.reach(20, DEADLINE_MS, 'our audio');
  expect(ours.seen.rtp[0]?.subarray(12)).toEqual(rtpPacket(65_530).subarray(12));
  expect(rtp.all[19]?.subarray(12)).toEqual(rtpPacket(65_549).subarray(12));
}

describe('libdatachannel', () => {
  it.each(['active', 'passive'] as const)('calls our lite peer, which answers %s: audio both ways and a data channel', async (setup) => {
    const far = farSide();
    const track = far.addAudio();
    const channel = far.connection.createDataChannel('oai-events');
    const echoes = new EventLog<string | Buffer>();
    channel.onMessage((message) => echoes.push(message as string | Buffer));
    far.connection.setLocalDescription('offer' as never);
    const offer = await far.localDescription();
    const ours = await LoopbackPeer.bind();
    closers.push(() => ours.close());
    ours.startLite(readDescription(offer), setup === 'active' ? 'client' : 'server');
    const mids = [...offer.matchAll(/^a=mid:(\S+)/gm)].map(([, mid = '']) => mid);
    far.connection.setRemoteDescription(ours.description({ setup, lite: true }, mids), 'answer' as never);
    await eventually(() => ours.seen.connected === 1, DEADLINE_MS, 'DTLS');
    await exchangeAudio(ours, track, far.rtp);
    const theirs = await eventually(() => ours.seen.channels[0], DEADLINE_MS, 'the channel');
    expect(theirs.label).toBe('oai-events');
    await eventually(() => channel.isOpen(), DEADLINE_MS, 'the channel at its side');
    channel.sendMessage('{"type":"hello"}');
    channel.sendMessageBinary(Buffer.alloc(50_000, 3));
    await eventually(() => ours.seen.messages.length === 2, DEADLINE_MS, 'its messages');
    expect(ours.seen.messages).toEqual(['{"type":"hello"}', Buffer.alloc(50_000, 3)]);
    expect(ours.seen.peer.sendMessage(theirs, 'text')).toBe(true);
    expect(ours.seen.peer.sendMessage(theirs, Buffer.alloc(60_000, 4))).toBe(true);
    await echoes.reach(2, DEADLINE_MS, 'our messages');
    expect(echoes.all[0]).toBe('text');
    expect(Buffer.from(echoes.all[1] as Buffer)).toEqual(Buffer.alloc(60_000, 4));
    const own = ours.seen.peer.openChannel('from us');
    await far.channels.find((each) => each.getLabel() === 'from us', DEADLINE_MS, 'our channel');
    await eventually(() => own?.state === 'open', DEADLINE_MS, 'its acknowledgement');
    far.connection.close();
    // libdatachannel always ends SCTP, but its DTLS goodbye often loses the race with its own socket.
    await eventually(() => ours.seen.closed.length === 1, DEADLINE_MS, 'its goodbye');
    expect([theirs.state, ours.seen.closed]).toEqual(['closed', ['remote_closed']]);
  });

  it.each(['active', 'passive'] as const)('is called by our light client with setup %s of its own', async (setup) => {
    const far = farSide();
    const ours = await LoopbackPeer.bind();
    closers.push(() => ours.close());
    const track = far.addAudio();
    const offered = setup === 'active' ? 'passive' : 'active';
    far.connection.setRemoteDescription(ours.description({ setup: offered, lite: false }), 'offer' as never);
    far.connection.setLocalDescription('answer' as never);
    const answer = readDescription(await far.localDescription());
    expect(answer.setup).toBe(setup);
    ours.startClient(answer, setup === 'active' ? 'server' : 'client');
    const own = ours.seen.peer.openChannel('oai-events');
    await eventually(() => ours.seen.connected === 1, DEADLINE_MS, 'DTLS');
    await exchangeAudio(ours, track, far.rtp);
    await eventually(() => own?.state === 'open', DEADLINE_MS, 'our channel');
    expect(ours.seen.peer.snapshot().ice.rttMs).toBeLessThan(1000);
  });
});
