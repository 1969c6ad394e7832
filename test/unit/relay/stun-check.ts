import { randomBytes } from 'node:crypto';
import { writeStun } from '../../../src/webrtc/stun/write-stun.ts';

/** A client's connectivity check to the session of this ufrag. The relay looks at nothing else in it. */
export function checkFor(serverUfrag: string): Buffer {
  return writeStun({ class: 'request', transactionId: randomBytes(12), username: `${serverUfrag}:peer` }, 'password of no interest');
}

export const DTLS = Buffer.from([22, 254, 253, 0, 0, 0, 0]);
export const RTP = Buffer.from([0x80, 111, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 42]);
