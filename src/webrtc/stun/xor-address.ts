import { isIPv4, isIPv6 } from 'node:net';
import { STUN_MAGIC_COOKIE } from './stun-message.ts';

/** The value of an XOR-MAPPED-ADDRESS (RFC 8489 §14.2); undefined when it is malformed. */
export function readXorAddress(value: Buffer, transactionId: Buffer): { address: string; port: number } | undefined {
  const family = value.length >= 4 ? value[1] : undefined;
  if (family === undefined) return undefined;
  const port = value.readUInt16BE(2) ^ (STUN_MAGIC_COOKIE >>> 16);
  if (family === 1 && value.length === 8) {
    const bits = (value.readUInt32BE(4) ^ STUN_MAGIC_COOKIE) >>> 0;
    return { address: `${bits >>> 24}.${(bits >>> 16) & 255}.${(bits >>> 8) & 255}.${bits & 255}`, port };
  }
  if (family === 2 && value.length === 20) {
    const plain = Buffer.from(value.subarray(4));
    xorIpv6(plain, transactionId);
    const groups = Array.from({ length: 8 }, (_, i) => plain.readUInt16BE(2 * i).toString(16));
    return { address: groups.join(':'), port };
  }
  return undefined;
}

/** The value of an XOR-MAPPED-ADDRESS for a literal address; undefined when it is not one. */
export function writeXorAddress(address: string, port: number, transactionId: Uint8Array): Buffer | undefined {
  if (isIPv4(address)) {
    const value = Buffer.alloc(8);
    value[1] = 1;
    value.writeUInt16BE((port & 0xffff) ^ (STUN_MAGIC_COOKIE >>> 16), 2);
    const bits = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
    value.writeUInt32BE((bits ^ STUN_MAGIC_COOKIE) >>> 0, 4);
    return value;
  }
  const plain = parseIpv6(address);
  if (!plain) return undefined;
  xorIpv6(plain, transactionId);
  const value = Buffer.alloc(20);
  value[1] = 2;
  value.writeUInt16BE((port & 0xffff) ^ (STUN_MAGIC_COOKIE >>> 16), 2);
  plain.copy(value, 4);
  return value;
}

function xorIpv6(bytes: Buffer, transactionId: Uint8Array): void {
  bytes.writeUInt32BE((bytes.readUInt32BE(0) ^ STUN_MAGIC_COOKIE) >>> 0, 0);
  for (let i = 0; i < 12; i += 1) bytes[4 + i] = (bytes[4 + i] ?? 0) ^ (transactionId[i] ?? 0);
}

/** 16 bytes of an IPv6 literal, `::` and an embedded IPv4 tail included; a zone (%eth0) is left out. */
function parseIpv6(text: string): Buffer | undefined {
  const [address = ''] = text.split('%');
  if (!isIPv6(address)) return undefined;
  const tail = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  const plain = tail
    ? `${tail[1]}${(Number(tail[2]) * 256 + Number(tail[3])).toString(16)}:${(Number(tail[4]) * 256 + Number(tail[5])).toString(16)}`
    : address;
  const [head = '', rest] = plain.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = rest === undefined || rest === '' ? [] : rest.split(':');
  const groups = [...left, ...new Array<string>(8 - left.length - right.length).fill('0'), ...right];
  const bytes = Buffer.alloc(16);
  groups.forEach((group, i) => {
    bytes.writeUInt16BE(Number.parseInt(group, 16), 2 * i);
  });
  return bytes;
}
