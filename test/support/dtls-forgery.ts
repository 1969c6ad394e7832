import { type HandshakeMessage, wholeMessage } from '../../src/webrtc/dtls/handshake-message.ts';
import { type ClientHello, ExtensionType, writeClientHello, writeUseSrtp } from '../../src/webrtc/dtls/hello.ts';

/** What somebody who can send from the peer's address, but cannot read what it gets, would write. */

/** A plaintext record. */
export function plainRecord(contentType: number, fragment: Uint8Array, sequence = 900, epoch = 0): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt8(contentType, 0);
  header.writeUInt16BE(0xfefd, 1);
  header.writeUInt16BE(epoch, 3);
  header.writeUIntBE(sequence, 5, 6);
  header.writeUInt16BE(fragment.length, 11);
  return Buffer.concat([header, fragment]);
}

export function handshakeRecord(message: HandshakeMessage): Buffer {
  return plainRecord(22, wholeMessage(message));
}

export const forgedAlerts: Readonly<Record<string, Buffer>> = {
  'close_notify (the 15-byte datagram)': plainRecord(21, Buffer.of(1, 0)),
  'a fatal alert': plainRecord(21, Buffer.of(2, 40)),
  'half an alert': plainRecord(21, Buffer.of(2)),
  'a record of unknown type': plainRecord(24, Buffer.of(1)),
  'a change of cipher': plainRecord(20, Buffer.of(1)),
  'application data': plainRecord(23, Buffer.from('hello')),
  'a protected record of the next epoch': plainRecord(23, Buffer.alloc(60), 0, 1),
  'a record of an epoch far away': plainRecord(23, Buffer.alloc(60), 0, 7),
  'an empty handshake record': plainRecord(22, Buffer.alloc(0)),
  nothing: Buffer.alloc(0),
};

const uint16s = (...values: readonly number[]) => Buffer.concat(values.map((value) => Buffer.of(value >> 8, value & 0xff)));
const list = (...values: readonly number[]) => Buffer.concat([uint16s(2 * values.length), uint16s(...values)]);

/** A ClientHello that our server would take, with parts replaced. */
export function clientHello(parts: Partial<ClientHello> = {}): ClientHello {
  return {
    version: 0xfefd,
    random: Buffer.alloc(32, 0xee),
    sessionId: Buffer.alloc(0),
    cookie: Buffer.alloc(0),
    cipherSuites: [0xc02b],
    compressions: Buffer.of(0),
    extensions: new Map([
      [ExtensionType.extendedMasterSecret, Buffer.alloc(0)],
      [ExtensionType.supportedGroups, list(0x17, 0x1d)],
      [ExtensionType.signatureAlgorithms, list(0x0403)],
      [ExtensionType.useSrtp, writeUseSrtp([1])],
    ]),
    ...parts,
  };
}

export function clientHelloRecord(parts: Partial<ClientHello> = {}, sequence = 0): Buffer {
  return handshakeRecord({ type: 1, sequence, body: writeClientHello(clientHello(parts)) });
}
