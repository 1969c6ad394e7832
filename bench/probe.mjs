import { built } from './built.mjs';

/*
 * Times of every stage a frame passes, taken by wrapping methods of the built gateway before it starts: the gateway itself has no hook and
 * pays nothing. A frame is followed over the inner hop by SSRC and sequence number, which SRTP leaves readable.
 */

const MAX_FOLLOWED = 10_000;

function now() {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6;
}

/** The RTP packet's identity; undefined for anything else on the port. */
function keyOf(bytes) {
  if (bytes.length < 12 || bytes[0] < 128 || bytes[0] > 191 || (bytes[1] >= 192 && bytes[1] <= 223)) return undefined;
  return ((bytes[8] << 24) | (bytes[9] << 16) | (bytes[10] << 8) | bytes[11]) * 65_536 + ((bytes[2] << 8) | bytes[3]);
}

/** Lets `around(original, self, args)` stand in for a method. */
function wrap(prototype, name, around) {
  const original = prototype[name];
  prototype[name] = function (...args) {
    return around(() => original.apply(this, args), this, args);
  };
}

/** Wraps the stages; `take` gives what was noted since. Call before the gateway is imported. */
export async function installProbe() {
  const { OpusDecoder, OpusEncoder } = await built('audio/opus.js');
  const { bindUdp } = await built('base/udp.js');
  const { PhoneUplink } = await built('bridge/phone-uplink.js');
  const { EmbeddedConversation } = await built('realtime/embedded/conversation.js');
  const { Playout } = await built('realtime/playout.js');
  const { FlowTable } = await built('relay/flow-table.js');
  const { Peer } = await built('webrtc/peer.js');
  const socket = await bindUdp({ address: '127.0.0.1', port: 0 });
  socket.close();
  const UdpSocket = Object.getPrototypeOf(socket);

  /** Frames on the inner hop. */
  const followed = new Map();
  const waiting = new WeakMap();
  let up = [];
  let down = [];
  /** The frame that the code now running works on. */
  let current;

  const during = (frame, run) => {
    const before = current;
    current = frame;
    try {
      return run();
    } finally {
      current = before;
    }
  };
  const follow = (frame, packet) => {
    if (followed.size >= MAX_FOLLOWED) followed.clear();
    followed.set(keyOf(packet), frame);
  };

  wrap(PhoneUplink.prototype, 'handlePacket', (run, _self, [{ ssrc, sequenceNumber }]) =>
    during({ way: 'up', ssrc, sequence: sequenceNumber, received: now() }, run),
  );
  wrap(OpusEncoder.prototype, 'encode', (run) => {
    if (!current) return run();
    current.encoding = now();
    const packet = run();
    current.encoded = now();
    return packet;
  });
  wrap(Peer.prototype, 'sendRtp', (run, _self, [packet]) => {
    const frame = current;
    if (!frame?.encoded || frame.sent) return run();
    follow(frame, packet);
    // The relay of this process may take it before the call returns, and notes its own time.
    const sent = run();
    frame.sent = now();
    if (frame.way === 'down') current = undefined;
    return sent;
  });
  wrap(FlowTable.prototype, 'route', (run, _self, [, datagram]) => {
    const frame = followed.get(keyOf(datagram));
    if (frame?.way === 'up') frame.relayed = now();
    return run();
  });
  wrap(Peer.prototype, 'handleDatagram', (run, _self, [datagram]) => {
    const key = keyOf(datagram);
    const frame = key === undefined ? undefined : followed.get(key);
    if (!frame) return run();
    followed.delete(key);
    frame.arrived = now();
    return during(frame, run);
  });
  wrap(OpusDecoder.prototype, 'decode', (run) => {
    if (!current) return run();
    current.decoding = now();
    const pcm = run();
    current.decoded = now();
    return pcm;
  });
  wrap(EmbeddedConversation.prototype, 'appendAudio', (run) => {
    if (current?.way === 'up' && current.decoded && !current.model) {
      current.model = now();
      up.push(current);
    }
    return run();
  });
  wrap(Playout.prototype, 'push', (run, self) => {
    if (self.queuedMs === 0) waiting.set(self, now());
    return run();
  });
  wrap(Playout.prototype, 'pull', (run, self) => {
    const sounded = run();
    current = sounded ? { way: 'down', said: waiting.get(self), pulled: now() } : undefined;
    if (sounded) waiting.delete(self);
    return sounded;
  });
  wrap(UdpSocket, 'send', (run, _self, [datagram]) => {
    const frame = current;
    if (frame?.way !== 'down' || !frame.decoded || frame.out) return run();
    frame.out = now();
    frame.ssrc = datagram.readUInt32BE(8);
    frame.sequence = datagram.readUInt16BE(2);
    down.push(frame);
    return run();
  });
  return {
    take() {
      const taken = { up, down };
      up = [];
      down = [];
      return taken;
    },
  };
}
