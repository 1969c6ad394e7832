import { built } from './built.mjs';
import { quantile, table } from './figures.mjs';
import { withYardstick } from './yardstick.mjs';

const { PhoneMedia } = await built('bridge/phone-media.js');
const { loadOpus, createOpusEncoder } = await built('audio/opus.js');
const { RtpSender } = await built('rtp/rtp-sender.js');
const { makeSdesKey } = await built('sdp/sdes.js');
const { createIdentity } = await built('webrtc/dtls/identity.js');
const { SrtpSender } = await built('webrtc/srtp/srtp-sender.js');

const PACKETS = 4000;
const PHONE = { address: '192.0.2.10', port: 20_000 };
const VOICE = { maxPlaybackRateHz: 48_000, fec: true, cbr: false };
const KINDS = [
  { name: 'G.711, plain' },
  { name: 'G.711, AES_CM_128_HMAC_SHA1_80', suite: 'AES_CM_128_HMAC_SHA1_80', profile: 'AES128_CM_HMAC_SHA1_80' },
  { name: 'G.711, AEAD_AES_128_GCM', suite: 'AEAD_AES_128_GCM', profile: 'AEAD_AES_128_GCM' },
  { name: 'Opus, plain', opus: true },
  { name: 'Opus, AES_CM_128_HMAC_SHA1_80', opus: true, suite: 'AES_CM_128_HMAC_SHA1_80', profile: 'AES128_CM_HMAC_SHA1_80' },
];

/** All that the bridge does for a packet from a phone and one to it, but for the sockets and the inner leg's own encryption. */
export async function benchPhoneWay({ quick }) {
  await loadOpus();
  const rows = [];
  for (const kind of KINDS) {
    const { value, yardMs } = await withYardstick(() => measure(kind, quick ? 3 : 8));
    rows.push([kind.name, Math.min(...value), quantile(value, 0.5), yardMs]);
  }
  return {
    title: 'the bridge’s share of a phone, µs of CPU for a packet each way',
    text: table(['way', 'lowest', 'median', 'fixed calculation ms'], rows),
  };
}

async function measure({ opus, suite, profile }, rounds) {
  let now = 0;
  const clock = { now: () => now, wallclock: () => 0, setTimer: () => ({ cancel: () => undefined }) };
  const socket = (port) => ({ local: { address: '192.0.2.1', port }, sendErrors: 0, send: () => undefined, close: () => undefined });
  const ports = { rtp: socket(20_000), rtcp: socket(20_001), release: () => undefined };
  const inner = { ssrc: 1, payloadType: 111, voice: VOICE, sendRtp: () => undefined, reportLoss: () => undefined };
  const security = suite && { type: 'sdes', tag: 1, suite, local: makeSdesKey(suite), remote: makeSdesKey(suite) };
  const sealer = security && new SrtpSender({ profile, ...security.remote });
  const nothing = () => undefined;
  const told = { onDigit: nothing, onTimeout: nothing, onFirstAudio: nothing, onRoundTrip: nothing, onReady: nothing, onFailed: nothing };
  const media = await PhoneMedia.create({ clock, ports, inner, ...told, identity: createIdentity(0) }, audioOf(opus, security), {
    mediaTimeoutMs: 1e9,
    signallingAddress: PHONE.address,
  });
  media.start();
  const coder = await createOpusEncoder({ sampleRateHz: 24_000, profile: 'interior' });
  const phone = new RtpSender({ payloadType: opus ? 96 : 0 });
  const agent = new RtpSender({ payloadType: 111 });
  const figures = [];
  for (let round = 0; round < rounds; round++) {
    const up = Array.from({ length: PACKETS }, () => {
      const packet = opus ? phone.next(coder.encode(noise()), 960) : phone.next(randomBytes(), 160);
      return sealer ? sealer.protectRtp(packet) : packet;
    });
    const down = Array.from({ length: PACKETS }, () => agent.next(coder.encode(noise()), 960));
    const before = process.cpuUsage();
    for (let n = 0; n < PACKETS; n++) {
      now += 20;
      ports.rtp.onDatagram(up[n], PHONE);
      inner.onRtp(down[n], now);
    }
    const { user, system } = process.cpuUsage(before);
    figures.push((user + system) / PACKETS);
  }
  media.stop();
  coder.free();
  return figures;
}

function audioOf(opus, security) {
  return {
    codec: opus ? 'opus' : 'PCMU',
    payloadType: opus ? 96 : 0,
    sampleRateHz: opus ? 48_000 : 8000,
    alternatives: [],
    telephoneEventPayloadType: 101,
    remote: PHONE,
    remoteRtcp: { ...PHONE, port: 20_001 },
    direction: 'sendrecv',
    ptimeMs: 20,
    ...(security && { security }),
    ...(opus && { opus: { fec: true, cbr: false, dtx: false, stereo: false } }),
  };
}

function noise() {
  return Int16Array.from({ length: 480 }, (_, n) => 6000 * Math.sin(n * 0.11) + (Math.random() - 0.5) * 900);
}

function randomBytes() {
  return Buffer.from(Array.from({ length: 160 }, () => Math.random() * 256));
}
