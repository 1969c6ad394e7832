import { randomBytes } from 'node:crypto';
import { built } from './built.mjs';
import { quantile, short, table } from './figures.mjs';
import { withYardstick } from './yardstick.mjs';

const { writeRtp } = await built('rtp/packet.js');
const { SRTP_PROFILES } = await built('webrtc/srtp/profile.js');
const { SrtpReceiver } = await built('webrtc/srtp/srtp-receiver.js');
const { SrtpSender } = await built('webrtc/srtp/srtp-sender.js');

const PACKETS = 20_000;

/** Protecting and checking one packet, both profiles. */
export async function benchSrtp({ quick }) {
  const rows = [];
  for (const profile of ['AES128_CM_HMAC_SHA1_80', 'AEAD_AES_128_GCM']) {
    for (const bytes of [80, 160]) {
      const { value, yardMs } = await withYardstick(() => Array.from({ length: quick ? 4 : 10 }, () => measure(profile, bytes)));
      const of = (name) =>
        quantile(
          value.map((each) => each[name]),
          0.5,
        );
      rows.push([profile, bytes, of('protect'), of('unprotect'), yardMs]);
    }
  }
  return {
    title: 'SRTP, µs of CPU a packet (prototype 1.15–1.7 in counter mode, 3.6–5.6 GCM)',
    text: table(
      ['profile', 'payload B', 'protect', 'unprotect', 'fixed calculation ms'],
      rows.map((row) => row.map((cell, n) => (n === 1 ? short(cell) : cell))),
    ),
  };
}

function measure(profile, bytes) {
  const { keyBytes, saltBytes } = SRTP_PROFILES[profile];
  const master = { profile, key: randomBytes(keyBytes), salt: randomBytes(saltBytes) };
  const sender = new SrtpSender(master);
  const receiver = new SrtpReceiver(master);
  const payload = randomBytes(bytes);
  const plain = Array.from({ length: PACKETS }, (_, n) =>
    writeRtp({ payloadType: 111, marker: false, sequenceNumber: n & 0xffff, timestamp: n * 960, ssrc: 1 }, payload),
  );
  const sealed = [];
  const protect = cpuOf(() => {
    for (const packet of plain) sealed.push(sender.protectRtp(packet));
  });
  let opened = 0;
  const unprotect = cpuOf(() => {
    for (const packet of sealed) if (receiver.unprotectRtp(packet)) opened += 1;
  });
  if (opened !== PACKETS) throw new Error('not every packet came through');
  return { protect, unprotect };
}

function cpuOf(work) {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / PACKETS;
}
