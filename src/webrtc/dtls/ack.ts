import type { RecordNumber } from './record-protection.ts';

const NUMBER_BYTES = 16;
/** A flight is some ten records; more than this in one acknowledgement is not looked at. */
const MAX_NUMBERS = 64;

/** The numbers in an ACK (RFC 9147 §7); undefined when it is malformed. Epochs and sequence numbers of ours are below 2^48. */
export function parseAck(plain: Buffer): RecordNumber[] | undefined {
  if (plain.length < 2 || plain.readUInt16BE(0) !== plain.length - 2 || (plain.length - 2) % NUMBER_BYTES !== 0) return undefined;
  const numbers: RecordNumber[] = [];
  for (let at = 2; at < plain.length && numbers.length < MAX_NUMBERS; at += NUMBER_BYTES) {
    if (plain.readUInt16BE(at) !== 0 || plain.readUInt16BE(at + 8) !== 0) continue;
    numbers.push({ epoch: plain.readUIntBE(at + 2, 6), sequence: plain.readUIntBE(at + 10, 6) });
  }
  return numbers;
}

export function writeAck(numbers: readonly RecordNumber[]): Buffer {
  const plain = Buffer.alloc(2 + NUMBER_BYTES * numbers.length);
  plain.writeUInt16BE(plain.length - 2, 0);
  numbers.forEach(({ epoch, sequence }, i) => {
    plain.writeUIntBE(epoch, 4 + NUMBER_BYTES * i, 6);
    plain.writeUIntBE(sequence, 12 + NUMBER_BYTES * i, 6);
  });
  return plain;
}
