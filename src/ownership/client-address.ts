import { isIP, isIPv4, isIPv6 } from 'node:net';
import { formatEndpoint } from '../base/addresses.ts';

/** A client as a map key. Over UDP a number for IPv4 (address · 65536 + port, 48 bit), the 18 bytes as text for IPv6; over TCP -1 - flow id. */
export type ClientKey = number | string;

/** Address (16 bytes, IPv4 in its mapped form ::ffff:a.b.c.d) and port (2 bytes), as frames carry them. */
export const CLIENT_ADDRESS_BYTES = 18;

/** A relay gives each TCP connection a number of 32 bits, which goes with its frames. */
export const FLOW_ID_BYTES = 4;

/** Is this the key of a TCP connection? */
export function isTcpKey(key: ClientKey): boolean {
  return typeof key === 'number' && key < 0;
}

/** Whoever knows a client's key, and can say the rest when it is needed. */
export interface ClientRef {
  readonly key: ClientKey;
  resolve(): ClientAddress;
}

/** A client's transport address in the forms that sockets, maps and frames want. Made once a flow, not once a packet. */
export class ClientAddress implements ClientRef {
  readonly address: string;
  readonly port: number;
  readonly key: ClientKey;
  /** CLIENT_ADDRESS_BYTES; over TCP the flow id behind them. */
  readonly bytes: Uint8Array;

  private constructor(address: string, port: number, key: ClientKey, bytes: Uint8Array) {
    this.address = address;
    this.port = port;
    this.key = key;
    this.bytes = bytes;
  }

  resolve(): ClientAddress {
    return this;
  }

  /** For people and for path keys: `192.0.2.7:5000`, `tcp:192.0.2.7:5000#17`. */
  get text(): string {
    const endpoint = formatEndpoint(this);
    return isTcpKey(this.key) ? `tcp:${endpoint}#${-1 - Number(this.key)}` : endpoint;
  }

  /** The client of a TCP connection. @param flowId unsigned 32 bits, one of a relay's connections */
  static overTcp(address: string, port: number, flowId: number): ClientAddress | undefined {
    const endpoint = ClientAddress.of(address, port);
    if (!endpoint) return undefined;
    const bytes = Buffer.alloc(CLIENT_ADDRESS_BYTES + FLOW_ID_BYTES);
    bytes.set(endpoint.bytes);
    bytes.writeUInt32BE(flowId, CLIENT_ADDRESS_BYTES);
    return new ClientAddress(address, port, tcpKey(flowId), bytes);
  }

  /** Undefined for what is no literal address, or one with a zone (fe80::1%eth0), which means nothing on another machine. */
  static of(address: string, port: number): ClientAddress | undefined {
    const key = isIP(address) ? clientKey(address, port) : undefined;
    const bytes = key === undefined ? undefined : toBytes(address, port);
    return key === undefined || !bytes ? undefined : new ClientAddress(address, port, key, bytes);
  }

  /** Reads the 18 bytes at `offset`, and for a client over TCP the flow id behind them. */
  static read(buffer: Buffer, offset: number, overTcp = false): ClientAddress {
    const length = CLIENT_ADDRESS_BYTES + (overTcp ? FLOW_ID_BYTES : 0);
    const bytes = Uint8Array.prototype.slice.call(buffer, offset, offset + length);
    const port = buffer.readUInt16BE(offset + 16);
    const address = isMapped(buffer, offset) ? buffer.subarray(offset + 12, offset + 16).join('.') : ipv6Text(buffer, offset);
    return new ClientAddress(address, port, readClientKey(buffer, offset, overTcp), bytes);
  }
}

function tcpKey(flowId: number): number {
  return -1 - flowId;
}

/** The key of an address as Node's sockets write it; undefined when it is no literal address. The IPv4 way makes no garbage. */
export function clientKey(address: string, port: number): ClientKey | undefined {
  let value = 0;
  let octet = 0;
  let dots = 0;
  for (let i = 0; i < address.length; i += 1) {
    const code = address.charCodeAt(i);
    if (code === 0x2e) {
      value = value * 256 + octet;
      octet = 0;
      dots += 1;
    } else if (code >= 0x30 && code <= 0x39) octet = octet * 10 + code - 0x30;
    else return ipv6Key(address, port);
    if (octet > 255) return ipv6Key(address, port);
  }
  return dots === 3 ? (value * 256 + octet) * 65536 + port : undefined;
}

/** The key of the client in a frame. Equal to clientKey of the same address, or to the key of the TCP connection. */
export function readClientKey(buffer: Buffer, offset: number, overTcp = false): ClientKey {
  if (overTcp) return tcpKey(buffer.readUInt32BE(offset + CLIENT_ADDRESS_BYTES));
  const port = buffer.readUInt16BE(offset + 16);
  if (isMapped(buffer, offset)) return buffer.readUInt32BE(offset + 12) * 65536 + port;
  return buffer.toString('latin1', offset, offset + CLIENT_ADDRESS_BYTES);
}

function isMapped(buffer: Buffer, offset: number): boolean {
  return buffer.readUInt32BE(offset + 8) === 0xffff && buffer.readUInt32BE(offset + 4) === 0 && buffer.readUInt32BE(offset) === 0;
}

function toBytes(address: string, port: number): Buffer | undefined {
  const bytes = Buffer.alloc(CLIENT_ADDRESS_BYTES);
  bytes.writeUInt16BE(port, 16);
  if (isIPv4(address)) {
    bytes.writeUInt16BE(0xffff, 10);
    for (const [i, octet] of address.split('.').entries()) bytes[12 + i] = Number(octet);
    return bytes;
  }
  const groups = ipv6Groups(address);
  for (const [i, group] of groups.entries()) bytes.writeUInt16BE(group, i * 2);
  // A mapped address must be written as the IPv4 address it is, or one client would have two keys.
  return isMapped(bytes, 0) ? undefined : bytes;
}

function ipv6Groups(address: string): number[] {
  const [head = '', tail] = address.split('::');
  const left = groupsOf(head);
  if (tail === undefined) return left;
  const right = groupsOf(tail);
  return [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
}

function groupsOf(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((part) => {
    if (!part.includes('.')) return [Number.parseInt(part, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}

/** Addresses whose bytes are remembered: reading them takes 2 µs, more than a flow look-up. Some 0.5 MB. */
const MAX_READ = 4096;
const read = new Map<string, string>();

function ipv6Key(address: string, port: number): ClientKey | undefined {
  let bytes = read.get(address);
  if (bytes === undefined) {
    if (!isIPv6(address) || address.includes('%')) return undefined;
    if (read.size >= MAX_READ) read.clear();
    bytes = ipv6Groups(address)
      .map((group) => String.fromCharCode(group >>> 8, group & 0xff))
      .join('');
    read.set(address, bytes);
  }
  return bytes + String.fromCharCode(port >>> 8, port & 0xff);
}

function ipv6Text(buffer: Buffer, offset: number): string {
  return groupsText(Array.from({ length: 8 }, (_, i) => buffer.readUInt16BE(offset + i * 2)));
}

/** RFC 5952 §4: lower case, no leading zeros, the longest run of zero groups (first of equals, at least two) as `::`. */
function groupsText(groups: readonly number[]): string {
  let [start, length] = [-1, 1];
  for (let i = 0; i < groups.length; i += 1) {
    let run = 0;
    while (groups[i + run] === 0) run += 1;
    if (run > length) [start, length] = [i, run];
    i += run;
  }
  const text = (part: readonly number[]) => part.map((group) => group.toString(16)).join(':');
  return start < 0 ? text(groups) : `${text(groups.slice(0, start))}::${text(groups.slice(start + length))}`;
}
